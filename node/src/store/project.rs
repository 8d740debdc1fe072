//! The projection: what memories, links, index and siblings show of the log.
//!
//! Local writes know what they change. What comes from elsewhere does not: then the whole object is
//! worked out anew from its versions, so that the order in which they came plays no part.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::json;

use super::error::StoreError;
use super::memories::parse_body;
use super::writer::WriteContext;
use super::{settings, transcript};
use crate::clock::Timestamp;
use crate::identity::keys::AuthorSecret;
use crate::identity::resolve::{
    self, Candidate, EDITORS, EDITORS_NAMESPACE, Identities, Resolution, State,
};
use crate::identity::rotation::Rotation;
use crate::identity::version::{Kind, Payload, VersionId};
use crate::model::{LinkBody, MemoryBody, MemoryId};

/// Every version of an object, as far as the projection needs it.
pub(super) fn candidates(conn: &Connection, id: MemoryId) -> Result<Vec<Candidate>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT seq, version_id, author, payload, body IS NOT NULL FROM versions
         WHERE object_id = ?1",
    )?;
    let mut rows = statement.query([id.as_bytes().as_slice()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let payload: Payload =
            serde_json::from_str(&row.get::<_, String>(3)?).map_err(StoreError::damaged)?;
        found.push(Candidate {
            seq: row.get(0)?,
            id: VersionId(row.get(1)?),
            author: row.get(2)?,
            has_body: row.get(4)?,
            payload,
        });
    }
    Ok(found)
}

/// Which keys are one author, by the rotations that were taken in.
pub(super) fn identities(conn: &Connection) -> Result<Identities, StoreError> {
    let mut statement = conn.prepare("SELECT old_key, new_key FROM rotations")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let pairs: Vec<([u8; 32], [u8; 32])> = rows.collect::<Result<_, _>>()?;
    Ok(Identities::new(pairs))
}

