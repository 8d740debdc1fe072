//! The outbox: announcements, written in the transaction of what they announce, until they are
//! delivered or dead.

use rusqlite::params;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::error::StoreError;
use super::reader::ReadContext;
use super::writer::WriteContext;
use crate::clock::Timestamp;
use crate::identity::entropy::random;
use crate::model::MemoryId;
use crate::webhook::backoff;

/// How long an attempt may hold its row; longer than any attempt can take.
const LEASE_S: i64 = 60;
/// How long what is delivered can still be listed: a week.
const KEPT_S: i64 = 7 * 24 * 3600;
/// Characters of an error that are kept.
const ERROR_CHARS: usize = 200;

/// One announcement that is due.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its row.
    pub seq: i64,
    /// The same for every attempt.
    pub event_id: String,
    /// What is sent and signed, byte for byte.
    pub body: String,
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The row.
    pub seq: i64,
    /// The HTTP status; `None`: there was no answer.
    pub status: Option<u16>,
    /// `None`: it was delivered.
    pub error: Option<String>,
}

/// A row of the outbox as it is shown.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DeliveryView {
    /// Its place; a replay may name a range of them.
    pub seq: i64,
    /// The same for every attempt, in `webhook-id`.
    pub event_id: String,
    /// The event's name.
    pub event: String,
    /// `pending`, `delivered` or `dead`.
    pub state: String,
    /// Attempts so far.
    pub attempts: i64,
    /// Status of the last answer; null: there was none.
    pub last_status: Option<i64>,
    /// Why the last attempt failed; null: it did not.
    pub last_error: Option<String>,
    /// When it is tried next.
    #[schema(value_type = String, format = DateTime)]
    pub due_at: Timestamp,
}

/// The outbox in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct OutboxCounts {
    /// Subscriptions.
    pub subscriptions: i64,
    /// Announcements that wait.
    pub pending: i64,
    /// Delivered within the last week.
    pub delivered: i64,
    /// Given up.
    pub dead: i64,
}

impl WriteContext<'_> {
    /// Queues an announcement for everyone who wants it.
    pub(super) fn emit(
        &self,
        event: &str,
        object: MemoryId,
        namespace: &str,
        agent: &str,
        facts: Value,
    ) -> Result<(), StoreError> {
        for subscription in self.read().subscriptions()? {
            if subscription.wants(event, namespace, agent) {
                self.enqueue(subscription.id, event, object, &facts)?;
            }
        }
        Ok(())
    }

    fn enqueue(
        &self,
        subscription: MemoryId,
        event: &str,
        object: MemoryId,
        facts: &Value,
    ) -> Result<(), StoreError> {
        let random = random::<10>().map_err(|e| StoreError::Io(e.to_string()))?;
        let event_id = format!("evt_{}", MemoryId::new(self.now, random));
        let body = json!({
            "id": event_id, "event": event, "occurred_at": self.now, "data": facts,
        });
        self.conn
            .prepare_cached(
                "INSERT INTO outbox (subscription_id, event_id, event, object_id, body, state, due_us)
                 VALUES (?1, ?2, ?3, ?4, ?5, 'pending', ?6)",
            )?
            .execute(params![
                subscription.as_bytes().as_slice(),
                event_id,
                event,
                object.as_bytes().as_slice(),
                body.to_string(),
                self.now.as_micros(),
            ])?;
        Ok(())
    }

    /// Queues an announcement that only says that it is a test.
    ///
    /// # Errors
    /// When there is no such subscription, or the database refuses.
    pub fn send_test(&mut self, id: MemoryId) -> Result<(), StoreError> {
        self.read().subscription(id)?;
        self.enqueue(id, "test", id, &json!({ "subscription_id": id }))
    }

    /// Takes at most `limit` announcements for one subscriber that are due, and holds them for a
    /// minute. Of each memory only the oldest is taken, so that the order is kept.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn claim(
        &mut self,
        subscription: MemoryId,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        let mut statement = self.conn.prepare_cached(
            "SELECT o.seq, o.event_id, o.body FROM outbox AS o
             WHERE o.subscription_id = ?1 AND o.state = 'pending' AND o.due_us <= ?2
               AND NOT EXISTS (SELECT 1 FROM outbox AS e
                    WHERE e.subscription_id = o.subscription_id AND e.object_id = o.object_id
                      AND e.state = 'pending' AND e.seq < o.seq)
             ORDER BY o.due_us LIMIT ?3",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map(
            params![
                subscription.as_bytes().as_slice(),
                self.now.as_micros(),
                limit
            ],
            |row| {
                Ok(Delivery {
                    seq: row.get(0)?,
                    event_id: row.get(1)?,
                    body: row.get(2)?,
                })
            },
        )?;
        let due = rows.collect::<Result<Vec<_>, _>>()?;
        let lease = self.now.plus_seconds(LEASE_S).as_micros();
        let mut hold = self
            .conn
            .prepare_cached("UPDATE outbox SET leased = 1, due_us = ?2 WHERE seq = ?1")?;
        for delivery in &due {
            hold.execute(params![delivery.seq, lease])?;
        }
        Ok(due)
    }

    /// Gives back what a node that was killed still held.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn release_leases(&mut self) -> Result<usize, StoreError> {
        Ok(self
            .conn
            .prepare_cached(
                "UPDATE outbox SET leased = 0, due_us = ?1 WHERE state = 'pending' AND leased = 1",
            )?
            .execute([self.now.as_micros()])?)
    }

    /// Notes how an attempt ended: delivered, tried again later, or dead.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn finish(&mut self, attempt: &Attempt) -> Result<(), StoreError> {
        let attempts: i64 = self
            .conn
            .prepare_cached("SELECT attempts + 1 FROM outbox WHERE seq = ?1")?
            .query_row([attempt.seq], |row| row.get(0))?;
        let [spread] = random::<1>().map_err(|e| StoreError::Io(e.to_string()))?;
        let next = backoff::next_delay_us(usize::try_from(attempts).unwrap_or(usize::MAX), spread);
        let (state, due) = match (&attempt.error, next) {
            (None, _) => ("delivered", 0),
            (Some(_), Some(delay)) => ("pending", delay),
            (Some(_), None) => ("dead", 0),
        };
        let error: Option<String> = attempt
            .error
            .as_ref()
            .map(|error| error.chars().take(ERROR_CHARS).collect());
        let now = self.now.as_micros();
        self.conn
            .prepare_cached(
                "UPDATE outbox SET state = ?2, attempts = ?3, due_us = ?4, leased = 0,
                        done_us = iif(?2 = 'pending', NULL, ?5), last_status = ?6, last_error = ?7
                 WHERE seq = ?1",
            )?
            .execute(params![
                attempt.seq,
                state,
                attempts,
                now.saturating_add(due),
                now,
                attempt.status,
                error
            ])?;
        Ok(())
    }

    /// Queues again what is dead or was delivered, between two places; returns how many.
    ///
    /// # Errors
    /// When there is no such subscription, or the database refuses.
    pub fn replay(
        &mut self,
        subscription: MemoryId,
        from: i64,
        to: i64,
        delivered_too: bool,
    ) -> Result<usize, StoreError> {
        self.read().subscription(subscription)?;
        Ok(self
            .conn
            .prepare_cached(
                "UPDATE outbox SET state = 'pending', attempts = 0, due_us = ?5, done_us = NULL
                 WHERE subscription_id = ?1 AND seq BETWEEN ?2 AND ?3
                   AND (state = 'dead' OR (?4 AND state = 'delivered'))",
            )?
            .execute(params![
                subscription.as_bytes().as_slice(),
                from,
                to,
                delivered_too,
                self.now.as_micros()
            ])?)
    }

    /// Forgets what was delivered more than a week ago.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn forget_delivered(&mut self) -> Result<usize, StoreError> {
        let oldest = self.now.plus_seconds(-KEPT_S).as_micros();
        Ok(self
            .conn
            .prepare_cached("DELETE FROM outbox WHERE state = 'delivered' AND done_us < ?1")?
            .execute([oldest])?)
    }
}

