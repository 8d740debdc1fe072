//! Appending to the log of signed versions: what is signed here, and what others signed.

use std::collections::BTreeMap;

use rusqlite::params;

use super::error::StoreError;
use super::writer::WriteContext;
use crate::identity::admit::AdmittedVersion;
use crate::identity::entropy::random;
use crate::identity::resolve;
use crate::identity::version::{self, Kind, Op, Payload, VersionId};
use crate::model::MemoryId;

/// What is to be appended.
pub(super) struct Entry<'a> {
    pub(super) kind: Kind,
    pub(super) op: Op,
    pub(super) id: MemoryId,
    pub(super) namespace: &'a str,
    pub(super) parents: Vec<String>,
    pub(super) meta: BTreeMap<String, String>,
    /// `None`: a tombstone.
    pub(super) body: Option<&'a str>,
}

/// A row of the log before it has its place.
struct Row<'a> {
    id: VersionId,
    object: MemoryId,
    author: &'a [u8; 32],
    author_seq: u64,
    payload: &'a str,
    signature: &'a [u8; 64],
    salt: Option<&'a [u8; 16]>,
    body: Option<&'a str>,
}

/// What was appended.
pub(super) struct Appended {
    pub(super) seq: i64,
    pub(super) version_id: VersionId,
}

impl WriteContext<'_> {
    /// The id of the object that the next entry makes.
    pub(super) fn next_object_id(&self) -> MemoryId {
        resolve::object_id(self.log.author.as_bytes(), self.state.own_seq + 1, self.now)
    }

    /// The place of the last version, this write's own included.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        self.state.seq
    }

    /// The key that signs here.
    pub(super) fn own_key(&self) -> &[u8; 32] {
        self.log.author.as_bytes()
    }

    /// Appends a version that was admitted, as it is; returns its place.
    pub(super) fn append_admitted(&mut self, version: &AdmittedVersion) -> Result<i64, StoreError> {
        let verified = version.verified();
        let author = verified.author();
        let author_seq = verified.payload().seq;
        let (salt, body) = version.content().unzip();
        let row = self.insert(&Row {
            id: verified.id(),
            object: version.object(),
            author: author.as_bytes(),
            author_seq,
            payload: version.payload_text(),
            signature: version.signature(),
            salt,
            body,
        })?;
        // This node's own, back from a peer: its count goes on after it.
        if author == self.log.author && author_seq > self.state.own_seq {
            self.state.own_seq = author_seq;
            self.state.own_prev = verified.id().to_string();
        }
        Ok(row)
    }

    fn insert(&mut self, row: &Row<'_>) -> Result<i64, StoreError> {
        let root = version::next_root(&self.state.root, &row.id);
        let seq = self.state.seq + 1;
        let place = i64::try_from(seq).map_err(StoreError::damaged)?;
        self.conn
            .prepare_cached(
                "INSERT INTO versions (seq, version_id, object_id, author, author_seq, payload,
                                       signature, salt, body, root)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                place,
                row.id.0.as_slice(),
                row.object.as_bytes().as_slice(),
                row.author.as_slice(),
                i64::try_from(row.author_seq).map_err(StoreError::damaged)?,
                row.payload,
                row.signature.as_slice(),
                row.salt.map(<[u8; 16]>::as_slice),
                row.body,
                root.as_slice(),
            ])?;
        self.state.seq = seq;
        self.state.root = root;
        Ok(place)
    }

    /// Signs one entry and appends it.
    pub(super) fn append(&mut self, entry: Entry<'_>) -> Result<Appended, StoreError> {
        let salt = match entry.body {
            Some(_) => Some(random::<16>().map_err(|e| StoreError::Io(e.to_string()))?),
            None => None,
        };
        let content_sha256 = match (&salt, entry.body) {
            (Some(salt), Some(body)) => version::content_digest(salt, body.as_bytes()),
            _ => String::new(),
        };
        let wall_ms = u64::try_from(self.now.as_millis()).unwrap_or(0);
        let payload = Payload {
            author: self.log.author_hex.clone(),
            content_sha256,
            hlc: self.state.tick(wall_ms),
            id: entry.id.to_string(),
            kind: entry.kind,
            meta: entry.meta,
            ns: entry.namespace.to_owned(),
            op: entry.op,
            parents: entry.parents,
            prev: self.state.own_prev.clone(),
            seq: self.state.own_seq + 1,
        };
        let signed = version::sign(&payload, &self.log.secret)
            .map_err(|e| StoreError::Database(e.to_string()))?;
        let text = std::str::from_utf8(&signed.payload).map_err(StoreError::damaged)?;
        let author = self.log.author;
        let row = self.insert(&Row {
            id: signed.id,
            object: entry.id,
            author: author.as_bytes(),
            author_seq: payload.seq,
            payload: text,
            signature: &signed.signature,
            salt: salt.as_ref(),
            body: entry.body,
        })?;
        self.state.own_seq = payload.seq;
        self.state.own_prev = signed.id.to_string();
        Ok(Appended {
            seq: row,
            version_id: signed.id,
        })
    }
}
