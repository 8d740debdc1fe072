//! The one constructor of connections: it opens, keys, probes and bounds every one of them.
//!
//! No other file may call `Connection::open`. A connection that leaves here is encrypted, knows
//! its key, has read a page with it, and cannot attach another database (unless it was made for
//! maintenance, which copies into one).

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::key::DatabaseKey;
use super::open_error::OpenError;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Makes a new database in the empty file that is there.
    Create,
    /// Writes; there is one of them.
    Writer,
    /// Reads only (`query_only`).
    Reader,
    /// Copies the database into a new one: may attach one file.
    Maintenance,
}

/// The name and the key of a database: opens any number of connections to it.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    path: PathBuf,
    key: DatabaseKey,
}

/// How long a connection waits for a lock that another process holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Page cache of the writer, in KiB.
const WRITER_CACHE_KIB: i64 = 16 * 1024;
/// Page cache of each reader, in KiB.
const READER_CACHE_KIB: i64 = 6 * 1024;
/// Pages in the WAL before they are moved into the database: 16 MiB.
const CHECKPOINT_PAGES: i64 = 4096;
/// Prepared statements kept by each connection.
const STATEMENTS: usize = 64;

impl Connector {
    pub(super) fn new(path: &Path, key: DatabaseKey) -> Self {
        Self {
            path: path.to_owned(),
            key,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn key(&self) -> &DatabaseKey {
        &self.key
    }

    /// Opens one connection.
    pub(super) fn connect(&self, role: Role) -> Result<Connection, OpenError> {
        // Never CREATE: a missing file must stay missing. Create's file was made, empty, before.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(&self.path, flags)?;
        // Until the key has proved itself, closing must not move the WAL into the database.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        self.hand_over_key(&conn)?;
        self.probe(&conn)?;
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        bound(&conn, role)?;
        Ok(conn)
    }

    /// Hands the key over, and makes sure that there is a SQLCipher to take it.
    fn hand_over_key(&self, conn: &Connection) -> Result<(), OpenError> {
        // SQLCipher would write its own errors to stderr; ours say more.
        conn.execute_batch("PRAGMA cipher_log_level = NONE")?;
        let pragma =
            zeroize::Zeroizing::new(format!("PRAGMA key = \"{}\"", self.key.literal().as_str()));
        conn.execute_batch(&pragma)?;
        let version: Option<String> =
            match conn.query_row("PRAGMA cipher_version", [], |row| row.get(0)) {
                Ok(version) => Some(version),
                Err(rusqlite::Error::QueryReturnedNoRows) => None,
                Err(error) => return Err(error.into()),
            };
        if version.is_none_or(|version| version.is_empty()) {
            return Err(OpenError::NoCipher);
        }
        Ok(())
    }

    /// `PRAGMA key` succeeds with any key; reading a page does not.
    fn probe(&self, conn: &Connection) -> Result<(), OpenError> {
        let probed: rusqlite::Result<i64> =
            conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0));
        match probed {
            Ok(_) => Ok(()),
            Err(error) => Err(match error.sqlite_error_code() {
                Some(ErrorCode::NotADatabase) => OpenError::WrongKey(self.path.clone()),
                Some(ErrorCode::DatabaseCorrupt) => OpenError::Damaged {
                    path: self.path.clone(),
                    why: error.to_string(),
                },
                _ => error.into(),
            }),
        }
    }
}

fn bound(conn: &Connection, role: Role) -> Result<(), OpenError> {
    let attached = i32::from(role == Role::Maintenance);
    conn.set_limit(Limit::SQLITE_LIMIT_ATTACHED, attached)?;
    // Maintenance copies FTS5's own tables, which a defensive connection may not write.
    conn.set_db_config(
        DbConfig::SQLITE_DBCONFIG_DEFENSIVE,
        role != Role::Maintenance,
    )?;
    // Plans are made once a statement. Otherwise SQLite, which is compiled with STAT4, makes each one
    // anew for every value that it is given, and that costs more than a search.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    conn.execute_batch(
        "PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = ON;",
    )?;
    match role {
        Role::Create | Role::Writer => {
            conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
            conn.pragma_update(None, "synchronous", "FULL")?;
            conn.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
            conn.pragma_update_and_check(None, "wal_autocheckpoint", CHECKPOINT_PAGES, |_| Ok(()))?;
        }
        Role::Reader => {
            conn.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
            conn.pragma_update(None, "query_only", true)?;
        }
        Role::Maintenance => {}
    }
    Ok(())
}
