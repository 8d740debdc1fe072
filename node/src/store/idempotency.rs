//! Doing a repeated request once: its answer is kept in the transaction that it was made by.

use rusqlite::{OptionalExtension as _, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::StoreError;
use super::writer::WriteContext;

/// How long an answer is kept, in seconds: a day.
const KEPT_S: i64 = 24 * 3600;

/// The key of a request, with the digest of what was asked for.
#[derive(Clone, Debug)]
pub struct IdempotencyKey {
    /// What the caller chose.
    pub key: String,
    /// SHA-256 over the method, the path and the body.
    pub request_sha256: [u8; 32],
}

impl WriteContext<'_> {
    /// Does `work` once for each key; the second value says whether the answer is an old one.
    ///
    /// # Errors
    /// [`StoreError::IdempotencyReuse`] when the key came with another request, else what `work` says.
    pub fn once<T, F>(
        &mut self,
        key: Option<&IdempotencyKey>,
        work: F,
    ) -> Result<(T, bool), StoreError>
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce(&mut Self) -> Result<T, StoreError>,
    {
        let Some(key) = key else {
            return Ok((work(self)?, false));
        };
        let oldest = self.now.plus_seconds(-KEPT_S).as_micros();
        let known: Option<(Vec<u8>, String)> = self
            .conn
            .prepare_cached(
                "SELECT request_sha256, answer FROM idempotency WHERE key = ?1 AND at_us > ?2",
            )?
            .query_row(params![key.key, oldest], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        if let Some((digest, answer)) = known {
            if digest != key.request_sha256 {
                return Err(StoreError::IdempotencyReuse);
            }
            let answer = serde_json::from_str(&answer).map_err(StoreError::damaged)?;
            return Ok((answer, true));
        }
        let answer = work(self)?;
        let json =
            serde_json::to_string(&answer).map_err(|e| StoreError::Database(e.to_string()))?;
        self.conn
            .prepare_cached("DELETE FROM idempotency WHERE at_us <= ?1")?
            .execute([oldest])?;
        self.conn
            .prepare_cached(
                "INSERT INTO idempotency (key, request_sha256, answer, at_us)
                 VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                key.key,
                key.request_sha256.as_slice(),
                json,
                self.now.as_micros()
            ])?;
        Ok((answer, false))
    }
}
