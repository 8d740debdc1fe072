//! The transcript: governed actions that are no versions, each row bound to the one before.
//!
//! The root after a row is SHA-256 over a fixed prefix, the root before and the row's canonical
//! JSON; the node signs the PAE of the root. What was stored and deleted stands in the log of
//! versions, whose roots are bound in the same way; both ends stand in the signed head.

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::pae;

/// The media type that the PAE binds.
const MEDIA_TYPE: &str = "application/vnd.hallmark.transcript.v1";

/// One row. Field order is the canonical one (RFC 8785); do not reorder.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was done, such as `peer.refused`.
    pub action: String,
    /// When, in microseconds since 1970.
    pub at_us: i64,
    /// The node's key, 64 hex digits.
    pub author: String,
    /// To whom and why.
    pub detail: BTreeMap<String, String>,
    /// Its place, from 1.
    pub seq: u64,
}

/// The root after `row`.
///
/// # Errors
/// When the row cannot be written as JSON, which no row of this type can bring about.
pub fn next_root(before: &[u8; 32], row: &Row) -> Result<[u8; 32], serde_json::Error> {
    let mut hasher = Sha256::new();
    hasher.update(b"hallmark-transcript-v1\0");
    hasher.update(before);
    hasher.update(serde_json::to_vec(row)?);
    Ok(hasher.finalize().into())
}

/// What the node signs for a root.
#[must_use]
pub fn message(root: &[u8; 32]) -> Vec<u8> {
    pae::encode(MEDIA_TYPE, hex::encode(root).as_bytes())
}
