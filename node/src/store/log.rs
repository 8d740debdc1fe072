//! The log of signed versions: appending to it, and where it ends.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::error::StoreError;
use super::key::DatabaseKey;
use super::writer::WriteContext;
use crate::identity::entropy::random;
use crate::identity::head::Head;
use crate::identity::keys::{AuthorKey, AuthorSecret};
use crate::identity::version::{self, Kind, Op, Payload, VersionId};
use crate::model::MemoryId;

/// What does not change while the store is open.
pub(super) struct Log {
    secret: AuthorSecret,
    author: AuthorKey,
    author_hex: String,
    epoch: String,
    salt_hex: String,
    key_check: String,
}

/// Where the log ends; taken back when a command or a commit fails.
#[derive(Clone, Debug)]
pub(super) struct LogState {
    /// Versions in the log.
    pub(super) seq: u64,
    /// Root hash over them.
    pub(super) root: [u8; 32],
    own_seq: u64,
    own_prev: String,
    hlc_ms: u64,
    hlc_counter: u16,
}

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

/// What was appended.
pub(super) struct Appended {
    pub(super) seq: i64,
    pub(super) version_id: VersionId,
}

impl Log {
    pub(super) fn new(
        secret: AuthorSecret,
        epoch: String,
        key: &DatabaseKey,
    ) -> Result<Self, super::key::DerivationFailed> {
        let author = secret.public();
        Ok(Self {
            author,
            author_hex: author.to_string(),
            secret,
            epoch,
            salt_hex: hex::encode(key.salt()),
            key_check: key.check_value()?,
        })
    }

    pub(super) fn secret(&self) -> &AuthorSecret {
        &self.secret
    }

    /// The statement about the log's end that stands beside the database.
    pub(super) fn head(&self, state: &LogState) -> Head {
        Head {
            author: self.author_hex.clone(),
            epoch: self.epoch.clone(),
            key_check: self.key_check.clone(),
            root: hex::encode(state.root),
            salt: self.salt_hex.clone(),
            seq: state.seq,
        }
    }
}

impl LogState {
    /// Reads the log's end from the database.
    pub(super) fn load(conn: &Connection, author: &AuthorKey) -> Result<Self, StoreError> {
        let last: Option<(i64, Vec<u8>)> = conn
            .query_row(
                "SELECT seq, root FROM versions ORDER BY seq DESC LIMIT 1",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        let (seq, root) = match last {
            None => (0, [0_u8; 32]),
            Some((seq, root)) => (
                u64::try_from(seq).map_err(StoreError::damaged)?,
                root.try_into()
                    .map_err(|_| StoreError::damaged("a root hash is not 32 bytes"))?,
            ),
        };
        let own: Option<(i64, Vec<u8>, String)> = conn
            .query_row(
                "SELECT author_seq, version_id, payload FROM versions
                 WHERE author = ?1 ORDER BY seq DESC LIMIT 1",
                [author.as_bytes().as_slice()],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .optional()?;
        let (own_seq, own_prev, hlc) = match own {
            None => (0, String::new(), None),
            Some((own_seq, id, payload)) => {
                let payload: Payload =
                    serde_json::from_str(&payload).map_err(StoreError::damaged)?;
                let own_seq = u64::try_from(own_seq).map_err(StoreError::damaged)?;
                (own_seq, hex::encode(id), Some(payload.hlc))
            }
        };
        let (hlc_ms, hlc_counter) = match hlc {
            None => (0, 0),
            Some(hlc) => parse_hlc(&hlc)
                .ok_or_else(|| StoreError::damaged(format!("`{hlc}` is not a clock value")))?,
        };
        Ok(Self {
            seq,
            root,
            own_seq,
            own_prev,
            hlc_ms,
            hlc_counter,
        })
    }

    /// The next value of the hybrid logical clock: never behind the wall clock, never the same twice.
    fn tick(&mut self, wall_ms: u64) -> String {
        if wall_ms > self.hlc_ms {
            self.hlc_ms = wall_ms;
            self.hlc_counter = 0;
        } else if let Some(next) = self.hlc_counter.checked_add(1) {
            self.hlc_counter = next;
        } else {
            self.hlc_ms += 1;
            self.hlc_counter = 0;
        }
        format!("{:012x}-{:04x}", self.hlc_ms, self.hlc_counter)
    }
}

/// Reads `<12 hex digits of milliseconds>-<4 hex digits of counter>`.
pub(super) fn parse_hlc(text: &str) -> Option<(u64, u16)> {
    let (ms, counter) = text.split_once('-')?;
    if ms.len() != 12 || counter.len() != 4 {
        return None;
    }
    Some((
        u64::from_str_radix(ms, 16).ok()?,
        u16::from_str_radix(counter, 16).ok()?,
    ))
}

impl WriteContext<'_> {
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
        let root = version::next_root(&self.state.root, &signed.id);
        let seq = self.state.seq + 1;
        let row = i64::try_from(seq).map_err(StoreError::damaged)?;
        let text = std::str::from_utf8(&signed.payload).map_err(StoreError::damaged)?;
        self.conn
            .prepare_cached(
                "INSERT INTO versions (seq, version_id, object_id, author, author_seq, payload,
                                       signature, salt, body, root)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                row,
                signed.id.0.as_slice(),
                entry.id.as_bytes().as_slice(),
                self.log.author.as_bytes().as_slice(),
                i64::try_from(payload.seq).map_err(StoreError::damaged)?,
                text,
                signed.signature.as_slice(),
                salt.as_ref().map(<[u8; 16]>::as_slice),
                entry.body,
                root.as_slice(),
            ])?;
        self.state.seq = seq;
        self.state.root = root;
        self.state.own_seq = payload.seq;
        self.state.own_prev = signed.id.to_string();
        Ok(Appended {
            seq: row,
            version_id: signed.id,
        })
    }
}
