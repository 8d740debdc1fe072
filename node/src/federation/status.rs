//! How each peer is: what `memory-node peers`, `/metrics` and the log say.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use utoipa::ToSchema;

use super::identity::Fingerprint;
use crate::clock::Timestamp;

/// How a peer was when it was last heard of.
#[derive(Clone, Debug, Default)]
pub struct PeerStatus {
    /// The last exchange that went well, in either direction.
    pub contact: Option<Timestamp>,
    /// Why the last dial or exchange failed; `None`: it did not.
    pub error: Option<String>,
    /// Versions that the peer has and that were not read yet.
    pub lag: u64,
    /// Whether both had the same versions at the last comparison; `None`: never compared.
    pub equal: Option<bool>,
    /// The peer's log has become shorter under the same name.
    pub rolled_back: bool,
    /// Range reconciliations.
    pub repairs: u64,
    /// Bytes of messages that came from it.
    pub bytes_in: u64,
    /// Bytes of messages that went to it.
    pub bytes_out: u64,
    /// Versions of it that were new here.
    pub taken: u64,
}

/// A peer as it is shown.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PeerView {
    /// How people call it.
    pub name: String,
    /// SHA-256 of its certificate.
    pub fingerprint: String,
    /// Where it is dialled; null: it only comes to us.
    pub address: Option<String>,
    /// `read`, `write` or `read,write`.
    pub scopes: String,
    /// `connected`, `waiting` (it has not come yet), `failing`, or `off`.
    pub state: String,
    /// The last exchange that went well; null: none since the node began.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_contact: Option<Timestamp>,
    /// Why the last exchange failed; null: it did not.
    pub last_error: Option<String>,
    /// Versions that it has and that were not read yet.
    pub lag_versions: u64,
    /// Whether both have the same versions; null: not compared yet.
    pub digest_equal: Option<bool>,
    /// Its log has become shorter: an old database was put back there.
    pub rolled_back: bool,
    /// Range reconciliations since the node began.
    pub repairs: u64,
    /// Bytes of its messages.
    pub bytes_in: u64,
    /// Bytes of messages to it.
    pub bytes_out: u64,
    /// Versions of it that were new here.
    pub versions_taken: u64,
    /// How many of its versions are in quarantine, for each reason.
    pub quarantine: BTreeMap<String, u64>,
}

/// The federation as it is shown.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PeersView {
    /// `on` or `off`.
    pub federation: &'static str,
    /// This node's fingerprint; null: off.
    pub fingerprint: Option<String>,
    /// Versions in this node's log.
    pub versions: u64,
    /// Their digest; null: off.
    pub digest: Option<String>,
    /// What is wrong with the allowlist or the authors file.
    pub problems: Vec<String>,
    /// Everyone on the allowlist, and who is gone and has something in quarantine.
    pub peers: Vec<PeerView>,
}

/// Connections, counted.
#[derive(Debug, Default)]
pub struct Counters {
    /// Handshakes that ended in an accepted peer.
    pub accepted: AtomicU64,
    /// Handshakes that did not.
    pub refused: AtomicU64,
    /// Connections that were dropped because too many were shaking hands.
    pub crowded: AtomicU64,
    /// Connections that were cut because the peer was removed.
    pub cut: AtomicU64,
}

/// Counts one.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// The board where everyone notes how a peer is.
#[derive(Debug, Default)]
pub struct Board(Mutex<BTreeMap<Fingerprint, PeerStatus>>);

impl Board {
    /// Changes what is noted of a peer.
    pub fn note(&self, peer: Fingerprint, change: impl FnOnce(&mut PeerStatus)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(all.entry(peer).or_default());
    }

    /// What is noted of a peer.
    #[must_use]
    pub fn get(&self, peer: &Fingerprint) -> PeerStatus {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(peer).cloned().unwrap_or_default()
    }
}
