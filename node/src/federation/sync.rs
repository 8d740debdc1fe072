//! Keeping in step with one peer: pull what is new, compare, repair what differs.
//!
//! A pull follows the peer's local order. When nothing is left and both sides still differ, twice
//! in the same way, the sets are reconciled by ranges (see `repair`); so a version that a pull can
//! no longer find is found all the same. A log that was never read begins with such a comparison too.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::allowlist::Peer;
use super::dialer::{Connection, DialError};
use super::hub::Hub;
use super::protocol::{Batch, Changes, PAGE_BYTES, PAGE_VERSIONS, Pushed};
use super::set::VersionSet;
use crate::identity::admit::WireVersion;
use crate::store::Way;

/// Between two looks at a peer that has not poked, when both were equal and when not.
const EVERY_EQUAL: Duration = Duration::from_secs(5);
const EVERY_UNEQUAL: Duration = Duration::from_secs(1);
/// How often the own log is looked at for something new to poke about.
const LOOK: Duration = Duration::from_millis(100);
/// The first and the last wait after a failure.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));
/// The same difference is reconciled again after this long: quarantine may keep it for ever.
const REPAIRED_FOR: Duration = Duration::from_secs(600);

/// A difference that was seen: own digest and the peer's.
type Difference = (String, String);

/// One peer's dialer.
pub(super) struct Step {
    pub(super) hub: Arc<Hub>,
    pub(super) peer: Peer,
    address: String,
    connection: Option<Connection>,
    poked: u64,
    seen: Option<Difference>,
    repaired: Option<(Difference, Instant)>,
}

/// Keeps in step with a peer that has an address, until it is removed or the node stops.
pub async fn keep_in_step(hub: Arc<Hub>, peer: Peer, address: String, stop: CancellationToken) {
    let wake = hub.poke_of(peer.fingerprint);
    let fingerprint = peer.fingerprint;
    let mut step = Step {
        hub,
        peer,
        address,
        connection: None,
        poked: 0,
        seen: None,
        repaired: None,
    };
    let mut backoff = BACKOFF.0;
    loop {
        let round = tokio::select! {
            () = stop.cancelled() => return,
            round = step.round() => round,
        };
        let wait = match round {
            Ok(equal) => {
                backoff = BACKOFF.0;
                if equal { EVERY_EQUAL } else { EVERY_UNEQUAL }
            }
            Err(error) => {
                step.connection = None;
                step.failed(&error);
                let wait = backoff;
                backoff = (backoff * 2).min(BACKOFF.1);
                wait
            }
        };
        let failed = step.connection.is_none();
        let ended = step.connection.as_ref().map(Connection::ended);
        tokio::select! {
            () = stop.cancelled() => return,
            () = wake.notified() => {}
            () = tokio::time::sleep(wait) => {}
            // A peer that was killed is told of at once, not at the next look.
            () = after_the_end(ended), if !failed => {}
            () = step.something_new(), if !failed => {
                if let Err(error) = step.poke().await {
                    step.connection = None;
                    step.hub.board.note(fingerprint, |noted| noted.error = Some(error.to_string()));
                }
            }
        }
    }
}

impl Step {
    fn failed(&self, error: &DialError) {
        let why = error.to_string();
        let known = self.hub.board.get(&self.peer.fingerprint).error;
        if known.as_ref() != Some(&why) {
            tracing::warn!(peer = %self.peer.name, because = %why, "federation: the peer cannot be asked");
        }
        self.hub
            .board
            .note(self.peer.fingerprint, |noted| noted.error = Some(why));
    }

    pub(super) fn last_seq(&self) -> u64 {
        self.hub.store.health().last_seq.load(Ordering::SeqCst)
    }

