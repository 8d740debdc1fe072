//! The report that a release ships as `advisories.json`: which database, when, what it found, and
//! what was accepted by whom. It is written and read through the same types.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};

use super::database::Database;
use super::database_error::DatabaseError;
use super::finding::{Finding, FindingKind, Target};
use super::ignore::Ignore;
use crate::model::json;
use crate::model::package::{Package, Source};

/// What the gate saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Version of this format: 1.
    pub version: u32,
    /// The database.
    pub database: DatabaseFacts,
    /// When the database was asked.
    #[serde(with = "time::serde::rfc3339")]
    pub checked_at: OffsetDateTime,
    /// Platform for which advisories count; `None` is every platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// What was asked about.
    pub subjects: Vec<Subject>,
    /// All findings, each with the decision about it.
    pub findings: Vec<Judged>,
    /// Kinds of advisories that stop a release.
    pub stops_at: Vec<FindingKind>,
    /// The ignores that were in force.
    pub ignores: Vec<Ignore>,
    /// Identifiers of ignores that no finding needed.
    pub unused_ignores: Vec<String>,
    /// Packages that no advisory can speak of, because they are not from the public registry.
    pub not_covered: Vec<String>,
}

/// Identity and size of a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseFacts {
    /// Commit of its repository; `None` when it was a plain folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Tree of that commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<String>,
    /// Number of advisories.
    pub count: usize,
    /// Date of the newest advisory.
    #[serde(with = "super::date")]
    pub newest: Date,
}

/// One inventory that was asked about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// Name, such as the file name of a binary or `Cargo.lock`.
    pub name: String,
    /// Number of packages.
    pub packages: usize,
}

/// A finding and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    /// The finding.
    pub finding: Finding,
    /// What follows.
    pub decision: Decision,
}

/// What follows from a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// It stops the release.
    Stops,
    /// It would stop the release; the ignore for it has expired.
    IgnoreExpired,
    /// It would stop the release; an ignore accepts it.
    Ignored,
    /// It is of a kind that does not stop a release.
    Informs,
    /// The advisory was withdrawn.
    Withdrawn,
}

/// What decides.
#[derive(Debug, Clone)]
pub struct Rules<'a> {
    /// The day on which ignores are held against their expiry.
    pub today: Date,
    /// Kinds that stop a release; a [`FindingKind::Vulnerability`] always does.
    pub stops_at: &'a [FindingKind],
    /// Accepted advisories.
    pub ignores: &'a [Ignore],
    /// Platform for which advisories count; `None` is every platform.
    pub target: Option<Target>,
}

/// Why a report is not readable.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// Not JSON, or a name twice.
    #[error("the advisories report is not readable JSON")]
    Json(#[source] json::JsonError),
    /// Another shape.
    #[error("the advisories report does not have the shape of version 1")]
    Shape(#[source] serde_json::Error),
    /// Another version.
    #[error("the advisories report is of version {0}; only version 1 is known")]
    Version(u64),
}

impl Report {
    /// Asks the database about several inventories and decides about every finding. One advisory for
    /// one package version is listed once, even if several binaries contain it.
    ///
    /// # Errors
    /// When the database does not cover one of the packages.
    pub fn new<'a>(
        database: &Database,
        identity: (Option<String>, Option<String>),
        checked_at: OffsetDateTime,
        inventories: impl IntoIterator<Item = (&'a str, &'a [Package])>,
        rules: &Rules<'_>,
    ) -> Result<Self, DatabaseError> {
        let mut subjects = Vec::new();
        // The same advisory for the same version in two binaries is one finding; linked in wins.
        let mut findings: BTreeMap<(String, String, String), Finding> = BTreeMap::new();
        let mut not_covered = BTreeSet::new();
        for (name, packages) in inventories {
            subjects.push(Subject {
                name: name.to_owned(),
                packages: packages.len(),
            });
            for finding in database.affecting(packages, rules.target)? {
                let key = (
                    finding.package.clone(),
                    finding.version.clone(),
                    finding.id.clone(),
                );
                let kept = findings.entry(key).or_insert_with(|| finding.clone());
                kept.used_for = kept.used_for.max(finding.used_for);
            }
            not_covered.extend(
                packages
                    .iter()
                    .filter(|p| p.source != Source::CratesIo)
                    .map(|p| p.id.to_string()),
            );
        }
        subjects.sort();
        let mut stops_at: BTreeSet<FindingKind> = rules.stops_at.iter().cloned().collect();
        stops_at.insert(FindingKind::Vulnerability);
        let mut used = BTreeSet::new();
        let findings: Vec<Judged> = findings
            .into_values()
            .map(|finding| {
                let decision = decide(&finding, &stops_at, rules, &mut used);
                Judged { finding, decision }
            })
            .collect();
        let unused_ignores = rules
            .ignores
            .iter()
            .map(Ignore::id)
            .filter(|id| !used.contains(*id))
            .map(str::to_owned)
            .collect();
        Ok(Self {
            version: 1,
            database: DatabaseFacts {
                commit: identity.0,
                tree: identity.1,
                count: database.count(),
                newest: database.newest(),
            },
            checked_at,
            target: rules.target.map(|target| target.to_string()),
            subjects,
            findings,
            stops_at: stops_at.into_iter().collect(),
            ignores: rules.ignores.to_vec(),
            unused_ignores,
            not_covered: not_covered.into_iter().collect(),
        })
    }

    /// The findings that stop a release: none is what a pass needs.
    pub fn stopping(&self) -> impl Iterator<Item = &Judged> {
        self.findings
            .iter()
            .filter(|judged| matches!(judged.decision, Decision::Stops | Decision::IgnoreExpired))
    }

    /// Whether this advisory against this package was among the findings, in whatever version.
    #[must_use]
    pub fn knew(&self, finding: &Finding) -> bool {
        self.findings.iter().any(|judged| {
            judged.finding.id == finding.id && judged.finding.package == finding.package
        })
    }

    /// Reads a report.
    ///
    /// # Errors
    /// When it is not one of version 1.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReportError> {
        let value = json::parse(bytes).map_err(ReportError::Json)?;
        match value.get("version").and_then(serde_json::Value::as_u64) {
            Some(version) if version != 1 => Err(ReportError::Version(version)),
            _ => serde_json::from_value(value).map_err(ReportError::Shape),
        }
    }

    /// Writes the report; the same report is the same bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        json::to_bytes(&serde_json::to_value(self).expect("a report has only text as names"))
    }
}

fn decide(
    finding: &Finding,
    stops_at: &BTreeSet<FindingKind>,
    rules: &Rules<'_>,
    used: &mut BTreeSet<String>,
) -> Decision {
    if finding.is_withdrawn() {
        return Decision::Withdrawn;
    }
    let mut fitting = rules
        .ignores
        .iter()
        .filter(|ignore| {
            ignore.id() == finding.id || finding.aliases.iter().any(|a| a == ignore.id())
        })
        .peekable();
    let any = fitting.peek().is_some();
    let mut in_force = false;
    for ignore in fitting {
        used.insert(ignore.id().to_owned());
        in_force |= !ignore.has_expired(rules.today);
    }
    if !stops_at.contains(&finding.kind) {
        Decision::Informs
    } else if in_force {
        Decision::Ignored
    } else if any {
        Decision::IgnoreExpired
    } else {
        Decision::Stops
    }
}
