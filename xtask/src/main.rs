//! The release engineer's commands: one task is one file, this is the list of them.
//!
//! `cargo xtask` builds without any feature, from the Rust toolchain alone and in seconds. The
//! tasks that sign, verify and rebuild need more: [`bootstrap`] installs it and starts the same
//! command again with the feature `engineer`.

mod bench;
mod bootstrap;
mod ci;
mod cli;
mod outcome;
mod peers;
mod shell;
mod talk;
mod tidy;

#[cfg(feature = "engineer")]
mod debian_release;
#[cfg(feature = "engineer")]
mod demo;
#[cfg(feature = "engineer")]
mod fuzz;
#[cfg(feature = "engineer")]
mod inputs;
#[cfg(feature = "engineer")]
mod release;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Task};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli.task) {
        Ok(code) => code,
        Err(error) => outcome::report(&error),
    }
}

fn run(task: &Task) -> anyhow::Result<ExitCode> {
    match task {
        Task::Test(args) => ci::run(args),
        Task::Tidy => tidy::run(),
        Task::Bench(args) => bench::run(args),
        Task::Soak(args) => bench::soak(args),
        Task::Peers(args) => peers::run(args),
        Task::Fuzz(_) | Task::Release(_) | Task::Gate(_) | Task::Inputs(_) | Task::Demo(_) => {
            engineer(task)
        }
    }
}

#[cfg(feature = "engineer")]
fn engineer(task: &Task) -> anyhow::Result<ExitCode> {
    match task {
        Task::Release(args) => release::run(args),
        Task::Gate(args) => release::gate(args),
        Task::Inputs(args) => inputs::run(args),
        Task::Demo(args) => demo::run(args),
        Task::Fuzz(args) => fuzz::run(args),
        _ => anyhow::bail!("`{task:?}` is not a task of the feature `engineer`"),
    }
}

#[cfg(not(feature = "engineer"))]
fn engineer(task: &Task) -> anyhow::Result<ExitCode> {
    bootstrap::install(bootstrap::for_task(task))?;
    bootstrap::start_again()
}