/// Namespaces whose new memories others may change.
pub(super) fn shared_namespaces(conn: &Connection) -> Result<BTreeSet<String>, StoreError> {
    let mut statement = conn.prepare("SELECT namespace FROM shared_namespaces")?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

impl WriteContext<'_> {
    /// Shows a memory for the first time.
    pub(super) fn show_new(
        &self,
        id: MemoryId,
        seq: i64,
        namespace: &str,
        body: &MemoryBody,
    ) -> Result<(), StoreError> {
        self.conn
            .prepare_cached(
                "INSERT INTO memories (id, version_seq, namespace, tier, priority, agent_id,
                                       created_us, updated_us, expires_us)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                id.as_bytes().as_slice(),
                seq,
                namespace,
                body.tier.as_str(),
                body.priority,
                body.agent_id,
                body.created_at.as_micros(),
                body.updated_at.as_micros(),
                body.expires_at.map(Timestamp::as_micros),
            ])?;
        self.index.put(self.conn.last_insert_rowid(), body);
        Ok(())
    }

    /// Shows another version of a memory that is shown.
    pub(super) fn show_other(
        &self,
        rowid: i64,
        seq: i64,
        namespace: &str,
        body: &MemoryBody,
    ) -> Result<(), StoreError> {
        self.conn
            .prepare_cached(
                "UPDATE memories SET version_seq = ?2, namespace = ?3, tier = ?4, priority = ?5,
                        agent_id = ?6, created_us = ?7, updated_us = ?8, expires_us = ?9
                 WHERE rowid = ?1",
            )?
            .execute(params![
                rowid,
                seq,
                namespace,
                body.tier.as_str(),
                body.priority,
                body.agent_id,
                body.created_at.as_micros(),
                body.updated_at.as_micros(),
                body.expires_at.map(Timestamp::as_micros),
            ])?;
        self.index.remove(rowid);
        self.index.put(rowid, body);
        Ok(())
    }

    /// Shows a memory no more.
    pub(super) fn hide(&self, id: MemoryId, rowid: i64) -> Result<(), StoreError> {
        self.conn
            .prepare_cached("DELETE FROM memories WHERE rowid = ?1")?
            .execute([rowid])?;
        self.forget_siblings(id)?;
        self.index.remove(rowid);
        Ok(())
    }

    /// Shows a link.
    pub(super) fn show_link(
        &self,
        id: MemoryId,
        seq: i64,
        link: &LinkBody,
    ) -> Result<(), StoreError> {
        self.conn
            .prepare_cached(
                "INSERT INTO links (id, version_seq, source_id, target_id, relation, created_us)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (id) DO UPDATE SET version_seq = excluded.version_seq,
                     source_id = excluded.source_id, target_id = excluded.target_id,
                     relation = excluded.relation, created_us = excluded.created_us",
            )?
            .execute(params![
                id.as_bytes().as_slice(),
                seq,
                link.source_id.as_bytes().as_slice(),
                link.target_id.as_bytes().as_slice(),
                link.relation.as_str(),
                link.created_at.as_micros(),
            ])?;
        Ok(())
    }

    fn forget_siblings(&self, id: MemoryId) -> Result<(), StoreError> {
        self.conn
            .prepare_cached("DELETE FROM siblings WHERE object_id = ?1")?
            .execute([id.as_bytes().as_slice()])?;
        Ok(())
    }

    /// What a new root of this namespace says about who may change it.
    pub(super) fn editors_of(&self, namespace: &str) -> BTreeMap<String, String> {
        if self.state.shared.contains(namespace) {
            BTreeMap::from([(EDITORS.to_owned(), EDITORS_NAMESPACE.to_owned())])
        } else {
            BTreeMap::new()
        }
    }

    /// The keys that this node signs and has signed with.
    pub(super) fn own_keys(&self) -> Vec<[u8; 32]> {
        self.state.identities.line_of(self.own_key())
    }

    /// The versions that a tombstone of `id` replaces: the current one and its siblings.
    pub(super) fn heads_of(
        &self,
        id: MemoryId,
        current: String,
    ) -> Result<Vec<String>, StoreError> {
        let mut statement = self.conn.prepare_cached(
            "SELECT v.version_id FROM siblings AS s JOIN versions AS v ON v.seq = s.version_seq
             WHERE s.object_id = ?1 ORDER BY v.version_id LIMIT 63",
        )?;
        let rows =
            statement.query_map([id.as_bytes().as_slice()], |row| row.get::<_, [u8; 32]>(0))?;
        let mut heads = vec![current];
        for sibling in rows {
            heads.push(hex::encode(sibling?));
        }
        Ok(heads)
    }

    fn resolution(&self, id: MemoryId) -> Result<Resolution, StoreError> {
        let all = candidates(self.conn, id)?;
        Ok(resolve::resolve(id, &all, &self.state.identities))
    }

    /// Whether everyone would believe a change of this object that is signed here.
    pub(super) fn may_change(&self, id: MemoryId) -> Result<bool, StoreError> {
        let found = self.resolution(id)?;
        let own = self.state.identities.of(self.own_key());
        Ok(found.owner.is_none_or(|owner| owner == own) || found.editors.is_some())
    }

    /// Refuses a change that nobody else would believe.
    pub(super) fn require_editor(&self, id: MemoryId) -> Result<(), StoreError> {
        if self.may_change(id)? {
            return Ok(());
        }
        let owner = self.resolution(id)?.owner;
        Err(StoreError::NotTheAuthor {
            id: id.to_string(),
            owner: owner.map(hex::encode).unwrap_or_default(),
        })
    }

    /// Works out an object anew and shows what it is now.
    pub(super) fn reproject(&mut self, id: MemoryId) -> Result<(), StoreError> {
        let all = candidates(self.conn, id)?;
        let identities = Arc::clone(&self.state.identities);
        let found = resolve::resolve(id, &all, &identities);
        match found.kind {
            None => Ok(()),
            Some(Kind::Link) => self.reproject_link(id, &found.state),
            Some(Kind::Memory) => match &found.state {
                State::Live { seq, siblings } => {
                    let current = all.iter().find(|version| version.seq == *seq);
                    let current =
                        current.ok_or_else(|| StoreError::damaged("a version went away"))?;
                    self.reproject_live(id, current, siblings)
                }
                State::Absent => self.reproject_gone(id, &all, &[]),
                State::Deleted { erased } => self.reproject_gone(id, &all, erased),
            },
        }
    }

    fn reproject_live(
        &mut self,
        id: MemoryId,
        current: &Candidate,
        siblings: &[i64],
    ) -> Result<(), StoreError> {
        let (seq, namespace) = (current.seq, current.payload.ns.as_str());
        self.forget_siblings(id)?;
        for sibling in siblings {
            self.conn
                .prepare_cached("INSERT INTO siblings (object_id, version_seq) VALUES (?1, ?2)")?
                .execute(params![id.as_bytes().as_slice(), sibling])?;
        }
        let shown = self.shown(id)?;
        if shown.is_some_and(|(_, there)| there == seq) {
            return Ok(());
        }
        let body = self.body_at(seq)?;
        let body = parse_body(body.as_deref())?;
        let event = match shown {
            None => {
                self.show_new(id, seq, namespace, &body)?;
                "memory.created"
            }
            Some((rowid, _)) => {
                self.show_other(rowid, seq, namespace, &body)?;
                "memory.updated"
            }
        };
        self.tell(event, id, &current.id, namespace, &body)
    }

    fn reproject_gone(
        &mut self,
        id: MemoryId,
        all: &[Candidate],
        erased: &[i64],
    ) -> Result<(), StoreError> {
        if let Some((rowid, seq)) = self.shown(id)? {
            let namespace: String = self
                .conn
                .prepare_cached("SELECT namespace FROM memories WHERE rowid = ?1")?
                .query_row([rowid], |row| row.get(0))?;
            let body = parse_body(self.body_at(seq)?.as_deref())?;
            self.hide(id, rowid)?;
            if let Some(last) = all.iter().find(|version| version.seq == seq) {
                self.tell("memory.deleted", id, &last.id, &namespace, &body)?;
            }
        }
        self.erase_at(erased)
    }

    fn reproject_link(&mut self, id: MemoryId, state: &State) -> Result<(), StoreError> {
        if let State::Live { seq, .. } = state {
            let body = self.body_at(*seq)?;
            let body = body.ok_or_else(|| StoreError::damaged("a current link has no text"))?;
            let link: LinkBody = serde_json::from_str(&body).map_err(StoreError::damaged)?;
            return self.show_link(id, *seq, &link);
        }
        self.conn
            .prepare_cached("DELETE FROM links WHERE id = ?1")?
            .execute([id.as_bytes().as_slice()])?;
        match state {
            State::Deleted { erased } => self.erase_at(erased),
            _ => Ok(()),
        }
    }

    fn erase_at(&self, places: &[i64]) -> Result<(), StoreError> {
        let mut statement = self
            .conn
            .prepare_cached("UPDATE versions SET body = NULL, salt = NULL WHERE seq = ?1")?;
        for place in places {
            statement.execute([place])?;
        }
        Ok(())
    }

    /// Row and version of a memory that is shown.
    fn shown(&self, id: MemoryId) -> Result<Option<(i64, i64)>, StoreError> {
        Ok(self
            .conn
            .prepare_cached("SELECT rowid, version_seq FROM memories WHERE id = ?1")?
            .query_row([id.as_bytes().as_slice()], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?)
    }

    fn body_at(&self, seq: i64) -> Result<Option<String>, StoreError> {
        Ok(self
            .conn
            .prepare_cached("SELECT body FROM versions WHERE seq = ?1")?
            .query_row([seq], |row| row.get(0))?)
    }

    /// Tells the subscribers of what came from elsewhere, as of what was written here.
    pub(super) fn tell(
        &self,
        event: &str,
        id: MemoryId,
        version: &VersionId,
        namespace: &str,
        body: &MemoryBody,
    ) -> Result<(), StoreError> {
        let facts = || {
            json!({
                "id": id, "namespace": namespace, "title": body.title, "tier": body.tier,
                "agent_id": body.agent_id, "version_id": version.to_string(),
            })
        };
        self.emit(event, id, namespace, &body.agent_id, facts)
    }

    /// Gives this node the key `next`; the old one signs that. Takes effect when the store is opened
    /// the next time.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn rotate_author(&mut self, next: &AuthorSecret) -> Result<Rotation, StoreError> {
        let record = Rotation::sign(self.log.secret(), &next.public(), self.now);
        let shared = BTreeSet::clone(&self.state.shared);
        self.set_author_rules(std::slice::from_ref(&record), &shared)?;
        let own = *self.own_key();
        settings::set(self.conn, settings::PREVIOUS_AUTHOR, &own)?;
        settings::set(self.conn, settings::SIGNING_SEED, next.seed().as_slice())?;
        let facts = [
            ("new", record.new_key().to_string()),
            ("old", record.old().to_string()),
            ("record", record.to_string()),
        ];
        self.record(transcript::ROTATED, facts)?;
        Ok(record)
    }

    /// Takes in what the authors file says about rotations and shared namespaces.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn set_author_rules(
        &mut self,
        rotations: &[Rotation],
        shared: &BTreeSet<String>,
    ) -> Result<(), StoreError> {
        if *self.state.shared != *shared {
            self.conn.execute("DELETE FROM shared_namespaces", [])?;
            for namespace in shared {
                self.conn
                    .prepare_cached("INSERT INTO shared_namespaces (namespace) VALUES (?1)")?
                    .execute([namespace])?;
            }
            self.state.shared = Arc::new(shared.clone());
        }
        let mut new_keys = Vec::new();
        for rotation in rotations {
            let new = rotation.new_key();
            let added = self
                .conn
                .prepare_cached(
                    "INSERT INTO rotations (new_key, old_key, record) VALUES (?1, ?2, ?3)
                     ON CONFLICT (new_key) DO NOTHING",
                )?
                .execute(params![
                    new.as_bytes().as_slice(),
                    rotation.old().as_bytes().as_slice(),
                    rotation.to_string(),
                ])?;
            if added > 0 {
                new_keys.push(new);
            }
        }
        if new_keys.is_empty() {
            return Ok(());
        }
        self.state.identities = Arc::new(identities(self.conn)?);
        for key in new_keys {
            let objects: Vec<[u8; 16]> = {
                let mut statement = self
                    .conn
                    .prepare("SELECT DISTINCT object_id FROM versions WHERE author = ?1")?;
                let rows = statement.query_map([key.as_bytes().as_slice()], |row| row.get(0))?;
                rows.collect::<Result<_, _>>()?
            };
            for object in objects {
                self.reproject(MemoryId::from_bytes(object))?;
            }
        }
        Ok(())
    }
}
