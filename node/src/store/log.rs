//! The log of signed versions: appending to it, and where it ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::error::StoreError;
use super::key::DatabaseKey;
use super::writer::WriteContext;
use crate::identity::admit::AdmittedVersion;
use crate::identity::entropy::random;
use crate::identity::head::Head;
use crate::identity::hlc::Hlc;
use crate::identity::keys::{AuthorKey, AuthorSecret};
use crate::identity::resolve::{self, Identities};
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
    hlc: Hlc,
    /// Rows of the transcript.
    pub(super) transcript_seq: u64,
    /// Root hash over them.
    pub(super) transcript_root: [u8; 32],
    /// Which keys are one author.
    pub(super) identities: Arc<Identities>,
    /// Namespaces whose new memories others may change.
    pub(super) shared: Arc<BTreeSet<String>>,
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
            transcript_root: (state.transcript_seq > 0).then(|| hex::encode(state.transcript_root)),
            transcript_seq: (state.transcript_seq > 0).then_some(state.transcript_seq),
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
                // What a restored node got back from its peers came in any order.
                "SELECT author_seq, version_id, payload FROM (
                     SELECT author_seq, version_id, payload FROM versions
                     WHERE author = ?1 ORDER BY seq DESC LIMIT 1000)
                 ORDER BY author_seq DESC LIMIT 1",
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
        let own_hlc = match hlc {
            None => Hlc::default(),
            Some(hlc) => hlc.parse().map_err(StoreError::damaged)?,
        };
        let (transcript_seq, transcript_root) = super::transcript::end(conn)?;
        Ok(Self {
            seq,
            root,
            own_seq,
            own_prev,
            hlc: own_hlc.max(super::federation::highest_clock(conn)?),
            transcript_seq,
            transcript_root,
            identities: Arc::new(super::project::identities(conn)?),
            shared: Arc::new(super::project::shared_namespaces(conn)?),
        })
    }

    /// The next value of the hybrid logical clock: never behind the wall clock, never the same twice.
    fn tick(&mut self, wall_ms: u64) -> String {
        if wall_ms > self.hlc.ms {
            self.hlc = Hlc {
                ms: wall_ms,
                counter: 0,
            };
        } else if let Some(next) = self.hlc.counter.checked_add(1) {
            self.hlc.counter = next;
        } else {
            self.hlc.ms += 1;
            self.hlc.counter = 0;
        }
        self.hlc.to_string()
    }

    /// Takes note of a clock value that came from elsewhere; `true`: it was ahead of ours.
    pub(super) fn see(&mut self, hlc: Hlc) -> bool {
        let ahead = hlc > self.hlc;
        self.hlc = self.hlc.max(hlc);
        ahead
    }
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
