//! Copies of the database as a whole: backup, restore, another key, and a plaintext one taken in.
//!
//! A copy is written beside, synced, opened and checked before anything else believes in it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::adopt::Taken;
use super::check::{CheckReport, check};
use super::error::StoreError;
use super::key::{DatabaseKey, Passphrase};
use super::lifecycle::{close, lock, new_epoch, sync_folder_of, write_head};
use super::open::{Connector, Role};
use super::open_error::OpenError;
use super::preflight::{self, PLAINTEXT_MAGIC, beside};
use super::{migrate, settings};
use crate::identity::entropy::random;
use crate::identity::head;
use crate::identity::keys::AuthorSecret;

/// Writes a checked copy to `to`, under the same passphrase. The node may be running.
///
/// # Errors
/// When `to` is there already, cannot be written, or does not pass the check.
pub fn backup(path: &Path, passphrase: &Passphrase, to: &Path) -> Result<CheckReport, OpenError> {
    refuse_existing(to)?;
    let judged = preflight::judge(path, passphrase)?;
    let conn = Connector::new(path, judged.key).connect(Role::Maintenance)?;
    let name = to.to_str().ok_or_else(|| not_text(to))?;
    let copied = conn
        .execute("VACUUM INTO ?1", [name])
        .map_err(OpenError::from);
    let checked = copied
        .and_then(|_| close(conn))
        .and_then(|()| sync(to))
        .and_then(|()| {
            let report = check(to, passphrase, false)?;
            refuse_findings(to, &report)?;
            Ok(report)
        });
    if checked.is_err() {
        discard(to);
    }
    checked
}

/// Puts the backup `from` in the place of the database; what was there is kept beside it, and the
/// log begins a new epoch. Returns where the old one is; `None`: there was none.
///
/// # Errors
/// When the backup does not pass the check or something cannot be written; the old one stands then.
pub fn restore(
    path: &Path,
    passphrase: &Passphrase,
    from: &Path,
    stamp: &str,
) -> Result<Option<PathBuf>, OpenError> {
    let report = check(from, passphrase, false)?;
    refuse_findings(from, &report)?;
    let held = if path.exists() {
        Some(lock(path)?)
    } else {
        None
    };
    let aside = beside(path, ".restoring");
    discard(&aside);
    std::fs::copy(from, &aside)
        .map_err(|source| OpenError::io("copy the backup to", &aside, source))?;
    sync(&aside)?;
    let kept = held
        .is_some()
        .then(|| beside(path, &format!(".before-restore-{stamp}")));
    if let Some(kept) = &kept {
        for suffix in ["", "-wal", "-shm", ".head"] {
            move_if_there(&beside(path, suffix), &beside(kept, suffix))?;
        }
    }
    rename(&aside, path)?;
    sync_folder_of(path)?;
    let judged = preflight::judge(path, passphrase)?;
    let connector = Connector::new(path, judged.key);
    let conn = connector.connect(Role::Writer)?;
    migrate::run(&conn, path)?;
    let seed = settings::require::<32>(&conn, settings::SIGNING_SEED)?;
    drop(new_epoch(
        &conn,
        &connector,
        AuthorSecret::from_seed(&seed),
    )?);
    close(conn)?;
    drop(held);
    Ok(kept)
}

/// Encrypts the database anew: another passphrase, another salt, all pages written afresh.
///
/// # Errors
/// When it is in use, or the new one does not pass the check; the old one stands then.
pub fn rekey(path: &Path, old: &Passphrase, new: &Passphrase) -> Result<CheckReport, OpenError> {
    let held = lock(path)?;
    let judged = preflight::judge(path, old)?;
    let connector = Connector::new(path, judged.key);
    // As a writer first, so that what a killed node left in the WAL is in the database.
    let conn = connector.connect(Role::Writer)?;
    migrate::run(&conn, path)?;
    close(conn)?;
    let aside = beside(path, ".rekeying");
    discard_all(&aside);
    let written = export_into(&connector, &aside, new).and_then(|()| {
        let report = check(&aside, new, false)?;
        refuse_findings(&aside, &report)?;
        Ok(report)
    });
    let report = match written {
        Ok(report) => report,
        Err(error) => {
            discard_all(&aside);
            return Err(error);
        }
    };
    rename(&aside, path)?;
    sync_folder_of(path)?;
    let judged = preflight::judge(path, new)?;
    write_head(&Connector::new(path, judged.key))?;
    drop(held);
    Ok(report)
}

fn export_into(connector: &Connector, to: &Path, passphrase: &Passphrase) -> Result<(), OpenError> {
    make_empty(to)?;
    let key = DatabaseKey::derive(passphrase, random()?)?;
    let conn = connector.connect(Role::Maintenance)?;
    attach(&conn, to, key.literal().as_str())?;
    conn.query_row("SELECT sqlcipher_export('other')", [], |_| Ok(()))?;
    copy_marks(&conn, "main", "other")?;
    conn.execute_batch("DETACH DATABASE other")?;
    close(conn)?;
    set_wal(&Connector::new(to, key))?;
    sync(to)
}

