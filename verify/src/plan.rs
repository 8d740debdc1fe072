//! What a workspace releases and how: `release.toml`, parsed once at the edge.
//!
//! The only place where names of packages, binaries and limits come from. It must not know any
//! particular project, and it must not read files itself: callers hand it the text.

use std::{collections::BTreeSet, fmt, str::FromStr};

use sbom::advisories::Ignore;
use serde::Deserialize;

/// Path of the file inside a workspace, relative to its root.
pub const FILE_NAME: &str = "release.toml";

/// Default for [`Gate::advisory_max_age_days`].
const DEFAULT_MAX_AGE_DAYS: u32 = 7;
/// Default for [`Gate::advisory_min_count`].
const DEFAULT_MIN_COUNT: usize = 500;

/// A release as its project describes it. Always valid: at least one binary, no name twice, no
/// path that leaves the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleasePlan {
    name: String,
    target: Target,
    binaries: Vec<Binary>,
    build: BuildPaths,
    limits: Limits,
    gate: Gate,
}

/// One binary that is shipped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Binary {
    /// File name of the binary, as Cargo names it.
    pub name: String,
    /// Cargo package that makes it.
    pub package: String,
}

/// Where the workspace keeps what the build needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildPaths {
    /// The pinned inputs (`inputs.json`), relative to the workspace.
    pub inputs: String,
    /// The folder with `build.sh`, `enter.sh` and `build.nix`, relative to the workspace.
    pub recipe: String,
}

/// What a shipped binary may need from the system it runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Highest `GLIBC_x.y` symbol version that may be needed; `None` means any.
    pub glibc: Option<GlibcVersion>,
    /// Names of the shared libraries (`DT_NEEDED`) that may be needed. Empty means none at all.
    pub libraries: BTreeSet<String>,
}

/// A glibc version such as `2.34`, ordered by number and not by text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct GlibcVersion {
    /// `2` of `2.34`.
    pub major: u32,
    /// `34` of `2.34`.
    pub minor: u32,
}

/// What must hold before anything is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// OpenPGP certificates that may sign a tag, relative to the workspace.
    pub keyring: String,
    /// Oldest advisory database that is accepted, in days since its newest change.
    pub advisory_max_age_days: u32,
    /// Fewest advisories that a database may hold.
    pub advisory_min_count: usize,
    /// Advisories that somebody decided not to act on, for a time.
    pub ignores: Vec<Ignore>,
}

/// A Rust target triple that the build recipe can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// `x86_64-unknown-linux-gnu`.
    X86_64LinuxGnu,
}

/// Why a `release.toml` is refused.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Not TOML, a field is missing, or one is not known.
    #[error("`release.toml` cannot be read: {0}")]
    Syntax(String),
    /// A format version that this program does not know.
    #[error("`release.toml` has version `{0}`; this program reads version `1`")]
    Version(u32),
    /// A target that the recipe cannot build.
    #[error("target `{0}` is not supported; `x86_64-unknown-linux-gnu` is")]
    Target(String),
    /// No `[[binary]]` at all: nothing would be released.
    #[error("`release.toml` names no `[[binary]]`, so nothing would be released")]
    NoBinary,
    /// Two `[[binary]]` entries with one name.
    #[error("`release.toml` names the binary `{0}` twice")]
    DuplicateBinary(String),
    /// A name that is not a plain file or package name.
    #[error("`{value}` is no valid {field}: letters, digits, `-` and `_` are allowed")]
    Name {
        /// Which field.
        field: &'static str,
        /// What it held.
        value: String,
    },
    /// A path that is absolute or leaves the workspace.
    #[error("`{field}` is `{value}`, which is not a path inside the workspace")]
    Path {
        /// Which field.
        field: &'static str,
        /// What it held.
        value: String,
    },
    /// `limits.glibc` is not `MAJOR.MINOR`.
    #[error("`limits.glibc` is `{0}`; write it as `2.34`")]
    Glibc(String),
}

impl ReleasePlan {
    /// Reads the text of a `release.toml`.
    ///
    /// # Errors
    /// One [`PlanError`] that names the first thing that is wrong.
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        let raw: Raw = toml::from_str(text).map_err(|e| PlanError::Syntax(e.to_string()))?;
        if raw.version != 1 {
            return Err(PlanError::Version(raw.version));
        }
        let target = match raw.target.as_str() {
            "x86_64-unknown-linux-gnu" => Target::X86_64LinuxGnu,
            _ => return Err(PlanError::Target(raw.target)),
        };
        if raw.binary.is_empty() {
            return Err(PlanError::NoBinary);
        }
        let mut seen = BTreeSet::new();
        let mut binaries = Vec::new();
        for entry in raw.binary {
            if !seen.insert(entry.name.clone()) {
                return Err(PlanError::DuplicateBinary(entry.name));
            }
            binaries.push(Binary {
                name: plain_name("binary name", entry.name)?,
                package: plain_name("package name", entry.package)?,
            });
        }
        Ok(Self {
            name: plain_name("release name", raw.name)?,
            target,
            binaries,
            build: BuildPaths {
                inputs: inner_path("build.inputs", raw.build.inputs)?,
                recipe: inner_path("build.recipe", raw.build.recipe)?,
            },
            limits: Limits {
                glibc: raw.limits.glibc.map(|v| v.parse()).transpose()?,
                libraries: raw.limits.libraries,
            },
            gate: gate(raw.gate)?,
        })
    }

    /// First part of the bundle's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is built for.
    #[must_use]
    pub fn target(&self) -> Target {
        self.target
    }

    /// The binaries, in the order of the file; never empty.
    #[must_use]
    pub fn binaries(&self) -> &[Binary] {
        &self.binaries
    }

    /// The Cargo packages to build, each once, sorted.
    #[must_use]
    pub fn packages(&self) -> Vec<&str> {
        let set: BTreeSet<&str> = self.binaries.iter().map(|b| b.package.as_str()).collect();
        set.into_iter().collect()
    }

    /// Where recipe and inputs stand.
    #[must_use]
    pub fn build(&self) -> &BuildPaths {
        &self.build
    }

    /// What the binaries may need at run time.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What must hold before anything is built.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Name of the bundle's folder for a version, `hallmark-0.1.0-x86_64-linux`.
    #[must_use]
    pub fn bundle_name(&self, version: &semver::Version) -> String {
        format!("{}-{version}-{}", self.name, self.target.system())
    }
}