impl ReadContext<'_> {
    /// The last announcements to a subscriber, newest first; `state`: only those.
    ///
    /// # Errors
    /// When there is no such subscription, or the database cannot be read.
    pub fn deliveries(
        &self,
        subscription: MemoryId,
        state: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DeliveryView>, StoreError> {
        self.subscription(subscription)?;
        let mut statement = self.conn.prepare_cached(
            "SELECT seq, event_id, event, state, attempts, last_status, last_error, due_us
             FROM outbox WHERE subscription_id = ?1 AND (?2 IS NULL OR state = ?2)
             ORDER BY seq DESC LIMIT ?3",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map(
            params![subscription.as_bytes().as_slice(), state, limit],
            |row| {
                Ok(DeliveryView {
                    seq: row.get(0)?,
                    event_id: row.get(1)?,
                    event: row.get(2)?,
                    state: row.get(3)?,
                    attempts: row.get(4)?,
                    last_status: row.get(5)?,
                    last_error: row.get(6)?,
                    due_at: Timestamp::from_micros(row.get(7)?),
                })
            },
        )?;
        rows.map(|row| row.map_err(StoreError::from)).collect()
    }

    /// Whether something is due for a subscriber.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn has_due(&self, subscription: MemoryId) -> Result<bool, StoreError> {
        let mut statement = self.conn.prepare_cached(
            "SELECT 1 FROM outbox WHERE state = 'pending' AND due_us <= ?2
               AND subscription_id = ?1 LIMIT 1",
        )?;
        Ok(statement.exists(params![
            subscription.as_bytes().as_slice(),
            self.now.as_micros()
        ])?)
    }

    /// Counts the outbox.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn outbox_counts(&self) -> Result<OutboxCounts, StoreError> {
        let mut statement = self.conn.prepare_cached(
            "SELECT (SELECT count(*) FROM subscriptions),
                    coalesce(sum(state = 'pending'), 0), coalesce(sum(state = 'delivered'), 0),
                    coalesce(sum(state = 'dead'), 0) FROM outbox",
        )?;
        Ok(statement.query_row([], |row| {
            Ok(OutboxCounts {
                subscriptions: row.get(0)?,
                pending: row.get(1)?,
                delivered: row.get(2)?,
                dead: row.get(3)?,
            })
        })?)
    }
}
