//! Who is told of changes, and how each delivery to them is signed.

use rusqlite::{OptionalExtension as _, Row, params};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use super::error::StoreError;
use super::reader::ReadContext;
use super::writer::WriteContext;
use crate::clock::Timestamp;
use crate::identity::entropy::random;
use crate::model::MemoryId;
use crate::webhook::sign::Profile;

/// A subscription to be made; the URL has been judged by then.
#[derive(Clone, Debug)]
pub struct NewSubscription {
    /// Where deliveries go.
    pub url: String,
    /// Event names; empty: all.
    pub events: Vec<String>,
    /// Only this namespace.
    pub namespace_filter: Option<String>,
    /// Only memories of this agent.
    pub agent_filter: Option<String>,
    /// How the header of ai-memory is keyed.
    pub profile: Profile,
    /// The secret; it is shown to nobody after this.
    pub secret: SecretString,
}

/// A subscription. Its secrets are for signing only.
#[derive(Clone)]
pub struct Subscription {
    /// Its name.
    pub id: MemoryId,
    /// Where deliveries go.
    pub url: String,
    /// Event names; empty: all.
    pub events: Vec<String>,
    /// Only this namespace.
    pub namespace_filter: Option<String>,
    /// Only memories of this agent.
    pub agent_filter: Option<String>,
    /// How the header of ai-memory is keyed.
    pub profile: Profile,
    /// Whether deliveries are made; announcements queue up meanwhile.
    pub active: bool,
    /// When it was made.
    pub created_at: Timestamp,
    secret: SecretString,
    old_secret: Option<(SecretString, Timestamp)>,
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription")
            .field("id", &self.id)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Subscription {
    /// The secret that signs.
    #[must_use]
    pub fn secret(&self) -> &SecretString {
        &self.secret
    }

    /// The secret before the last rotation, while both sign.
    #[must_use]
    pub fn old_secret(&self, now: Timestamp) -> Option<&SecretString> {
        self.old_secret
            .as_ref()
            .filter(|(_, until)| now < *until)
            .map(|(old, _)| old)
    }

    /// Names the secret without telling it: the first 16 hex digits of its SHA-256.
    #[must_use]
    pub fn secret_hash(&self) -> String {
        hex::encode(Sha256::digest(self.secret.expose_secret()))
            .chars()
            .take(16)
            .collect()
    }
}

const COLUMNS: &str = "id, url, events, namespace_filter, agent_filter, profile, active, created_us, \
     secret, old_secret, old_until_us";

fn subscription_of(row: &Row<'_>) -> Result<Subscription, StoreError> {
    let events: String = row.get(2)?;
    let profile: String = row.get(5)?;
    let old = row.get::<_, Option<String>>(9)?.map(SecretString::from);
    let until: Option<i64> = row.get(10)?;
    Ok(Subscription {
        id: MemoryId::from_bytes(row.get(0)?),
        url: row.get(1)?,
        events: serde_json::from_str(&events).map_err(StoreError::damaged)?,
        namespace_filter: row.get(3)?,
        agent_filter: row.get(4)?,
        profile: Profile::from_name(&profile)
            .ok_or_else(|| StoreError::damaged(format!("`{profile}` is no profile")))?,
        active: row.get(6)?,
        created_at: Timestamp::from_micros(row.get(7)?),
        secret: row.get::<_, String>(8)?.into(),
        old_secret: old.zip(until.map(Timestamp::from_micros)),
    })
}

impl ReadContext<'_> {
    /// Every subscription, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn subscriptions(&self) -> Result<Vec<Subscription>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM subscriptions ORDER BY id");
        let mut statement = self.conn.prepare_cached(&sql)?;
        let mut rows = statement.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(subscription_of(row)?);
        }
        Ok(found)
    }

    /// One subscription.
    ///
    /// # Errors
    /// When there is none, or the database cannot be read.
    pub fn subscription(&self, id: MemoryId) -> Result<Subscription, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM subscriptions WHERE id = ?1");
        let found = self
            .conn
            .prepare_cached(&sql)?
            .query_row([id.as_bytes().as_slice()], |row| Ok(subscription_of(row)))
            .optional()?;
        found.transpose()?.ok_or_else(|| not_found(id))
    }
}

impl WriteContext<'_> {
    /// Makes a subscription.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn subscribe(&mut self, new: &NewSubscription) -> Result<Subscription, StoreError> {
        let random = random::<10>().map_err(|e| StoreError::Io(e.to_string()))?;
        let id = MemoryId::new(self.now, random);
        let events =
            serde_json::to_string(&new.events).map_err(|e| StoreError::Database(e.to_string()))?;
        self.conn
            .prepare_cached(
                "INSERT INTO subscriptions (id, url, events, namespace_filter, agent_filter,
                                            profile, secret, active, created_us)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1, ?8)",
            )?
            .execute(params![
                id.as_bytes().as_slice(),
                new.url,
                events,
                new.namespace_filter,
                new.agent_filter,
                new.profile.as_str(),
                new.secret.expose_secret(),
                self.now.as_micros(),
            ])?;
        let facts = [("id", id.to_string()), ("url", new.url.clone())];
        self.record("subscription.made", facts)?;
        self.read().subscription(id)
    }

    /// Ends a subscription, and everything that is queued for it.
    ///
    /// # Errors
    /// When there is none, or the database refuses.
    pub fn unsubscribe(&mut self, id: MemoryId) -> Result<(), StoreError> {
        self.one("DELETE FROM subscriptions WHERE id = ?1", id, &[])?;
        self.record("subscription.ended", [("id", id.to_string())])
    }

    /// Stops deliveries to a subscriber, or goes on with them.
    ///
    /// # Errors
    /// When there is none, or the database refuses.
    pub fn set_active(&mut self, id: MemoryId, active: bool) -> Result<(), StoreError> {
        self.one(
            "UPDATE subscriptions SET active = ?2 WHERE id = ?1",
            id,
            &[&active],
        )
    }

    /// Signs with a new secret from now on, and for `overlap_s` seconds with the old one as well.
    ///
    /// # Errors
    /// When there is none, or the database refuses.
    pub fn rotate_secret(
        &mut self,
        id: MemoryId,
        secret: &SecretString,
        overlap_s: i64,
    ) -> Result<Subscription, StoreError> {
        let until = self.now.plus_seconds(overlap_s).as_micros();
        self.one(
            "UPDATE subscriptions SET old_secret = secret, old_until_us = ?3, secret = ?2
             WHERE id = ?1",
            id,
            &[&secret.expose_secret(), &until],
        )?;
        self.read().subscription(id)
    }

    fn one(
        &self,
        sql: &str,
        id: MemoryId,
        rest: &[&dyn rusqlite::ToSql],
    ) -> Result<(), StoreError> {
        let bytes = id.as_bytes().as_slice();
        let mut values: Vec<&dyn rusqlite::ToSql> = vec![&bytes];
        values.extend_from_slice(rest);
        match self.conn.prepare_cached(sql)?.execute(values.as_slice())? {
            0 => Err(not_found(id)),
            _ => Ok(()),
        }
    }
}

fn not_found(id: MemoryId) -> StoreError {
    StoreError::NotFound {
        what: "subscription",
        id: id.to_string(),
    }
}
