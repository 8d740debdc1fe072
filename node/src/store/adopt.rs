//! Taking memories out of another program's plaintext database: tables `memories` and
//! `memory_links` in the form of `ai-memory`, attached as `other`. Columns that are not there keep
//! their default; a row that cannot be taken is named with the reason.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use serde::Serialize;
use serde_json::{Map, Value};

use super::error::StoreError;
use super::key::Passphrase;
use super::lifecycle::{OpenOptions, Store};
use super::open_error::OpenError;
use crate::clock::{SystemClock, Timestamp};
use crate::model::{Memory, MemoryDraft, NewLink, Relation, Tier};

/// Memories in one commit.
const AT_ONCE: usize = 500;

/// A row that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusedRow {
    /// `memories` or `memory_links`.
    pub table: &'static str,
    /// What the row is called there: its id, or the ids of both ends.
    pub row: String,
    /// Why it could not be taken.
    pub reason: String,
}

/// What another program's database holds.
#[derive(Default)]
pub(super) struct Found {
    memories: Vec<Memory>,
    links: Vec<NewLink>,
    refused: Vec<RefusedRow>,
}

/// What was taken of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Memories.
    pub memories: usize,
    /// Links.
    pub links: usize,
    /// Rows that were left out.
    pub refused: Vec<RefusedRow>,
}

/// What the attached database holds; `None`: it has no table of memories.
pub(super) fn rows(conn: &Connection) -> Result<Option<Found>, OpenError> {
    let Some(columns) = columns_of(conn, "memories", &["id", "title", "content"])? else {
        return Ok(None);
    };
    let mut found = Found::default();
    let refused = &mut found.refused;
    found.memories = read(conn, "memories", &columns, &["id"], refused, |row| {
        row.memory()
    })?;
    let ends = ["source_id", "target_id"];
    if let Some(columns) = columns_of(conn, "memory_links", &ends)? {
        found.links = read(conn, "memory_links", &columns, &ends, refused, |row| {
            row.link()
        })?;
    }
    Ok(Some(found))
}

/// What each row of a table says; those that cannot be read are refused by the columns `names`.
fn read<T>(
    conn: &Connection,
    table: &'static str,
    columns: &BTreeSet<String>,
    names: &[&str],
    refused: &mut Vec<RefusedRow>,
    what: impl Fn(&RowReader<'_>) -> Result<T, String>,
) -> Result<Vec<T>, OpenError> {
    let mut statement = conn.prepare(&format!("SELECT * FROM other.{table}"))?;
    let mut rows = statement.query([])?;
    let mut read = Vec::new();
    while let Some(row) = rows.next()? {
        let reader = RowReader { row, columns };
        match what(&reader) {
            Ok(found) => read.push(found),
            Err(reason) => {
                let shown: Vec<String> = names.iter().map(|name| reader.shown(name)).collect();
                refused.push(RefusedRow {
                    table,
                    row: shown.join(" -> "),
                    reason,
                });
            }
        }
    }
    Ok(read)
}

/// The columns of a table of the attached database; `None`: one that is needed is not there.
fn columns_of(
    conn: &Connection,
    table: &str,
    needed: &[&str],
) -> Result<Option<BTreeSet<String>>, OpenError> {
    let mut statement = conn.prepare("SELECT name FROM pragma_table_info(?1, 'other')")?;
    let names = statement.query_map([table], |row| row.get(0))?;
    let columns: BTreeSet<String> = names.collect::<Result<_, _>>()?;
    let whole = needed.iter().all(|name| columns.contains(*name));
    Ok(whole.then_some(columns))
}

/// Reads one row by the names of its columns.
struct RowReader<'a> {
    row: &'a Row<'a>,
    columns: &'a BTreeSet<String>,
}

