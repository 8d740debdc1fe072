//! Finding by ranges what differs, and exchanging only that.
//!
//! It happens when nothing new is left to pull and both sides differ all the same, and when a log is
//! met for the first time or under a new name (its node was restored): what it holds may have come
//! here long ago, from a third node or before the restore, and is not read all over again.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::dialer::DialError;
use super::protocol::{Batch, Changes, Ids, PAGE_BYTES, PAGE_VERSIONS, RangeAnswers};
use super::reconcile::Walk;
use super::set::VersionSet;
use super::sync::Step;
use crate::store::Way;

/// A place that no log reaches: the answer to a question for what follows tells of the log alone.
const THE_END: u64 = i64::MAX.unsigned_abs();

/// What two sides do not share.
struct Differences {
    here: Vec<[u8; 32]>,
    there: Vec<[u8; 32]>,
}

impl Step {
    /// Compares with a peer whose log has another name than the one that was read here last.
    pub(super) async fn meet(&mut self) -> Result<(), DialError> {
        let (hub, fingerprint) = (Arc::clone(&self.hub), self.peer.fingerprint);
        let cursor = hub
            .store
            .read(move |read| read.peer_cursor(&fingerprint))
            .await?;
        let pushed = self.last_seq();
        let path = format!(
            "/fed/v1/changes?epoch={}&after={THE_END}&limit=1",
            cursor.epoch
        );
        let log: Changes = self.connection()?.get(&hub, &path).await?;
        if log.epoch == cursor.epoch {
            return Ok(());
        }
        let own = hub.with_set(VersionSet::total).await?;
        // Where most of it must be new here, reading it in order costs less than comparing.
        if own.count.saturating_mul(2) < log.count.max(1) {
            return Ok(());
        }
        let differences = self.differences().await?;
        self.fetch(&differences.here).await?;
        // A peer that can dial back compares by itself, and fetches.
        if !log.dials_back && !self.give(&differences.there).await? {
            return Ok(());
        }
        tracing::info!(
            peer = %self.peer.name,
            fetched = differences.here.len(),
            shared = own.count.saturating_sub(u64::try_from(differences.there.len()).unwrap_or(0)),
            "federation: the peer's log is new here, only what differs was read"
        );
        hub.write(|| {
            let epoch = log.epoch.clone();
            move |write: &mut crate::store::WriteContext<'_>| {
                write.set_peer_cursor(&fingerprint, &epoch, log.count)?;
                write.set_pushed_after(&fingerprint, pushed)
            }
        })
        .await?;
        Ok(())
    }

    /// Finds what differs, fetches what is missing here and sends what is missing there.
    pub(super) async fn repair(&mut self) -> Result<(), DialError> {
        let differences = self.differences().await?;
        let fetched = self.fetch(&differences.here).await?;
        self.give(&differences.there).await?;
        self.hub
            .board
            .note(self.peer.fingerprint, |noted| noted.repairs += 1);
        tracing::info!(peer = %self.peer.name, fetched, sent = differences.there.len(), "federation: differences were repaired");
        Ok(())
    }

    async fn differences(&mut self) -> Result<Differences, DialError> {
        let hub = Arc::clone(&self.hub);
        let mut walk = Walk::new();
        while let Some(questions) = hub.with_set(|set| walk.questions(set)).await? {
            let answers: RangeAnswers = self
                .connection()?
                .post(&hub, "/fed/v1/ranges", &questions)
                .await?;
            hub.with_set(|set| walk.take(set, &answers)).await?;
        }
        Ok(Differences {
            here: walk.missing_here.into_iter().collect(),
            there: walk.missing_there.into_iter().collect(),
        })
    }

    /// Fetches these versions, but for those that are in quarantine; how many were asked for.
    async fn fetch(&mut self, missing: &[[u8; 32]]) -> Result<usize, DialError> {
        if !self.peer.scopes.write {
            return Ok(0);
        }
        let (hub, fingerprint) = (Arc::clone(&self.hub), self.peer.fingerprint);
        let asked = missing.to_vec();
        let held = hub
            .store
            .read(move |read| read.in_quarantine(&asked))
            .await?;
        let mut wanted: BTreeSet<[u8; 32]> = missing.iter().copied().collect();
        wanted.retain(|id| !held.contains(id));
        let count = wanted.len();
        while !wanted.is_empty() {
            let ids = Ids {
                ids: wanted.iter().take(PAGE_VERSIONS).map(hex::encode).collect(),
            };
            let batch: Batch = self
                .connection()?
                .post(&hub, "/fed/v1/versions", &ids)
                .await?;
            let before = wanted.len();
            for wire in &batch.versions {
                wanted.remove(&wire.version_id().0);
            }
            if wanted.len() == before {
                // Nothing of what was asked for: the peer no longer has it, or never had it.
                break;
            }
            hub.take_in(fingerprint, Way::Pulled, batch.versions, None)
                .await?;
        }
        Ok(count)
    }

    /// Sends these versions; `false`: the peer takes nothing from this node, or may not read it.
    async fn give(&mut self, ids: &[[u8; 32]]) -> Result<bool, DialError> {
        if !self.peer.scopes.read {
            return Ok(false);
        }
        let hub = Arc::clone(&self.hub);
        let mut places: Vec<i64> = hub
            .with_set(|set| ids.iter().filter_map(|id| set.find(id)).collect())
            .await?;
        while !places.is_empty() {
            let asked: Vec<i64> = places.iter().take(PAGE_VERSIONS).copied().collect();
            let versions = hub
                .store
                .read(move |read| read.versions_at(&asked, PAGE_BYTES))
                .await?;
            // Every place of the set is in the log, and stays there.
            drop(places.drain(..versions.len().max(1)));
            if !self.send(versions).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
