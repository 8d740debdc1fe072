//! `inputs.json`: everything that the build is made from, by digest.
//!
//! A file as served has a size and a SHA-256; an unpacked tree has the SHA-256 of its NAR. The
//! digests decide; addresses only say where the file may be had.

use std::path::{Path, PathBuf};

use sbom::digest::Sha256Digest;
use serde::{Deserialize, Serialize};

use crate::plan::ReleasePlan;

/// The pins of one source tree. The crates fit its Cargo.lock, which [`Pins::of_source`] checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pins {
    /// Version of this format; 1.
    pub version: u32,
    /// The Debian root: compiler, linker, C library, perl, make, busybox.
    pub root: DebianRoot,
    /// The Rust toolchain.
    pub rust: RustToolchain,
    /// cargo-auditable, built from source in the same root.
    pub cargo_auditable: CargoAuditable,
    /// The crates of Cargo.lock.
    pub crates: Crates,
}

/// Packages of one Debian suite, unpacked over each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DebianRoot {
    /// NAR hash of the unpacked tree.
    pub nar_sha256: Sha256Digest,
    /// Suite and component, such as `bookworm/main`.
    pub suite: String,
    /// Time of the archive at snapshot.debian.org that has all packages, `20261120T000000Z`.
    pub snapshot: String,
    /// The packages, sorted by name.
    pub packages: Vec<DebianPackage>,
}

/// One `.deb` file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DebianPackage {
    /// Package name.
    pub name: String,
    /// Debian version, with epoch.
    pub version: String,
    /// Path in the archive, `pool/main/…`.
    pub path: String,
    /// Size of the file in bytes.
    pub size_bytes: u64,
    /// SHA-256 of the file.
    pub sha256: Sha256Digest,
}

/// The toolchain: rustc, cargo and the standard library, without documentation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RustToolchain {
    /// NAR hash of the unpacked tree.
    pub nar_sha256: Sha256Digest,
    /// Version, such as `1.95.0`.
    pub version: String,
    /// Host triple.
    pub host: String,
    /// The archives, sorted by name.
    pub components: Vec<RustComponent>,
}

/// One archive of the Rust distribution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RustComponent {
    /// `rustc`, `cargo` or `rust-std`.
    pub name: String,
    /// Address of the `.tar.xz`.
    pub url: String,
    /// SHA-256 of the file, from the signed channel manifest. (The manifest names no size.)
    pub sha256: Sha256Digest,
}

/// The tool that embeds the dependency list, as a crate with its own lock file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CargoAuditable {
    /// NAR hash of the crate and its vendored dependencies.
    pub nar_sha256: Sha256Digest,
    /// Version of the crate.
    pub version: String,
    /// SHA-256 of the `.crate` file.
    pub sha256: Sha256Digest,
}

/// The tree that `cargo vendor --locked` makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crates {
    /// NAR hash of the tree.
    pub nar_sha256: Sha256Digest,
    /// SHA-256 of the Cargo.lock that it was made from.
    pub cargo_lock_sha256: Sha256Digest,
}

/// One pin as documents list it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListedInput {
    /// `debian`, `rust`, `crate` or `tree`.
    pub kind: &'static str,
    /// Name of the package, component or tree.
    pub name: String,
    /// Its version; empty for trees.
    pub version: String,
    /// Where it may be had; `None` for trees.
    pub url: Option<String>,
    /// SHA-256 of the file, or of the NAR for a tree.
    pub sha256: Sha256Digest,
}

/// Why pins cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// The file is not there.
    #[error("`{path}` cannot be read")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not JSON of this format.
    #[error("`{path}` is no list of pinned inputs: {why}")]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Cargo.lock changed since the crates were pinned.
    #[error(
        "Cargo.lock is not the one that the crates were pinned for (pinned `{pinned}`, found `{found}`)"
    )]
    StaleLock {
        /// Digest in the pins.
        pinned: Sha256Digest,
        /// Digest of the file.
        found: Sha256Digest,
    },
}

