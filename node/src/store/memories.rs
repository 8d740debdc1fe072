//! Storing, changing, deleting and reading memories: the projection of the log.

use std::collections::BTreeMap;

use rusqlite::types::Value as Sql;
use rusqlite::{OptionalExtension as _, Row, params, params_from_iter};

use super::append::{Appended, Entry};
use super::error::StoreError;
use super::reader::ReadContext;
use super::writer::WriteContext;
use crate::clock::Timestamp;
use crate::identity::version::{Kind, Op};
use crate::model::{Memory, MemoryBody, MemoryDraft, MemoryId, MemoryPatch, Namespace, Tier};

/// The columns that [`memory_of`] reads, in its order.
pub(super) const COLUMNS: &str = "m.id, m.namespace, m.access_count, m.last_accessed_us, \
     v.version_id, v.body, m.rowid";

/// Which memories a listing or a search shows; `None` and empty mean: whichever.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Exactly this namespace.
    pub namespace: Option<String>,
    /// Exactly this tier.
    pub tier: Option<Tier>,
    /// This priority or a higher one.
    pub min_priority: Option<i64>,
    /// Made at this moment or later.
    pub since: Option<Timestamp>,
    /// Made at this moment or earlier.
    pub until: Option<Timestamp>,
    /// Carries every one of these tags.
    pub tags: Vec<String>,
    /// Stored by this agent.
    pub agent_id: Option<String>,
}

impl Filter {
    /// Whether nothing is filtered out but what has expired.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.namespace.is_none()
            && self.tier.is_none()
            && self.min_priority.is_none()
            && self.since.is_none()
            && self.until.is_none()
            && self.tags.is_empty()
            && self.agent_id.is_none()
    }

    /// The conditions as SQL over `m` and `v`, with their values; the first hides what has expired.
    pub(super) fn conditions(&self, now: Timestamp) -> (String, Vec<Sql>) {
        let mut sql = "(m.expires_us IS NULL OR m.expires_us > ?)".to_owned();
        let mut values = vec![Sql::Integer(now.as_micros())];
        let mut add = |condition: &str, value: Sql| {
            sql.push_str(" AND ");
            sql.push_str(condition);
            values.push(value);
        };
        if let Some(namespace) = &self.namespace {
            add("m.namespace = ?", Sql::Text(namespace.clone()));
        }
        if let Some(tier) = self.tier {
            add("m.tier = ?", Sql::Text(tier.as_str().to_owned()));
        }
        if let Some(priority) = self.min_priority {
            add("m.priority >= ?", Sql::Integer(priority));
        }
        if let Some(since) = self.since {
            add("m.created_us >= ?", Sql::Integer(since.as_micros()));
        }
        if let Some(until) = self.until {
            add("m.created_us <= ?", Sql::Integer(until.as_micros()));
        }
        if let Some(agent) = &self.agent_id {
            add("m.agent_id = ?", Sql::Text(agent.clone()));
        }
        for tag in &self.tags {
            add(
                "EXISTS (SELECT 1 FROM json_each(v.body, '$.tags') AS t WHERE t.value = ?)",
                Sql::Text(tag.clone()),
            );
        }
        (sql, values)
    }
}

/// Which part of a listing is shown: newest first.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// At most this many rows.
    pub limit: usize,
    /// Rows to leave out at the beginning.
    pub offset: usize,
    /// Go on after the row of this place; `None`: from the newest.
    pub after: Option<i64>,
}

/// A memory with its place in the order of a listing.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The memory.
    pub memory: Memory,
    /// Its place: higher is newer. What a cursor carries.
    pub place: i64,
}

/// What was stored.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its name.
    pub id: MemoryId,
    /// SHA-256 of its version, 64 hex digits.
    pub version_id: String,
    /// Where it went.
    pub namespace: String,
    /// What was stored.
    pub body: MemoryBody,
}

struct Current {
    rowid: i64,
    author: [u8; 32],
    namespace: String,
    version_id: String,
    body: MemoryBody,
}

