//! The transcript's rows: appending one, and checking all of them.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::error::StoreError;
use super::writer::WriteContext;
use crate::identity::keys::AuthorKey;
use crate::identity::transcript::{self, Row};

/// The action with which a node's old key names the next one.
pub(super) const ROTATED: &str = "author.rotated";

/// Where the transcript ends: rows and root.
pub(super) fn end(conn: &Connection) -> Result<(u64, [u8; 32]), StoreError> {
    let last: Option<(i64, [u8; 32])> = conn
        .query_row(
            "SELECT seq, root FROM transcript ORDER BY seq DESC LIMIT 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    match last {
        None => Ok((0, [0; 32])),
        Some((seq, root)) => Ok((u64::try_from(seq).map_err(StoreError::damaged)?, root)),
    }
}

impl WriteContext<'_> {
    /// Appends a row: what was done, and to whom and why.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn record<'d>(
        &mut self,
        action: &str,
        detail: impl IntoIterator<Item = (&'d str, String)>,
    ) -> Result<(), StoreError> {
        let facts = detail
            .into_iter()
            .map(|(name, fact)| (name.to_owned(), fact));
        let row = Row {
            action: action.to_owned(),
            at_us: self.now.as_micros(),
            author: hex::encode(self.own_key()),
            detail: facts.collect(),
            seq: self.state.transcript_seq + 1,
        };
        let failed = |e: serde_json::Error| StoreError::Database(e.to_string());
        let root = transcript::next_root(&self.state.transcript_root, &row).map_err(failed)?;
        let signature = self.log.secret().sign(&transcript::message(&root));
        self.conn
            .prepare_cached(
                "INSERT INTO transcript (seq, at_us, action, detail, author, root, signature)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                i64::try_from(row.seq).map_err(StoreError::damaged)?,
                row.at_us,
                row.action,
                serde_json::to_string(&row.detail).map_err(failed)?,
                self.own_key().as_slice(),
                root.as_slice(),
                signature.as_slice(),
            ])?;
        self.state.transcript_seq = row.seq;
        self.state.transcript_root = root;
        Ok(())
    }
}

/// What is wrong with the transcript: a gap, another root than its history gives, a signature.
pub(super) fn findings(conn: &Connection, own: &AuthorKey) -> Result<Vec<String>, StoreError> {
    let mut statement = conn.prepare(
        "SELECT seq, at_us, action, detail, author, root, signature FROM transcript ORDER BY seq",
    )?;
    let mut rows = statement.query([])?;
    let (mut found, mut before, mut expected) = (Vec::new(), [0_u8; 32], 1_u64);
    let mut signer: Option<String> = None;
    while let Some(row) = rows.next()? {
        let seq = u64::try_from(row.get::<_, i64>(0)?).map_err(StoreError::damaged)?;
        if seq != expected {
            found.push(format!("row {expected} is missing: the next one is {seq}"));
        }
        expected = seq.saturating_add(1);
        let author: [u8; 32] = row.get(4)?;
        let detail: BTreeMap<String, String> =
            serde_json::from_str(&row.get::<_, String>(3)?).map_err(StoreError::damaged)?;
        let read = Row {
            action: row.get(2)?,
            at_us: row.get(1)?,
            author: hex::encode(author),
            detail,
            seq,
        };
        let root: [u8; 32] = row.get(5)?;
        let signature: [u8; 64] = row.get(6)?;
        let computed = transcript::next_root(&before, &read)
            .map_err(|e| StoreError::Database(e.to_string()))?;
        if computed != root {
            found.push(format!(
                "row {seq} has another root hash than its history gives"
            ));
        }
        before = root;
        let message = transcript::message(&root);
        let signed = AuthorKey::from_bytes(&author)
            .is_ok_and(|key| key.verify(&message, &signature).is_ok());
        if !signed {
            found.push(format!("row {seq} is not signed by `{}`", read.author));
        }
        // The key may change only where the old one has named the next.
        if signer.get_or_insert_with(|| read.author.clone()) != &read.author {
            found.push(format!("row {seq} is signed by a key that nobody named"));
        }
        if read.action == ROTATED {
            signer = read.detail.get("new").cloned();
        }
    }
    if signer.is_some_and(|signer| signer != own.to_string()) {
        found.push("the last row's key is not this node's".to_owned());
    }
    Ok(found)
}