impl RowReader<'_> {
    fn text(&self, name: &str) -> Option<String> {
        if !self.columns.contains(name) {
            return None;
        }
        match self.row.get_ref(name).ok()? {
            ValueRef::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
            _ => None,
        }
    }

    fn shown(&self, name: &str) -> String {
        self.text(name).unwrap_or_else(|| "(no text)".to_owned())
    }

    fn needed(&self, name: &str) -> Result<String, String> {
        self.text(name)
            .ok_or_else(|| format!("`{name}` is no text"))
    }

    fn moment(&self, name: &str) -> Result<Option<Timestamp>, String> {
        self.text(name)
            .map(|text| {
                text.parse()
                    .map_err(|_| format!("`{name}` is no time: `{text}`"))
            })
            .transpose()
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.columns
            .contains(name)
            .then(|| self.row.get(name).ok())
            .flatten()
    }

    /// A JSON document in a column; an absent or empty one is the default.
    fn json<T: serde::de::DeserializeOwned + Default>(&self, name: &str) -> Result<T, String> {
        match self.text(name) {
            None => Ok(T::default()),
            Some(text) if text.is_empty() => Ok(T::default()),
            Some(text) => serde_json::from_str(&text).map_err(|error| format!("`{name}`: {error}")),
        }
    }

    fn memory(&self) -> Result<Memory, String> {
        let created_at = self
            .moment("created_at")?
            .ok_or("`created_at` is no text")?;
        let metadata: Map<String, Value> = self.json("metadata")?;
        let agent_id = metadata
            .get("agent_id")
            .and_then(Value::as_str)
            .unwrap_or("imported")
            .to_owned();
        let tier = match self.text("tier") {
            None => Tier::default(),
            Some(name) => Tier::from_name(&name).ok_or_else(|| format!("`{name}` is no tier"))?,
        };
        Ok(Memory {
            id: self
                .needed("id")?
                .parse()
                .map_err(|error| format!("`id`: {error}"))?,
            tier,
            namespace: self
                .text("namespace")
                .unwrap_or_else(|| "global".to_owned()),
            title: self.needed("title")?,
            content: self.needed("content")?,
            tags: self.json("tags")?,
            priority: self.number("priority").unwrap_or(5),
            confidence: if self.columns.contains("confidence") {
                self.row.get("confidence").unwrap_or(1.0)
            } else {
                1.0
            },
            source: self.text("source").unwrap_or_else(|| "import".to_owned()),
            access_count: 0,
            created_at,
            updated_at: self.moment("updated_at")?.unwrap_or(created_at),
            last_accessed_at: None,
            expires_at: self.moment("expires_at")?,
            metadata,
            agent_id,
            version_id: String::new(),
        })
    }

    fn link(&self) -> Result<NewLink, String> {
        let end = |name: &str| {
            self.needed(name)?
                .parse()
                .map_err(|error| format!("`{name}`: {error}"))
        };
        let relation = match self.text("relation") {
            None => Relation::default(),
            Some(name) => {
                Relation::from_name(&name).ok_or_else(|| format!("`{name}` is no relation"))?
            }
        };
        Ok(NewLink {
            source_id: end("source_id")?,
            target_id: end("target_id")?,
            relation,
        })
    }
}

/// Stores what was found in the database at `path`.
pub(super) fn take_in(
    path: &Path,
    passphrase: &Passphrase,
    found: Found,
) -> Result<Taken, OpenError> {
    let store = Store::open(
        path,
        passphrase,
        OpenOptions {
            readers: 1,
            ..OpenOptions::default()
        },
        Arc::new(SystemClock),
    )?;
    let taken = fill(&store, found);
    store.close();
    Ok(taken?)
}

fn fill(store: &Store, found: Found) -> Result<Taken, StoreError> {
    let mut taken = Taken {
        refused: found.refused,
        ..Taken::default()
    };
    let mut drafts = Vec::new();
    for memory in found.memories {
        let row = memory.id.to_string();
        match MemoryDraft::check_imported(memory) {
            Ok(draft) => drafts.push(draft),
            Err(error) => taken.refused.push(RefusedRow {
                table: "memories",
                row,
                reason: error.to_string(),
            }),
        }
    }
    for chunk in drafts.chunks(AT_ONCE) {
        let chunk = chunk.to_vec();
        taken.memories += store.write_blocking(move |write| {
            let mut new = 0;
            for (id, draft) in &chunk {
                new += usize::from(write.import_memory(*id, draft)?.is_some());
            }
            Ok(new)
        })?;
    }
    for chunk in found.links.chunks(AT_ONCE) {
        let chunk = chunk.to_vec();
        let (new, refused) = store.write_blocking(move |write| {
            let (mut new, mut refused) = (0, Vec::new());
            for link in &chunk {
                match write.create_link(link) {
                    Ok(created) => new += usize::from(created),
                    Err(error @ (StoreError::NotFound { .. } | StoreError::Invalid(_))) => {
                        refused.push(RefusedRow {
                            table: "memory_links",
                            row: format!("{} -> {}", link.source_id, link.target_id),
                            reason: error.to_string(),
                        });
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok((new, refused))
        })?;
        taken.links += new;
        taken.refused.extend(refused);
    }
    Ok(taken)
}
