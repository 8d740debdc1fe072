//! The quarantine: what came from peers and was not taken in, with the reason.
//!
//! Rows are named by the SHA-256 of what came, not by the version's id: a forgery that carries a
//! genuine version's payload must not keep the genuine one out.

use rusqlite::{OptionalExtension as _, params};
use serde::Serialize;
use utoipa::ToSchema;

use super::error::StoreError;
use super::reader::ReadContext;
use super::writer::WriteContext;
use crate::clock::Timestamp;
use crate::federation::identity::Fingerprint;
use crate::identity::admit::{Refused, WireVersion};

/// Rows that are kept; the oldest go first. A peer cannot fill the disk with forgeries.
const KEPT: i64 = 10_000;

/// How a version came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// This node asked for it.
    Pulled,
    /// A peer sent it.
    Pushed,
}

impl Way {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pulled => "pulled",
            Self::Pushed => "pushed",
        }
    }
}

/// A row as it is shown.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Held {
    /// SHA-256 of what came: its name here.
    pub digest: String,
    /// The id that the payload has.
    pub version_id: String,
    /// The signature fits, and only this node's rules keep it out.
    pub genuine: bool,
    /// A short name of the reason.
    pub reason: String,
    /// The reason in words.
    pub detail: String,
    /// The fingerprint of the peer that it came from.
    pub peer: String,
    /// `pulled` or `pushed`.
    pub way: String,
    /// When it came.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

impl WriteContext<'_> {
    /// Puts a version into quarantine; `false`: it lies there already.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn hold(
        &mut self,
        refused: &Refused,
        peer: &Fingerprint,
        way: Way,
    ) -> Result<bool, StoreError> {
        let version = serde_json::to_string(&refused.wire)
            .map_err(|e| StoreError::Database(e.to_string()))?;
        let detail: String = refused.detail.chars().take(500).collect();
        let added = self
            .conn
            .prepare_cached(
                "INSERT INTO quarantine (digest, version_id, genuine, reason, detail, peer, way,
                                         at_us, state, version)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'held', ?9)
                 ON CONFLICT (digest) DO NOTHING",
            )?
            .execute(params![
                refused.digest().as_slice(),
                refused.version_id().0.as_slice(),
                refused.reason.is_genuine(),
                refused.reason.as_str(),
                detail,
                peer.as_bytes().as_slice(),
                way.as_str(),
                self.now.as_micros(),
                version,
            ])?;
        if added == 0 {
            return Ok(false);
        }
        let count: i64 = self
            .conn
            .prepare_cached("SELECT count(*) FROM quarantine")?
            .query_row([], |row| row.get(0))?;
        if count > KEPT {
            self.conn
                .prepare_cached(
                    "DELETE FROM quarantine WHERE digest IN
                         (SELECT digest FROM quarantine ORDER BY at_us LIMIT ?1)",
                )?
                .execute([count - KEPT])?;
        }
        Ok(true)
    }

    /// Notes for which reason a row is held by the rules of this moment.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn hold_because(&mut self, digest: &[u8; 32], refused: &Refused) -> Result<(), StoreError> {
        self.conn
            .prepare_cached(
                "UPDATE quarantine SET reason = ?2, detail = ?3
                 WHERE digest = ?1 AND state = 'held' AND reason <> ?2",
            )?
            .execute(params![
                digest.as_slice(),
                refused.reason.as_str(),
                refused.detail,
            ])?;
        Ok(())
    }

    /// Takes a row out, to be judged anew; the version as it came.
    ///
    /// # Errors
    /// When there is no such row, or the database refuses.
    pub fn take_out(&mut self, digest: &[u8; 32]) -> Result<WireVersion, StoreError> {
        let version: Option<String> = self
            .conn
            .prepare_cached("SELECT version FROM quarantine WHERE digest = ?1 AND state = 'held'")?
            .query_row([digest.as_slice()], |row| row.get(0))
            .optional()?;
        let version = version.ok_or_else(|| StoreError::NotFound {
            what: "version in quarantine",
            id: hex::encode(digest),
        })?;
        self.conn
            .prepare_cached("DELETE FROM quarantine WHERE digest = ?1")?
            .execute([digest.as_slice()])?;
        serde_json::from_str(&version).map_err(StoreError::damaged)
    }

    /// Forgets what a row holds; the name stays, so that it is not fetched again.
    ///
    /// # Errors
    /// When there is no such row, or the database refuses.
    pub fn drop_held(&mut self, digest: &[u8; 32]) -> Result<(), StoreError> {
        let changed = self
            .conn
            .prepare_cached(
                "UPDATE quarantine SET state = 'dropped', version = NULL
                 WHERE digest = ?1 AND state = 'held'",
            )?
            .execute([digest.as_slice()])?;
        if changed == 1 {
            return Ok(());
        }
        Err(StoreError::NotFound {
            what: "version in quarantine",
            id: hex::encode(digest),
        })
    }
}

impl ReadContext<'_> {
    /// What is held, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn quarantine(&self, limit: usize) -> Result<Vec<Held>, StoreError> {
        let mut statement = self.conn.prepare_cached(
            "SELECT digest, version_id, genuine, reason, detail, peer, way, at_us FROM quarantine
             WHERE state = 'held' ORDER BY at_us DESC, digest LIMIT ?1",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map([limit], |row| {
            Ok(Held {
                digest: hex::encode(row.get::<_, [u8; 32]>(0)?),
                version_id: hex::encode(row.get::<_, [u8; 32]>(1)?),
                genuine: row.get(2)?,
                reason: row.get(3)?,
                detail: row.get(4)?,
                peer: Fingerprint::from_bytes(row.get(5)?).to_string(),
                way: row.get(6)?,
                at: Timestamp::from_micros(row.get(7)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How many are held: of each peer, for each reason.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn quarantine_counts(&self) -> Result<Vec<(Fingerprint, String, u64)>, StoreError> {
        let mut statement = self.conn.prepare_cached(
            "SELECT peer, reason, count(*) FROM quarantine WHERE state = 'held'
             GROUP BY peer, reason ORDER BY peer, reason",
        )?;
        let rows = statement.query_map([], |row| {
            let count: i64 = row.get(2)?;
            Ok((
                Fingerprint::from_bytes(row.get(0)?),
                row.get(1)?,
                u64::try_from(count).unwrap_or(0),
            ))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Those of these versions whose genuine form lies in quarantine, or was dropped.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn in_quarantine(&self, ids: &[[u8; 32]]) -> Result<Vec<[u8; 32]>, StoreError> {
        let mut statement = self.conn.prepare_cached(
            "SELECT 1 FROM quarantine WHERE version_id = ?1 AND genuine = 1 LIMIT 1",
        )?;
        let mut found = Vec::new();
        for id in ids {
            if statement.exists([id.as_slice()])? {
                found.push(*id);
            }
        }
        Ok(found)
    }

    /// Digests of what is genuine and held: it may be welcome after the rules have changed.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn held_and_genuine(
        &self,
    ) -> Result<Vec<([u8; 32], Fingerprint, WireVersion)>, StoreError> {
        let mut statement = self.conn.prepare_cached(
            "SELECT digest, peer, version FROM quarantine WHERE state = 'held' AND genuine = 1
             ORDER BY at_us, digest",
        )?;
        let mut rows = statement.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let version: String = row.get(2)?;
            found.push((
                row.get(0)?,
                Fingerprint::from_bytes(row.get(1)?),
                serde_json::from_str(&version).map_err(StoreError::damaged)?,
            ));
        }
        Ok(found)
    }
}
