//! The outbox: announcements, written in the transaction of what they announce, until they are
//! delivered or dead.
//!
//! Of one memory, only the oldest announcement that waits is ever handed out; the later ones are
//! `blocked` until it is delivered or dead. So the order is kept without looking for it.

use rusqlite::{OptionalExtension as _, params};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::error::StoreError;
use super::subscriptions::Subscription;
use super::writer::WriteContext;
use crate::identity::entropy::random;
use crate::model::MemoryId;
use crate::webhook::backoff::RetrySchedule;
use crate::webhook::event::{self, PeerEvent};

/// How long a claimed row is held. The one worker of a subscription gives each row back long
/// before; this is for a worker whose note of the end never reached the disk.
const LEASE_S: i64 = 120;
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

/// What a subscriber's worker gets.
#[derive(Clone, Debug)]
pub struct Turn {
    /// The subscription as it is now; `None`: it was ended.
    pub subscription: Option<Subscription>,
    /// What is to be delivered next; empty: nothing is due, or deliveries are paused.
    pub due: Vec<Delivery>,
    /// How many of the finished ones were given up.
    pub dead: u64,
}

/// A test that was queued.
#[derive(Clone, Debug)]
pub struct QueuedTest {
    /// Its place.
    pub seq: i64,
    /// Its id, the same for every attempt.
    pub event_id: String,
}

/// What all rows of one announcement share.
struct Announcement {
    event_id: String,
    event: String,
    object: [u8; 16],
    body: String,
}

