//! The report for people: the roster, then the verdict. The words carry all; colour only helps.

use super::escape::escaped;
use crate::check::{Evidence, Outcome};
use crate::report::ReleaseReport;
use crate::verdict::{Finding, Verdict};

/// Whether to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// On a terminal.
    On,
    /// Everywhere else.
    Off,
}

impl Colour {
    /// Colour where standard output is a terminal.
    #[must_use]
    pub fn of_stdout() -> Self {
        use std::io::IsTerminal as _;
        if std::io::stdout().is_terminal() {
            Self::On
        } else {
            Self::Off
        }
    }
}

const INDENT: &str = "                       ";

/// The roster and the verdict as text, ending in a line feed.
#[must_use]
pub fn render(report: &ReleaseReport, colour: Colour) -> String {
    let mut text = format!("{}\n", escaped(&report.bundle));
    if let (Some(tag), Some(commit)) = (&report.tag, &report.commit) {
        line(
            &mut text,
            &format!("tag {} at commit {}", escaped(tag), escaped(commit)),
        );
    }
    line(&mut text, &format!("judged at {}", report.judged_at));
    text.push('\n');
    for finding in &report.findings {
        roster_line(&mut text, finding, colour);
    }
    text.push('\n');
    line(&mut text, &verdict_line(report, colour));
    text
}

fn line(text: &mut String, content: &str) {
    text.push_str(content);
    text.push('\n');
}

fn roster_line(text: &mut String, finding: &Finding, colour: Colour) {
    let (word, code) = match (&finding.outcome, finding.required) {
        (Outcome::Pass { .. }, _) => ("PASS", "32"),
        (Outcome::Fail { .. }, _) => ("FAIL", "31"),
        (Outcome::Undecided { .. }, true) => ("UNDECIDED", "33"),
        (Outcome::Undecided { .. }, false) => ("NOT MADE", "2"),
    };
    let name = finding.check.as_str();
    let first = match finding.outcome.reason() {
        None => String::from(finding.claim),
        Some(reason) => escaped(reason),
    };
    line(
        text,
        &format!(
            "{} {name:<12} {first}",
            painted(&format!("{word:<9}"), code, colour)
        ),
    );
    if !finding.required {
        line(
            text,
            &format!("{INDENT}! the policy does not require this check"),
        );
    }
    evidence_lines(text, finding.outcome.evidence());
}

fn evidence_lines(text: &mut String, evidence: &Evidence) {
    for problem in &evidence.problems {
        line(text, &format!("{INDENT}- {}", escaped(problem)));
    }
    for warning in &evidence.warnings {
        line(text, &format!("{INDENT}! {}", escaped(warning)));
    }
    for fact in &evidence.facts {
        line(
            text,
            &format!("{INDENT}{}: {}", escaped(&fact.name), escaped(&fact.value)),
        );
    }
}

/// The answer to one question as text, ending in a line feed. `claim` is what is true when it
/// passes.
#[must_use]
pub fn single(
    command: &str,
    subject: &str,
    claim: &str,
    outcome: &Outcome,
    colour: Colour,
) -> String {
    let (word, code, first) = match outcome {
        Outcome::Pass { .. } => ("PASS", "32", claim.to_owned()),
        Outcome::Fail { reason, .. } => ("FAIL", "31", escaped(reason)),
        Outcome::Undecided { reason, .. } => ("UNDECIDED", "33", escaped(reason)),
    };
    let mut text = format!("{}\n", escaped(subject));
    line(
        &mut text,
        &format!(
            "{} {command:<12} {first}",
            painted(&format!("{word:<9}"), code, colour)
        ),
    );
    evidence_lines(&mut text, outcome.evidence());
    text
}

fn verdict_line(report: &ReleaseReport, colour: Colour) -> String {
    let names = |wanted: &dyn Fn(&Finding) -> bool| {
        let names: Vec<&str> = report
            .findings
            .iter()
            .filter(|finding| wanted(finding))
            .map(|finding| finding.check.as_str())
            .collect();
        names.join(", ")
    };
    let not_required =
        names(&|finding| !finding.required && !matches!(finding.outcome, Outcome::Pass { .. }));
    let rest = if not_required.is_empty() {
        String::new()
    } else {
        format!("; NOT checked, because the policy does not require it: {not_required}")
    };
    match report.verdict {
        Verdict::Pass => {
            let held = names(&|finding| matches!(finding.outcome, Outcome::Pass { .. }));
            format!(
                "verdict: {} ({held}){rest}",
                painted("PASS", "1;32", colour)
            )
        }
        Verdict::Fail => {
            let failed = names(&|finding| matches!(finding.outcome, Outcome::Fail { .. }));
            format!("verdict: {} ({failed})", painted("FAIL", "1;31", colour))
        }
        Verdict::NoVerdict => {
            let open = names(&|finding| {
                finding.required && matches!(finding.outcome, Outcome::Undecided { .. })
            });
            let why = if open.is_empty() {
                String::from("the policy requires nothing")
            } else {
                format!("could not be checked: {open}")
            };
            format!(
                "verdict: {} ({why}){rest}",
                painted("NO VERDICT", "1;33", colour)
            )
        }
    }
}

fn painted(text: &str, code: &str, colour: Colour) -> String {
    match colour {
        Colour::On => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        Colour::Off => text.to_owned(),
    }
}
