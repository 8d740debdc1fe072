//! Counting: what `GET /stats` and `GET /namespaces` show.

use serde::Serialize;
use utoipa::ToSchema;

use super::error::StoreError;
use super::key::PAGE_BYTES;
use super::reader::ReadContext;
use crate::clock::Timestamp;

/// How many memories carry a name.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CountOf {
    /// The tier's or the namespace's name.
    pub name: String,
    /// Memories.
    pub count: i64,
}

/// The store in numbers.
#[derive(Clone, Debug)]
pub struct Stats {
    /// Memories that have not expired.
    pub total: i64,
    /// Of each tier.
    pub by_tier: Vec<CountOf>,
    /// Of each namespace.
    pub by_namespace: Vec<CountOf>,
    /// Memories that end within an hour.
    pub expiring_soon: i64,
    /// Links.
    pub links_count: i64,
    /// Versions in the log.
    pub versions: i64,
    /// Bytes of the database, its WAL included.
    pub db_size_bytes: u64,
}

const SOON_S: i64 = 3600;

impl ReadContext<'_> {
    /// Counts everything; `db_size_bytes` is what the database believes it has.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        let by_tier = self.count_by("tier")?;
        let pages: i64 = self.number("PRAGMA page_count")?;
        let soon = self.now.plus_seconds(SOON_S);
        let expiring_soon = self
            .conn
            .prepare_cached(
                "SELECT count(*) FROM memories WHERE expires_us > ?1 AND expires_us <= ?2",
            )?
            .query_row([self.now.as_micros(), soon.as_micros()], |row| row.get(0))?;
        Ok(Stats {
            total: by_tier.iter().map(|tier| tier.count).sum(),
            by_tier,
            by_namespace: self.namespaces()?,
            expiring_soon,
            links_count: self.number("SELECT count(*) FROM links")?,
            versions: self.number("SELECT coalesce(max(seq), 0) FROM versions")?,
            db_size_bytes: u64::try_from(pages)
                .unwrap_or(0)
                .saturating_mul(u64::try_from(PAGE_BYTES).unwrap_or(0)),
        })
    }

    /// Every namespace with the number of its memories, by name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn namespaces(&self) -> Result<Vec<CountOf>, StoreError> {
        self.count_by("namespace")
    }

    fn count_by(&self, column: &'static str) -> Result<Vec<CountOf>, StoreError> {
        let sql = format!(
            "SELECT {column}, count(*) FROM memories
             WHERE expires_us IS NULL OR expires_us > ?1 GROUP BY {column} ORDER BY {column}"
        );
        let mut statement = self.conn.prepare_cached(&sql)?;
        let rows = statement.query_map([Timestamp::as_micros(self.now)], |row| {
            Ok(CountOf {
                name: row.get(0)?,
                count: row.get(1)?,
            })
        })?;
        rows.map(|row| row.map_err(StoreError::from)).collect()
    }

    fn number(&self, sql: &str) -> Result<i64, StoreError> {
        Ok(self
            .conn
            .prepare_cached(sql)?
            .query_row([], |row| row.get(0))?)
    }
}
