//! The binary `memory-node`: reads the command line, sets up logging, hands over.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser as _;
use node::cli::Cli;
use tracing::level_filters::LevelFilter;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // What was not understood may have held `--json`: whoever reads JSON gets JSON.
        Err(error) if error.use_stderr() && std::env::args_os().any(|arg| arg == "--json") => {
            return node::commands::not_understood(&error);
        }
        // clap itself ends with 2 on a wrong command line, and with 0 on --help.
        Err(error) => error.exit(),
    };
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::INFO)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
    node::commands::run(cli)
}