/// Makes an encrypted database at `path` of the plaintext database `from`, which is only read.
///
/// What is taken is a database of this program (as a whole), or one with tables `memories` and
/// `memory_links` in the form of `ai-memory` (its rows; see [`super::adopt`]).
///
/// # Errors
/// When there is a database at `path` already, or `from` is neither of the two.
pub fn encrypt(path: &Path, passphrase: &Passphrase, from: &Path) -> Result<Adopted, OpenError> {
    refuse_existing(path)?;
    let start = std::fs::read(from).map_err(|source| OpenError::io("read", from, source))?;
    if !start.starts_with(PLAINTEXT_MAGIC) {
        return Err(OpenError::NotPlaintext(from.to_owned()));
    }
    let outcome = encrypt_into(path, passphrase, from);
    if outcome.is_err() {
        discard_all(path);
    }
    outcome
}

/// What was taken out of a plaintext database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Adopted {
    /// A database of this program, as a whole.
    Whole,
    /// Rows of another program's tables.
    Rows(Taken),
}

fn encrypt_into(path: &Path, passphrase: &Passphrase, from: &Path) -> Result<Adopted, OpenError> {
    let uri = read_only_uri(from)?;
    let key = DatabaseKey::derive(passphrase, random()?)?;
    make_empty(path)?;
    let connector = Connector::new(path, key);
    let conn = connector.connect(Role::Maintenance)?;
    conn.execute("ATTACH DATABASE ?1 AS other KEY ''", [&uri])?;
    let application: i64 = conn.query_row("PRAGMA other.application_id", [], |row| row.get(0))?;
    if application == migrate::APPLICATION_ID {
        conn.query_row("SELECT sqlcipher_export('main', 'other')", [], |_| Ok(()))?;
        copy_marks(&conn, "other", "main")?;
        conn.execute_batch("DETACH DATABASE other")?;
        close(conn)?;
        set_wal(&connector)?;
        let conn = connector.connect(Role::Writer)?;
        migrate::run(&conn, path)?;
        close(conn)?;
        write_head(&connector)?;
        refuse_findings(path, &check(path, passphrase, true)?)?;
        return Ok(Adopted::Whole);
    }
    let found = super::adopt::rows(&conn)?;
    close(conn)?;
    discard_all(path);
    let Some(found) = found else {
        return Err(OpenError::UnknownPlaintext(from.to_owned()));
    };
    super::lifecycle::create(path, passphrase)?;
    super::adopt::take_in(path, passphrase, found).map(Adopted::Rows)
}

/// `immutable` where no WAL is there: then not even a shared-memory file is made beside it.
fn read_only_uri(path: &Path) -> Result<String, OpenError> {
    let path = std::path::absolute(path).map_err(|source| OpenError::io("find", path, source))?;
    let text = path.to_str().ok_or_else(|| not_text(&path))?;
    let escaped = text
        .replace('%', "%25")
        .replace('?', "%3f")
        .replace('#', "%23");
    let mode = if preflight::has_wal(&path) {
        "mode=ro"
    } else {
        "mode=ro&immutable=1"
    };
    Ok(format!("file:{escaped}?{mode}"))
}

fn attach(conn: &Connection, path: &Path, key: &str) -> Result<(), OpenError> {
    let name = path.to_str().ok_or_else(|| not_text(path))?;
    conn.execute("ATTACH DATABASE ?1 AS other KEY ?2", [name, key])?;
    Ok(())
}

/// `sqlcipher_export` copies tables and indices, not the two marks in the header.
fn copy_marks(conn: &Connection, from: &str, to: &str) -> Result<(), OpenError> {
    for mark in ["user_version", "application_id"] {
        let value: i64 = conn.query_row(&format!("PRAGMA {from}.{mark}"), [], |row| row.get(0))?;
        conn.execute_batch(&format!("PRAGMA {to}.{mark} = {value}"))?;
    }
    Ok(())
}

fn set_wal(connector: &Connector) -> Result<(), OpenError> {
    close(connector.connect(Role::Writer)?)
}

fn make_empty(path: &Path) -> Result<(), OpenError> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    made.map(drop)
        .map_err(|source| OpenError::io("create", path, source))
}

fn refuse_existing(path: &Path) -> Result<(), OpenError> {
    if path.exists() {
        Err(OpenError::Exists(path.to_owned()))
    } else {
        Ok(())
    }
}

fn refuse_findings(path: &Path, report: &CheckReport) -> Result<(), OpenError> {
    match report.findings.first() {
        None => Ok(()),
        Some(finding) => Err(OpenError::Damaged {
            path: path.to_owned(),
            why: format!("{}: {}", finding.check, finding.detail),
        }),
    }
}

fn sync(path: &Path) -> Result<(), OpenError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|source| OpenError::io("sync", path, source))?;
    sync_folder_of(path)
}

fn rename(from: &Path, to: &Path) -> Result<(), OpenError> {
    std::fs::rename(from, to).map_err(|source| OpenError::io("put in place", to, source))
}

fn move_if_there(from: &Path, to: &Path) -> Result<(), OpenError> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(OpenError::io("put aside", from, error))
        }
        _ => Ok(()),
    }
}

fn discard(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, file = %path.display(), "could not be taken away");
    }
}

fn discard_all(path: &Path) {
    for file in [
        path.to_owned(),
        beside(path, "-wal"),
        beside(path, "-shm"),
        head::path_beside(path),
    ] {
        discard(&file);
    }
}

fn not_text(path: &Path) -> OpenError {
    StoreError::Database(format!("the path `{}` is not UTF-8 text", path.display())).into()
}
