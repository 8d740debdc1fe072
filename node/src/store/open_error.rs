//! Why a database was not opened: one variant a reason, each with what to do about it.

use std::io;
use std::path::PathBuf;

use super::error::StoreError;
use super::key::DerivationFailed;
use crate::identity::entropy::NoEntropy;

/// The first line that operators search for; the same for a wrong key and for a plaintext file.
const KEY_FAILED: &str = "PRAGMA key failed (wrong passphrase or unencrypted DB?)";

/// A refusal to open or to make a database. Nothing was created, truncated or changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no file.
    #[error("there is no database at `{0}`")]
    Missing(PathBuf),
    /// There already is one.
    #[error("there already is a database at `{0}`")]
    Exists(PathBuf),
    /// The file is empty.
    #[error("the database `{0}` is empty: not one byte is in it")]
    Empty(PathBuf),
    /// The file is an unencrypted SQLite database.
    #[error("{KEY_FAILED}: `{0}` is an unencrypted SQLite database")]
    Plaintext(PathBuf),
    /// The key does not open the file.
    #[error("{KEY_FAILED}: `{0}`")]
    WrongKey(PathBuf),
    /// The file ends too early.
    #[error("the database `{path}` is truncated: {bytes} bytes instead of {expected}")]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
        /// What it should at least be.
        expected: u64,
    },
    /// The passphrase is right, and a page fails its MAC.
    #[error(
        "the database `{path}` is damaged: page {page} fails its HMAC, though the passphrase is right"
    )]
    DamagedPage {
        /// The file.
        path: PathBuf,
        /// The page's number, from 1.
        page: u32,
    },
    /// SQLite finds the file malformed.
    #[error("the database `{path}` is damaged: {why}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// As SQLite says it.
        why: String,
    },
    /// The database is behind its head: an old file, an old page or no WAL any more.
    #[error(
        "the database `{path}` was rolled back: its log ends at version {found}, its signed head says {expected}"
    )]
    RolledBack {
        /// The file.
        path: PathBuf,
        /// Versions in the database.
        found: u64,
        /// Versions that the head vouches for.
        expected: u64,
    },
    /// The transcript ends before the head's word on it.
    #[error("`{path}` is behind its signed head: row {expected} of the transcript is not there")]
    TranscriptCut {
        /// The file.
        path: PathBuf,
        /// Rows that the head vouches for.
        expected: u64,
    },
    /// The log up to the head is another one than the head vouches for.
    #[error("the database `{path}` has another history than its signed head: {why}")]
    OtherHistory {
        /// The file.
        path: PathBuf,
        /// What differs.
        why: &'static str,
    },
    /// The head's file is gone.
    #[error("the signed head `{0}` is missing")]
    HeadMissing(PathBuf),
    /// The head's file carries no head of this node.
    #[error(
        "the signed head `{0}` is damaged or forged: no slot of it carries this node's signature"
    )]
    HeadForged(PathBuf),
    /// Another process has the database.
    #[error("the database `{0}` is in use by another process")]
    Locked(PathBuf),
    /// A newer program wrote it.
    #[error("the database has schema {found}, this program knows up to {known}")]
    TooNew {
        /// Schema of the file.
        found: i64,
        /// Newest schema known here.
        known: i64,
    },
    /// An older program wrote it, and what was asked for does not change it.
    #[error("the database has the older schema {found} instead of {known}")]
    Outdated {
        /// Schema of the file.
        found: i64,
        /// Newest schema known here.
        known: i64,
    },
    /// What should be taken in is not a plaintext database.
    #[error("`{0}` is not an unencrypted SQLite database")]
    NotPlaintext(PathBuf),
    /// What should be taken in has no memories that this program knows how to read.
    #[error("`{0}` is a database neither of memory-node nor with a table `memories`")]
    UnknownPlaintext(PathBuf),
    /// The file is some other program's.
    #[error("the database `{0}` is not one of memory-node")]
    Foreign(PathBuf),
    /// The SQLite library that is linked in does not encrypt.
    #[error("the linked SQLite has no SQLCipher: `PRAGMA cipher_version` is empty")]
    NoCipher,
    /// What was written begins as a plaintext database does.
    #[error("the new database `{0}` would not be encrypted")]
    NotEncrypted(PathBuf),
    /// Reading or writing beside SQLite failed.
    #[error("cannot {what} `{path}`: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Key derivation failed.
    #[error(transparent)]
    Derivation(#[from] DerivationFailed),
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// The database said something else.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

impl OpenError {
    /// A short name of the reason that programs may rely on.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "database_missing",
            Self::Exists(_) => "database_exists",
            Self::Empty(_) => "database_empty",
            Self::Plaintext(_) => "database_plaintext",
            Self::WrongKey(_) => "wrong_passphrase",
            Self::Truncated { .. } => "database_truncated",
            Self::DamagedPage { .. } | Self::Damaged { .. } => "database_damaged",
            Self::RolledBack { .. } => "rolled_back",
            Self::TranscriptCut { .. } => "transcript_cut",
            Self::OtherHistory { .. } => "other_history",
            Self::HeadMissing(_) => "head_missing",
            Self::HeadForged(_) => "head_forged",
            Self::Locked(_) => "database_locked",
            Self::TooNew { .. } => "schema_too_new",
            Self::Outdated { .. } => "schema_outdated",
            Self::NotPlaintext(_) => "not_plaintext",
            Self::UnknownPlaintext(_) => "unknown_plaintext",
            Self::Foreign(_) => "foreign_database",
            Self::NoCipher => "no_sqlcipher",
            Self::NotEncrypted(_) => "not_encrypted",
            Self::Io { .. } => "io",
            Self::Derivation(_) => "key_derivation",
            Self::Entropy(_) => "no_entropy",
            Self::Store(_) => "database",
        }
    }

    /// Whether something was checked and is false (exit code 1), rather than not checkable (2).
    #[must_use]
    pub fn is_refutation(&self) -> bool {
        !matches!(
            self,
            Self::Missing(_)
                | Self::Exists(_)
                | Self::Locked(_)
                | Self::TooNew { .. }
                | Self::Outdated { .. }
                | Self::NotPlaintext(_)
                | Self::UnknownPlaintext(_)
                | Self::NoCipher
                | Self::Io { .. }
                | Self::Derivation(_)
                | Self::Entropy(_)
                | Self::Store(
                    StoreError::DiskFull
                        | StoreError::ReadOnly
                        | StoreError::Io(_)
                        | StoreError::Busy
                )
        )
    }

    /// What to do about it; `None` where nothing general can be said.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Missing(_) => "make one with `memory-node init`".to_owned(),
            Self::Exists(_) => "choose another `--data-dir`, or go on with the one that is there".to_owned(),
            Self::Empty(path) | Self::Truncated { path, .. } | Self::DamagedPage { path, .. } | Self::Damaged { path, .. } => {
                format!("keep a copy of `{}`, then `memory-node db restore BACKUP`", path.display())
            }
            Self::Plaintext(path) => {
                format!("encrypt a copy of it: `memory-node db encrypt {}`", path.display())
            }
            Self::WrongKey(_) => "give the passphrase that the database was made with; `memory-node doctor` says where it was read from".to_owned(),
            Self::RolledBack { .. } | Self::TranscriptCut { .. } | Self::OtherHistory { .. } | Self::HeadMissing(_) | Self::HeadForged(_) => {
                "find out who put an old file there; if it was you, say so with `--accept-rollback`".to_owned()
            }
            Self::Locked(_) => "stop the running node, or talk to it: it listens where its `serve` said".to_owned(),
            Self::NotPlaintext(_) => "a database that is encrypted already needs no `db encrypt`: `db restore` takes a backup".to_owned(),
            Self::UnknownPlaintext(_) => {
                "give a plaintext database of memory-node or of ai-memory; what another program keeps goes in through `memory-node import` or the API".to_owned()
            }
            Self::Outdated { .. } => {
                "open it once with this program: `memory-node stats` brings it up to date".to_owned()
            }
            Self::TooNew { .. } => "use the newer `memory-node` that wrote it".to_owned(),
            Self::Store(StoreError::DiskFull) => "free some space and try again; nothing was lost".to_owned(),
            _ => return None,
        })
    }

    pub(super) fn io(what: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io {
            what,
            path: path.into(),
            source,
        }
    }
}
