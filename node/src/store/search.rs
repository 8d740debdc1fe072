//! Full-text search (FTS5, BM25) and recall.
//!
//! A query that more than [`BROAD`] memories match says little about any of them, and ranking them
//! all costs milliseconds: then hits in the title come first, and the newest first among equals.
//! The answer says which order it is in.

use rusqlite::types::Value as Sql;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::StoreError;
use super::memories::{COLUMNS, Filter, Placed};
use super::reader::ReadContext;
use crate::model::limits;

/// Matches up to which BM25 decides.
pub const BROAD: usize = 1000;
/// Words of a query that count; the others are left out.
const WORDS: usize = 64;

/// How the words of a query are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// A memory must hold all words: search.
    All,
    /// A memory must hold any word: recall.
    Any,
}

/// In which order results are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ranking {
    /// Best first, by BM25.
    Bm25,
    /// Too many matched: hits in the title first, then the newest.
    Newest,
}

/// What a search found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The memories, best first.
    pub memories: Vec<Placed>,
    /// How they are ordered.
    pub ranking: Ranking,
}

/// Where to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Index {
    /// In titles alone: short, however many texts hold a word.
    Titles,
    /// In titles, contents and tags.
    Texts,
}

/// A query as FTS5 takes it; only [`FtsQuery::parse`] makes one, so no operator of FTS5 gets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FtsQuery(String);

impl FtsQuery {
    /// Takes words, `"phrases in quotes"` and `prefix*`; `None`: not one word is in it.
    #[must_use]
    pub fn parse(text: &str, how: Match) -> Option<Self> {
        let mut terms: Vec<String> = Vec::new();
        for (index, part) in text.split('"').enumerate() {
            if how == Match::All && index % 2 == 1 {
                push_term(&mut terms, part, false);
                continue;
            }
            for word in part.split_whitespace() {
                let prefix = how == Match::All && word.ends_with('*');
                push_term(&mut terms, word.trim_end_matches('*'), prefix);
            }
        }
        terms.truncate(WORDS);
        if terms.is_empty() {
            return None;
        }
        Some(Self(terms.join(match how {
            Match::All => " AND ",
            Match::Any => " OR ",
        })))
    }
}

fn push_term(terms: &mut Vec<String>, text: &str, prefix: bool) {
    // unicode61 indexes letters and digits; a term without one would match nothing.
    if !text.chars().any(char::is_alphanumeric) {
        return;
    }
    let quoted = format!(
        "\"{}\"{}",
        text.replace(['"', '\0'], " "),
        if prefix { "*" } else { "" }
    );
    if !terms.contains(&quoted) {
        terms.push(quoted);
    }
}

impl ReadContext<'_> {
    /// The memories that match and pass the filter, at most `limit`, best first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn search(
        &self,
        query: &FtsQuery,
        filter: &Filter,
        limit: usize,
    ) -> Result<Found, StoreError> {
        let limit = limit.min(limits::PAGE_ROWS);
        if self.is_broad(query)? {
            let memories = self.newest(query, filter, limit)?;
            return Ok(Found {
                memories,
                ranking: Ranking::Newest,
            });
        }
        let (conditions, mut values) = filter.conditions(self.now);
        values.insert(0, Sql::Text(query.0.clone()));
        values.push(Sql::Integer(i64::try_from(limit).unwrap_or(i64::MAX)));
        let sql = format!(
            "SELECT {COLUMNS} FROM memories_fts AS f
             JOIN memories AS m ON m.rowid = f.rowid
             JOIN versions AS v ON v.seq = m.version_seq
             WHERE f.memories_fts MATCH ? AND {conditions}
             ORDER BY f.rank LIMIT ?"
        );
        let memories = self.rows(&sql, values)?;
        Ok(Found {
            memories,
            ranking: Ranking::Bm25,
        })
    }

    fn is_broad(&self, query: &FtsQuery) -> Result<bool, StoreError> {
        let mut statement = self.conn.prepare_cached(
            "SELECT rowid FROM memories_fts WHERE memories_fts MATCH ?1 LIMIT 1 OFFSET ?2",
        )?;
        let offset = i64::try_from(BROAD).unwrap_or(i64::MAX);
        Ok(statement.exists(rusqlite::params![query.0, offset])?)
    }

    /// Hits in the title, newest first, then all others, newest first.
    fn newest(
        &self,
        query: &FtsQuery,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<Placed>, StoreError> {
        let mut found = self.newest_of(Index::Titles, query, filter, limit)?;
        if found.len() < limit {
            // The titles found may come again among the others: ask for that many more.
            let others = self.newest_of(Index::Texts, query, filter, limit + found.len())?;
            let known: Vec<i64> = found.iter().map(|placed| placed.place).collect();
            let missing = limit - found.len();
            found.extend(
                others
                    .into_iter()
                    .filter(|placed| !known.contains(&placed.place))
                    .take(missing),
            );
        }
        Ok(found)
    }

    fn newest_of(
        &self,
        index: Index,
        query: &FtsQuery,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<Placed>, StoreError> {
        let (conditions, mut values) = filter.conditions(self.now);
        values.insert(0, Sql::Text(query.0.clone()));
        values.push(Sql::Integer(i64::try_from(limit).unwrap_or(i64::MAX)));
        let index = match index {
            Index::Titles => "titles_fts",
            Index::Texts => "memories_fts",
        };
        let sql = format!(
            "SELECT {COLUMNS} FROM {index} AS f
             CROSS JOIN memories AS m ON m.rowid = f.rowid
             CROSS JOIN versions AS v ON v.seq = m.version_seq
             WHERE f.{index} MATCH ? AND {conditions}
             ORDER BY f.rowid DESC LIMIT ?"
        );
        self.rows(&sql, values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_of_fts5_are_taken_as_words() {
        let query = FtsQuery::parse(r#"a NOT b* "c d" title:x -"#, Match::All).unwrap();
        assert_eq!(query.0, r#""a" AND "NOT" AND "b"* AND "c d" AND "title:x""#);
    }

    #[test]
    fn a_query_without_a_word_is_none() {
        for text in ["", "  ", "\"\"", "*** - ()", "\""] {
            assert_eq!(FtsQuery::parse(text, Match::All), None, "{text}");
        }
    }

    #[test]
    fn recall_takes_any_word_once() {
        let query = FtsQuery::parse("red red green", Match::Any).unwrap();
        assert_eq!(query.0, r#""red" OR "green""#);
    }
}