    /// Waits until the log has something that the peer was not told of.
    async fn something_new(&self) {
        while self.last_seq() == self.poked {
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn poke(&mut self) -> Result<(), DialError> {
        let last = self.last_seq();
        if let Some(connection) = &mut self.connection {
            connection.poke(&self.hub).await?;
        }
        self.poked = last;
        Ok(())
    }

    /// One round; `true`: both have the same versions.
    async fn round(&mut self) -> Result<bool, DialError> {
        if self.connection.as_ref().is_none_or(Connection::is_closed) {
            let opened = Connection::dial(&self.hub, &self.peer, &self.address).await?;
            self.connection = Some(opened);
            self.meet().await?;
        }
        let last = self.pull().await?;
        if self.last_seq() != self.poked {
            self.poke().await?;
        }
        if !last.dials_back {
            self.push().await?;
        }
        let own = self.hub.with_set(VersionSet::total).await?;
        let equal = own.count == last.count && own.digest() == last.digest;
        let now = self.hub.store.clock().now();
        let newly = self.hub.board.get(&self.peer.fingerprint).contact.is_none();
        self.hub.board.note(self.peer.fingerprint, |noted| {
            noted.contact = Some(now);
            noted.error = None;
            noted.equal = Some(equal);
            noted.lag = 0;
        });
        if newly {
            tracing::info!(peer = %self.peer.name, versions = last.count, equal, "federation: in touch with the peer");
        }
        if equal {
            self.seen = None;
            return Ok(true);
        }
        let difference = (own.digest(), last.digest.clone());
        let stands = self.seen.as_ref() == Some(&difference);
        let repaired = self
            .repaired
            .as_ref()
            .is_some_and(|(done, when)| *done == difference && when.elapsed() < REPAIRED_FOR);
        self.seen = Some(difference.clone());
        if stands && !repaired {
            self.repair().await?;
            self.repaired = Some((difference, Instant::now()));
        }
        Ok(false)
    }

    pub(super) fn connection(&mut self) -> Result<&mut Connection, DialError> {
        self.connection
            .as_mut()
            .ok_or_else(|| DialError::Broken("it was given up".to_owned()))
    }

    /// Reads the peer's log to its end; the last answer.
    async fn pull(&mut self) -> Result<Changes, DialError> {
        let (hub, fingerprint) = (Arc::clone(&self.hub), self.peer.fingerprint);
        let cursor = hub
            .store
            .read(move |read| read.peer_cursor(&fingerprint))
            .await?;
        let (mut epoch, mut after) = (cursor.epoch, cursor.after);
        let mut taking: Option<tokio::task::JoinHandle<_>> = None;
        loop {
            let path = format!("/fed/v1/changes?epoch={epoch}&after={after}&limit={PAGE_VERSIONS}");
            let mut page: Changes = self.connection()?.get(&hub, &path).await?;
            // The writer worked on the page before while this one was on its way.
            if let Some(before) = taking.take() {
                joined(before).await?;
            }
            self.notice_rollback(&epoch, after, &page);
            let moved = page.epoch != epoch || page.next != after;
            (epoch, after) = (page.epoch.clone(), page.next);
            let versions = std::mem::take(&mut page.versions);
            let versions = if self.peer.scopes.write {
                versions
            } else {
                Vec::new()
            };
            if moved {
                let (hub, cursor) = (Arc::clone(&hub), Some((epoch.clone(), after)));
                taking = Some(tokio::spawn(async move {
                    hub.take_in(fingerprint, Way::Pulled, versions, cursor)
                        .await
                }));
            }
            let lag = page.count.saturating_sub(page.next);
            hub.board.note(fingerprint, |noted| noted.lag = lag);
            if !page.more || !moved {
                if let Some(last) = taking.take() {
                    joined(last).await?;
                }
                return Ok(page);
            }
        }
    }

    fn notice_rollback(&self, epoch: &str, after: u64, page: &Changes) {
        let shorter = page.epoch == epoch && page.count < after;
        let known = self.hub.board.get(&self.peer.fingerprint).rolled_back;
        if shorter && !known {
            tracing::error!(peer = %self.peer.name, expected = after, found = page.count, "federation: the peer's log has become shorter: an old database was put back there");
        }
        if shorter {
            self.hub
                .board
                .note(self.peer.fingerprint, |noted| noted.rolled_back = true);
        }
    }

    /// Sends what is new here to a peer that cannot dial back.
    async fn push(&mut self) -> Result<(), DialError> {
        let (hub, fingerprint) = (Arc::clone(&self.hub), self.peer.fingerprint);
        if !self.peer.scopes.read {
            return Ok(());
        }
        let cursor = hub
            .store
            .read(move |read| read.peer_cursor(&fingerprint))
            .await?;
        let mut after = cursor.pushed_after;
        while after < self.last_seq() {
            let found = hub
                .store
                .read(move |read| read.changes(after, PAGE_VERSIONS, PAGE_BYTES))
                .await?;
            let Some(last) = found.last().and_then(|(seq, _)| u64::try_from(*seq).ok()) else {
                break;
            };
            let versions: Vec<_> = found
                .into_iter()
                .filter(|(seq, _)| {
                    u64::try_from(*seq).is_ok_and(|seq| !hub.is_from(fingerprint, seq))
                })
                .map(|(_, wire)| wire)
                .collect();
            if !versions.is_empty() && !self.send(versions).await? {
                return Ok(());
            }
            after = last;
            hub.write(|| {
                move |write: &mut crate::store::WriteContext<'_>| {
                    write.set_pushed_after(&fingerprint, after)
                }
            })
            .await?;
        }
        Ok(())
    }

    /// Sends versions; `false`: the peer takes nothing from this node.
    pub(super) async fn send(&mut self, versions: Vec<WireVersion>) -> Result<bool, DialError> {
        let (hub, batch) = (Arc::clone(&self.hub), Batch { versions });
        let sent = self.connection()?.post(&hub, "/fed/v1/push", &batch).await;
        match sent {
            Ok(Pushed { .. }) => Ok(true),
            Err(DialError::Refused { status: 403, .. }) => Ok(false),
            Err(other) => Err(other),
        }
    }
}

/// Some time after a connection has ended: who ends each one at once is not dialled in a circle.
async fn after_the_end(ended: Option<CancellationToken>) {
    match ended {
        Some(ended) => ended.cancelled().await,
        None => std::future::pending().await,
    }
    tokio::time::sleep(BACKOFF.0).await;
}

async fn joined(
    task: tokio::task::JoinHandle<Result<Pushed, crate::store::StoreError>>,
) -> Result<(), DialError> {
    match task.await {
        Ok(taken) => Ok(taken.map(drop)?),
        Err(panicked) => Err(DialError::Broken(panicked.to_string())),
    }
}
