//! Brings the folder of the advisory database up to date from one pinned `https:` address.
//!
//! What comes is unpacked beside the folder and read as a whole before it takes the folder's place:
//! an archive that is cut, empty, older or smaller than what is there replaces nothing, and without
//! a network there is an error, never an old database in a new one's name.

use std::fs;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use sbom::advisories::{Database, DatabaseError};
use sbom::digest::Sha256Digest;
use serde::{Deserialize, Serialize};

use crate::rebuild::fetch::http;
use crate::trust::openpgp::Instant;

/// Where the database is taken from unless the policy says otherwise: a `.tar.gz`, as
/// `git archive` writes it.
pub const ORIGIN: &str = "https://github.com/rustsec/advisory-db/archive/refs/heads/main.tar.gz";

/// The file in the folder that says what was fetched. A folder without it is not ours to replace.
pub const MARK: &str = "fetched.json";

/// The largest archive, in bytes; the real one has some 2 MB.
const MAX_ARCHIVE_BYTES: u64 = 64 << 20;

/// The most that is unpacked from it, in bytes.
const MAX_UNPACKED_BYTES: u64 = 512 << 20;

/// The largest advisory, in bytes.
const MAX_ADVISORY_BYTES: u64 = 1 << 20;

/// What was fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fetched {
    /// Version of this format: 1.
    pub version: u32,
    /// The address.
    pub origin: String,
    /// When, RFC 3339.
    pub fetched_at: String,
    /// The commit that the archive names; `None` where it names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// SHA-256 of the archive.
    pub archive_sha256: Sha256Digest,
    /// How many advisories.
    pub count: usize,
    /// Date of the newest, `YYYY-MM-DD`.
    pub newest: String,
}

/// Why the folder was not brought up to date; it is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No answer, or a bad one.
    #[error("the advisory database cannot be fetched from `{origin}`: {why}")]
    Download {
        /// The address.
        origin: String,
        /// What failed.
        why: String,
    },
    /// What came is no archive, or one with things that do not belong there.
    #[error("what `{origin}` sent cannot be unpacked")]
    Archive {
        /// The address.
        origin: String,
        /// Why.
        source: io::Error,
    },
    /// What came is no whole database.
    #[error("what `{origin}` sent is no advisory database")]
    Database {
        /// The address.
        origin: String,
        /// Why.
        source: DatabaseError,
    },
    /// What came is older or smaller than what is there: somebody serves the past.
    #[error(
        "what `{origin}` sent has {count} advisories, the newest of {newest}; `{folder}` has \
         {kept_count}, the newest of {kept_newest}; remove that folder to begin anew"
    )]
    Older {
        /// The address.
        origin: String,
        /// The folder.
        folder: PathBuf,
        /// How many came.
        count: usize,
        /// The date of the newest that came.
        newest: String,
        /// How many are there.
        kept_count: usize,
        /// The date of the newest that is there.
        kept_newest: String,
    },
    /// The folder holds something that was not fetched.
    #[error("`{0}` was not fetched by this program and is not replaced; name another folder")]
    NotOurs(PathBuf),
    /// The folder cannot be written.
    #[error("`{path}` cannot be written")]
    Io {
        /// Which path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Fetches the database into `folder`, which is made where it is missing.
///
/// # Errors
/// When anything is wrong with what came; the folder is as it was then.
pub fn fetch(origin: &str, folder: &Path, now: SystemTime) -> Result<Fetched, FetchError> {
    let kept = what_is_there(folder)?;
    let archive = http::get(origin, MAX_ARCHIVE_BYTES).map_err(|why| FetchError::Download {
        origin: origin.to_owned(),
        why,
    })?;
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| FetchError::Io { path, source }
    };
    let parent = match folder.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).map_err(io(parent))?;
    let beside = tempfile::Builder::new()
        .prefix(".advisory-db-")
        .tempdir_in(parent)
        .map_err(io(parent))?;
    let fresh = beside.path().join("fresh");
    let unpacked = unpack(&archive, &fresh).map_err(|source| FetchError::Archive {
        origin: origin.to_owned(),
        source,
    })?;
    let database =
        Database::from_documents(unpacked.documents).map_err(|source| FetchError::Database {
            origin: origin.to_owned(),
            source,
        })?;
    let fetched = Fetched {
        version: 1,
        origin: origin.to_owned(),
        fetched_at: Instant(now).to_string(),
        commit: unpacked.commit,
        archive_sha256: Sha256Digest::of(&archive),
        count: database.count(),
        newest: database.newest().to_string(),
    };
    if let Some(kept) = kept
        && (fetched.count < kept.count || fetched.newest < kept.newest)
    {
        return Err(FetchError::Older {
            origin: origin.to_owned(),
            folder: folder.to_owned(),
            count: fetched.count,
            newest: fetched.newest,
            kept_count: kept.count,
            kept_newest: kept.newest,
        });
    }
    let mark = fresh.join(MARK);
    let text = serde_json::to_vec_pretty(&fetched).map_err(|error| FetchError::Io {
        path: mark.clone(),
        source: error.into(),
    })?;
    fs::write(&mark, text).map_err(io(&mark))?;
    let old = beside.path().join("old");
    if folder.exists() {
        fs::rename(folder, &old).map_err(io(folder))?;
    }
    fs::rename(&fresh, folder)
        .or_else(|error| {
            // What was there comes back; if even that fails, the first error tells why.
            fs::rename(&old, folder).and(Err(error))
        })
        .map_err(io(folder))?;
    Ok(fetched)
}

