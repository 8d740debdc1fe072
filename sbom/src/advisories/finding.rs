//! One advisory that affects one package.

use std::fmt;
use std::str::FromStr;

use rustsec::advisory::{Advisory, Informational};
use rustsec::platforms::Platform;
use serde::{Deserialize, Serialize};

use crate::model::package::{Kind, Package};

/// An advisory that affects a package in the version that is there.
///
/// Texts come from the database and are to be escaped before they are printed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// Name of the package.
    pub package: String,
    /// Version of the package.
    pub version: String,
    /// Whether the package is linked in (`runtime`) or only used by the build; `None` where the
    /// inventory does not say (`Cargo.lock`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_for: Option<UsedFor>,
    /// Identifier, such as `RUSTSEC-2024-0001`.
    pub id: String,
    /// What the advisory is about.
    pub kind: FindingKind,
    /// Its one-line title.
    pub title: String,
    /// Day on which the problem was made known, `YYYY-MM-DD`.
    pub date: String,
    /// Day on which the advisory was withdrawn; a withdrawn advisory affects nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn: Option<String>,
    /// Other identifiers of the same problem, such as CVE and GHSA.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// `none`, `low`, `medium`, `high` or `critical`, by CVSS, where the advisory has a score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// Where to read more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Version ranges that are repaired; empty when there is no repair.
    pub patched: Vec<String>,
    /// Where the problem shows.
    #[serde(default, skip_serializing_if = "Affected::is_everywhere")]
    pub affected: Affected,
}

/// What an affected package is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UsedFor {
    /// By the build only.
    Build,
    /// Linked into the binary.
    Runtime,
}

/// Kind of an advisory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// A vulnerability.
    Vulnerability,
    /// Safe code can cause undefined behaviour.
    Unsound,
    /// Nobody maintains the package any more.
    Unmaintained,
    /// Something worth knowing.
    Notice,
    /// A kind that this version does not know.
    Other(String),
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vulnerability => "vulnerability",
            Self::Unsound => "unsound",
            Self::Unmaintained => "unmaintained",
            Self::Notice => "notice",
            Self::Other(word) => word,
        })
    }
}

/// Where a problem shows; everything empty means everywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Affected {
    /// Functions that contain the problem in the version that is there, as Rust paths.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<String>,
    /// Operating systems.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub os: Vec<String>,
    /// Processors.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arch: Vec<String>,
}

impl Affected {
    pub(super) fn of(advisory: &Advisory, package: &Package) -> Self {
        let Some(affected) = &advisory.affected else {
            return Self::default();
        };
        let functions = affected
            .functions
            .iter()
            .filter(|(_, ranges)| ranges.iter().any(|range| range.matches(package.version())))
            .map(|(path, _)| path.to_string())
            .collect();
        Self {
            functions,
            os: affected
                .os
                .iter()
                .map(|os| os.as_str().to_owned())
                .collect(),
            arch: affected
                .arch
                .iter()
                .map(|arch| arch.as_str().to_owned())
                .collect(),
        }
    }

    fn is_everywhere(&self) -> bool {
        *self == Self::default()
    }
}

impl Finding {
    pub(super) fn new(advisory: &Advisory, package: &Package, affected: Affected) -> Self {
        let metadata = &advisory.metadata;
        Self {
            package: package.name().to_owned(),
            version: package.version().to_string(),
            used_for: package.kind.map(|kind| match kind {
                Kind::Build => UsedFor::Build,
                Kind::Runtime => UsedFor::Runtime,
            }),
            id: metadata.id.as_str().to_owned(),
            kind: match &metadata.informational {
                None => FindingKind::Vulnerability,
                Some(Informational::Notice) => FindingKind::Notice,
                Some(Informational::Unmaintained) => FindingKind::Unmaintained,
                Some(Informational::Unsound) => FindingKind::Unsound,
                Some(other) => FindingKind::Other(other.as_str().to_owned()),
            },
            title: metadata.title.clone(),
            date: metadata.date.as_str().to_owned(),
            withdrawn: metadata
                .withdrawn
                .as_ref()
                .map(|date| date.as_str().to_owned()),
            aliases: metadata
                .aliases
                .iter()
                .map(|id| id.as_str().to_owned())
                .collect(),
            severity: advisory
                .severity()
                .map(|severity| severity.as_str().to_owned()),
            url: metadata.id.url(),
            patched: advisory
                .versions
                .patched()
                .iter()
                .map(ToString::to_string)
                .collect(),
            affected,
        }
    }

    /// Whether the advisory was withdrawn.
    #[must_use]
    pub fn is_withdrawn(&self) -> bool {
        self.withdrawn.is_some()
    }
}

/// A platform that Rust compiles for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target(&'static Platform);

/// A text that names no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no target that Rust compiles for")]
pub struct TargetError(String);

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(triple: &str) -> Result<Self, TargetError> {
        Platform::find(triple)
            .map(Self)
            .ok_or_else(|| TargetError(triple.to_owned()))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.target_triple)
    }
}

impl Target {
    pub(super) fn is_affected(self, affected: Option<&rustsec::advisory::Affected>) -> bool {
        affected.is_none_or(|affected| {
            (affected.os.is_empty() || affected.os.contains(&self.0.target_os))
                && (affected.arch.is_empty() || affected.arch.contains(&self.0.target_arch))
        })
    }
}