impl Target {
    /// The triple, as rustc names it.
    #[must_use]
    pub fn triple(self) -> &'static str {
        match self {
            Self::X86_64LinuxGnu => "x86_64-unknown-linux-gnu",
        }
    }

    /// The system, as Nix and bundle names have it.
    #[must_use]
    pub fn system(self) -> &'static str {
        match self {
            Self::X86_64LinuxGnu => "x86_64-linux",
        }
    }
}

impl FromStr for GlibcVersion {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (major, minor) = text.split_once('.')?;
            Some(Self {
                major: major.parse().ok()?,
                minor: minor.parse().ok()?,
            })
        };
        parse().ok_or_else(|| PlanError::Glibc(text.to_owned()))
    }
}

impl fmt::Display for GlibcVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    version: u32,
    name: String,
    target: String,
    binary: Vec<RawBinary>,
    build: RawBuild,
    limits: RawLimits,
    gate: RawGate,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBinary {
    name: String,
    package: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBuild {
    inputs: String,
    recipe: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLimits {
    glibc: Option<String>,
    libraries: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGate {
    keyring: String,
    advisory_max_age_days: Option<u32>,
    advisory_min_count: Option<usize>,
    #[serde(default)]
    ignore: Vec<Ignore>,
}

fn gate(raw: RawGate) -> Result<Gate, PlanError> {
    Ok(Gate {
        keyring: inner_path("gate.keyring", raw.keyring)?,
        advisory_max_age_days: raw.advisory_max_age_days.unwrap_or(DEFAULT_MAX_AGE_DAYS),
        advisory_min_count: raw.advisory_min_count.unwrap_or(DEFAULT_MIN_COUNT),
        ignores: raw.ignore,
    })
}

fn plain_name(field: &'static str, value: String) -> Result<String, PlanError> {
    let plain = value
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if plain && !value.is_empty() && !value.starts_with('-') {
        Ok(value)
    } else {
        Err(PlanError::Name { field, value })
    }
}

fn inner_path(field: &'static str, value: String) -> Result<String, PlanError> {
    let inside = !value.is_empty()
        && value
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..");
    if inside {
        Ok(value)
    } else {
        Err(PlanError::Path { field, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
version = 1
name = "tiny"
target = "x86_64-unknown-linux-gnu"
[[binary]]
name = "hello"
package = "hello-cli"
[build]
inputs = "nix/inputs.json"
recipe = "nix"
[limits]
glibc = "2.34"
libraries = ["libc.so.6"]
[gate]
keyring = "keys/all.asc"
"#;

    #[test]
    fn a_plan_without_gate_numbers_gets_the_strict_defaults() {
        let plan = ReleasePlan::parse(GOOD).unwrap();
        assert_eq!(plan.gate().advisory_max_age_days, 7);
        assert_eq!(plan.gate().advisory_min_count, 500);
        assert_eq!(
            plan.bundle_name(&semver::Version::new(1, 2, 3)),
            "tiny-1.2.3-x86_64-linux"
        );
    }

    #[test]
    fn glibc_versions_are_compared_as_numbers() {
        let old: GlibcVersion = "2.9".parse().unwrap();
        assert!(old < "2.34".parse().unwrap());
    }

    #[test]
    fn what_could_leave_the_workspace_or_release_nothing_is_refused() {
        for (from, to) in [
            ("\"keys/all.asc\"", "\"../keys/all.asc\""),
            ("\"nix/inputs.json\"", "\"/etc/inputs.json\""),
            ("\"hello\"", "\"../hello\""),
            ("x86_64-unknown-linux-gnu", "wasm32-wasip1"),
            ("version = 1", "version = 2"),
            ("[gate]", "[gate]\nunknown = 1"),
            (
                "[gate]",
                "[[gate.ignore]]\nid = \"A\"\nreason = \"\"\nexpires = \"2027-01-01\"\ndecided_by = \"me\"\n[gate]",
            ),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let text = GOOD.replacen(from, to, 1);
            assert!(ReleasePlan::parse(&text).is_err(), "{to} was accepted");
        }
    }
}
