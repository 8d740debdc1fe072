//! The dependency list that `cargo auditable` put into a binary: the `.dep-v0` section.
//! The input is hostile until proven otherwise: what is unpacked is bounded before it is unpacked,
//! and indexes, roots and cycles are checked before anything is returned.

use auditable_extract::Error as ExtractError;
use auditable_serde::{DependencyKind, VersionInfo};
use miniz_oxide::inflate::TINFLStatus;

use crate::model::package::{Kind, Package, PackageId, Source};

/// The most that a dependency list may be, unpacked: 8 MiB, some 40,000 packages.
pub const MAX_UNPACKED_BYTES: usize = 8 * 1024 * 1024;

/// The packages that a binary says it was built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DepGraph {
    packages: Vec<Package>,
    root: usize,
}

impl DepGraph {
    /// All packages, runtime and build, in the order of the binary; no checksums.
    #[must_use]
    pub fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// The package that the binary was built from.
    #[must_use]
    pub fn root(&self) -> &Package {
        &self.packages[self.root]
    }
}

/// Why a binary has no usable dependency list.
#[derive(Debug, thiserror::Error)]
pub enum DepV0Error {
    /// Neither ELF nor Mach-O, PE or WebAssembly.
    #[error("not an executable file")]
    NotExecutable,
    /// An executable without the section.
    #[error("the executable has no `.dep-v0` section: it was not built by `cargo auditable`")]
    NoSection,
    /// The headers of the executable are damaged.
    #[error("the executable is damaged")]
    DamagedExecutable(#[source] ExtractError),
    /// The section is not zlib data, or not text.
    #[error("the dependency list is damaged: its compressed data cannot be unpacked")]
    DamagedList,
    /// Larger than [`MAX_UNPACKED_BYTES`] when unpacked.
    #[error("the dependency list is larger than {MAX_UNPACKED_BYTES} bytes unpacked")]
    TooLarge,
    /// JSON of another shape, with two roots, or with a cycle.
    #[error("the dependency list is not of the form that `cargo auditable` defines")]
    Malformed(#[source] serde_json::Error),
    /// A dependency points outside of the list.
    #[error("`{package}` depends on entry {index} of a list of {packages} packages")]
    DanglingIndex {
        /// The package with the dependency.
        package: PackageId,
        /// The index that does not exist.
        index: usize,
        /// Length of the list.
        packages: usize,
    },
    /// No package is marked as the one that was built.
    #[error("the dependency list names no root package")]
    NoRoot,
    /// The same name, version and source twice.
    #[error("the dependency list names `{package}` twice")]
    Duplicate {
        /// The package in question.
        package: PackageId,
    },
}

/// Reads the dependency list of an executable (ELF, Mach-O, PE, WebAssembly).
///
/// # Errors
/// When there is none, or it cannot be trusted to be read right.
pub fn read(binary: &[u8]) -> Result<DepGraph, DepV0Error> {
    let packed = auditable_extract::raw_auditable_data(binary).map_err(|error| match error {
        ExtractError::NotAnExecutable => DepV0Error::NotExecutable,
        ExtractError::NoAuditData => DepV0Error::NoSection,
        other => DepV0Error::DamagedExecutable(other),
    })?;
    let json = miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(packed, MAX_UNPACKED_BYTES)
        .map_err(|error| match error.status {
            TINFLStatus::HasMoreOutput => DepV0Error::TooLarge,
            _ => DepV0Error::DamagedList,
        })?;
    let json = String::from_utf8(json).map_err(|_| DepV0Error::DamagedList)?;
    parse(&json)
}

/// Reads the unpacked JSON of a `.dep-v0` section (format 0, 1 and 8 of `cargo auditable`).
///
/// # Errors
/// As [`read`].
pub fn parse(json: &str) -> Result<DepGraph, DepV0Error> {
    let info: VersionInfo = serde_json::from_str(json).map_err(DepV0Error::Malformed)?;
    let count = info.packages.len();
    let mut packages = Vec::with_capacity(count);
    let mut seen = std::collections::BTreeSet::new();
    for package in info.packages {
        let id = PackageId {
            name: package.name,
            version: package.version,
        };
        let source = match package.source {
            auditable_serde::Source::CratesIo => Source::CratesIo,
            auditable_serde::Source::Registry => Source::Registry(None),
            auditable_serde::Source::Git => Source::Git {
                url: None,
                commit: None,
            },
            auditable_serde::Source::Local => Source::Local,
            other => Source::Other(String::from(other)),
        };
        // Two registries or two repositories may hold the same version; the section cannot tell
        // them apart. The public registry and the workspace cannot hold it twice.
        let unique = matches!(source, Source::CratesIo | Source::Local);
        if !seen.insert((id.clone(), source.clone())) && unique {
            return Err(DepV0Error::Duplicate { package: id });
        }
        if let Some(&index) = package.dependencies.iter().find(|&&index| index >= count) {
            return Err(DepV0Error::DanglingIndex {
                package: id,
                index,
                packages: count,
            });
        }
        let mut dependencies = package.dependencies;
        dependencies.sort_unstable();
        dependencies.dedup();
        packages.push(Package {
            id,
            source,
            checksum: None,
            kind: Some(match package.kind {
                DependencyKind::Build => Kind::Build,
                DependencyKind::Runtime => Kind::Runtime,
            }),
            root: package.root,
            dependencies,
        });
    }
    let root = packages
        .iter()
        .position(|package| package.root)
        .ok_or(DepV0Error::NoRoot)?;
    Ok(DepGraph { packages, root })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_kinds_and_root_are_read() {
        let graph = parse(
            r#"{"packages":[
                {"name":"app","version":"1.0.0","source":"local","root":true,"dependencies":[2,1,1]},
                {"name":"cc","version":"1.2.3","source":"crates.io","kind":"build"},
                {"name":"leaf","version":"0.1.0+x","source":"git"}]}"#,
        )
        .unwrap();
        assert_eq!(graph.root().name(), "app");
        assert_eq!(graph.root().dependencies, [1, 2]);
        assert_eq!(graph.packages()[1].kind, Some(Kind::Build));
        assert_eq!(graph.packages()[2].kind, Some(Kind::Runtime));
    }

