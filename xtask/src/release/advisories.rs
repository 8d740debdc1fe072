//! Step 3: does any known vulnerability stop this release? In: a [`CleanCheckout`]. Out: an
//! [`AdvisoryReport`].
//!
//! A database that is missing, damaged, too small or too old is no answer. The whole Cargo.lock is
//! asked about, which is more than what is linked in.

use std::path::Path;
use std::time::SystemTime;

use anyhow::Context as _;
use sbom::advisories::{DatabaseFacts, FindingKind, Judged, Report, Rules, Target, vex};
use sbom::source::cargo_lock;
use time::{Date, OffsetDateTime};

use super::advisory_db;
use super::checkout::CleanCheckout;
use super::plan::Plan;
use super::preflight::Origin;
use super::problem::{self, Problem};
use super::recheck::{Terms, UsedDatabase};
use crate::outcome::Refused;
use crate::talk;

/// What the gate saw, with nothing in it that stops the release. Only [`gate`] makes one.
#[derive(Debug)]
pub(crate) struct AdvisoryReport {
    checkout: CleanCheckout,
    report: Report,
    terms: Terms,
}

impl AdvisoryReport {
    /// The step before.
    pub(crate) fn checkout(&self) -> &CleanCheckout {
        &self.checkout
    }

    /// What the auditor's checks use again.
    pub(crate) fn terms(&self) -> &Terms {
        &self.terms
    }

    /// `advisories.json`.
    pub(crate) fn document(&self) -> Vec<u8> {
        self.report.to_bytes()
    }

    /// `vex.cdx.json`, about the components of these SBOMs.
    pub(crate) fn vex(&self, sboms: &[vex::SbomLink<'_>]) -> anyhow::Result<Vec<u8>> {
        let issued = OffsetDateTime::from_unix_timestamp(self.checkout.tag().commit().time_s)
            .context("reading the commit's time")?;
        Ok(vex::write(&self.report, sboms, issued))
    }
}

/// Asks the database about every package of Cargo.lock.
pub(crate) fn gate(
    plan: &Plan,
    checkout: CleanCheckout,
    origin: Origin,
    now: SystemTime,
) -> anyhow::Result<AdvisoryReport> {
    let tag = checkout.tag().verified().name().clone();
    let folder = match origin {
        Origin::At(folder) => folder,
        Origin::Network => advisory_db::fetch(&plan.out(&tag).join("advisory-db"))?,
        Origin::NowhereInTheDemo => return Ok(not_asked(plan, checkout, now)),
    };
    let database = advisory_db::read(&folder)?;
    let today = OffsetDateTime::from(now).date();
    fresh_and_whole(plan, &tag, &folder, &database, today)?;

    let lock = cargo_lock::parse(checkout.lock()).context("reading the commit's Cargo.lock")?;
    let ignores = &plan.release.gate().ignores;
    let target: Target = plan.release.target().triple().parse()?;
    let rules = Rules {
        today,
        stops_at: &[FindingKind::Vulnerability],
        ignores,
        target: Some(target),
    };
    let report = Report::new(
        &database.database,
        (database.commit.clone(), database.tree.clone()),
        the_day(now),
        [("Cargo.lock", lock.packages())],
        &rules,
    )?;
    let stopping: Vec<Problem> = report.stopping().map(stops).collect();
    if !stopping.is_empty() {
        return Err(problem::into_error(&super::refused(&tag), &stopping));
    }
    talk::say(&format!(
        "    {} advisories, newest of {}: {} findings, none stops the release; {} ignores",
        report.database.count,
        report.database.newest,
        report.findings.len(),
        report.ignores.len()
    ));
    let terms = Terms {
        tag,
        database: Some(UsedDatabase {
            newest_age_days: (today - report.database.newest).whole_days(),
            folder,
        }),
    };
    Ok(AdvisoryReport {
        checkout,
        report,
        terms,
    })
}

/// The report of a demo that has no database: it says that nobody looked, and no auditor's check
/// takes it for an answer.
fn not_asked(plan: &Plan, checkout: CleanCheckout, now: SystemTime) -> AdvisoryReport {
    talk::say(
        "    NO advisory database: whether known vulnerabilities are inside was NOT looked at",
    );
    let report = Report {
        version: 1,
        database: DatabaseFacts {
            commit: None,
            tree: None,
            count: 0,
            newest: OffsetDateTime::UNIX_EPOCH.date(),
        },
        checked_at: the_day(now),
        target: Some(plan.release.target().triple().to_owned()),
        subjects: Vec::new(),
        findings: Vec::new(),
        stops_at: vec![FindingKind::Vulnerability],
        ignores: Vec::new(),
        unused_ignores: Vec::new(),
        not_covered: Vec::new(),
    };
    let terms = Terms {
        tag: checkout.tag().verified().name().clone(),
        database: None,
    };
    AdvisoryReport {
        checkout,
        report,
        terms,
    }
}

/// The day is what counts, so that a second run on it gives the same bytes.
fn the_day(now: SystemTime) -> OffsetDateTime {
    OffsetDateTime::from(now).replace_time(time::Time::MIDNIGHT)
}

/// Refuses a database that is too small or too old to say «nothing known».
fn fresh_and_whole(
    plan: &Plan,
    tag: &verify::trust::tag::TagName,
    folder: &Path,
    read: &advisory_db::ReadDatabase,
    today: Date,
) -> anyhow::Result<()> {
    let gate = plan.release.gate();
    let mut because = Vec::new();
    let count = read.database.count();
    if count < gate.advisory_min_count {
        because.push(format!(
            "the advisory database has {count} advisories, fewer than {}",
            gate.advisory_min_count
        ));
    }
    // A commit is the newest change; a plain folder is as young as its newest advisory.
    let changed = read.committed.map_or(read.database.newest(), |day| {
        day.max(read.database.newest())
    });
    let age_days = (today - changed).whole_days();
    if age_days > i64::from(gate.advisory_max_age_days) {
        because.push(format!(
            "the advisory database is of {changed}, {age_days} days old; {} are accepted",
            gate.advisory_max_age_days
        ));
    }
    if because.is_empty() {
        return Ok(());
    }
    Err(Refused::for_all(super::refused(tag), because)
        .hint(format!(
            "bring it up to date: `git -C {} pull`",
            folder.display()
        ))
        .into())
}

fn stops(judged: &Judged) -> Problem {
    let finding = &judged.finding;
    let expired = match judged.decision {
        sbom::advisories::Decision::IgnoreExpired => "; the ignore for it has expired",
        _ => "",
    };
    let repair = if finding.patched.is_empty() {
        format!(
            "replace `{}`, or decide with an `[[gate.ignore]]` in release.toml",
            finding.package
        )
    } else {
        format!(
            "`cargo update {}` to {}",
            finding.package,
            finding.patched.join(" or ")
        )
    };
    Problem::wrong(
        format!(
            "{} in `{} {}`: {}{expired}",
            finding.id,
            finding.package,
            finding.version,
            finding.title.escape_debug()
        ),
        repair,
    )
}