impl ReadContext<'_> {
    /// The memory of this id; `None`: there is none, or it has expired.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn memory(&self, id: MemoryId) -> Result<Option<Memory>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM memories AS m JOIN versions AS v ON v.seq = m.version_seq
             WHERE m.id = ?1 AND (m.expires_us IS NULL OR m.expires_us > ?2)"
        );
        let mut statement = self.conn.prepare_cached(&sql)?;
        let found = statement
            .query_row(
                params![id.as_bytes().as_slice(), self.now.as_micros()],
                |row| Ok(memory_of(row)),
            )
            .optional()?;
        found
            .transpose()
            .map(|placed| placed.map(|placed| placed.memory))
    }

    /// The memory of this id, though it may just have expired.
    ///
    /// # Errors
    /// When there is none or the database cannot be read.
    pub fn memory_even_expired(&self, id: MemoryId) -> Result<Memory, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM memories AS m JOIN versions AS v ON v.seq = m.version_seq
             WHERE m.id = ?1"
        );
        let mut statement = self.conn.prepare_cached(&sql)?;
        let found = statement
            .query_row([id.as_bytes().as_slice()], |row| Ok(memory_of(row)))
            .optional()?;
        found
            .transpose()?
            .map(|placed| placed.memory)
            .ok_or_else(|| not_found(id))
    }

    /// The memories that pass the filter, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list(&self, filter: &Filter, page: &Page) -> Result<Vec<Placed>, StoreError> {
        let (mut conditions, mut values) = filter.conditions(self.now);
        if let Some(place) = page.after {
            conditions.push_str(" AND m.rowid < ?");
            values.push(Sql::Integer(place));
        }
        values.push(Sql::Integer(i64::try_from(page.limit).unwrap_or(i64::MAX)));
        values.push(Sql::Integer(i64::try_from(page.offset).unwrap_or(i64::MAX)));
        let sql = format!(
            "SELECT {COLUMNS} FROM memories AS m JOIN versions AS v ON v.seq = m.version_seq
             WHERE {conditions} ORDER BY m.rowid DESC LIMIT ? OFFSET ?"
        );
        self.rows(&sql, values)
    }

    pub(super) fn rows(&self, sql: &str, values: Vec<Sql>) -> Result<Vec<Placed>, StoreError> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(memory_of(row)?);
        }
        Ok(found)
    }

    fn current(&self, id: MemoryId) -> Result<Current, StoreError> {
        let found = self
            .conn
            .prepare_cached(
                "SELECT m.rowid, m.namespace, v.version_id, v.body, v.author
                 FROM memories AS m JOIN versions AS v ON v.seq = m.version_seq WHERE m.id = ?1",
            )?
            .query_row([id.as_bytes().as_slice()], |row| {
                let (rowid, author, namespace) = (row.get(0)?, row.get(4)?, row.get(1)?);
                let version_id = hex::encode(row.get::<_, Vec<u8>>(2)?);
                let body = parse_body(row.get::<_, Option<String>>(3)?.as_deref());
                Ok(body.map(|body| Current {
                    rowid,
                    author,
                    namespace,
                    version_id,
                    body,
                }))
            })
            .optional()?;
        found.ok_or_else(|| not_found(id))?
    }
}

