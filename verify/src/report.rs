//! The whole answer as a value: what was asked, what was found, what follows. Renderers print it.

use std::time::SystemTime;

use serde::Serialize;

use crate::case::{Case, Request};
use crate::check::{CHECKS, Check, CheckId};
use crate::load::bundle::LoadedBundle;
use crate::trust::openpgp::Instant;
use crate::verdict::{Finding, Verdict};

/// Version of the JSON form; it grows when a reader would have to change.
pub const REPORT_VERSION: u32 = 1;

/// The roster of a release and its verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReleaseReport {
    /// [`REPORT_VERSION`].
    pub version: u32,
    /// The name of the bundle's folder; text from outside.
    pub bundle: String,
    /// The verified tag; `None` where there is none.
    pub tag: Option<String>,
    /// The verified tag's commit.
    pub commit: Option<String>,
    /// The time at which everything was judged, RFC 3339.
    pub judged_at: String,
    /// The fingerprints of the certificates that were trusted.
    pub keyring: Vec<String>,
    /// One finding a check, in the order of the table.
    pub findings: Vec<Finding>,
    /// What follows.
    pub verdict: Verdict,
}

/// Runs all checks and makes the verdict.
#[must_use]
pub fn assay(request: Request<'_>) -> ReleaseReport {
    let case = Case::open(request);
    let findings = CHECKS
        .iter()
        .map(|check| finding(check, case.policy().requires(check.id), &case))
        .collect();
    report(&case, findings)
}

/// Runs these checks only, each of them required, whatever the policy asks for besides.
#[must_use]
pub fn assay_of(request: Request<'_>, checks: &[CheckId]) -> ReleaseReport {
    let case = Case::open(request);
    report_of(&case, checks)
}

/// As [`assay_of`], over a case that is open already.
#[must_use]
pub fn report_of(case: &Case<'_>, checks: &[CheckId]) -> ReleaseReport {
    let asked = CHECKS.iter().filter(|check| checks.contains(&check.id));
    let findings = asked.map(|check| finding(check, true, case)).collect();
    report(case, findings)
}

fn finding(check: &Check, required: bool, case: &Case<'_>) -> Finding {
    Finding {
        check: check.id,
        claim: check.claim,
        required,
        outcome: (check.run)(case),
    }
}

fn report(case: &Case<'_>, findings: Vec<Finding>) -> ReleaseReport {
    let request = case.request();
    let tag = case.tag().ok();
    ReleaseReport {
        version: REPORT_VERSION,
        bundle: name_of(request.bundle.root()),
        tag: tag.map(|tag| tag.name().to_string()),
        commit: tag.map(|tag| tag.commit().to_string()),
        judged_at: moment(request.now),
        keyring: request
            .keyring
            .fingerprints()
            .map(ToString::to_string)
            .collect(),
        verdict: Verdict::of(&findings),
        findings,
    }
}

/// The name of the bundle's folder; text from outside.
#[must_use]
pub fn bundle_name(bundle: &LoadedBundle) -> String {
    name_of(bundle.root())
}

fn name_of(root: &std::path::Path) -> String {
    let whole = std::fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    whole.file_name().map_or_else(
        || whole.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}

fn moment(time: SystemTime) -> String {
    Instant(time).to_string()
}
