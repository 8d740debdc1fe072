//! The list of the documents of an advisory database, without their content: enough to count them
//! and to say which few of them speak of given packages, so that the others need not be read.

use std::collections::{BTreeMap, BTreeSet};

use super::database_error::DatabaseError;

/// Smallest size of an advisory in bytes; the smallest real one has some 250. Anything below was cut.
pub(super) const MIN_DOCUMENT_BYTES: u64 = 100;

/// How many of the newest documents are read in any case, so that the age of the database is known.
const NEWEST_READ: usize = 64;

/// Paths of all advisories of a database, relative to its folder: `crates/<package>/<id>.md` and
/// `rust/<package>/<id>.md`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    by_package: BTreeMap<String, BTreeSet<String>>,
    newest: BTreeSet<String>,
    count: usize,
}

impl Listing {
    /// Takes the path and the size in bytes of every file under `crates/` and `rust/`. Files whose
    /// name starts with a dot are passed over, as are placeholders (`RUSTSEC-0000-0000.md`).
    ///
    /// # Errors
    /// On a file that is no advisory by its name, on one that is too small to be one, on two of the
    /// same identifier, and when there is none at all.
    pub fn from_entries(
        entries: impl IntoIterator<Item = (String, u64)>,
    ) -> Result<Self, DatabaseError> {
        let mut by_package: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut by_id: BTreeMap<(u32, u32, String), String> = BTreeMap::new();
        for (path, size) in entries {
            let Some(place) = Place::of(&path)? else {
                continue;
            };
            if size < MIN_DOCUMENT_BYTES {
                return Err(DatabaseError::Truncated {
                    path,
                    size_bytes: size,
                });
            }
            let (year, number, file) = place.id;
            let (package, id) = (place.package.to_owned(), (year, number, file.to_owned()));
            if by_id.insert(id, path.clone()).is_some() {
                return Err(DatabaseError::Duplicate { path });
            }
            by_package.entry(package).or_default().insert(path);
        }
        if by_id.is_empty() {
            return Err(DatabaseError::Empty);
        }
        let count = by_id.len();
        let newest = by_id
            .into_iter()
            .rev()
            .take(NEWEST_READ)
            .map(|(_, path)| path)
            .collect();
        Ok(Self {
            by_package,
            newest,
            count,
        })
    }

    /// Number of advisories.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The documents to read for a verdict over these packages: all that speak of one of them, and
    /// the newest, which tell the age of the database.
    #[must_use]
    pub fn to_read<'a>(&self, packages: impl IntoIterator<Item = &'a str>) -> BTreeSet<&str> {
        let mut paths: BTreeSet<&str> = self.newest.iter().map(String::as_str).collect();
        for name in packages {
            paths.extend(
                self.by_package
                    .get(name)
                    .into_iter()
                    .flatten()
                    .map(String::as_str),
            );
        }
        paths
    }

    pub(super) fn speaks_of(&self, package: &str) -> impl Iterator<Item = &str> {
        self.by_package
            .get(package)
            .into_iter()
            .flatten()
            .map(String::as_str)
    }
}

/// What the path of an advisory says.
pub(super) struct Place<'a> {
    pub(super) collection: &'a str,
    pub(super) package: &'a str,
    pub(super) file: &'a str,
    /// Year and number, by which the newest are found, and the file name.
    id: (u32, u32, &'a str),
}

impl<'a> Place<'a> {
    /// `None` for dot files and placeholders.
    pub(super) fn of(path: &'a str) -> Result<Option<Self>, DatabaseError> {
        let name = || DatabaseError::Name {
            path: path.to_owned(),
        };
        let parts: Vec<&str> = path.split('/').collect();
        let [collection @ ("crates" | "rust"), package, file] = parts[..] else {
            return Err(name());
        };
        if file.starts_with('.') || file == "RUSTSEC-0000-0000.md" {
            return Ok(None);
        }
        let plain = |text: &str| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        // Advisories about Rust itself may bear the number of their CVE.
        let number = file
            .strip_suffix(".md")
            .and_then(|id| match collection {
                "rust" => id
                    .strip_prefix("RUSTSEC-")
                    .or_else(|| id.strip_prefix("CVE-")),
                _ => id.strip_prefix("RUSTSEC-"),
            })
            .and_then(|rest| rest.split_once('-'))
            .and_then(|(year, number)| Some((year.parse().ok()?, number.parse().ok()?)));
        match number {
            Some((year, number)) if plain(package) => Ok(Some(Self {
                collection,
                package,
                file,
                id: (year, number, file),
            })),
            _ => Err(name()),
        }
    }
}
