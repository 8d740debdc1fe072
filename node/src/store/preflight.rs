//! What can be told about a database file without opening it through SQLite.
//!
//! A connection with a wrong key would still look for a WAL and could checkpoint it. So the file
//! is judged first, read-only: nothing here writes.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::key::{DatabaseKey, PAGE_BYTES, Passphrase, SALT_BYTES};
use super::open_error::OpenError;
use crate::identity::head::{self, HeadState};

/// How every unencrypted SQLite database begins.
pub(super) const PLAINTEXT_MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// The key fits the file; only [`judge`] makes one.
pub(super) struct Judged {
    pub(super) key: DatabaseKey,
    pub(super) head: HeadState,
}

/// The name of a file that belongs to the database: the same with `suffix` after it.
pub(super) fn beside(db: &Path, suffix: &str) -> PathBuf {
    let mut name = db.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Whether a WAL with something in it stands beside the database.
pub(super) fn has_wal(db: &Path) -> bool {
    std::fs::metadata(beside(db, "-wal")).is_ok_and(|wal| wal.len() > 0)
}

/// Reads the first page and the head, derives the key and holds it against both.
pub(super) fn judge(path: &Path, passphrase: &Passphrase) -> Result<Judged, OpenError> {
    let page = first_page(path)?;
    let salt: [u8; SALT_BYTES] = page
        .get(..SALT_BYTES)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| truncated(path, page.len()))?;
    if &salt == PLAINTEXT_MAGIC {
        return Err(OpenError::Plaintext(path.to_owned()));
    }
    if page.len() < PAGE_BYTES && !has_wal(path) {
        return Err(truncated(path, page.len()));
    }
    let head_path = head::path_beside(path);
    let head =
        head::read(&head_path).map_err(|source| OpenError::io("read", &head_path, source))?;
    let key = DatabaseKey::derive(passphrase, salt)?;
    if key.page_is_authentic(1, &page)? {
        check_length(path, &key, &page)?;
        return Ok(Judged { key, head });
    }
    if !key_is_vouched_for(&key, &head)? {
        return Err(OpenError::WrongKey(path.to_owned()));
    }
    // A crash during a checkpoint may leave a torn page 1 that the WAL still holds whole.
    if has_wal(path) {
        return Ok(Judged { key, head });
    }
    Err(OpenError::DamagedPage {
        path: path.to_owned(),
        page: 1,
    })
}

/// Without a WAL the file must be as long as its header says. (With one, pages may still be there.)
fn check_length(path: &Path, key: &DatabaseKey, page: &[u8]) -> Result<(), OpenError> {
    if has_wal(path) {
        return Ok(());
    }
    let size = u64::try_from(PAGE_BYTES).unwrap_or(u64::MAX);
    let pages = u64::from(key.page_count(page)?.unwrap_or(0));
    let bytes = std::fs::metadata(path)
        .map_err(|source| OpenError::io("read", path, source))?
        .len();
    let expected = pages.saturating_mul(size);
    if bytes < expected {
        return Err(OpenError::Truncated {
            path: path.to_owned(),
            bytes,
            expected,
        });
    }
    Ok(())
}

fn key_is_vouched_for(key: &DatabaseKey, head: &HeadState) -> Result<bool, OpenError> {
    let HeadState::Present(unchecked) = head else {
        return Ok(false);
    };
    let check = key.check_value()?;
    let salt = hex::encode(key.salt());
    Ok(unchecked
        .key_checks()
        .any(|pair| pair == (salt.as_str(), check.as_str())))
}

/// The first page of the file, or as much of it as there is, at least one byte.
fn first_page(path: &Path) -> Result<Vec<u8>, OpenError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(OpenError::Missing(path.to_owned()));
        }
        Err(source) => return Err(OpenError::io("open", path, source)),
    };
    let mut page = Vec::with_capacity(PAGE_BYTES);
    let limit = u64::try_from(PAGE_BYTES).unwrap_or(u64::MAX);
    file.take(limit)
        .read_to_end(&mut page)
        .map_err(|source| OpenError::io("read", path, source))?;
    if page.is_empty() {
        return Err(OpenError::Empty(path.to_owned()));
    }
    Ok(page)
}

fn truncated(path: &Path, bytes: usize) -> OpenError {
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    let expected = u64::try_from(PAGE_BYTES).unwrap_or(u64::MAX);
    OpenError::Truncated {
        path: path.to_owned(),
        bytes,
        expected,
    }
}
