//! What listener, dialers and the local API share: the store, the lists, the set, the board.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::identity::{Fingerprint, NodeCertificate};
use super::set::VersionSet;
use super::status::{Board, Counters, PeerView, PeersView};
use super::trust::{Changed, Trust};
use crate::store::{Store, StoreError};
use crate::webhook::event::PeerEvent;

/// Ranges of the log whose origin is remembered; a range is one write.
const ORIGINS: usize = 4096;

/// The federation of one node.
pub struct Hub {
    /// The open database.
    pub store: Store,
    /// Who is trusted.
    pub trust: Arc<Trust>,
    /// This node's certificate.
    pub own: NodeCertificate,
    /// How each peer is.
    pub board: Board,
    /// Connections, counted.
    pub counters: Counters,
    set: tokio::sync::Mutex<VersionSet>,
    origins: Mutex<VecDeque<Origin>>,
    pokes: Mutex<BTreeMap<Fingerprint, Arc<Notify>>>,
}

/// Versions of the log that one peer brought: places after `after`, up to `last`.
#[derive(Clone, Copy, Debug)]
struct Origin {
    after: u64,
    last: u64,
    peer: Fingerprint,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub")
            .field("own", &self.own.fingerprint())
            .finish_non_exhaustive()
    }
}

impl Hub {
    /// A hub over an open store.
    #[must_use]
    pub fn new(store: Store, trust: Arc<Trust>, own: NodeCertificate) -> Self {
        Self {
            store,
            trust,
            own,
            board: Board::default(),
            counters: Counters::default(),
            set: tokio::sync::Mutex::default(),
            origins: Mutex::default(),
            pokes: Mutex::default(),
        }
    }

    /// Runs `work` over the set of versions as it is on the disk now.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn with_set<T>(&self, work: impl FnOnce(&VersionSet) -> T) -> Result<T, StoreError> {
        let mut set = self.set.lock().await;
        let after = set.last_seq();
        let on_disk = self
            .store
            .health()
            .last_seq
            .load(std::sync::atomic::Ordering::SeqCst);
        if u64::try_from(after) != Ok(on_disk) {
            let new = self
                .store
                .read(move |read| read.version_ids_after(after))
                .await?;
            new.into_iter().for_each(|(seq, id)| set.add(seq, id));
        }
        Ok(work(&set))
    }

    /// Remembers that `peer` brought the `count` versions that end at `last`.
    pub(super) fn came_from(&self, peer: Fingerprint, count: usize, last: u64) {
        if count == 0 {
            return;
        }
        let after = last.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        // Two peers' writes may be noted in another order than they were made.
        let at = origins.partition_point(|origin| origin.last < last);
        match at.checked_sub(1).and_then(|before| origins.get_mut(before)) {
            Some(before) if before.peer == peer && before.last == after => before.last = last,
            _ => origins.insert(at, Origin { after, last, peer }),
        }
        if origins.len() > ORIGINS {
            origins.pop_front();
        }
    }

    /// Whether `peer` brought the version at this place itself.
    pub(super) fn is_from(&self, peer: Fingerprint, seq: u64) -> bool {
        let origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        let at = origins.partition_point(|origin| origin.last < seq);
        origins
            .get(at)
            .is_some_and(|origin| origin.after < seq && origin.peer == peer)
    }

    /// What wakes the dialer of this peer.
    pub(super) fn poke_of(&self, peer: Fingerprint) -> Arc<Notify> {
        let mut pokes = self.pokes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(pokes.entry(peer).or_default())
    }

    /// Takes in what has changed in the lists: rules of authors go into the store, and what waits
    /// in quarantine is judged anew.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn follow(&self, changed: &Changed) -> Result<(), StoreError> {
        for peer in &changed.removed {
            tracing::warn!(peer = %peer.name, fingerprint = %peer.fingerprint, "federation: a peer is off the list, its connections are cut");
        }
        for peer in &changed.added {
            tracing::info!(peer = %peer.name, fingerprint = %peer.fingerprint, "federation: a peer is on the list");
        }
        if !changed.added.is_empty() || !changed.removed.is_empty() {
            let (added, removed) = (changed.added.clone(), changed.removed.clone());
            self.store
                .write(move |write| {
                    for peer in &removed {
                        let name = peer.fingerprint.to_string();
                        write.note_peer(PeerEvent::Removed, &name, facts(peer))?;
                    }
                    for peer in &added {
                        let name = peer.fingerprint.to_string();
                        write.note_peer(PeerEvent::Added, &name, facts(peer))?;
                    }
                    Ok(())
                })
                .await?;
        }
        if changed.authors {
            self.apply_author_rules().await?;
            self.judge_anew().await?;
            let authors = self.trust.authors().authors().count();
            tracing::info!(authors, "federation: the authors file was read again");
        }
        Ok(())
    }

    /// Puts rotations and shared namespaces of the authors file into the store.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn apply_author_rules(&self) -> Result<(), StoreError> {
        let authors = self.trust.authors();
        self.store
            .write(move |write| write.set_author_rules(authors.rotations(), authors.shared()))
            .await
    }

    /// Everything that is known of the peers.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn view(&self) -> Result<PeersView, StoreError> {
        let total = self.with_set(VersionSet::total).await?;
        let held = self.store.read(|read| read.quarantine_counts()).await?;
        let list = self.trust.allowlist();
        let mut peers = Vec::new();
        for peer in list.peers() {
            let status = self.board.get(&peer.fingerprint);
            let fingerprint = peer.fingerprint;
            let cursor = self
                .store
                .read(move |read| read.peer_cursor(&fingerprint))
                .await?;
            let state = match (&status.error, status.contact) {
                (Some(_), _) => "failing",
                (None, Some(_)) => "connected",
                (None, None) => "waiting",
            };
            peers.push(PeerView {
                name: peer.name.clone(),
                fingerprint: fingerprint.to_string(),
                address: peer.address.clone(),
                scopes: scopes(peer).to_owned(),
                state: state.to_owned(),
                last_contact: status.contact.max(cursor.contact),
                last_error: status.error,
                lag_versions: status.lag,
                digest_equal: status.equal,
                rolled_back: status.rolled_back,
                repairs: status.repairs,
                bytes_in: status.bytes_in,
                bytes_out: status.bytes_out,
                versions_taken: status.taken,
                quarantine: held
                    .iter()
                    .filter(|(from, _, _)| *from == fingerprint)
                    .map(|(_, reason, count)| (reason.clone(), *count))
                    .collect(),
            });
        }
        Ok(PeersView {
            federation: "on",
            fingerprint: Some(self.own.fingerprint().to_string()),
            versions: total.count,
            digest: Some(total.digest()),
            problems: self.trust.problems(),
            peers,
        })
    }
}

fn scopes(peer: &super::allowlist::Peer) -> &'static str {
    match (peer.scopes.read, peer.scopes.write) {
        (true, true) => "read,write",
        (true, false) => "read",
        (false, true) => "write",
        (false, false) => "",
    }
}

/// A peer as the transcript names it.
pub(super) fn facts(peer: &super::allowlist::Peer) -> [(&'static str, String); 2] {
    [
        ("fingerprint", peer.fingerprint.to_string()),
        ("name", peer.name.clone()),
    ]
}
