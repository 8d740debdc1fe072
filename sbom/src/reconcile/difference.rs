//! One difference between two inventories, and the words for it.

use std::fmt;

use serde::Serialize;

use crate::model::package::{Kind, PackageId};
use crate::read::{LeakedPath, Scope};

/// One difference, with the names that it is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "difference", rename_all = "kebab-case")]
pub enum Difference {
    /// The SBOM does not say what it is about, or says another name or version.
    SubjectDiffers {
        /// What the binary was built from.
        binary: PackageId,
        /// Name and version of the SBOM's subject; empty when it has none.
        sbom: String,
    },
    /// The SBOM has no SHA-256 of the binary.
    SubjectHashMissing,
    /// The SBOM is about another file: its SHA-256 or SHA-512 is another.
    SubjectHashDiffers {
        /// The algorithm.
        algorithm: String,
        /// Digest of the binary.
        binary: String,
        /// Digest in the SBOM.
        sbom: String,
    },
    /// In the binary, not in the SBOM.
    MissingInSbom {
        /// The package.
        package: PackageId,
    },
    /// In the SBOM as part of what is shipped, not in the binary.
    NotInBinary {
        /// Name and version of the component.
        component: String,
    },
    /// In both, with different versions.
    VersionDiffers {
        /// Name of the package.
        name: String,
        /// Version in the binary.
        binary: String,
        /// Version in the SBOM.
        sbom: String,
    },
    /// Linked in, but the SBOM says `excluded`; or only for the build, but the SBOM says otherwise.
    ScopeDiffers {
        /// The package.
        package: PackageId,
        /// What the binary says.
        binary: Kind,
        /// What the SBOM says; `None` when it says nothing, which means `required`.
        sbom: Option<Scope>,
    },
    /// The SBOM lists one crate twice.
    ListedTwice {
        /// Name and version.
        component: String,
    },
    /// A crate from a registry without a SHA-256 in the SBOM.
    HashMissing {
        /// The package.
        package: PackageId,
    },
    /// The SBOM's SHA-256 is not the one of `Cargo.lock`.
    HashDiffers {
        /// The package.
        package: PackageId,
        /// Checksum in `Cargo.lock`.
        lock: String,
        /// SHA-256 in the SBOM.
        sbom: String,
    },
    /// The dependency graph of the SBOM lacks an edge that the binary has.
    EdgeMissing {
        /// The package that depends.
        from: PackageId,
        /// What it depends on.
        to: PackageId,
    },
    /// The dependency graph of the SBOM has an edge between crates that the binary has not.
    EdgeExtra {
        /// The component that depends.
        from: String,
        /// What it depends on.
        to: String,
    },
    /// The dependency graph of the SBOM names something that it does not list.
    DanglingReference {
        /// The reference.
        reference: String,
    },
    /// A host path in the SBOM.
    LeakedPath(LeakedPath),
    /// In the binary, not in `Cargo.lock`.
    MissingInLock {
        /// The package.
        package: PackageId,
    },
    /// The binary and `Cargo.lock` name different kinds of source.
    SourceDiffers {
        /// The package.
        package: PackageId,
        /// Kind of source in the binary.
        binary: String,
        /// Kinds of source in `Cargo.lock`.
        lock: String,
    },
    /// A library that the binary or its crates contain without being a crate (C code, the standard
    /// library), not in the SBOM.
    NativeMissing {
        /// Name of the library.
        name: String,
        /// Version, where it is known.
        version: Option<String>,
    },
    /// The same, in the SBOM in another version.
    NativeVersionDiffers {
        /// Name of the library.
        name: String,
        /// Version in the binary or its crates.
        found: String,
        /// Versions in the SBOM.
        sbom: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SubjectDiffers { binary, sbom } if sbom.is_empty() => {
                write!(
                    f,
                    "the SBOM names no subject; the binary was built from `{binary}`"
                )
            }
            Self::SubjectDiffers { binary, sbom } => {
                write!(
                    f,
                    "the SBOM is about `{sbom}`; the binary was built from `{binary}`"
                )
            }
            Self::SubjectHashMissing => f.write_str("the SBOM has no SHA-256 of the binary"),
            Self::SubjectHashDiffers {
                algorithm,
                binary,
                sbom,
            } => {
                write!(
                    f,
                    "the {algorithm} of the binary is {binary}, the SBOM says {sbom}"
                )
            }
            Self::MissingInSbom { package } => {
                write!(f, "`{package}` is in the binary and not in the SBOM")
            }
            Self::NotInBinary { component } => {
                write!(f, "`{component}` is in the SBOM and not in the binary")
            }
            Self::VersionDiffers { name, binary, sbom } => {
                write!(
                    f,
                    "`{name}` is {binary} in the binary and {sbom} in the SBOM"
                )
            }
            Self::ScopeDiffers {
                package,
                binary,
                sbom,
            } => {
                let sbom = match sbom {
                    Some(Scope::Required) => "required",
                    Some(Scope::Optional) => "optional",
                    Some(Scope::Excluded) => "excluded",
                    None => "required (nothing is written)",
                };
                let binary = match binary {
                    Kind::Runtime => "linked into the binary",
                    Kind::Build => "used by the build only",
                };
                write!(
                    f,
                    "`{package}` is {binary}; its scope in the SBOM is {sbom}"
                )
            }
            Self::ListedTwice { component } => write!(f, "the SBOM lists `{component}` twice"),
            Self::HashMissing { package } => write!(f, "`{package}` has no SHA-256 in the SBOM"),
            Self::HashDiffers {
                package,
                lock,
                sbom,
            } => {
                write!(
                    f,
                    "`{package}` has the SHA-256 {sbom} in the SBOM and {lock} in Cargo.lock"
                )
            }
            Self::EdgeMissing { from, to } => {
                write!(f, "the SBOM does not say that `{from}` depends on `{to}`")
            }
            Self::EdgeExtra { from, to } => {
                write!(
                    f,
                    "the SBOM says that `{from}` depends on `{to}`; the binary does not"
                )
            }
            Self::DanglingReference { reference } => {
                write!(
                    f,
                    "the dependency graph of the SBOM names `{reference}`, which it does not list"
                )
            }
            Self::LeakedPath(LeakedPath { pointer, text }) => {
                write!(
                    f,
                    "the SBOM leaks a path of the building machine at `{pointer}`: {text:?}"
                )
            }
            Self::MissingInLock { package } => {
                write!(f, "`{package}` is in the binary and not in Cargo.lock")
            }
            Self::SourceDiffers {
                package,
                binary,
                lock,
            } => {
                write!(
                    f,
                    "`{package}` comes from {binary} in the binary and from {lock} in Cargo.lock"
                )
            }
            Self::NativeMissing { name, version } => {
                let version = version.as_deref().unwrap_or("of unknown version");
                write!(
                    f,
                    "the library `{name}` {version} is inside and not in the SBOM"
                )
            }
            Self::NativeVersionDiffers { name, found, sbom } => {
                write!(
                    f,
                    "the library `{name}` is {found} inside and {sbom} in the SBOM"
                )
            }
        }
    }
}

impl Difference {
    /// The package of the binary that the difference is about, where it is about one.
    pub(super) fn package(&self) -> Option<&PackageId> {
        match self {
            Self::MissingInSbom { package }
            | Self::ScopeDiffers { package, .. }
            | Self::HashMissing { package }
            | Self::HashDiffers { package, .. }
            | Self::MissingInLock { package }
            | Self::SourceDiffers { package, .. }
            | Self::EdgeMissing { from: package, .. }
            | Self::SubjectDiffers {
                binary: package, ..
            } => Some(package),
            _ => None,
        }
    }
}