impl PinError {
    /// The command that repairs it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::StaleLock { .. } => {
                Some("pin the crates anew with `cargo xtask inputs update`".into())
            }
            Self::Read { .. } => Some("make the file with `cargo xtask inputs update`".into()),
            Self::Syntax { .. } => None,
        }
    }
}

impl Pins {
    /// Reads pins from JSON text; `path` is only for messages.
    ///
    /// # Errors
    /// [`PinError::Syntax`] with the place.
    pub fn parse(text: &str, path: &Path) -> Result<Self, PinError> {
        let syntax = |why: String| PinError::Syntax {
            path: path.to_owned(),
            why,
        };
        let pins: Self = serde_json::from_str(text).map_err(|e| syntax(e.to_string()))?;
        if pins.version != 1 {
            return Err(syntax(format!(
                "version `{}` is not known, `1` is",
                pins.version
            )));
        }
        if let Some(p) = pins.root.packages.iter().find(|p| !is_pool_path(&p.path)) {
            return Err(syntax(format!("`{}` is no path in a Debian pool", p.path)));
        }
        Ok(pins)
    }

    /// The pins of a source tree, checked against its Cargo.lock.
    ///
    /// # Errors
    /// Any [`PinError`].
    pub fn of_source(source: &Path, plan: &ReleasePlan) -> Result<Self, PinError> {
        let path = source.join(&plan.build().inputs);
        let text = read(&path)?;
        let pins = Self::parse(&text, &path)?;
        let found = Sha256Digest::of(read(&source.join("Cargo.lock"))?.as_bytes());
        if found != pins.crates.cargo_lock_sha256 {
            return Err(PinError::StaleLock {
                pinned: pins.crates.cargo_lock_sha256,
                found,
            });
        }
        Ok(pins)
    }

    /// The text of the file, ending in a line feed.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Every pin, files first and trees last, each kind sorted by name.
    #[must_use]
    pub fn listed(&self) -> Vec<ListedInput> {
        let debian = self.root.packages.iter().map(|p| ListedInput {
            kind: "debian",
            name: p.name.clone(),
            version: p.version.clone(),
            url: Some(self.root.url_of(p)),
            sha256: p.sha256,
        });
        let rust = self.rust.components.iter().map(|c| ListedInput {
            kind: "rust",
            name: c.name.clone(),
            version: self.rust.version.clone(),
            url: Some(c.url.clone()),
            sha256: c.sha256,
        });
        let tool = ListedInput {
            kind: "crate",
            name: "cargo-auditable".into(),
            version: self.cargo_auditable.version.clone(),
            url: None,
            sha256: self.cargo_auditable.sha256,
        };
        let trees = self.trees().map(|(name, sha256)| ListedInput {
            kind: "tree",
            name: name.into(),
            version: String::new(),
            url: None,
            sha256,
        });
        debian.chain(rust).chain([tool]).chain(trees).collect()
    }

    /// The unpacked trees: name in the Nix store, NAR hash.
    #[must_use]
    pub fn trees(&self) -> [(&'static str, Sha256Digest); 4] {
        [
            (ROOT, self.root.nar_sha256),
            (RUST, self.rust.nar_sha256),
            (AUDITABLE, self.cargo_auditable.nar_sha256),
            (CRATES, self.crates.nar_sha256),
        ]
    }
}

/// Store name of the Debian root; `nix/inputs.nix` says the same.
pub const ROOT: &str = "input-root";
/// Store name of the toolchain.
pub const RUST: &str = "input-rust";
/// Store name of cargo-auditable's source.
pub const AUDITABLE: &str = "input-cargo-auditable";
/// Store name of the vendored crates.
pub const CRATES: &str = "input-crates";

impl DebianRoot {
    /// Permanent address of a package.
    #[must_use]
    pub fn url_of(&self, package: &DebianPackage) -> String {
        format!(
            "https://snapshot.debian.org/archive/debian/{}/{}",
            self.snapshot, package.path
        )
    }
}

fn is_pool_path(path: &str) -> bool {
    path.starts_with("pool/")
        && path.ends_with(".deb")
        && path
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
}

fn read(path: &Path) -> Result<String, PinError> {
    std::fs::read_to_string(path).map_err(|source| PinError::Read {
        path: path.to_owned(),
        source,
    })
}
