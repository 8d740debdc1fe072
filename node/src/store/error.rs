//! What can go wrong with an open store, as a caller may decide on it.

use std::sync::Arc;

use crate::model::InvalidInput;

/// A store's refusal or failure.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// There is no such memory, link or subscription.
    #[error("no {what} `{id}`")]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// Its name.
        id: String,
    },
    /// The caller's idea of the current version is out of date.
    #[error("the memory has changed: its version is `{current}`")]
    VersionMismatch {
        /// The version that is current.
        current: String,
    },
    /// Another author made it, and did not open it to others.
    #[error("`{id}` belongs to the author `{owner}`, and only that one may change it")]
    NotTheAuthor {
        /// What was to be changed.
        id: String,
        /// The key of its author, 64 hex digits.
        owner: String,
    },
    /// What lies in quarantine is no version that somebody signed.
    #[error("`{digest}` is not genuine and cannot be accepted: {why}")]
    NotGenuine {
        /// Its name there.
        digest: String,
        /// Why.
        why: String,
    },
    /// The same `Idempotency-Key` came with another request before.
    #[error("the idempotency key was used for another request")]
    IdempotencyReuse,
    /// A field is wrong.
    #[error(transparent)]
    Invalid(#[from] InvalidInput),
    /// The writer has more to do than it may queue.
    #[error("the writer is busy: its queue is full")]
    Busy,
    /// The store is stopping.
    #[error("the store is closed")]
    Closed,
    /// The transaction that this write was in did not reach the disk.
    #[error("the write was not committed: {cause}")]
    CommitFailed {
        /// Why, as the database says it.
        cause: Arc<StoreError>,
    },
    /// No space is left, or a quota is used up.
    #[error("the disk is full")]
    DiskFull,
    /// The file system takes no writes.
    #[error("the database cannot be written: the file system is read-only")]
    ReadOnly,
    /// The process or the machine may open no more files, or the device failed.
    #[error("reading or writing the database failed: {0}")]
    Io(String),
    /// A page or a row is not what was written.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// Anything else that the database says.
    #[error("the database refused: {0}")]
    Database(String),
}

impl StoreError {
    /// What was stored does not read as what the store writes.
    pub(crate) fn damaged(what: impl std::fmt::Display) -> Self {
        Self::Damaged(what.to_string())
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => Self::Io(error.to_string()),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged(error.to_string())
            }
            _ => match error {
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::IntegralValueOutOfRange(..) => Self::Damaged(error.to_string()),
                other => Self::Database(other.to_string()),
            },
        }
    }
}
