//! Looking at the outbox: what is due, what is listed, what is counted.

use rusqlite::params;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::StoreError;
use super::reader::ReadContext;
use crate::clock::Timestamp;
use crate::model::MemoryId;

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
    /// When it is tried next; of what is delivered or dead, when that came to pass.
    #[schema(value_type = String, format = DateTime)]
    pub due_at: Timestamp,
}

/// Which rows are listed.
#[derive(Clone, Debug)]
pub struct DeliveryFilter {
    /// Only in this state.
    pub state: Option<String>,
    /// Only before this place.
    pub before: Option<i64>,
    /// At most this many.
    pub limit: usize,
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
    /// Handed out to a worker right now.
    pub under_way: i64,
    /// How long the oldest one that waits has waited, in seconds.
    pub oldest_pending_s: i64,
}

/// Who has something due, and when there will be more.
#[derive(Clone, Debug, Default)]
pub struct Due {
    /// Active subscriptions with something to deliver now.
    pub now: Vec<MemoryId>,
    /// When the next one is due after that; `None`: nothing waits.
    pub next: Option<Timestamp>,
}

impl ReadContext<'_> {
    /// The last announcements to a subscriber, newest first.
    ///
    /// # Errors
    /// When there is no such subscription, or the database cannot be read.
    pub fn deliveries(
        &self,
        subscription: MemoryId,
        filter: &DeliveryFilter,
    ) -> Result<Vec<DeliveryView>, StoreError> {
        self.subscription(subscription)?;
        let mut statement = self.conn.prepare_cached(
            "SELECT seq, event_id, event, state, attempts, last_status, last_error, due_us
             FROM outbox WHERE subscription_id = ?1 AND (?2 IS NULL OR state = ?2) AND seq < ?3
             ORDER BY seq DESC LIMIT ?4",
        )?;
        let rows = statement.query_map(
            params![
                subscription.as_bytes().as_slice(),
                filter.state,
                filter.before.unwrap_or(i64::MAX),
                i64::try_from(filter.limit).unwrap_or(i64::MAX),
            ],
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

    /// Who has something due.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn due(&self) -> Result<Due, StoreError> {
        let mut statement = self.conn.prepare_cached(
            "SELECT s.id, (SELECT min(o.due_us) FROM outbox AS o
                           WHERE o.subscription_id = s.id AND o.state = 'pending' AND o.blocked = 0)
             FROM subscriptions AS s WHERE s.active",
        )?;
        let mut rows = statement.query([])?;
        let mut due = Due::default();
        while let Some(row) = rows.next()? {
            let Some(at) = row.get::<_, Option<i64>>(1)?.map(Timestamp::from_micros) else {
                continue;
            };
            if at <= self.now {
                due.now.push(MemoryId::from_bytes(row.get(0)?));
            } else {
                due.next = Some(due.next.map_or(at, |next| next.min(at)));
            }
        }
        Ok(due)
    }

    /// Counts the outbox.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn outbox_counts(&self) -> Result<OutboxCounts, StoreError> {
        // Each of these is answered by an index alone.
        let mut statement = self.conn.prepare_cached(
            "SELECT (SELECT count(*) FROM subscriptions),
                    (SELECT count(*) FROM outbox WHERE state = 'pending'),
                    (SELECT count(*) FROM outbox WHERE state <> 'pending' AND state = 'delivered'),
                    (SELECT count(*) FROM outbox WHERE state <> 'pending' AND state = 'dead'),
                    (SELECT count(*) FROM outbox WHERE leased = 1),
                    (SELECT body ->> '$.occurred_at' FROM outbox WHERE seq =
                        (SELECT min(seq) FROM outbox INDEXED BY outbox_order
                         WHERE state = 'pending'))",
        )?;
        let (mut counts, oldest) = statement.query_row([], |row| {
            let counts = OutboxCounts {
                subscriptions: row.get(0)?,
                pending: row.get(1)?,
                delivered: row.get(2)?,
                dead: row.get(3)?,
                under_way: row.get(4)?,
                oldest_pending_s: 0,
            };
            Ok((counts, row.get::<_, Option<String>>(5)?))
        })?;
        if let Some(oldest) = oldest {
            let since: Timestamp = oldest.parse().map_err(StoreError::damaged)?;
            counts.oldest_pending_s = (self.now.as_secs() - since.as_secs()).max(0);
        }
        Ok(counts)
    }
}
