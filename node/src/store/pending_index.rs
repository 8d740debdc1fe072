//! Changes of the search index that wait for the end of their commit group.
//!
//! FTS5 writes a segment of its own whenever a SAVEPOINT begins, and merging such crumbs costs more
//! than all the rest of a write. So a command only notes what it changes; the writer puts the notes
//! of all commands into the index at once, after their last SAVEPOINT and before the COMMIT. A
//! write that must see its own words in the index does not exist, and must not be made.

use std::cell::RefCell;
use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::error::StoreError;
use crate::model::MemoryBody;

/// Bytes of text that may wait; more are put into the index between two commands.
const WAITING_BYTES: usize = 1024 * 1024;

/// The words of one memory, as they are indexed.
#[derive(Debug)]
struct Text {
    title: String,
    content: String,
    tags: String,
}

/// What becomes of one place of the index.
#[derive(Debug)]
struct Change {
    /// The index held something there before the group.
    known: bool,
    /// What it holds afterwards; `None`: nothing.
    text: Option<Text>,
}

/// One noted step of a command.
#[derive(Debug)]
enum Step {
    Put(Text),
    Remove,
}

/// The notes of one group, by place, and those of the command that runs.
#[derive(Debug, Default)]
pub(super) struct PendingIndex {
    group: BTreeMap<i64, Change>,
    command: RefCell<Vec<(i64, Step)>>,
    bytes: usize,
}

impl PendingIndex {
    /// Notes that a new place, or one that was removed before, gets these words.
    pub(super) fn put(&self, rowid: i64, body: &MemoryBody) {
        let text = Text {
            title: body.title.clone(),
            content: body.content.clone(),
            tags: body.tags.join(" "),
        };
        self.command.borrow_mut().push((rowid, Step::Put(text)));
    }

    /// Notes that a place is emptied.
    pub(super) fn remove(&self, rowid: i64) {
        self.command.borrow_mut().push((rowid, Step::Remove));
    }

    /// The command stands: its notes become the group's.
    pub(super) fn keep(&mut self) {
        for (rowid, step) in self.command.get_mut().drain(..) {
            match step {
                Step::Put(text) => {
                    self.bytes += text.title.len() + text.content.len() + text.tags.len();
                    let change = self.group.entry(rowid).or_insert(Change {
                        known: false,
                        text: None,
                    });
                    change.text = Some(text);
                }
                Step::Remove => {
                    self.group
                        .entry(rowid)
                        .or_insert(Change {
                            known: true,
                            text: None,
                        })
                        .text = None;
                }
            }
        }
    }

    /// The command was taken back, and its notes with it.
    pub(super) fn forget_command(&mut self) {
        self.command.get_mut().clear();
    }

    /// The whole group was taken back.
    pub(super) fn forget_all(&mut self) {
        *self = Self::default();
    }

    /// Whether so much waits that it should not wait longer.
    pub(super) fn is_large(&self) -> bool {
        self.bytes > WAITING_BYTES
    }

    /// Puts the notes into the index. No SAVEPOINT may be open.
    ///
    /// # Errors
    /// When the database refuses; the group must then be taken back.
    pub(super) fn apply(&mut self, conn: &Connection) -> Result<(), StoreError> {
        if self.group.is_empty() {
            return Ok(());
        }
        let group = std::mem::take(&mut self.group);
        self.bytes = 0;
        // Removals first: they speak of what is on the disk. Then the rest in ascending order,
        // which FTS5 takes in without a break.
        let mut delete = conn.prepare_cached("DELETE FROM memories_fts WHERE rowid = ?1")?;
        let mut delete_title = conn.prepare_cached("DELETE FROM titles_fts WHERE rowid = ?1")?;
        for (rowid, _) in group.iter().filter(|(_, change)| change.known) {
            delete.execute([rowid])?;
            delete_title.execute([rowid])?;
        }
        let mut insert = conn.prepare_cached(
            "INSERT INTO memories_fts (rowid, title, content, tags) VALUES (?1, ?2, ?3, ?4)",
        )?;
        for (rowid, change) in &group {
            if let Some(text) = &change.text {
                insert.execute(params![rowid, text.title, text.content, text.tags])?;
            }
        }
        let mut insert =
            conn.prepare_cached("INSERT INTO titles_fts (rowid, title) VALUES (?1, ?2)")?;
        for (rowid, change) in &group {
            if let Some(text) = &change.text {
                insert.execute(params![rowid, text.title])?;
            }
        }
        Ok(())
    }
}
