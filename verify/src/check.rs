//! What a check is, what it may answer, and the one table of all checks.
//!
//! A check is a plain function from a case to an outcome. It knows no other check, prints nothing
//! and cannot end the run.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::case::Case;
use crate::checks;
use crate::trust::openpgp::{Instant, VerifiedSignature};

/// The name of a check: in the policy, in the roster, in JSON and in the documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckId {
    /// The files are those that the release key signed.
    Manifest,
    /// The source is a tag that a trusted key signed.
    Tag,
    /// The binaries come from that tag, by the hermetic build.
    Provenance,
    /// The SBOMs say what is in the binaries.
    Sbom,
    /// No known advisory stands against what is in the binaries.
    Advisories,
    /// A build from the source gives the same bytes.
    Rebuild,
}

impl CheckId {
    /// The name as text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Tag => "tag",
            Self::Provenance => "provenance",
            Self::Sbom => "sbom",
            Self::Advisories => "advisories",
            Self::Rebuild => "rebuild",
        }
    }
}

impl fmt::Display for CheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for CheckId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        CHECKS
            .iter()
            .map(|check| check.id)
            .find(|id| id.as_str() == text)
            .ok_or_else(|| format!("there is no check `{text}`"))
    }
}

impl Serialize for CheckId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One named fact that a check found. Both are text that may come from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// What it is about, such as `signed by`.
    pub name: String,
    /// What was found.
    pub value: String,
}

/// Many facts of one shape, for reports that can show a table. Texts may come from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Table {
    /// What the rows are.
    pub title: TableTitle,
    /// The name of each column.
    pub columns: Vec<&'static str>,
    /// One value a column.
    pub rows: Vec<Vec<String>>,
}

/// What the rows of a [`Table`] are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableTitle {
    /// Signatures that count.
    Signatures,
    /// Advisories that stand against packages, with what was decided.
    Advisories,
    /// Binaries, shipped and built again.
    Rebuilt,
    /// Sections in which a binary and its rebuild differ.
    Differences,
}

/// An error with all that caused it, in one line. A cause that the words before it have named
/// already is not said twice.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !words.contains(&text) {
            words = format!("{words}: {text}");
        }
        next = cause.source();
    }
    words
}

/// What a check saw.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Facts, in the order in which a reader wants them.
    pub facts: Vec<Fact>,
    /// What does not change the outcome and should be known.
    pub warnings: Vec<String>,
    /// Each single thing that is false or differs, by name.
    pub problems: Vec<String>,
    /// Facts of one shape; what matters of them stands in the lists above too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<Table>,
    /// Each thing that could not be looked at; the first is the reason of an undecided outcome.
    #[serde(skip)]
    unseen: Vec<String>,
}

impl Evidence {
    /// Adds a fact.
    pub fn fact(&mut self, name: &str, value: impl fmt::Display) {
        self.facts.push(Fact {
            name: name.to_owned(),
            value: value.to_string(),
        });
    }