impl WriteContext<'_> {
    /// Queues an announcement for everyone who wants it, under one id for all.
    pub(super) fn emit(
        &self,
        event: &str,
        object: MemoryId,
        namespace: &str,
        agent: &str,
        facts: impl FnOnce() -> Value,
    ) -> Result<(), StoreError> {
        if !self.anyone_subscribes()? {
            return Ok(());
        }
        let new = self.announcement(event, *object.as_bytes(), &facts())?;
        self.queue(&new, Some(namespace), Some(agent))
    }

    /// Queues an announcement about a peer, in the transaction of what it announces.
    ///
    /// `peer` is the fingerprint that the peer is pinned by; announcements of one peer keep their
    /// order. `facts` stand beside it in the event's `data`. With a `namespace` (of a version that
    /// came from the peer), subscribers that want only this namespace get it too.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn announce_peer(
        &mut self,
        event: PeerEvent,
        peer: &str,
        namespace: Option<&str>,
        mut facts: Map<String, Value>,
    ) -> Result<(), StoreError> {
        let mut object = [0; 16];
        let digest = Sha256::digest(format!("peer {peer}"));
        object
            .iter_mut()
            .zip(digest.as_slice())
            .for_each(|(to, from)| *to = *from);
        facts.insert("peer".to_owned(), Value::from(peer));
        let new = self.announcement(event.as_str(), object, &Value::Object(facts))?;
        self.queue(&new, namespace, None)
    }

    /// Records what happened with a peer in the transcript, and announces it, with the same facts.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn note_peer<'d>(
        &mut self,
        event: PeerEvent,
        peer: &str,
        detail: impl IntoIterator<Item = (&'d str, String)>,
    ) -> Result<(), StoreError> {
        let detail: Vec<(&str, String)> = detail.into_iter().collect();
        let facts = detail
            .iter()
            .map(|(name, fact)| ((*name).to_owned(), Value::from(fact.as_str())))
            .collect();
        let action = match event {
            PeerEvent::Quarantined => "versions.quarantined",
            other => other.as_str(),
        };
        self.record(action, detail)?;
        self.announce_peer(event, peer, None, facts)
    }

    /// Without a subscription nobody need word what is announced.
    fn anyone_subscribes(&self) -> Result<bool, StoreError> {
        let mut statement = self
            .conn
            .prepare_cached("SELECT 1 FROM subscriptions LIMIT 1")?;
        Ok(statement.exists([])?)
    }

    fn announcement(
        &self,
        event: &str,
        object: [u8; 16],
        facts: &Value,
    ) -> Result<Announcement, StoreError> {
        let random = random::<10>().map_err(|e| StoreError::Io(e.to_string()))?;
        let event_id = format!("evt_{}", MemoryId::new(self.now, random));
        let body = json!({
            "id": event_id, "event": event, "occurred_at": self.now, "data": facts,
        });
        Ok(Announcement {
            event_id,
            event: event.to_owned(),
            object,
            body: body.to_string(),
        })
    }

    /// A subscriber with a filter does not get what has no such property.
    fn queue(
        &self,
        new: &Announcement,
        namespace: Option<&str>,
        agent: Option<&str>,
    ) -> Result<(), StoreError> {
        self.conn
            .prepare_cached(
                "INSERT INTO outbox (subscription_id, event_id, event, object_id, body, state,
                                     due_us, blocked)
                 SELECT s.id, ?1, ?2, ?3, ?4, 'pending', ?5,
                        EXISTS (SELECT 1 FROM outbox AS e WHERE e.subscription_id = s.id
                                AND e.object_id = ?3 AND e.state = 'pending')
                 FROM subscriptions AS s
                 WHERE (s.events = '[]'
                        OR EXISTS (SELECT 1 FROM json_each(s.events) WHERE value = ?2))
                   AND (s.namespace_filter IS NULL OR s.namespace_filter = ?6)
                   AND (s.agent_filter IS NULL OR s.agent_filter = ?7)",
            )?
            .execute(params![
                new.event_id,
                new.event,
                new.object.as_slice(),
                new.body,
                self.now.as_micros(),
                namespace,
                agent,
            ])?;
        Ok(())
    }

    /// Queues an announcement that only says that it is a test.
    ///
    /// # Errors
    /// When there is no such subscription, or the database refuses.
    pub fn send_test(&mut self, id: MemoryId) -> Result<QueuedTest, StoreError> {
        self.read().subscription(id)?;
        let random = random::<16>().map_err(|e| StoreError::Io(e.to_string()))?;
        // An object of its own: a test waits for nothing.
        let new = self.announcement(event::TEST, random, &json!({ "subscription_id": id }))?;
        self.conn
            .prepare_cached(
                "INSERT INTO outbox (subscription_id, event_id, event, object_id, body, state, due_us)
                 VALUES (?1, ?2, ?3, ?4, ?5, 'pending', ?6)",
            )?
            .execute(params![
                id.as_bytes().as_slice(),
                new.event_id,
                new.event,
                new.object.as_slice(),
                new.body,
                self.now.as_micros(),
            ])?;
        Ok(QueuedTest {
            seq: self.conn.last_insert_rowid(),
            event_id: new.event_id,
        })
    }

    /// One turn of a subscriber's worker: notes how attempts ended, and hands out at most `limit`
    /// announcements that are due, in one commit.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn take_turn(
        &mut self,
        id: MemoryId,
        finished: &[Attempt],
        limit: usize,
        schedule: &RetrySchedule,
    ) -> Result<Turn, StoreError> {
        let mut dead = 0;
        for attempt in finished {
            dead += u64::from(self.finish(attempt, schedule)?);
        }
        let subscription = match self.read().subscription(id) {
            Ok(subscription) => subscription,
            Err(StoreError::NotFound { .. }) => {
                return Ok(Turn {
                    subscription: None,
                    due: Vec::new(),
                    dead,
                });
            }
            Err(error) => return Err(error),
        };
        let due = if subscription.active && limit > 0 {
            self.claim(id, limit)?
        } else {
            Vec::new()
        };
        Ok(Turn {
            subscription: Some(subscription),
            due,
            dead,
        })
    }

    fn claim(&self, subscription: MemoryId, limit: usize) -> Result<Vec<Delivery>, StoreError> {
        let mut statement = self.conn.prepare_cached(
            "SELECT seq, event_id, body FROM outbox
             WHERE subscription_id = ?1 AND state = 'pending' AND blocked = 0 AND due_us <= ?2
             ORDER BY due_us, seq LIMIT ?3",
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

    /// Gives back rows that were handed out and not tried.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn give_back(&mut self, rows: &[i64]) -> Result<(), StoreError> {
        let mut statement = self.conn.prepare_cached(
            "UPDATE outbox SET leased = 0, due_us = ?2 WHERE seq = ?1 AND state = 'pending'",
        )?;
        for seq in rows {
            statement.execute(params![seq, self.now.as_micros()])?;
        }
        Ok(())
    }

    /// Gives back what a node that was killed still held.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn release_leases(&mut self) -> Result<usize, StoreError> {
        Ok(self
            .conn
            .prepare_cached(
                "UPDATE outbox SET leased = 0, due_us = ?1 WHERE leased = 1 AND state = 'pending'",
            )?
            .execute([self.now.as_micros()])?)
    }

    /// Notes how an attempt ended: delivered, tried again later, or dead (then `true`).
    fn finish(&self, attempt: &Attempt, schedule: &RetrySchedule) -> Result<bool, StoreError> {
        let row: Option<(i64, Vec<u8>, Vec<u8>)> = self
            .conn
            .prepare_cached(
                "SELECT attempts + 1, subscription_id, object_id FROM outbox WHERE seq = ?1",
            )?
            .query_row([attempt.seq], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .optional()?;
        // The subscription was ended during the attempt, and everything of it is gone.
        let Some((attempts, subscription, object)) = row else {
            return Ok(false);
        };
        let [spread] = random::<1>().map_err(|e| StoreError::Io(e.to_string()))?;
        let next = schedule.next_delay_us(usize::try_from(attempts).unwrap_or(usize::MAX), spread);
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
        if state != "pending" {
            self.conn
                .prepare_cached(
                    "UPDATE outbox SET blocked = 0 WHERE seq =
                         (SELECT min(seq) FROM outbox WHERE subscription_id = ?1
                          AND object_id = ?2 AND state = 'pending')",
                )?
                .execute(params![subscription, object])?;
        }
        Ok(state == "dead")
    }

    /// Queues again what is dead or was delivered, between two places, and lets what waits for its
    /// next attempt go now; returns how many rows that were.
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
        let id = subscription.as_bytes().as_slice();
        let now = self.now.as_micros();
        let again = self
            .conn
            .prepare_cached(
                "UPDATE outbox SET state = 'pending', attempts = 0, due_us = ?5, done_us = NULL
                 WHERE subscription_id = ?1 AND seq BETWEEN ?2 AND ?3
                   AND (state = 'dead' OR (?4 AND state = 'delivered'))",
            )?
            .execute(params![id, from, to, delivered_too, now])?;
        let sooner = self
            .conn
            .prepare_cached(
                "UPDATE outbox SET due_us = ?4
                 WHERE subscription_id = ?1 AND seq BETWEEN ?2 AND ?3
                   AND state = 'pending' AND leased = 0 AND due_us > ?4",
            )?
            .execute(params![id, from, to, now])?;
        // What comes back may stand before what waits already.
        self.conn
            .prepare_cached(
                "UPDATE outbox SET blocked = 1 - blocked
                 WHERE subscription_id = ?1 AND state = 'pending' AND blocked <> EXISTS
                     (SELECT 1 FROM outbox AS e WHERE e.subscription_id = outbox.subscription_id
                      AND e.object_id = outbox.object_id AND e.state = 'pending'
                      AND e.seq < outbox.seq)",
            )?
            .execute(params![id])?;
        Ok(again + sooner)
    }

    /// Forgets what was delivered more than a week ago, and secrets that sign no more.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn clean_outbox(&mut self) -> Result<usize, StoreError> {
        let oldest = self.now.plus_seconds(-KEPT_S).as_micros();
        self.conn
            .prepare_cached(
                "UPDATE subscriptions SET old_secret = NULL, old_until_us = NULL
                 WHERE old_until_us <= ?1",
            )?
            .execute([self.now.as_micros()])?;
        Ok(self
            .conn
            .prepare_cached(
                "DELETE FROM outbox
                 WHERE state <> 'pending' AND state = 'delivered' AND done_us < ?1",
            )?
            .execute([oldest])?)
    }
}
