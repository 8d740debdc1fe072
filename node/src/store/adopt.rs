//! Taking memories out of another program's plaintext database: a table `memories` in the form of
//! `ai-memory`, attached as `other`. Columns that are not there keep their default.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use serde_json::{Map, Value};

use super::error::StoreError;
use super::key::Passphrase;
use super::lifecycle::{OpenOptions, Store};
use super::open_error::OpenError;
use crate::clock::{SystemClock, Timestamp};
use crate::model::{Memory, MemoryDraft, Tier};

/// Memories in one commit.
const AT_ONCE: usize = 500;

/// The memories of the attached database, and how many rows cannot be read as one; `None`: it has
/// no such table.
pub(super) fn rows(conn: &Connection) -> Result<Option<(Vec<Memory>, usize)>, OpenError> {
    let columns: BTreeSet<String> = {
        let mut statement =
            conn.prepare("SELECT name FROM pragma_table_info('memories', 'other')")?;
        let names = statement.query_map([], |row| row.get(0))?;
        names.collect::<Result<_, _>>()?
    };
    if !["id", "title", "content"]
        .iter()
        .all(|name| columns.contains(*name))
    {
        return Ok(None);
    }
    let mut statement = conn.prepare("SELECT * FROM other.memories")?;
    let mut rows = statement.query([])?;
    let (mut memories, mut unreadable) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        match memory_of(row, &columns) {
            Some(memory) => memories.push(memory),
            None => unreadable += 1,
        }
    }
    Ok(Some((memories, unreadable)))
}

fn memory_of(row: &Row<'_>, columns: &BTreeSet<String>) -> Option<Memory> {
    let text = |name: &str| -> Option<String> {
        if !columns.contains(name) {
            return None;
        }
        match row.get_ref(name).ok()? {
            ValueRef::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
            _ => None,
        }
    };
    let moment = |name: &str| text(name).and_then(|text| text.parse::<Timestamp>().ok());
    let number = |name: &str| {
        columns
            .contains(name)
            .then(|| row.get::<_, i64>(name).ok())
            .flatten()
    };
    let created_at = moment("created_at")?;
    let metadata: Map<String, Value> = text("metadata")
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    let agent_id = metadata
        .get("agent_id")
        .and_then(Value::as_str)
        .unwrap_or("imported")
        .to_owned();
    Some(Memory {
        id: text("id")?.parse().ok()?,
        tier: text("tier")
            .and_then(|tier| Tier::from_name(&tier))
            .unwrap_or_default(),
        namespace: text("namespace").unwrap_or_else(|| "global".to_owned()),
        title: text("title")?,
        content: text("content")?,
        tags: text("tags")
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default(),
        priority: number("priority").unwrap_or(5),
        confidence: if columns.contains("confidence") {
            row.get("confidence").unwrap_or(1.0)
        } else {
            1.0
        },
        source: text("source").unwrap_or_else(|| "import".to_owned()),
        access_count: 0,
        created_at,
        updated_at: moment("updated_at").unwrap_or(created_at),
        last_accessed_at: None,
        expires_at: moment("expires_at"),
        metadata,
        agent_id,
        version_id: String::new(),
    })
}

/// Stores the memories in the database at `path`; returns how many were taken and refused.
pub(super) fn take_in(
    path: &Path,
    passphrase: &Passphrase,
    memories: Vec<Memory>,
) -> Result<(usize, usize), OpenError> {
    let store = Store::open(
        path,
        passphrase,
        OpenOptions {
            readers: 1,
            ..OpenOptions::default()
        },
        Arc::new(SystemClock),
    )?;
    let mut drafts = Vec::new();
    let mut refused = 0;
    for memory in memories {
        match MemoryDraft::check_imported(memory) {
            Ok(draft) => drafts.push(draft),
            Err(_) => refused += 1,
        }
    }
    let mut taken = 0;
    let stored = drafts.chunks(AT_ONCE).try_for_each(|chunk| {
        let chunk = chunk.to_vec();
        taken += store.write_blocking(move |write| {
            let mut new = 0;
            for (id, draft) in &chunk {
                new += usize::from(write.import_memory(*id, draft)?.is_some());
            }
            Ok(new)
        })?;
        Ok::<(), StoreError>(())
    });
    store.close();
    stored?;
    Ok((taken, refused))
}
