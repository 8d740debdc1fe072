//! Answers: what follows from the findings? The one place where a verdict is made.

use serde::Serialize;

use crate::check::{CheckId, Outcome};

/// One check's outcome, and whether the auditor asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which check.
    pub check: CheckId,
    /// What it asks.
    pub claim: &'static str,
    /// Whether there is no pass without it.
    pub required: bool,
    /// What it answered.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// The answer to everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// All required checks were made and hold, and none was found false.
    Pass,
    /// Something was checked and is false.
    Fail,
    /// Nothing is false, but something required could not be checked, or nothing is required.
    NoVerdict,
}

impl Verdict {
    /// Any fail is a fail, required or not: what was looked at and is false stays false. Else a
    /// required check that is undecided, or a policy that requires nothing, is no verdict.
    #[must_use]
    pub fn of(findings: &[Finding]) -> Self {
        let failed = findings
            .iter()
            .any(|finding| matches!(finding.outcome, Outcome::Fail { .. }));
        let mut required = findings
            .iter()
            .filter(|finding| finding.required)
            .peekable();
        if failed {
            Self::Fail
        } else if required.peek().is_none() {
            Self::NoVerdict
        } else if required.all(|finding| matches!(finding.outcome, Outcome::Pass { .. })) {
            Self::Pass
        } else {
            Self::NoVerdict
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Evidence;

    fn finding(required: bool, outcome: Outcome) -> Finding {
        Finding {
            check: CheckId::Tag,
            claim: "",
            required,
            outcome,
        }
    }

    #[test]
    fn only_all_required_passes_and_no_fail_is_a_pass() {
        let pass = || Outcome::Pass {
            evidence: Evidence::default(),
        };
        let fail = || Evidence::default().failed("x");
        let open = || Evidence::default().undecided("x");
        let verdict = |list: &[(bool, Outcome)]| {
            let findings: Vec<Finding> = list
                .iter()
                .map(|(required, outcome)| finding(*required, outcome.clone()))
                .collect();
            Verdict::of(&findings)
        };
        assert_eq!(verdict(&[(true, pass()), (true, pass())]), Verdict::Pass);
        assert_eq!(verdict(&[(true, pass()), (false, open())]), Verdict::Pass);
        assert_eq!(
            verdict(&[(true, pass()), (true, open())]),
            Verdict::NoVerdict
        );
        assert_eq!(verdict(&[(true, pass()), (false, fail())]), Verdict::Fail);
        assert_eq!(verdict(&[(true, open()), (true, fail())]), Verdict::Fail);
        assert_eq!(verdict(&[(false, pass())]), Verdict::NoVerdict);
        assert_eq!(verdict(&[]), Verdict::NoVerdict);
    }
}
