//! The C code inside a Rust binary. Crates carry it in their own folders, under versions of its own;
//! those versions are read from the vendored sources and, as a second witness, from strings in the
//! binary. They are never typed in, and never taken from the crate's version.

mod in_binary;
mod table;

pub use in_binary::{FoundInBinary, in_binary};

use serde::Serialize;

use crate::digest::Sha256Digest;
use crate::model::manifest::crate_folders;
use crate::model::package::{Package, PackageId};
use crate::source::dep_v0::DepGraph;

/// A library in C (or assembly) that a crate brings along and links in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct NativeComponent {
    /// Its own name, such as `openssl`.
    pub name: String,
    /// Its own version, as read from its sources.
    pub version: String,
    /// The crate that carries it. The crate may be needed for the build only (`openssl-src`) while
    /// its C code is linked in.
    pub crate_id: PackageId,
    /// File that the version was read from, relative to the folder of the crates.
    pub read_from: String,
    /// SHA-256 of that file.
    pub read_from_sha256: Sha256Digest,
    /// Licence as an SPDX expression, as its authors publish it.
    pub licence: String,
    /// Home page of its authors.
    pub website: String,
    /// CPE 2.3 name without version, as `vendor:product`, for matching against CVE records.
    pub cpe: Option<String>,
}

impl NativeComponent {
    /// Package URL of the type `generic`.
    #[must_use]
    pub fn purl(&self) -> String {
        format!("pkg:generic/{}@{}", self.name, self.version)
    }
}

/// What is known of a C library whatever its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Library {
    /// Licence as an SPDX expression.
    pub licence: &'static str,
    /// Home page of its authors.
    pub website: &'static str,
}

/// What is known of the C library of this name; `None` for one that is not in the table.
#[must_use]
pub fn library(name: &str) -> Option<Library> {
    table::named(name).map(|entry| Library {
        licence: entry.licence,
        website: entry.website,
    })
}

/// A crate that is known to bring C code along, whose version could not be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, thiserror::Error)]
#[error(
    "the version of `{name}` in `{crate_id}` cannot be read: `{file}` is missing or has another form"
)]
pub struct NativeGap {
    /// Name of the C library.
    pub name: String,
    /// The crate that carries it.
    pub crate_id: PackageId,
    /// The file that should tell the version, relative to the crate's folder.
    pub file: String,
}

/// What [`from_crates`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NativeInventory {
    /// The C libraries with their versions, in order of name.
    pub components: Vec<NativeComponent>,
    /// Known carriers whose version could not be read. An SBOM with gaps is not complete.
    pub gaps: Vec<NativeGap>,
}

/// Lists the C libraries that the crates of a binary bring along.
///
/// `files` gives the bytes of a file by its path relative to the folder of the vendored crates; it is
/// asked under `<crate>-<version>/…` first, then `<crate>/…`, the two namings of `cargo vendor`.
/// A folder whose `Cargo.toml` names another version is not read.
pub fn from_crates(graph: &DepGraph, files: &dyn Fn(&str) -> Option<Vec<u8>>) -> NativeInventory {
    let mut inventory = NativeInventory::default();
    let has = |name: &str| {
        graph
            .packages()
            .iter()
            .any(|package| package.name() == name)
    };
    for package in graph.packages() {
        for entry in table::entries(package.name()) {
            if entry.unless_crate.is_some_and(&has) {
                continue;
            }
            match read_version(package, entry, files) {
                Some(component) => inventory.components.push(component),
                None => inventory.gaps.push(NativeGap {
                    name: entry.name.to_owned(),
                    crate_id: package.id.clone(),
                    file: entry.file.to_owned(),
                }),
            }
        }
    }
    inventory.components.sort();
    inventory.gaps.sort();
    inventory
}

fn read_version(
    package: &Package,
    entry: &table::Entry,
    files: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> Option<NativeComponent> {
    crate_folders(package).into_iter().find_map(|folder| {
        let manifest: toml::Table =
            toml::from_str(&String::from_utf8(files(&format!("{folder}/Cargo.toml"))?).ok()?)
                .ok()?;
        if manifest.get("package")?.get("version")?.as_str()? != package.version().to_string() {
            return None;
        }
        let read_from = format!("{folder}/{}", entry.file);
        let bytes = files(&read_from)?;
        let version = (entry.version)(&String::from_utf8_lossy(&bytes))?;
        Some(NativeComponent {
            name: entry.name.to_owned(),
            version,
            crate_id: package.id.clone(),
            read_from_sha256: Sha256Digest::of(&bytes),
            read_from,
            licence: entry.licence.to_owned(),
            website: entry.website.to_owned(),
            cpe: entry.cpe.map(str::to_owned),
        })
    })
}
