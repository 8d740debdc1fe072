//! `verify completions` and `verify man`: what the command line says, for shells and for man(1).

use anyhow::Context as _;
use clap::CommandFactory as _;

use super::Answer;
use crate::cli::{Cli, CompletionsArgs, ManArgs};
use crate::verdict::Verdict;

/// The completion script of a shell.
#[must_use]
pub fn completions(args: &CompletionsArgs) -> Answer {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "verify", &mut script);
    Answer {
        text: String::from_utf8_lossy(&script).into_owned(),
        verdict: Verdict::Pass,
    }
}

/// Writes `verify.1` and one page a command.
///
/// # Errors
/// When the folder cannot be written to.
pub fn man(args: &ManArgs) -> anyhow::Result<Answer> {
    let shown = args.folder.display();
    clap_mangen::generate_to(Cli::command(), &args.folder)
        .with_context(|| format!("`{shown}` cannot be written to"))?;
    Ok(Answer {
        text: format!("man pages are in {shown}\n"),
        verdict: Verdict::Pass,
    })
}
