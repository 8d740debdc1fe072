//! Taking versions in: the same checks for what was pushed and what was pulled.
//!
//! Signatures are checked on as many threads as the machine has cores, before the writer is asked;
//! the writer takes what was admitted in pieces, so that local writes get their turn in between.

use std::collections::BTreeMap;
use std::time::Duration;

use super::hub::Hub;
use super::identity::Fingerprint;
use super::protocol::Pushed;
use crate::clock::Timestamp;
use crate::identity::admit::{self, AdmittedVersion, Refused, WireVersion};
use crate::identity::authors::Authors;
use crate::identity::keys::AuthorKey;
use crate::store::{StoreError, Way};
use crate::webhook::event::PeerEvent;

/// Versions in one write.
const PIECE: usize = 500;
/// Versions that are worth a second thread.
const WORTH_A_THREAD: usize = 32;
/// How often a full queue of the writer is tried again, and how long apart.
const TRIES: u32 = 100;
const APART: Duration = Duration::from_millis(20);

/// What was admitted, and what was not.
#[derive(Debug, Default)]
pub struct Judged {
    /// May be taken in.
    pub admitted: Vec<AdmittedVersion>,
    /// Goes to quarantine.
    pub refused: Vec<Refused>,
}

/// Checks versions, on every core.
#[must_use]
pub fn judge(
    wires: Vec<WireVersion>,
    authors: &Authors,
    own: &AuthorKey,
    now: Timestamp,
) -> Judged {
    let one = |wires: Vec<WireVersion>| -> Vec<_> {
        wires
            .into_iter()
            .map(|wire| admit::admit(wire, authors, own, now))
            .collect()
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = wires.len().div_ceil(cores).max(WORTH_A_THREAD);
    let mut judged = Judged::default();
    let results: Vec<_> = std::thread::scope(|scope| {
        let mut rest = wires;
        let mut threads = Vec::new();
        while rest.len() > share {
            let part = rest.split_off(rest.len() - share);
            threads.push(scope.spawn(|| one(part)));
        }
        let mut all = vec![one(rest)];
        for thread in threads.into_iter().rev() {
            match thread.join() {
                Ok(part) => all.push(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all.into_iter().flatten().collect()
    });
    for result in results {
        match result {
            Ok(admitted) => judged.admitted.push(admitted),
            Err(refused) => judged.refused.push(*refused),
        }
    }
    judged
}

impl Hub {
    /// Takes versions of `peer` in; `cursor`: how far its log has been read with these.
    ///
    /// # Errors
    /// When the database refuses. What was taken in by then stays.
    pub async fn take_in(
        &self,
        peer: Fingerprint,
        way: Way,
        wires: Vec<WireVersion>,
        cursor: Option<(String, u64)>,
    ) -> Result<Pushed, StoreError> {
        let authors = self.trust.authors();
        let own = self.store.author();
        let now = self.store.clock().now();
        let judging = tokio::task::spawn_blocking(move || judge(wires, &authors, &own, now));
        let judged = judging
            .await
            .map_err(|error| StoreError::Database(error.to_string()))?;
        let mut done = Pushed {
            quarantined: judged.refused.len(),
            ..Pushed::default()
        };
        let mut admitted = judged.admitted;
        while !admitted.is_empty() {
            let later = admitted.split_off(admitted.len().min(PIECE));
            let piece = std::sync::Arc::new(std::mem::replace(&mut admitted, later));
            let (ingested, last) = self
                .write(|| {
                    let piece = std::sync::Arc::clone(&piece);
                    move |write: &mut crate::store::WriteContext<'_>| {
                        let ingested = write.ingest(&piece)?;
                        if ingested.taken > 0 {
                            let many = ("versions".to_owned(), ingested.taken.into());
                            let (name, facts) = (peer.to_string(), [many].into_iter().collect());
                            write.announce_peer(PeerEvent::Synced, &name, None, facts)?;
                        }
                        Ok((ingested, write.last_seq()))
                    }
                })
                .await?;
            self.came_from(peer, ingested.taken, last);
            done.taken += ingested.taken;
            done.known += ingested.known;
        }
        let taken = u64::try_from(done.taken).unwrap_or(u64::MAX);
        self.board.note(peer, |status| status.taken += taken);
        self.hold_and_note(peer, way, judged.refused, cursor)
            .await?;
        Ok(done)
    }

    async fn hold_and_note(
        &self,
        peer: Fingerprint,
        way: Way,
        refused: Vec<Refused>,
        cursor: Option<(String, u64)>,
    ) -> Result<(), StoreError> {
        if refused.is_empty() && cursor.is_none() {
            return Ok(());
        }
        let refused = std::sync::Arc::new(refused);
        let held = self
            .write(|| {
                let (refused, cursor) = (std::sync::Arc::clone(&refused), cursor.clone());
                move |write: &mut crate::store::WriteContext<'_>| {
                    let mut reasons: BTreeMap<&'static str, u64> = BTreeMap::new();
                    for one in refused.iter() {
                        if write.hold(one, &peer, way)? {
                            *reasons.entry(one.reason.as_str()).or_default() += 1;
                        }
                    }
                    for (reason, count) in &reasons {
                        let facts = [
                            ("count", count.to_string()),
                            ("peer", peer.to_string()),
                            ("reason", (*reason).to_owned()),
                        ];
                        write.note_peer(PeerEvent::Quarantined, &peer.to_string(), facts)?;
                    }
                    if let Some((epoch, after)) = cursor {
                        write.set_peer_cursor(&peer, &epoch, after)?;
                    }
                    Ok(reasons)
                }
            })
            .await?;
        for (reason, count) in held {
            tracing::warn!(%peer, reason, count, "federation: versions went to quarantine");
        }
        Ok(())
    }

    /// Asks the writer, and again where its queue is full.
    pub(super) async fn write<T, F>(&self, make: impl Fn() -> F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut crate::store::WriteContext<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        for _ in 0..TRIES {
            match self.store.write(make()).await {
                Err(StoreError::Busy) => tokio::time::sleep(APART).await,
                answered => return answered,
            }
        }
        Err(StoreError::Busy)
    }

    /// Judges what lies in quarantine and is genuine by the rules of this moment; returns how many
    /// were taken in.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn judge_anew(&self) -> Result<usize, StoreError> {
        let held = self.store.read(|read| read.held_and_genuine()).await?;
        let (authors, own) = (self.trust.authors(), self.store.author());
        let now = self.store.clock().now();
        let (mut welcome, mut still) = (Vec::new(), Vec::new());
        for (digest, peer, wire) in held {
            match admit::admit(wire, &authors, &own, now) {
                Ok(admitted) => welcome.push((digest, peer, admitted)),
                Err(refused) => still.push((digest, *refused)),
            }
        }
        if !still.is_empty() {
            self.store
                .write(move |write| {
                    still
                        .iter()
                        .try_for_each(|(digest, refused)| write.hold_because(digest, refused))
                })
                .await?;
        }
        let count = welcome.len();
        for (digest, peer, admitted) in welcome {
            self.store
                .write(move |write| {
                    write.take_out(&digest)?;
                    write.ingest(std::slice::from_ref(&admitted))?;
                    write.record("version.released", release(&digest, &peer))
                })
                .await?;
        }
        if count > 0 {
            tracing::info!(
                count,
                "federation: versions left quarantine, the rules have changed"
            );
        }
        Ok(count)
    }
}

fn release(digest: &[u8; 32], peer: &Fingerprint) -> [(&'static str, String); 2] {
    [("digest", hex::encode(digest)), ("peer", peer.to_string())]
}