    /// Adds a row to the table of this title, which is made where it is missing.
    pub fn row<const N: usize>(&mut self, title: TableTitle, cells: [(&'static str, String); N]) {
        let (columns, row): (Vec<_>, Vec<_>) = cells.into_iter().unzip();
        match self.tables.iter_mut().find(|table| table.title == title) {
            Some(table) => table.rows.push(row),
            None => self.tables.push(Table {
                title,
                columns,
                rows: vec![row],
            }),
        }
    }

    /// Adds a signature that counts to the table of signatures.
    pub fn signature(&mut self, over: impl fmt::Display, signature: &VerifiedSignature) {
        let cells = [
            ("over", over.to_string()),
            ("certificate", signature.certificate().to_string()),
            ("holder", signature.holder().to_owned()),
            ("at", Instant(signature.made()).to_string()),
            ("hash", signature.hash().to_owned()),
        ];
        self.row(TableTitle::Signatures, cells);
    }

    /// Adds a warning.
    pub fn warn(&mut self, text: impl fmt::Display) {
        self.warnings.push(text.to_string());
    }

    /// Adds something that is false.
    pub fn problem(&mut self, text: impl fmt::Display) {
        self.problems.push(text.to_string());
    }

    /// Adds something that could not be looked at: there is no pass then.
    pub fn unseen(&mut self, text: impl fmt::Display) {
        self.unseen.push(text.to_string());
    }

    /// Adds all that another look saw, behind what is here.
    pub fn append(&mut self, other: Self) {
        let Self {
            facts,
            warnings,
            problems,
            tables,
            unseen,
        } = other;
        self.facts.extend(facts);
        self.warnings.extend(warnings);
        self.problems.extend(problems);
        self.tables.extend(tables);
        self.unseen.extend(unseen);
    }

    /// A pass where nothing is false and all could be looked at. What is false makes it a fail: one
    /// problem is the reason itself, several are counted in it.
    #[must_use]
    pub fn judged(self) -> Outcome {
        match self.problems.as_slice() {
            [] => match self.unseen.first() {
                None => Outcome::Pass { evidence: self },
                Some(first) => Outcome::Undecided {
                    reason: first.clone(),
                    evidence: self,
                },
            },
            [only] => Outcome::Fail {
                reason: only.clone(),
                evidence: Self {
                    problems: Vec::new(),
                    ..self
                },
            },
            [first, rest @ ..] => {
                let reason = format!("{first} (and {} more)", rest.len());
                Outcome::Fail {
                    reason,
                    evidence: self,
                }
            }
        }
    }

    /// No verdict, for this reason.
    #[must_use]
    pub fn undecided(self, reason: impl fmt::Display) -> Outcome {
        Outcome::Undecided {
            reason: reason.to_string(),
            evidence: self,
        }
    }

    /// A fail, for this reason.
    #[must_use]
    pub fn failed(self, reason: impl fmt::Display) -> Outcome {
        Outcome::Fail {
            reason: reason.to_string(),
            evidence: self,
        }
    }
}

/// What a check answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// What the check asks was looked at and is true.
    Pass {
        /// What was seen.
        evidence: Evidence,
    },
    /// It was looked at and is false.
    Fail {
        /// What is false.
        reason: String,
        /// What was seen.
        evidence: Evidence,
    },
    /// It could not be looked at.
    Undecided {
        /// What is missing.
        reason: String,
        /// What was seen nevertheless.
        evidence: Evidence,
    },
}

impl Outcome {
    /// What was seen.
    #[must_use]
    pub fn evidence(&self) -> &Evidence {
        match self {
            Self::Pass { evidence }
            | Self::Fail { evidence, .. }
            | Self::Undecided { evidence, .. } => evidence,
        }
    }

    /// Why it is no pass; `None` for a pass.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Pass { .. } => None,
            Self::Fail { reason, .. } | Self::Undecided { reason, .. } => Some(reason),
        }
    }
}

/// One check.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// Its name.
    pub id: CheckId,
    /// What it asks, as a sentence that is true when it passes.
    pub claim: &'static str,
    /// The check itself.
    pub run: fn(&Case<'_>) -> Outcome,
}

/// All checks, in the order of the roster.
pub const CHECKS: [Check; 6] = [
    Check {
        id: CheckId::Manifest,
        claim: "the files are exactly those that a release key signed",
        run: checks::manifest::run,
    },
    Check {
        id: CheckId::Tag,
        claim: "the source is a tag that a trusted key signed",
        run: checks::tag::run,
    },
    Check {
        id: CheckId::Provenance,
        claim: "a release key states that the binaries were built from this tag and these inputs",
        run: checks::provenance::run,
    },
    Check {
        id: CheckId::Sbom,
        claim: "the SBOMs, the binaries and Cargo.lock at the tag name the same packages",
        run: checks::sbom::run,
    },
    Check {
        id: CheckId::Advisories,
        claim: "no known vulnerability that nobody accepted stands against the packages in the binaries",
        run: checks::advisories::run,
    },
    Check {
        id: CheckId::Rebuild,
        claim: "a build from the source gives the same binaries, bit for bit",
        run: checks::rebuild::run,
    },
];