impl WriteContext<'_> {
    /// Stores a new memory under an id of its own: a title overwrites nothing.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn create_memory(&mut self, draft: &MemoryDraft) -> Result<Stored, StoreError> {
        let id = self.next_object_id();
        let stored = self.put_new(id, draft.namespace(), draft.body().clone())?;
        self.announce("memory.created", &stored)?;
        Ok(stored)
    }

    /// Takes in a memory with the id and the times it had elsewhere; `None`: that id is known.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn import_memory(
        &mut self,
        id: MemoryId,
        draft: &MemoryDraft,
    ) -> Result<Option<Stored>, StoreError> {
        let known: Option<i64> = self
            .conn
            .prepare_cached("SELECT 1 FROM versions WHERE object_id = ?1 LIMIT 1")?
            .query_row([id.as_bytes().as_slice()], |row| row.get(0))
            .optional()?;
        if known.is_some() {
            return Ok(None);
        }
        self.put_new(id, draft.namespace(), draft.body().clone())
            .map(Some)
    }

    /// Changes a memory; `expected` is the version that the caller believes to be current.
    ///
    /// # Errors
    /// When there is none, when it has changed, or when the database refuses.
    pub fn update_memory(
        &mut self,
        id: MemoryId,
        patch: MemoryPatch,
        expected: Option<&str>,
    ) -> Result<Stored, StoreError> {
        let stored = self.change(id, patch, expected)?;
        self.announce("memory.updated", &stored)?;
        Ok(stored)
    }

    /// Keeps a memory for ever.
    ///
    /// # Errors
    /// When there is none, or when the database refuses.
    pub fn promote_memory(&mut self, id: MemoryId) -> Result<Stored, StoreError> {
        let stored = self.change(id, MemoryPatch::to_tier(Tier::Long), None)?;
        self.announce("memory.promoted", &stored)?;
        Ok(stored)
    }

    fn change(
        &mut self,
        id: MemoryId,
        patch: MemoryPatch,
        expected: Option<&str>,
    ) -> Result<Stored, StoreError> {
        let current = self.current_as_expected(id, expected)?;
        let namespace: Namespace = current.namespace.parse()?;
        let (namespace, body) = patch.apply(namespace, current.body, self.now);
        let json = serde_json::to_string(&body).map_err(|e| StoreError::Database(e.to_string()))?;
        let appended = self.append(Entry {
            kind: Kind::Memory,
            op: Op::Put,
            id,
            namespace: namespace.as_str(),
            parents: vec![current.version_id],
            meta: BTreeMap::new(),
            body: Some(&json),
        })?;
        self.show_other(current.rowid, appended.seq, namespace.as_str(), &body)?;
        Ok(stored(id, &appended, &namespace, body))
    }

    /// Deletes a memory: a signed tombstone stays, its texts are erased, its links go.
    ///
    /// # Errors
    /// When there is none, when it has changed, or when the database refuses.
    pub fn delete_memory(
        &mut self,
        id: MemoryId,
        expected: Option<&str>,
        reason: &str,
    ) -> Result<Stored, StoreError> {
        let current = self.current_as_expected(id, expected)?;
        self.delete_links_of(id)?;
        let appended = self.append(Entry {
            kind: Kind::Memory,
            op: Op::Delete,
            id,
            namespace: &current.namespace,
            parents: self.heads_of(id, current.version_id)?,
            meta: BTreeMap::from([("reason".to_owned(), reason.to_owned())]),
            body: None,
        })?;
        self.hide(id, current.rowid)?;
        self.erase(id)?;
        let namespace: Namespace = current.namespace.parse()?;
        let stored = stored(id, &appended, &namespace, current.body);
        self.announce(&format!("memory.{reason}"), &stored)?;
        Ok(stored)
    }

    /// Notes that a recall brought these memories up.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn touch(&mut self, ids: &[MemoryId]) -> Result<(), StoreError> {
        let mut statement = self.conn.prepare_cached(
            "UPDATE memories SET access_count = access_count + 1, last_accessed_us = ?2
             WHERE id = ?1",
        )?;
        for id in ids {
            statement.execute(params![id.as_bytes().as_slice(), self.now.as_micros()])?;
        }
        Ok(())
    }

    /// The ids of at most `limit` memories that have expired and whose last version was made here:
    /// each node buries its own.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn expired(&self, limit: usize) -> Result<Vec<MemoryId>, StoreError> {
        let mut statement = self.conn.prepare_cached(
            "SELECT m.id FROM memories AS m JOIN versions AS v ON v.seq = m.version_seq
             WHERE m.expires_us IS NOT NULL AND m.expires_us <= ?1 AND v.author = ?2
             ORDER BY m.expires_us LIMIT ?3",
        )?;
        let mut ids = Vec::new();
        for key in self.own_keys() {
            let left = i64::try_from(limit - ids.len()).unwrap_or(i64::MAX);
            let rows = statement
                .query_map(params![self.now.as_micros(), key.as_slice(), left], |row| {
                    row.get::<_, [u8; 16]>(0)
                })?;
            for id in rows {
                ids.push(MemoryId::from_bytes(id?));
            }
        }
        Ok(ids)
    }

    /// Tells the subscribers: names and numbers, never the texts.
    fn announce(&self, event: &str, stored: &Stored) -> Result<(), StoreError> {
        let facts = || {
            serde_json::json!({
                "id": stored.id, "namespace": stored.namespace, "title": stored.body.title,
                "tier": stored.body.tier, "agent_id": stored.body.agent_id,
                "version_id": stored.version_id,
            })
        };
        self.emit(
            event,
            stored.id,
            &stored.namespace,
            &stored.body.agent_id,
            facts,
        )
    }

    fn current_as_expected(
        &self,
        id: MemoryId,
        expected: Option<&str>,
    ) -> Result<Current, StoreError> {
        let current = self.read().current(id)?;
        if expected.is_some_and(|expected| expected != current.version_id) {
            return Err(StoreError::VersionMismatch {
                current: current.version_id,
            });
        }
        // Whose version is current may change it; only for others' it takes a look at the root.
        if current.author != *self.own_key() {
            self.require_editor(id)?;
        }
        Ok(current)
    }

    fn put_new(
        &mut self,
        id: MemoryId,
        namespace: &Namespace,
        body: MemoryBody,
    ) -> Result<Stored, StoreError> {
        let json = serde_json::to_string(&body).map_err(|e| StoreError::Database(e.to_string()))?;
        let appended = self.append(Entry {
            kind: Kind::Memory,
            op: Op::Put,
            id,
            namespace: namespace.as_str(),
            parents: Vec::new(),
            meta: self.editors_of(namespace.as_str()),
            body: Some(&json),
        })?;
        self.show_new(id, appended.seq, namespace.as_str(), &body)?;
        Ok(stored(id, &appended, namespace, body))
    }

    /// Takes the texts out of every version of an object; what was signed stays.
    pub(super) fn erase(&self, id: MemoryId) -> Result<(), StoreError> {
        self.conn
            .prepare_cached("UPDATE versions SET body = NULL, salt = NULL WHERE object_id = ?1")?
            .execute([id.as_bytes().as_slice()])?;
        Ok(())
    }
}