    #[test]
    fn lists_that_contradict_themselves_are_refused() {
        let dangling = r#"{"packages":[{"name":"a","version":"1.0.0","source":"local","root":true,"dependencies":[7]}]}"#;
        assert!(matches!(
            parse(dangling),
            Err(DepV0Error::DanglingIndex {
                index: 7,
                packages: 1,
                ..
            })
        ));
        let rootless = r#"{"packages":[{"name":"a","version":"1.0.0","source":"local"}]}"#;
        assert!(matches!(parse(rootless), Err(DepV0Error::NoRoot)));
        let two_roots = r#"{"packages":[{"name":"a","version":"1.0.0","source":"local","root":true},
            {"name":"b","version":"1.0.0","source":"local","root":true}]}"#;
        assert!(matches!(parse(two_roots), Err(DepV0Error::Malformed(_))));
        let itself = r#"{"packages":[{"name":"a","version":"1.0.0","source":"local","root":true,"dependencies":[0]}]}"#;
        assert!(parse(itself).is_err(), "a package that needs itself");
        let twice = r#"{"packages":[{"name":"a","version":"1.0.0","source":"local","root":true},
            {"name":"b","version":"1.0.0","source":"crates.io"},{"name":"b","version":"1.0.0","source":"crates.io"}]}"#;
        assert!(matches!(parse(twice), Err(DepV0Error::Duplicate { .. })));
    }

    #[test]
    fn what_is_no_executable_is_told_apart_from_one_without_a_list() {
        assert!(matches!(read(b""), Err(DepV0Error::NotExecutable)));
        assert!(matches!(
            read(b"#!/bin/sh\n"),
            Err(DepV0Error::NotExecutable)
        ));
    }
}
