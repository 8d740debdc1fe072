//! Measurements and tortures: which program of which crate does each.
//!
//! The node's programs are examples of that crate and print their own tables; what measures the
//! build and `verify` lives here, because it drives engines and other tools.

#[cfg(feature = "engineer")]
mod build;
#[cfg(feature = "engineer")]
mod document;
#[cfg(feature = "engineer")]
mod verify;

use std::process::ExitCode;

use crate::bootstrap;
use crate::cli::{BenchArgs, Measurement, SoakArgs, Torture};
use crate::outcome::{FALSE, HOLDS, NO_VERDICT};
use crate::shell;
use crate::tidy;

/// An example program of a crate, built with optimisation.
struct Example {
    package: &'static str,
    name: &'static str,
}

/// Runs one measurement.
pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    match args.what {
        Measurement::Build | Measurement::Verify => with_the_library(args),
        Measurement::Node => Example {
            package: "node",
            name: "bench_node",
        }
        .run(&args.arguments),
    }
}

/// Runs one torture.
pub(crate) fn soak(args: &SoakArgs) -> anyhow::Result<ExitCode> {
    let example = match args.what {
        Torture::Kill => Example {
            package: "node",
            name: "soak_kill",
        },
    };
    example.run(&args.arguments)
}

#[cfg(feature = "engineer")]
fn with_the_library(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    match args.what {
        Measurement::Verify => verify::run(&args.arguments),
        _ => build::run(),
    }
}

#[cfg(not(feature = "engineer"))]
fn with_the_library(_: &BenchArgs) -> anyhow::Result<ExitCode> {
    bootstrap::install(bootstrap::FOR_MEASURED_BUILDS)?;
    bootstrap::start_again()
}

impl Example {
    fn run(&self, arguments: &[String]) -> anyhow::Result<ExitCode> {
        let status = shell::program(bootstrap::cargo())
            .folder(&tidy::workspace_root())
            .args(["run", "--locked", "--release"])
            .args(["--package", self.package, "--example", self.name, "--"])
            .args(arguments)
            .status()?;
        Ok(ExitCode::from(match status.code() {
            Some(0) => HOLDS,
            Some(1) => FALSE,
            _ => NO_VERDICT,
        }))
    }
}
