//! Holding the search index against the texts: it must hold exactly their words, and find them.
//!
//! FTS5's own check of a table without content only looks at the index's inner order. So the words
//! of all texts are indexed once more, slice by slice in memory, and both indices are summed up
//! over (term, memory, column, place); then each term is looked up the way a search does.

use rusqlite::{Connection, params};
use sha2::{Digest as _, Sha256};

use super::error::StoreError;
use crate::model::MemoryBody;

/// Memories indexed at once.
const SLICE: i64 = 5000;

/// What differs between the index and the texts; empty: nothing.
pub(super) fn findings(conn: &Connection) -> Result<Vec<String>, StoreError> {
    conn.execute_batch(
        "CREATE VIRTUAL TABLE temp.expected USING fts5 (title, content, tags, content = '',
             tokenize = 'unicode61 remove_diacritics 2');
         CREATE VIRTUAL TABLE temp.expected_words USING fts5vocab ('temp', 'expected', 'instance');
         CREATE VIRTUAL TABLE temp.words USING fts5vocab ('main', 'memories_fts', 'instance');
         CREATE VIRTUAL TABLE temp.terms USING fts5vocab ('main', 'memories_fts', 'row');
         CREATE VIRTUAL TABLE temp.title_words USING fts5vocab ('main', 'titles_fts', 'instance');
         CREATE VIRTUAL TABLE temp.title_terms USING fts5vocab ('main', 'titles_fts', 'row');",
    )?;
    let mut found = Vec::new();
    if sum(conn, "temp.words")? != expected(conn)? {
        found.push("the index does not hold the words of the texts".to_owned());
    }
    // What the large index says of the titles was held against the texts above.
    if sum(conn, "temp.title_words")? != sum(conn, "temp.words WHERE col = 'title'")? {
        found.push("the index of the titles does not hold their words".to_owned());
    }
    found.extend(lost_terms(conn, "memories_fts", "temp.terms")?);
    found.extend(lost_terms(conn, "titles_fts", "temp.title_terms")?);
    conn.execute_batch(
        "DROP TABLE temp.expected_words; DROP TABLE temp.words; DROP TABLE temp.terms;
         DROP TABLE temp.title_words; DROP TABLE temp.title_terms; DROP TABLE temp.expected;",
    )?;
    Ok(found)
}

fn expected(conn: &Connection) -> Result<u128, StoreError> {
    let mut total = 0_u128;
    let mut after = 0_i64;
    loop {
        let mut slice = conn.prepare_cached(
            "SELECT m.rowid, v.body FROM memories AS m JOIN versions AS v ON v.seq = m.version_seq
             WHERE m.rowid > ?1 ORDER BY m.rowid LIMIT ?2",
        )?;
        let mut rows = slice.query(params![after, SLICE])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            count += 1;
            after = row.get(0)?;
            let body: Option<String> = row.get(1)?;
            // A text that is missing or malformed is the projection's finding.
            let Some(body) = body.and_then(|body| serde_json::from_str::<MemoryBody>(&body).ok())
            else {
                continue;
            };
            conn.prepare_cached(
                "INSERT INTO temp.expected (rowid, title, content, tags) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                after,
                body.title,
                body.content,
                body.tags.join(" ")
            ])?;
        }
        total = total.wrapping_add(sum(conn, "temp.expected_words")?);
        conn.execute(
            "INSERT INTO temp.expected (expected) VALUES ('delete-all')",
            [],
        )?;
        if count < SLICE {
            return Ok(total);
        }
    }
}

/// A sum that does not depend on the order, so that slices can be added up.
fn sum(conn: &Connection, words: &'static str) -> Result<u128, StoreError> {
    let mut statement =
        conn.prepare_cached(&format!("SELECT term, doc, col, \"offset\" FROM {words}"))?;
    let mut rows = statement.query([])?;
    let mut total = 0_u128;
    while let Some(row) = rows.next()? {
        let mut hasher = Sha256::new();
        hasher.update(row.get_ref(0)?.as_bytes().map_err(StoreError::damaged)?);
        hasher.update([0]);
        hasher.update(row.get::<_, i64>(1)?.to_le_bytes());
        hasher.update(row.get_ref(2)?.as_bytes().map_err(StoreError::damaged)?);
        hasher.update(row.get::<_, i64>(3)?.to_le_bytes());
        let digest: [u8; 32] = hasher.finalize().into();
        let (part, _) = digest.split_at(16);
        let part: [u8; 16] = part.try_into().map_err(StoreError::damaged)?;
        total = total.wrapping_add(u128::from_le_bytes(part));
    }
    Ok(total)
}

/// Terms that are in the index, and that a search does not find as often.
fn lost_terms(
    conn: &Connection,
    index: &'static str,
    terms: &'static str,
) -> Result<Vec<String>, StoreError> {
    let mut statement = conn.prepare(&format!("SELECT term, doc FROM {terms}"))?;
    let count = format!("SELECT count(*) FROM {index} WHERE {index} MATCH ?1");
    let mut rows = statement.query([])?;
    let mut lost = Vec::new();
    while let Some(row) = rows.next()? {
        let term: String = row.get(0)?;
        let indexed: i64 = row.get(1)?;
        let found: i64 = conn
            .prepare_cached(&count)?
            .query_row([format!("\"{term}\"")], |row| row.get(0))?;
        if found != indexed {
            // The term is somebody's text: how often, not which.
            lost.push(format!("a term in {indexed} memories is found in {found}"));
        }
    }
    Ok(lost)
}
