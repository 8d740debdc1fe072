//! The binary `memory-node`: reads the command line, sets up logging, hands over.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser as _;
use node::cli::Cli;
use tracing::level_filters::LevelFilter;

fn main() -> ExitCode {
    // clap itself ends with 2 on a wrong command line, and with 0 on --help.
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::INFO)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
    node::commands::run(cli)
}
