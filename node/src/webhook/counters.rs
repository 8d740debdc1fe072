//! What the dispatcher has done since the node began, for `/metrics`.

use std::sync::atomic::{AtomicU64, Ordering};

/// Attempts and their ends.
#[derive(Debug, Default)]
pub struct DeliveryCounters {
    delivered: AtomicU64,
    failed: AtomicU64,
    dead: AtomicU64,
}

impl DeliveryCounters {
    pub(super) fn attempted(&self, delivered: bool) {
        let counter = if delivered {
            &self.delivered
        } else {
            &self.failed
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn given_up(&self, count: u64) {
        self.dead.fetch_add(count, Ordering::Relaxed);
    }

    /// Attempts that a receiver answered with 2xx.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Attempts that failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Announcements that were given up.
    #[must_use]
    pub fn dead(&self) -> u64 {
        self.dead.load(Ordering::Relaxed)
    }
}
