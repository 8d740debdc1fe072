//! One file for each group of commands; each turns words into requests and answers into text.

pub mod author;
pub mod db;
pub mod doctor;
pub mod id;
pub mod init;
pub mod mcp;
pub mod memories;
pub mod output;
pub mod papers;
pub mod peers;
pub mod reach;
pub mod serve;
pub mod token;
pub mod transfer;
pub mod verify_export;
pub mod webhook;

use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::exit::{Failure, HOLDS};

/// Runs one command line and gives the exit code.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    let json = cli.common.json;
    if let Err(error) = crate::hardening::apply() {
        return Failure::no_verdict("hardening", "secrets cannot be kept out of core dumps")
            .because(error)
            .report(json);
    }
    match dispatch(cli) {
        Ok(()) => ExitCode::from(HOLDS),
        Err(failure) => failure.report(json),
    }
}

/// Says as JSON why a command line was not understood, and gives the exit code.
#[must_use]
pub fn not_understood(error: &clap::Error) -> ExitCode {
    let text = error.to_string();
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let what = lines.next().unwrap_or_default();
    let what = what.strip_prefix("error: ").unwrap_or(what);
    let failure = Failure::no_verdict("usage", what).hint("see `memory-node --help`");
    lines
        .take_while(|line| !line.starts_with("Usage:"))
        .fold(failure, |failure, line| failure.because(line.trim()))
        .report(true)
}

fn dispatch(cli: Cli) -> Result<(), Failure> {
    let common = cli.common;
    match cli.command {
        Command::Init => init::run(&common),
        Command::Doctor => doctor::run(&common),
        Command::Completions { shell } => papers::completions(&common, shell),
        Command::Man { dir } => papers::man(&common, &dir),
        Command::Openapi => papers::openapi(),
        Command::Mcp => mcp::run(&common),
        Command::Db { command } => db::run(&common, &command),
        Command::Export(args) => transfer::export(&common, &args),
        Command::Import(args) => transfer::import(&common, &args),
        Command::Webhook { command } => webhook::run(&common, command),
        Command::Id(args) => id::run(&common, &args),
        Command::Author { command } => author::run(&common, &command),
        Command::Peers => peers::run(&common),
        Command::Quarantine { command } => peers::quarantine(&common, command),
        Command::VerifyExport { file, authors_file } => {
            verify_export::run(&common, &file, authors_file.as_deref())
        }
        Command::Token => token::run(&common),
        Command::Serve(args) => serve::run(&common, &args),
        command => memories::run(&common, command),
    }
}
