//! `verify`: the auditor's program. Parses the command line, runs one command, prints its answer.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Parser as _;
use verify::cli::{Cli, Command, PolicyCommand};
use verify::commands::{self, Answer};
use verify::exit;
use verify::output::escape::escaped;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // A defect of this program is no verdict either, whatever code a panic would end with.
    let answer = std::panic::catch_unwind(|| run(&cli, SystemTime::now())).unwrap_or_else(|_| {
        Err(anyhow::anyhow!(
            "this program has a defect; please report what it printed above"
        ))
    });
    match answer.and_then(print) {
        Ok(code) => code,
        Err(error) => {
            complain(&error);
            ExitCode::from(exit::NO_VERDICT)
        }
    }
}

fn run(cli: &Cli, now: SystemTime) -> anyhow::Result<Answer> {
    match &cli.command {
        Command::Release(args) => commands::release::run(args, now),
        Command::Tag(args) => commands::tag::run(args, now),
        Command::Signature(args) => commands::signature::run(args, now),
        Command::Sbom(args) => commands::sbom::run(args),
        Command::Advisories(args) => commands::advisories::run(args, now),
        Command::Diff(args) => commands::diff::run(args),
        Command::Rebuild(args) => commands::rebuild::run(args, now),
        Command::Attest(args) => commands::attest::run(args, now),
        Command::Quorum(args) => commands::quorum::run(args, now),
        Command::Policy(PolicyCommand::Check(args)) => commands::policy::check(args, now),
        Command::Completions(args) => Ok(commands::manual::completions(args)),
        Command::Man(args) => commands::manual::man(args),
        _ => Err(anyhow::anyhow!("this command is not known here")),
    }
}

/// An answer that nobody could read is none.
fn print(answer: Answer) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    out.write_all(answer.text.as_bytes())?;
    out.flush()?;
    Ok(exit::code(answer.verdict))
}

fn complain(error: &anyhow::Error) {
    let mut text = format!("error: {}\n", escaped(&error.to_string()));
    for cause in error.chain().skip(1) {
        text.push_str(&format!("  because: {}\n", escaped(&cause.to_string())));
    }
    // Where standard error is gone too, the exit code still says it.
    std::io::stderr().lock().write_all(text.as_bytes()).ok();
}
