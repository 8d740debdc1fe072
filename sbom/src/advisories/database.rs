//! The advisory database, read from documents that the caller hands over. Parsing and version ranges
//! are those of the `rustsec` crate, so that findings are the same as those of `cargo audit`.

use std::collections::{BTreeMap, BTreeSet};

use rustsec::advisory::Advisory;
use time::Date;

use super::database_error::DatabaseError;
use super::finding::{Affected, Finding, Target};
use super::listing::{Listing, MIN_DOCUMENT_BYTES, Place};
use crate::model::package::{Package, Source};

/// Advisories by package. A value of this type holds at least one advisory.
#[derive(Debug)]
pub struct Database {
    crates: BTreeMap<String, Vec<Advisory>>,
    count: usize,
    newest: Date,
    /// `Some` when only part of the database was read: the packages for which nothing is missing.
    covered: Option<Listing>,
    read: BTreeSet<String>,
}

impl Database {
    /// Reads a whole database: every document under `crates/` and `rust/` as path (relative to the
    /// database's folder) and text.
    ///
    /// # Errors
    /// When there is none, and on the first that cannot be read or is not where it belongs.
    pub fn from_documents<P, T>(
        documents: impl IntoIterator<Item = (P, T)>,
    ) -> Result<Self, DatabaseError>
    where
        P: AsRef<str>,
        T: AsRef<str>,
    {
        Self::read_all(documents, None)
    }

    /// Reads only the documents that [`Listing::to_read`] names; the count is that of the listing.
    ///
    /// # Errors
    /// As [`Database::from_documents`], and when a document of the newest is missing.
    pub fn from_listing<P, T>(
        listing: Listing,
        documents: impl IntoIterator<Item = (P, T)>,
    ) -> Result<Self, DatabaseError>
    where
        P: AsRef<str>,
        T: AsRef<str>,
    {
        Self::read_all(documents, Some(listing))
    }

    fn read_all<P, T>(
        documents: impl IntoIterator<Item = (P, T)>,
        listing: Option<Listing>,
    ) -> Result<Self, DatabaseError>
    where
        P: AsRef<str>,
        T: AsRef<str>,
    {
        let mut crates: BTreeMap<String, Vec<Advisory>> = BTreeMap::new();
        let mut ids = BTreeSet::new();
        let mut read = BTreeSet::new();
        let mut newest: Option<Date> = None;
        for (path, text) in documents {
            let path = path.as_ref();
            let Some(place) = Place::of(path)? else {
                continue;
            };
            let advisory = read_one(path, &place, text.as_ref())?;
            if !ids.insert(advisory.metadata.id.as_str().to_owned()) {
                return Err(DatabaseError::Duplicate {
                    path: path.to_owned(),
                });
            }
            newest = newest.max(super::date::parse(advisory.metadata.date.as_str()));
            read.insert(path.to_owned());
            if place.collection == "crates" {
                crates
                    .entry(place.package.to_owned())
                    .or_default()
                    .push(advisory);
            }
        }
        if let Some(listing) = &listing
            && let Some(path) = listing
                .to_read([])
                .into_iter()
                .find(|path| !read.contains(*path))
        {
            return Err(DatabaseError::NotRead {
                path: path.to_owned(),
            });
        }
        let count = listing.as_ref().map_or(ids.len(), Listing::count);
        match newest {
            Some(newest) => Ok(Self {
                crates,
                count,
                newest,
                covered: listing,
                read,
            }),
            None => Err(DatabaseError::Empty),
        }
    }

    /// Number of advisories in the database, withdrawn ones and those about Rust itself included.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Date of the newest advisory that was read. The database is at least as young.
    #[must_use]
    pub fn newest(&self) -> Date {
        self.newest
    }

    /// The advisories that affect the given packages, in order of package and identifier.
    ///
    /// As `cargo audit` does it, only packages of the public registry are matched; where a target is
    /// given, an advisory for other systems or processors does not affect. Withdrawn advisories are
    /// returned too, marked as such.
    ///
    /// # Errors
    /// When only a part of the database was read, and the part for one of the packages is missing.
    pub fn affecting<'a>(
        &self,
        packages: impl IntoIterator<Item = &'a Package>,
        target: Option<Target>,
    ) -> Result<Vec<Finding>, DatabaseError> {
        let mut findings = BTreeSet::new();
        for package in packages {
            if package.source != Source::CratesIo {
                continue;
            }
            if let Some(listing) = &self.covered
                && listing
                    .speaks_of(package.name())
                    .any(|path| !self.read.contains(path))
            {
                return Err(DatabaseError::NotCovered {
                    package: package.name().to_owned(),
                });
            }
            for advisory in self.crates.get(package.name()).into_iter().flatten() {
                let foreign = advisory
                    .metadata
                    .source
                    .as_ref()
                    .is_some_and(|s| !s.is_default_registry());
                if !foreign
                    && advisory.versions.is_vulnerable(package.version())
                    && target.is_none_or(|target| target.is_affected(advisory.affected.as_ref()))
                {
                    findings.insert(Finding::new(
                        advisory,
                        package,
                        Affected::of(advisory, package),
                    ));
                }
            }
        }
        Ok(findings.into_iter().collect())
    }
}

fn read_one(path: &str, place: &Place<'_>, text: &str) -> Result<Advisory, DatabaseError> {
    let size_bytes = text.len() as u64;
    // The parser of the `rustsec` crate quotes the first 20 bytes of what is no advisory, and would
    // panic inside a character; so the beginning is looked at first.
    if size_bytes < MIN_DOCUMENT_BYTES || !text.starts_with("```toml") || !text.contains("\n```") {
        return Err(DatabaseError::Truncated {
            path: path.to_owned(),
            size_bytes,
        });
    }
    let advisory: Advisory = text.parse().map_err(|source| DatabaseError::Document {
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    let (id, package) = (
        advisory.metadata.id.as_str(),
        advisory.metadata.package.as_str(),
    );
    let collection = advisory
        .metadata
        .collection
        .map_or(place.collection, |c| match c {
            rustsec::Collection::Crates => "crates",
            rustsec::Collection::Rust => "rust",
        });
    let right_file = place.file.strip_suffix(".md") == Some(id);
    if !right_file || package != place.package || collection != place.collection {
        return Err(DatabaseError::Misplaced {
            path: path.to_owned(),
            found: format!("{id} of {package}"),
        });
    }
    Ok(advisory)
}
