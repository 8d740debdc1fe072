//! Measurements and tortures: which program of which crate does each.
//!
//! The node's programs are examples of that crate and print their own tables; what measures the
//! build and `verify` lives here, because it drives engines and other tools.

#[cfg(feature = "engineer")]
mod build;
mod document;
#[cfg(feature = "engineer")]
mod federation;
#[cfg(feature = "engineer")]
mod measure;
mod store;
#[cfg(feature = "engineer")]
mod verify;
mod webhooks;

use std::path::Path;
use std::process::{ExitCode, ExitStatus};

use anyhow::Context as _;

use crate::bootstrap;
use crate::cli::{BenchArgs, Measurement, SoakArgs, Soaked};
use crate::outcome::{FALSE, HOLDS, NO_VERDICT};
use crate::shell::{self, Program};
use crate::tidy;

/// Runs one measurement.
pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    match args.what {
        Measurement::Build | Measurement::Verify | Measurement::Federation => {
            with_the_library(args)
        }
        Measurement::Node => node(&args.arguments),
        Measurement::Webhooks => webhooks::measure(&args.arguments),
    }
}

/// Kills the node under load and looks for lost writes: the tests of a power cut, made long.
pub(crate) fn soak(args: &SoakArgs) -> anyhow::Result<ExitCode> {
    if args.what == Soaked::Webhooks {
        return webhooks::soak();
    }
    store::soak(args)
}

/// Builds the node, drives it over HTTP, and writes the table into the document.
fn node(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let root = tidy::workspace_root();
    let table = root.join("target/bench-node.md");
    cargo()
        .args(["build", "--locked", "--release", "--package", "node"])
        .run()?;
    let own = ["--node", "target/release/memory-node"];
    let named = arguments.iter().any(|argument| argument == "--node");
    let status = cargo()
        .args(["run", "--locked", "--release", "--package", "node"])
        .args(["--example", "bench_node", "--", "--table"])
        .arg(&table)
        .args(own.into_iter().filter(|_| !named))
        .args(arguments)
        .status()?;
    if status.success() {
        let rows = std::fs::read_to_string(&table).context("reading the measured table")?;
        let machine = document::machine()?;
        let text = format!(
            "{machine}. Client and server share the cores. Memories of some 300 bytes, answers of \
             ten; `memory-node` encrypts, signs each version and syncs each commit, `ai-memory` \
             0.6.4 with SQLCipher has its own defaults and syncs only now and then. Syncs and CPU are \
             the server's, for one request; memory is its peak. `ai-memory` takes about a millisecond to \
             take in a memory, so its large store holds as many as its own lines say.\n\n{rows}"
        );
        document::put("bench node", "The node", &text)?;
    }
    Ok(code(status))
}

#[cfg(feature = "engineer")]
fn with_the_library(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    match args.what {
        Measurement::Verify => verify::run(&args.arguments),
        Measurement::Federation => federation::run(&args.arguments),
        _ => build::run(),
    }
}

#[cfg(not(feature = "engineer"))]
fn with_the_library(_: &BenchArgs) -> anyhow::Result<ExitCode> {
    bootstrap::install(bootstrap::FOR_MEASUREMENTS)?;
    bootstrap::start_again()
}

fn cargo() -> Program {
    shell::program(bootstrap::cargo()).folder(&tidy::workspace_root())
}

fn code(status: ExitStatus) -> ExitCode {
    ExitCode::from(match status.code() {
        Some(0) => HOLDS,
        Some(1 | 101) => FALSE,
        _ => NO_VERDICT,
    })
}

/// An old table is not taken for a new one.
fn forget(table: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(table) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing `{}`", table.display()))
        }
        _ => Ok(()),
    }
}
