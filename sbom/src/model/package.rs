//! A package as a lock file or a binary names it. The only thing here is the vocabulary:
//! where packages come from and whether they agree is decided elsewhere.

use std::fmt;

use semver::Version;
use serde::Serialize;

use crate::digest::Sha256Digest;

/// Name and exact version of a package: what two inventories must agree on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct PackageId {
    /// Name as in `Cargo.toml`, such as `serde_json`.
    pub name: String,
    /// Version with its build metadata, such as `300.6.1+3.6.3`.
    pub version: Version,
}

impl fmt::Display for PackageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

/// Where a package comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The public registry of Rust crates; the only one that RustSec advisories speak of.
    CratesIo,
    /// Another registry. The address is known from `Cargo.lock`; a binary does not tell it (`None`).
    Registry(Option<String>),
    /// A git repository, with its address and commit where they are known (`Cargo.lock`).
    Git {
        /// Address without branch, tag and commit.
        url: Option<String>,
        /// Full commit hash.
        commit: Option<String>,
    },
    /// A folder of the workspace that is built.
    Local,
    /// A kind that this version does not know, in its own word.
    Other(String),
}

impl Source {
    /// The kind in one word, the same that `.dep-v0` data use: `crates.io`, `registry`, `git`, `local`.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::CratesIo => "crates.io",
            Self::Registry(_) => "registry",
            Self::Git { .. } => "git",
            Self::Local => "local",
            Self::Other(word) => word,
        }
    }
}

/// What a package is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Only the build runs it: build scripts, procedural macros and what they need.
    Build,
    /// Its code is linked into the binary.
    Runtime,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Build => "build",
            Self::Runtime => "runtime",
        })
    }
}

/// One package of a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Name and version.
    pub id: PackageId,
    /// Where it comes from.
    pub source: Source,
    /// SHA-256 of the `.crate` file. `None` for git and local packages, and always for a binary,
    /// which does not tell it.
    pub checksum: Option<Sha256Digest>,
    /// What it is needed for; `None` where the inventory does not say (`Cargo.lock`).
    pub kind: Option<Kind>,
    /// Whether it is the package that the binary was built from. Always false in `Cargo.lock`.
    pub root: bool,
    /// Direct dependencies, as places in the graph's list, ascending, each once.
    pub dependencies: Vec<usize>,
}

impl Package {
    /// Name as in `Cargo.toml`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.id.name
    }

    /// Exact version.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.id.version
    }

    /// Package URL (purl-spec, type `cargo`). Crates of the public registry have none of the
    /// qualifiers; for another source `repository_url` or `vcs_url` says which, where it is known.
    #[must_use]
    pub fn purl(&self) -> String {
        let build = |qualifier: Option<(&'static str, String)>| {
            let mut purl = packageurl::PackageUrl::new("cargo", self.id.name.clone()).ok()?;
            purl.with_version(self.id.version.to_string()).ok()?;
            if let Some((key, value)) = qualifier {
                purl.add_qualifier(key, value).ok()?;
            }
            Some(purl.to_string())
        };
        let qualifier = match &self.source {
            Source::Registry(Some(url)) => Some(("repository_url", url.clone())),
            Source::Git {
                url: Some(url),
                commit,
            } => {
                let at = commit.as_ref().map(|c| format!("@{c}")).unwrap_or_default();
                Some(("vcs_url", format!("git+{url}{at}")))
            }
            _ => None,
        };
        build(qualifier)
            .unwrap_or_else(|| format!("pkg:cargo/{}@{}", self.id.name, self.id.version))
    }
}
