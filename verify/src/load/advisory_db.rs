//! Answers: what does the advisory database in this folder say about these packages?
//!
//! Only the files that can matter are opened: those about the packages, and the newest, which
//! tell how old the database is. A folder that is no database, or part of one, is an error.

use std::fs;
use std::path::{Path, PathBuf};

use sbom::advisories::{Database, DatabaseError, Listing};
use time::Date;

use super::policy::{AdvisoryRules, WARN_AGE_DAYS};

/// The largest advisory that is read, in bytes.
const MAX_ADVISORY_BYTES: u64 = 1 << 20;

/// The collections of a RustSec database.
const COLLECTIONS: [&str; 2] = ["crates", "rust"];

/// Why there is no database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdvisoryDbError {
    /// There is no folder `crates` in it.
    #[error("`{0}` is not an advisory database: it has no folder `crates`")]
    NotADatabase(PathBuf),
    /// A file cannot be read.
    #[error("`{path}` of the advisory database cannot be read: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is empty, truncated or damaged.
    #[error("the advisory database cannot be used: {0}")]
    Damaged(#[from] DatabaseError),
}

/// Reads of a database what is needed to judge packages with these names.
///
/// # Errors
/// When there is none, or any part of it that is needed cannot be read.
pub fn load<'a>(
    folder: &Path,
    packages: impl IntoIterator<Item = &'a str>,
) -> Result<Database, AdvisoryDbError> {
    if !folder.join(COLLECTIONS[0]).is_dir() {
        return Err(AdvisoryDbError::NotADatabase(folder.to_owned()));
    }
    let mut entries = Vec::new();
    for collection in COLLECTIONS
        .into_iter()
        .filter(|collection| folder.join(collection).is_dir())
    {
        list(folder, collection, &mut entries)?;
    }
    let listing = Listing::from_entries(entries)?;
    let mut documents = Vec::new();
    for path in listing.to_read(packages) {
        let file = folder.join(path);
        let io = |source| AdvisoryDbError::Io {
            path: file.clone(),
            source,
        };
        if fs::metadata(&file).map_err(io)?.len() > MAX_ADVISORY_BYTES {
            return Err(io(std::io::Error::other("it is too large for an advisory")));
        }
        documents.push((path.to_owned(), fs::read_to_string(&file).map_err(io)?));
    }
    Ok(Database::from_listing(listing, documents)?)
}

/// Whether a database is whole and young enough to prove anything; a text is a warning.
///
/// # Errors
/// Why it proves nothing.
pub fn fit(
    database: &Database,
    rules: &AdvisoryRules,
    today: Date,
) -> Result<Option<String>, String> {
    if database.count() < rules.min_count {
        return Err(format!(
            "the advisory database holds {} advisories; less than {} is no whole database",
            database.count(),
            rules.min_count
        ));
    }
    let age_days = (today - database.newest()).whole_days();
    let old = format!("the newest advisory in the database is {age_days} days old");
    if age_days > i64::from(rules.max_age_days) {
        Err(format!(
            "{old}; beyond {} days it proves nothing",
            rules.max_age_days
        ))
    } else {
        Ok((age_days > i64::from(WARN_AGE_DAYS)).then_some(old))
    }
}

/// The folder that `$HALLMARK_ADVISORY_DB` names.
#[must_use]
pub fn from_environment() -> Option<PathBuf> {
    std::env::var_os("HALLMARK_ADVISORY_DB")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
}

fn list(
    root: &Path,
    collection: &str,
    entries: &mut Vec<(String, u64)>,
) -> Result<(), AdvisoryDbError> {
    let walk = walkdir::WalkDir::new(root.join(collection))
        .min_depth(1)
        .max_depth(4)
        .follow_links(false);
    for entry in walk {
        let entry = entry.map_err(|error| AdvisoryDbError::Io {
            path: error.path().unwrap_or(root).to_owned(),
            source: error.into(),
        })?;
        if entry.file_type().is_dir() {
            continue;
        }
        let io = |source| AdvisoryDbError::Io {
            path: entry.path().to_owned(),
            source,
        };
        let size_bytes = entry.metadata().map_err(|error| io(error.into()))?.len();
        let relative = entry.path().strip_prefix(root).unwrap_or(entry.path());
        entries.push((relative.to_string_lossy().into_owned(), size_bytes));
    }
    Ok(())
}
