//! Delivering: looks who has something due, and starts a worker for each.
//!
//! One worker for each subscriber, so that a slow one keeps nobody else waiting. The outbox is
//! looked at only after a commit, or when the next attempt is due: an idle node reads nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::backoff::RetrySchedule;
use super::counters::DeliveryCounters;
use super::sender::Sender;
use super::worker::{self, Tools};
use crate::clock::Timestamp;
use crate::model::MemoryId;
use crate::store::{Store, StoreError};

/// How often it is asked whether there is a reason to look.
const EVERY: Duration = Duration::from_millis(20);
/// Time between clean-ups of what was delivered long ago.
const CLEAN_EVERY: Duration = Duration::from_secs(3600);

/// How deliveries are made.
#[derive(Clone)]
pub struct Delivering {
    /// Sends them.
    pub sender: Sender,
    /// When they are tried again.
    pub schedule: RetrySchedule,
    /// Counts them.
    pub counters: Arc<DeliveryCounters>,
}

/// Delivers until it is told to stop; what is under way then gets a little time to end, and what
/// is cut off is delivered again later.
///
/// # Errors
/// When the store cannot be written when it begins.
pub async fn run(
    store: Store,
    delivering: Delivering,
    stop: CancellationToken,
) -> Result<(), StoreError> {
    let released = store.write(|write| write.release_leases()).await?;
    if released > 0 {
        tracing::info!(released, "deliveries that were cut off are made again");
    }
    let tools = Tools {
        store: store.clone(),
        sender: delivering.sender,
        schedule: Arc::new(delivering.schedule),
        counters: delivering.counters,
    };
    let mut workers = JoinSet::new();
    let mut running: BTreeMap<MemoryId, AbortHandle> = BTreeMap::new();
    let mut looked = Looked::default();
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut cleaned = tokio::time::Instant::now();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = every.tick() => {}
        }
        let mut ended = false;
        while workers.try_join_next().is_some() {
            ended = true;
        }
        running.retain(|_, worker| !worker.is_finished());
        if ended || looked.has_reason(&store) {
            match look(&store, &mut looked).await {
                Ok(due) => {
                    for id in due
                        .into_iter()
                        .filter(|id| !running.contains_key(id))
                        .collect::<Vec<_>>()
                    {
                        let worker = worker::run(tools.clone(), id, stop.child_token());
                        running.insert(id, workers.spawn(worker));
                    }
                }
                Err(StoreError::Closed) => break,
                Err(error) => tracing::warn!(%error, "the outbox cannot be read"),
            }
        }
        if cleaned.elapsed() >= CLEAN_EVERY {
            cleaned = tokio::time::Instant::now();
            if let Err(error) = store.write(|write| write.clean_outbox()).await {
                tracing::warn!(%error, "old deliveries were not cleaned up");
            }
        }
    }
    // Each worker ends by itself within a few seconds.
    while workers.join_next().await.is_some() {}
    Ok(())
}

/// What the last look at the outbox saw.
#[derive(Default)]
struct Looked {
    /// Commits before it; `None`: it was never looked at, or could not be read.
    commits: Option<u64>,
    /// When something is due next.
    next: Option<Timestamp>,
}

impl Looked {
    fn has_reason(&self, store: &Store) -> bool {
        let commits = store.health().commits.load(Ordering::Relaxed);
        self.commits != Some(commits) || self.next.is_some_and(|next| next <= store.clock().now())
    }
}

async fn look(store: &Store, looked: &mut Looked) -> Result<Vec<MemoryId>, StoreError> {
    // Counted before reading: what is committed meanwhile is a reason to look again.
    let commits = store.health().commits.load(Ordering::Relaxed);
    looked.commits = None;
    let due = store.read(|read| read.due()).await?;
    *looked = Looked {
        commits: Some(commits),
        next: due.next,
    };
    Ok(due.now)
}
