//! The few facts about the node itself that stand in its database: table `node`.

use rusqlite::{Connection, OptionalExtension as _, params};
use zeroize::Zeroizing;

use super::error::StoreError;
use super::reader::ReadContext;
use super::writer::WriteContext;
use crate::identity::keys::AuthorKey;

/// The seed of the node's signing key, 32 bytes.
pub(super) const SIGNING_SEED: &str = "signing_seed";
/// The log's epoch, 16 bytes.
pub(super) const EPOCH: &str = "epoch";
/// The node's key before the last rotation, 32 bytes.
pub(super) const PREVIOUS_AUTHOR: &str = "previous_author";
/// SHA-256 of the local token, 32 bytes.
const TOKEN_SHA256: &str = "token_sha256";

pub(super) fn get(conn: &Connection, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
    let value: Option<Vec<u8>> = conn
        .query_row("SELECT value FROM node WHERE name = ?1", [name], |row| {
            row.get(0)
        })
        .optional()?;
    Ok(value.map(Zeroizing::new))
}

pub(super) fn set(conn: &Connection, name: &str, value: &[u8]) -> Result<(), StoreError> {
    conn.execute(
        "INSERT INTO node (name, value) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        params![name, value],
    )?;
    Ok(())
}

/// One that must be there, with `N` bytes.
pub(super) fn require<const N: usize>(
    conn: &Connection,
    name: &str,
) -> Result<Zeroizing<[u8; N]>, StoreError> {
    let value = get(conn, name)?
        .ok_or_else(|| StoreError::damaged(format!("`{name}` is missing from the node's table")))?;
    let bytes: [u8; N] = value
        .as_slice()
        .try_into()
        .map_err(|_| StoreError::damaged(format!("`{name}` has not {N} bytes")))?;
    Ok(Zeroizing::new(bytes))
}

/// The node's key before the last rotation; `None`: it was never rotated.
pub(super) fn previous_author(conn: &Connection) -> Result<Option<AuthorKey>, StoreError> {
    let Some(value) = get(conn, PREVIOUS_AUTHOR)? else {
        return Ok(None);
    };
    let bytes: [u8; 32] = value.as_slice().try_into().map_err(StoreError::damaged)?;
    AuthorKey::from_bytes(&bytes)
        .map(Some)
        .map_err(StoreError::damaged)
}

impl ReadContext<'_> {
    /// SHA-256 of the local token; `None`: none was ever made, and nobody may come in.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn token_digest(&self) -> Result<Option<[u8; 32]>, StoreError> {
        let Some(value) = get(self.conn, TOKEN_SHA256)? else {
            return Ok(None);
        };
        let digest = value.as_slice().try_into().map_err(StoreError::damaged)?;
        Ok(Some(digest))
    }
}

impl WriteContext<'_> {
    /// Makes `digest` the SHA-256 of the one token that is let in.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn set_token_digest(&mut self, digest: &[u8; 32]) -> Result<(), StoreError> {
        set(self.conn, TOKEN_SHA256, digest)
    }
}
