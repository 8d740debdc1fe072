//! Step 8: the auditor's own checks on the finished bundle. In: a [`Bundle`]. Out: [`Passed`].
//!
//! The same library call as `verify release`, with nothing left out but the rebuild: the second
//! build was one. A release that its own auditor would refuse is never published.

use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::Context as _;
use verify::case::Request;
use verify::load::bundle::LoadedBundle;
use verify::load::policy::Policy;
use verify::output::human::{self, Colour};
use verify::report::assay;
use verify::trust::tag::TagName;
use verify::verdict::Verdict;

use super::bundle::Bundle;
use super::plan::Plan;
use crate::outcome::{Refused, Undecided};
use crate::talk;

/// A bundle that the auditor's checks let pass. Only [`verify`] makes one.
#[derive(Debug)]
pub(crate) struct Passed {
    bundle: Bundle,
}

impl Passed {
    /// The step before.
    pub(crate) fn bundle(&self) -> &Bundle {
        &self.bundle
    }
}

/// What the gate used and the auditor's checks use again.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// The tag that is released.
    pub(crate) tag: TagName,
    /// The advisory database that the gate used; `None` in a demo that has none.
    pub(crate) database: Option<UsedDatabase>,
}

/// The advisory database that the gate used.
#[derive(Debug, Clone)]
pub(crate) struct UsedDatabase {
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// How old its newest advisory is, in days; the gate accepted that.
    pub(crate) newest_age_days: i64,
}

/// Runs the checks, prints the roster, and lets a pass through.
pub(crate) fn verify(
    plan: &Plan,
    bundle: Bundle,
    terms: Terms,
    now: SystemTime,
) -> anyhow::Result<Passed> {
    let loaded = LoadedBundle::read(bundle.folder()).context("reading the finished bundle")?;
    let report = assay(Request {
        bundle: loaded,
        keyring: plan.keyring.clone(),
        policy: policy(plan, terms.database.as_ref())?,
        now,
        expected_tag: Some(terms.tag.clone()),
        advisory_db: terms.database.map(|used| used.folder),
        rebuild: None,
    });
    talk::say(&human::render(&report, Colour::Off));
    let what = super::refused(&terms.tag);
    match report.verdict {
        Verdict::Pass => Ok(Passed { bundle }),
        Verdict::Fail => Err(Refused::new(what, "its own bundle fails the checks above")
            .hint("this is a defect of the release or of the checks: nothing was published")
            .into()),
        Verdict::NoVerdict => Err(Undecided::new(
            what,
            vec!["a required check of its own bundle, see above, came to no verdict".to_owned()],
            vec!["repair what the check names and release again".to_owned()],
        )
        .into()),
    }
}

/// The strict policy with the numbers of `release.toml`. The database's age was the gate's to judge.
fn policy(plan: &Plan, used: Option<&UsedDatabase>) -> anyhow::Result<Policy> {
    let gate = plan.release.gate();
    let max_age_days = i64::from(gate.advisory_max_age_days);
    let (required, max_age_days) = match used {
        Some(used) => ("\"advisories\"", used.newest_age_days.max(max_age_days)),
        None => ("", max_age_days),
    };
    Ok(Policy::parse(&format!(
        "version = 1\n\
         required = [\"manifest\", \"tag\", \"provenance\", \"sbom\", {required}]\n\
         [advisories]\nmax_age_days = {max_age_days}\nmin_count = {}\n",
        gate.advisory_min_count
    ))?)
}
