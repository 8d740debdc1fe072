//! What a task's end means to the caller, as an exit code and as text on stderr.
//!
//! 0: all that was asked holds. 1: something was checked and is false ([`Refused`]). 2: no
//! verdict: a tool, an input or the network is missing, or the command line is wrong (clap ends
//! with 2 by itself).

use std::fmt;
use std::process::ExitCode;

use crate::talk;

/// All that was asked holds.
pub(crate) const HOLDS: u8 = 0;
/// Something was checked and is false.
pub(crate) const FALSE: u8 = 1;
/// No verdict: nothing could be checked.
pub(crate) const NO_VERDICT: u8 = 2;

/// Something was checked and is false: ends the task with exit code 1.
#[derive(Debug)]
pub(crate) struct Refused {
    what: String,
    because: Vec<String>,
    hints: Vec<String>,
}

impl Refused {
    /// A refusal that names what was refused and why.
    pub(crate) fn new(what: impl Into<String>, because: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            because: vec![because.into()],
            hints: Vec::new(),
        }
    }

    /// A refusal with several reasons, each found independently of the others.
    pub(crate) fn for_all(what: impl Into<String>, because: Vec<String>) -> Self {
        Self {
            what: what.into(),
            because,
            hints: Vec::new(),
        }
    }

    /// Adds what repairs it: a command where there is one.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        write_tail(f, &self.because, &self.hints)
    }
}

impl std::error::Error for Refused {}

/// Nothing could be checked: ends the task with exit code 2, with what repairs it.
#[derive(Debug)]
pub(crate) struct Undecided {
    what: String,
    because: Vec<String>,
    hints: Vec<String>,
}

impl Undecided {
    /// Says what could not be decided and what stands in the way, each thing with its repair.
    pub(crate) fn new(what: impl Into<String>, because: Vec<String>, hints: Vec<String>) -> Self {
        Self {
            what: what.into(),
            because,
            hints,
        }
    }
}

impl fmt::Display for Undecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        write_tail(f, &self.because, &self.hints)
    }
}

impl std::error::Error for Undecided {}

fn write_tail(f: &mut fmt::Formatter<'_>, because: &[String], hints: &[String]) -> fmt::Result {
    for reason in because {
        write!(f, "\n  because: {reason}")?;
    }
    if !hints.is_empty() {
        writeln!(f)?;
    }
    for hint in hints {
        write!(f, "\nhint: {hint}")?;
    }
    Ok(())
}

/// Prints an error with its chain of causes and gives the exit code that it stands for.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    let mut text = format!("error: {error}");
    for cause in error.chain().skip(1) {
        text.push_str(&format!("\n  because: {cause}"));
    }
    talk::say(&text);
    if error.chain().any(|cause| cause.is::<Refused>()) {
        ExitCode::from(FALSE)
    } else {
        ExitCode::from(NO_VERDICT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_why_and_how_to_repair_it() {
        let refused = Refused::new("tag `v0.1.0` is refused", "it is lightweight")
            .hint("make a signed one with `git tag -s v0.1.0`");
        assert_eq!(
            refused.to_string(),
            "tag `v0.1.0` is refused\n  because: it is lightweight\n\n\
             hint: make a signed one with `git tag -s v0.1.0`"
        );
    }
}
