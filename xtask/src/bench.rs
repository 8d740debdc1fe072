//! Measurements and tortures: which program of which crate does each.
//!
//! The node's programs are examples of that crate and print their own tables; what measures the
//! build and `verify` lives here, because it drives engines and other tools.

#[cfg(feature = "engineer")]
mod build;
#[cfg(feature = "engineer")]
mod document;
#[cfg(feature = "engineer")]
mod federation;
#[cfg(feature = "engineer")]
mod measure;
#[cfg(feature = "engineer")]
mod verify;

use std::process::{ExitCode, ExitStatus};

use crate::bootstrap;
use crate::cli::{BenchArgs, Measurement, SoakArgs};
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
    }
}

/// Kills the node under load and looks for lost writes: the test of a power cut, made long.
pub(crate) fn soak(args: &SoakArgs) -> anyhow::Result<ExitCode> {
    let status = cargo()
        .args([
            "test",
            "--locked",
            "--release",
            "--package",
            "node",
            "--test",
            "it",
        ])
        .args(["power_cut", "--", "--nocapture"])
        .env("HALLMARK_KILLS", args.kills.to_string())
        .status()?;
    Ok(code(status))
}

/// Builds the node and drives it over HTTP.
fn node(arguments: &[String]) -> anyhow::Result<ExitCode> {
    cargo()
        .args(["build", "--locked", "--release", "--package", "node"])
        .run()?;
    let own = ["--node", "target/release/memory-node"];
    let named = arguments.iter().any(|argument| argument == "--node");
    let status = cargo()
        .args(["run", "--locked", "--release", "--package", "node"])
        .args(["--example", "bench_node", "--"])
        .args(own.into_iter().filter(|_| !named))
        .args(arguments)
        .status()?;
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
