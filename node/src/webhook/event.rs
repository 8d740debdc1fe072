//! The names of what is announced.

/// The events that a subscription may name.
pub const EVENTS: [&str; 13] = [
    "memory.created",
    "memory.updated",
    "memory.deleted",
    "memory.forgotten",
    "memory.expired",
    "memory.promoted",
    "link.created",
    "peer.added",
    "peer.removed",
    "peer.accepted",
    "peer.refused",
    "peer.synced",
    "peer.quarantined",
];

/// What is sent when an operator asks for a test; it reaches a subscriber whatever he has named.
pub const TEST: &str = "test";

/// What happened with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerEvent {
    /// It is in the allowlist now.
    Added,
    /// It is in the allowlist no more.
    Removed,
    /// It was let in.
    Accepted,
    /// It was turned away.
    Refused,
    /// Versions were taken over from it.
    Synced,
    /// A version that came from it was put into quarantine.
    Quarantined,
}

impl PeerEvent {
    /// The event's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "peer.added",
            Self::Removed => "peer.removed",
            Self::Accepted => "peer.accepted",
            Self::Refused => "peer.refused",
            Self::Synced => "peer.synced",
            Self::Quarantined => "peer.quarantined",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_event_can_be_subscribed_to() {
        for event in [
            PeerEvent::Added,
            PeerEvent::Removed,
            PeerEvent::Accepted,
            PeerEvent::Refused,
            PeerEvent::Synced,
            PeerEvent::Quarantined,
        ] {
            assert!(EVENTS.contains(&event.as_str()), "{event:?}");
        }
    }
}
