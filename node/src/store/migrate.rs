//! From any older schema to the newest: one file a step, each in a transaction of its own.

use rusqlite::Connection;

use super::open_error::OpenError;

/// `HMEM`: what `PRAGMA application_id` of every database of ours says.
pub(super) const APPLICATION_ID: i64 = 0x484d_454d;

/// Every step, in order; the number of a step is the schema that it leads to.
const STEPS: &[(i64, &str)] = &[
    (1, include_str!("migrations/0001_initial.sql")),
    (2, include_str!("migrations/0002_idempotency.sql")),
    (3, include_str!("migrations/0003_webhooks.sql")),
    (4, include_str!("migrations/0004_federation.sql")),
    (5, include_str!("migrations/0005_outbox_order.sql")),
    (6, include_str!("migrations/0006_title_index.sql")),
];

/// The schema that this program writes.
#[must_use]
pub fn newest() -> i64 {
    STEPS.last().map_or(0, |(number, _)| *number)
}

/// The schema of an open database; 0: it is new.
pub(super) fn schema_of(conn: &Connection) -> Result<i64, OpenError> {
    Ok(conn.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

/// Brings the database to the newest schema; returns the one it had.
pub(super) fn run(conn: &Connection, path: &std::path::Path) -> Result<i64, OpenError> {
    let found = schema_of(conn)?;
    let application: i64 = conn.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if (found != 0 || tables != 0) && application != APPLICATION_ID {
        return Err(OpenError::Foreign(path.to_owned()));
    }
    if found > newest() {
        return Err(OpenError::TooNew {
            found,
            known: newest(),
        });
    }
    for (number, sql) in STEPS.iter().filter(|(number, _)| *number > found) {
        let step = format!(
            "BEGIN IMMEDIATE;\n{sql}\nPRAGMA application_id = {APPLICATION_ID};\nPRAGMA user_version = {number};\nCOMMIT;"
        );
        if let Err(error) = conn.execute_batch(&step) {
            if !conn.is_autocommit() {
                conn.execute_batch("ROLLBACK")?;
            }
            return Err(error.into());
        }
    }
    Ok(found)
}
