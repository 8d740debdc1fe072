//! Links between memories: signed like memories, shown with their signature.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension as _, params};

use super::append::Entry;
use super::error::StoreError;
use super::memories::not_found;
use super::reader::ReadContext;
use super::writer::WriteContext;
use crate::clock::Timestamp;
use crate::identity::version::{Kind, Op};
use crate::model::{InvalidInput, Link, LinkBody, MemoryId, NewLink, Relation};

const COLUMNS: &str = "l.source_id, l.target_id, l.relation, l.created_us, v.author, v.signature";

fn link_of(row: &rusqlite::Row<'_>) -> Result<Link, StoreError> {
    let relation: String = row.get(2)?;
    Ok(Link {
        source_id: MemoryId::from_bytes(row.get(0)?),
        target_id: MemoryId::from_bytes(row.get(1)?),
        relation: Relation::from_name(&relation)
            .ok_or_else(|| StoreError::damaged(format!("`{relation}` is no relation")))?,
        created_at: Timestamp::from_micros(row.get(3)?),
        observed_by: hex::encode(row.get::<_, Vec<u8>>(4)?),
        signature: hex::encode(row.get::<_, Vec<u8>>(5)?),
    })
}

impl ReadContext<'_> {
    /// The links from and to a memory, oldest first; empty: it has none, or there is no such memory.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn links_of(&self, id: MemoryId) -> Result<Vec<Link>, StoreError> {
        let mut statement = self.conn.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM links AS l JOIN versions AS v ON v.seq = l.version_seq
             WHERE (l.source_id = ?1 OR l.target_id = ?1)
               AND EXISTS (SELECT 1 FROM memories AS m WHERE m.id = l.source_id)
               AND EXISTS (SELECT 1 FROM memories AS m WHERE m.id = l.target_id)
             ORDER BY l.version_seq"
        ))?;
        let mut rows = statement.query([id.as_bytes().as_slice()])?;
        let mut links = Vec::new();
        while let Some(row) = rows.next()? {
            links.push(link_of(row)?);
        }
        Ok(links)
    }

    /// At most `limit` links that were made after the place `after`, each with its own place.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn links_after(&self, after: i64, limit: usize) -> Result<Vec<(i64, Link)>, StoreError> {
        let mut statement = self.conn.prepare_cached(&format!(
            "SELECT {COLUMNS}, l.version_seq FROM links AS l
             JOIN versions AS v ON v.seq = l.version_seq
             WHERE l.version_seq > ?1
               AND EXISTS (SELECT 1 FROM memories AS m WHERE m.id = l.source_id)
               AND EXISTS (SELECT 1 FROM memories AS m WHERE m.id = l.target_id)
             ORDER BY l.version_seq LIMIT ?2"
        ))?;
        let mut rows = statement.query(params![after, i64::try_from(limit).unwrap_or(i64::MAX)])?;
        let mut links = Vec::new();
        while let Some(row) = rows.next()? {
            links.push((row.get(6)?, link_of(row)?));
        }
        Ok(links)
    }

    /// Where a memory is, and whose.
    fn place_of(&self, id: MemoryId) -> Result<(String, String), StoreError> {
        self.conn
            .prepare_cached("SELECT namespace, agent_id FROM memories WHERE id = ?1")?
            .query_row([id.as_bytes().as_slice()], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?
            .ok_or_else(|| not_found(id))
    }
}

impl WriteContext<'_> {
    /// Links two memories; `false`: they were linked so before, and nothing was written.
    ///
    /// # Errors
    /// When one of them is not there, when both are one, or when the database refuses.
    pub fn create_link(&mut self, link: &NewLink) -> Result<bool, StoreError> {
        if link.source_id == link.target_id {
            return Err(InvalidInput::new("target_id", "is the source itself").into());
        }
        let (namespace, agent) = self.read().place_of(link.source_id)?;
        self.read().place_of(link.target_id)?;
        if self.link_id(link)?.is_some() {
            return Ok(false);
        }
        let id = self.next_object_id();
        let body = LinkBody {
            created_at: self.now,
            relation: link.relation,
            source_id: link.source_id,
            target_id: link.target_id,
        };
        let json = serde_json::to_string(&body).map_err(|e| StoreError::Database(e.to_string()))?;
        let appended = self.append(Entry {
            kind: Kind::Link,
            op: Op::Put,
            id,
            namespace: &namespace,
            parents: Vec::new(),
            meta: BTreeMap::new(),
            body: Some(&json),
        })?;
        self.show_link(id, appended.seq, &body)?;
        let facts = serde_json::json!({
            "source_id": link.source_id, "target_id": link.target_id, "relation": link.relation,
            "namespace": namespace, "agent_id": agent,
        });
        self.emit("link.created", link.source_id, &namespace, &agent, || facts)?;
        Ok(true)
    }

    /// Takes a link away; `false`: there was none.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn delete_link(&mut self, link: &NewLink) -> Result<bool, StoreError> {
        let mut deleted = false;
        while let Some(id) = self.link_id(link)? {
            // Where others observed the same link, theirs stays, and is said to be theirs.
            if deleted && !self.may_change(id)? {
                break;
            }
            self.require_editor(id)?;
            self.delete_link_by_id(id)?;
            deleted = true;
        }
        Ok(deleted)
    }

    /// Takes away every link from and to a memory.
    pub(super) fn delete_links_of(&mut self, id: MemoryId) -> Result<(), StoreError> {
        let ids: Vec<MemoryId> = {
            let mut statement = self
                .conn
                .prepare_cached("SELECT id FROM links WHERE source_id = ?1 OR target_id = ?1")?;
            let rows =
                statement.query_map([id.as_bytes().as_slice()], |row| row.get::<_, [u8; 16]>(0))?;
            rows.map(|id| id.map(MemoryId::from_bytes))
                .collect::<Result<_, _>>()?
        };
        for id in ids {
            // A link that another node made is hidden with the memory; only its maker takes it away.
            if self.may_change(id)? {
                self.delete_link_by_id(id)?;
            }
        }
        Ok(())
    }

    fn link_id(&self, link: &NewLink) -> Result<Option<MemoryId>, StoreError> {
        let id: Option<[u8; 16]> = self
            .conn
            .prepare_cached(
                "SELECT id FROM links WHERE source_id = ?1 AND target_id = ?2 AND relation = ?3",
            )?
            .query_row(
                params![
                    link.source_id.as_bytes().as_slice(),
                    link.target_id.as_bytes().as_slice(),
                    link.relation.as_str()
                ],
                |row| row.get(0),
            )
            .optional()?;
        Ok(id.map(MemoryId::from_bytes))
    }

    fn delete_link_by_id(&mut self, id: MemoryId) -> Result<(), StoreError> {
        let (version_id, namespace): (Vec<u8>, Option<String>) = self
            .conn
            .prepare_cached(
                "SELECT v.version_id, m.namespace FROM links AS l
                 JOIN versions AS v ON v.seq = l.version_seq
                 LEFT JOIN memories AS m ON m.id = l.source_id WHERE l.id = ?1",
            )?
            .query_row([id.as_bytes().as_slice()], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        self.append(Entry {
            kind: Kind::Link,
            op: Op::Delete,
            id,
            namespace: namespace.as_deref().unwrap_or("global"),
            parents: vec![hex::encode(version_id)],
            meta: BTreeMap::new(),
            body: None,
        })?;
        self.conn
            .prepare_cached("DELETE FROM links WHERE id = ?1")?
            .execute([id.as_bytes().as_slice()])?;
        self.erase(id)
    }
}