/// A memory out of a row of [`COLUMNS`].
pub(super) fn memory_of(row: &Row<'_>) -> Result<Placed, StoreError> {
    let id: [u8; 16] = row.get(0)?;
    let version_id: Vec<u8> = row.get(4)?;
    let body: Option<String> = row.get(5)?;
    let body = parse_body(body.as_deref())?;
    let last_accessed: Option<i64> = row.get(3)?;
    let mut metadata = body.metadata;
    metadata
        .entry("agent_id")
        .or_insert_with(|| body.agent_id.clone().into());
    Ok(Placed {
        memory: Memory {
            id: MemoryId::from_bytes(id),
            tier: body.tier,
            namespace: row.get(1)?,
            title: body.title,
            content: body.content,
            tags: body.tags,
            priority: body.priority,
            confidence: body.confidence,
            source: body.source,
            access_count: row.get(2)?,
            created_at: body.created_at,
            updated_at: body.updated_at,
            last_accessed_at: last_accessed.map(Timestamp::from_micros),
            expires_at: body.expires_at,
            metadata,
            agent_id: body.agent_id,
            version_id: hex::encode(version_id),
        },
        place: row.get(6)?,
    })
}

pub(super) fn parse_body(body: Option<&str>) -> Result<MemoryBody, StoreError> {
    let body = body.ok_or_else(|| StoreError::damaged("a current version has no body"))?;
    serde_json::from_str(body).map_err(StoreError::damaged)
}

fn stored(id: MemoryId, appended: &Appended, namespace: &Namespace, body: MemoryBody) -> Stored {
    Stored {
        id,
        version_id: appended.version_id.to_string(),
        namespace: namespace.as_str().to_owned(),
        body,
    }
}

pub(super) fn not_found(id: MemoryId) -> StoreError {
    StoreError::NotFound {
        what: "memory",
        id: id.to_string(),
    }
}
