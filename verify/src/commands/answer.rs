//! The answer of a command that asks one thing: one outcome, printed like a line of the roster.

use serde::Serialize;

use super::Answer;
use crate::check::Outcome;
use crate::output::human::{self, Colour};
use crate::output::json;
use crate::verdict::Verdict;

/// One question's answer; its JSON form.
#[derive(Debug, Serialize)]
pub(super) struct SingleReport<T: Serialize> {
    /// [`crate::report::REPORT_VERSION`].
    pub version: u32,
    /// Which command was asked.
    pub command: &'static str,
    /// What it was asked about; text from outside.
    pub subject: String,
    /// The answer.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// What follows.
    pub verdict: Verdict,
    /// What was found, in full; its shape is the command's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<T>,
}

impl<T: Serialize> SingleReport<T> {
    /// The answer to one question.
    pub(super) fn new(
        command: &'static str,
        subject: String,
        outcome: Outcome,
        details: Option<T>,
    ) -> Self {
        let verdict = match outcome {
            Outcome::Pass { .. } => Verdict::Pass,
            Outcome::Fail { .. } => Verdict::Fail,
            Outcome::Undecided { .. } => Verdict::NoVerdict,
        };
        let version = crate::report::REPORT_VERSION;
        Self {
            version,
            command,
            subject,
            outcome,
            verdict,
            details,
        }
    }

    /// Prints it; `claim` is what is true when it passes.
    pub(super) fn answer(&self, claim: &str, as_json: bool) -> anyhow::Result<Answer> {
        let text = if as_json {
            json::render(self)?
        } else {
            human::single(
                self.command,
                &self.subject,
                claim,
                &self.outcome,
                Colour::of_stdout(),
            )
        };
        Ok(Answer {
            text,
            verdict: self.verdict,
        })
    }
}