/// What was fetched into this folder before; `None` where it was not fetched by this program.
#[must_use]
pub fn fetched(folder: &Path) -> Option<Fetched> {
    let bytes = fs::read(folder.join(MARK)).ok()?;
    serde_json::from_slice(&bytes)
        .ok()
        .filter(|fetched: &Fetched| fetched.version == 1)
}

fn what_is_there(folder: &Path) -> Result<Option<Fetched>, FetchError> {
    let not_ours = || FetchError::NotOurs(folder.to_owned());
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(_) => Err(not_ours()),
        Ok(mut entries) => match (fetched(folder), entries.next()) {
            (Some(fetched), _) => Ok(Some(fetched)),
            (None, None) => Ok(None),
            (None, Some(_)) => Err(not_ours()),
        },
    }
}

struct Unpacked {
    documents: Vec<(String, String)>,
    commit: Option<String>,
}

/// Writes the advisories of the archive under `target`, and gives their texts. Everything else in
/// the archive is passed over, but for links and devices, which no such archive has.
fn unpack(archive: &[u8], target: &Path) -> io::Result<Unpacked> {
    let bytes = flate2::read::GzDecoder::new(archive).take(MAX_UNPACKED_BYTES);
    let mut tar = tar::Archive::new(bytes);
    let mut unpacked = Unpacked {
        documents: Vec::new(),
        commit: None,
    };
    for entry in tar.entries()? {
        let mut entry = entry?;
        match entry.header().entry_type() {
            tar::EntryType::XGlobalHeader => unpacked.commit = commit_named(&mut entry)?,
            tar::EntryType::Directory => {}
            tar::EntryType::Regular => {
                let path = entry.path()?.into_owned();
                let Some(path) = advisory_path(&path) else {
                    continue;
                };
                let mut text = String::new();
                let read = (&mut entry)
                    .take(MAX_ADVISORY_BYTES + 1)
                    .read_to_string(&mut text)?;
                if read as u64 > MAX_ADVISORY_BYTES {
                    return Err(odd(&format!("`{path}` is too large for an advisory")));
                }
                let file = target.join(&path);
                if let Some(folder) = file.parent() {
                    fs::create_dir_all(folder)?;
                }
                let mut options = fs::OpenOptions::new();
                let mut file = options.write(true).create_new(true).open(&file)?;
                io::Write::write_all(&mut file, text.as_bytes())?;
                unpacked.documents.push((path, text));
            }
            other => return Err(odd(&format!("it holds an entry of the type {other:?}"))),
        }
    }
    Ok(unpacked)
}

/// `crates/<package>/<file>` or `rust/<package>/<file>`, with or without one folder above; `None`
/// for everything else.
fn advisory_path(path: &Path) -> Option<String> {
    let parts: Vec<&str> = path
        .components()
        .map(|part| match part {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect::<Option<_>>()?;
    match parts[..] {
        [collection @ ("crates" | "rust"), package, file]
        | [_, collection @ ("crates" | "rust"), package, file] => {
            Some(format!("{collection}/{package}/{file}"))
        }
        _ => None,
    }
}

/// `git archive` writes the commit as a comment for all entries: `52 comment=<id>`.
fn commit_named(entry: &mut impl Read) -> io::Result<Option<String>> {
    let mut text = String::new();
    entry.take(4096).read_to_string(&mut text)?;
    Ok(text
        .lines()
        .find_map(|line| line.split_once(" comment="))
        .map(|(_, id)| id)
        .filter(|id| matches!(id.len(), 40 | 64) && id.bytes().all(|b| b.is_ascii_hexdigit()))
        .map(str::to_owned))
}

fn odd(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advisories_are_taken_from_the_top_or_one_folder_below_it_and_from_nowhere_else() {
        let taken = |path: &str| advisory_path(Path::new(path));
        let wanted = Some(String::from("crates/a/RUSTSEC-2026-0001.md"));
        assert_eq!(taken("crates/a/RUSTSEC-2026-0001.md"), wanted);
        assert_eq!(taken("db-main/crates/a/RUSTSEC-2026-0001.md"), wanted);
        for other in [
            "README.md",
            "x/y/crates/a/b.md",
            "db-main/../crates/a/b.md",
            "/crates/a/b.md",
            "crates/a/b/c.md",
        ] {
            assert_eq!(taken(other), None, "{other}");
        }
    }
}
