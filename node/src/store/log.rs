//! The log of signed versions: whose it is, and where it ends. What appends to it stands beside it.

use std::collections::BTreeSet;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _};

use super::error::StoreError;
use super::key::DatabaseKey;
use crate::identity::head::Head;
use crate::identity::hlc::Hlc;
use crate::identity::keys::{AuthorKey, AuthorSecret};
use crate::identity::resolve::Identities;
use crate::identity::version::Payload;

/// What does not change while the store is open.
pub(super) struct Log {
    pub(super) secret: AuthorSecret,
    pub(super) author: AuthorKey,
    pub(super) author_hex: String,
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
    pub(super) own_seq: u64,
    pub(super) own_prev: String,
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
    pub(super) fn tick(&mut self, wall_ms: u64) -> String {
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
