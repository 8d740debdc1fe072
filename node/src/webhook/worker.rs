//! One subscriber's worker: hands out what is due to a few attempts at once, and notes how they
//! ended, while new ones are under way. It ends when nothing is due.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::backoff::RetrySchedule;
use super::connection::Kept;
use super::counters::DeliveryCounters;
use super::sender::Sender;
use crate::model::MemoryId;
use crate::store::{Attempt, Delivery, Store, StoreError, Subscription, Turn};

/// From resolving the name to the end of the answer.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// Connections to one subscriber at once.
const AT_ONCE: usize = 8;
/// Announcements held at once. All of them are tried within 80 s, before their lease is over.
const HELD: usize = 64;
/// How long attempts under way are waited for when the node stops.
const LAST_ATTEMPTS: Duration = Duration::from_secs(3);
/// The wait before a write that was turned away, or failed, is made again.
const WRITE_AGAIN: Duration = Duration::from_millis(50);
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// What every worker uses.
#[derive(Clone)]
pub(super) struct Tools {
    pub(super) store: Store,
    pub(super) sender: Sender,
    pub(super) schedule: Arc<RetrySchedule>,
    pub(super) counters: Arc<DeliveryCounters>,
}

struct Worker {
    tools: Tools,
    id: MemoryId,
    subscription: Option<Arc<Subscription>>,
    kept: Arc<Kept>,
    waiting: VecDeque<Delivery>,
    attempts: JoinSet<Attempt>,
    finished: Vec<Attempt>,
    turns: JoinSet<Result<Turn, StoreError>>,
    stopping: bool,
}

/// Delivers to one subscriber until nothing is due.
pub(super) async fn run(tools: Tools, id: MemoryId, stop: CancellationToken) {
    let mut worker = Worker {
        tools,
        id,
        subscription: None,
        kept: Arc::default(),
        waiting: VecDeque::new(),
        attempts: JoinSet::new(),
        finished: Vec::new(),
        turns: JoinSet::new(),
        stopping: false,
    };
    worker.take_turn();
    while !worker.is_done() {
        tokio::select! {
            () = stop.cancelled(), if !worker.stopping => {
                worker.stopping = true;
                break;
            }
            Some(turn) = worker.turns.join_next() => {
                if !worker.turned(turn).await {
                    return;
                }
            }
            Some(attempt) = worker.attempts.join_next() => worker.tried(attempt),
        }
        worker.start_attempts();
        if worker.turns.is_empty() && !worker.finished.is_empty() {
            worker.take_turn();
        }
    }
    if worker.stopping {
        worker.stop().await;
    }
}

impl Worker {
    fn is_done(&self) -> bool {
        self.turns.is_empty()
            && self.attempts.is_empty()
            && self.waiting.is_empty()
            && self.finished.is_empty()
    }

    fn start_attempts(&mut self) {
        let Some(subscription) = &self.subscription else {
            return;
        };
        while self.attempts.len() < AT_ONCE {
            let Some(delivery) = self.waiting.pop_front() else {
                return;
            };
            let (tools, kept) = (self.tools.clone(), Arc::clone(&self.kept));
            let subscription = Arc::clone(subscription);
            self.attempts
                .spawn(async move { attempt(&tools, &kept, &subscription, &delivery).await });
        }
    }

    fn tried(&mut self, attempt: Result<Attempt, tokio::task::JoinError>) {
        match attempt {
            Ok(attempt) => self.finished.push(attempt),
            // Its lease runs out, and it is tried again.
            Err(error) => tracing::error!(%error, "an attempt ended in a panic"),
        }
    }

    fn take_turn(&mut self) {
        let finished = std::mem::take(&mut self.finished);
        let limit = HELD.saturating_sub(self.waiting.len() + self.attempts.len());
        let (store, id) = (self.tools.store.clone(), self.id);
        let schedule = Arc::clone(&self.tools.schedule);
        self.turns
            .spawn(async move { turn(&store, id, finished, limit, &schedule).await });
    }

    /// Takes in what a turn gave; `false`: this worker cannot go on.
    async fn turned(
        &mut self,
        turn: Result<Result<Turn, StoreError>, tokio::task::JoinError>,
    ) -> bool {
        let turn = match turn {
            Ok(Ok(turn)) => turn,
            Ok(Err(StoreError::Closed)) => return false,
            Ok(Err(error)) => {
                // What is held comes back when its lease is over, under the same ids.
                tracing::warn!(%error, subscription = %self.id, "deliveries could not be noted");
                tokio::time::sleep(AFTER_FAILURE).await;
                return false;
            }
            Err(error) => {
                tracing::error!(%error, "a turn ended in a panic");
                return false;
            }
        };
        self.tools.counters.given_up(turn.dead);
        if turn.dead > 0 {
            tracing::warn!(
                subscription = %self.id,
                count = turn.dead,
                "deliveries were given up; see `memory-node webhook deliveries --state dead`"
            );
        }
        self.waiting.extend(turn.due);
        match turn.subscription {
            None => self.waiting.clear(),
            Some(subscription) if !subscription.active => self.give_back().await,
            Some(subscription) => self.subscription = Some(Arc::new(subscription)),
        }
        true
    }

    async fn give_back(&mut self) {
        let rows: Vec<i64> = self
            .waiting
            .drain(..)
            .map(|delivery| delivery.seq)
            .collect();
        if rows.is_empty() {
            return;
        }
        let given = self
            .tools
            .store
            .write(move |write| write.give_back(&rows))
            .await;
        if let Err(error) = given {
            tracing::warn!(%error, "deliveries could not be given back; they wait for their lease");
        }
    }

    /// Lets the attempts under way end, but not for long, and notes how they did.
    async fn stop(&mut self) {
        self.give_back().await;
        let ended = tokio::time::timeout(LAST_ATTEMPTS, async {
            while let Some(attempt) = self.attempts.join_next().await {
                self.finished.extend(attempt.ok());
            }
        });
        if ended.await.is_err() {
            tracing::info!(subscription = %self.id, "a delivery was cut off and is made again");
        }
        while let Some(turn) = self.turns.join_next().await {
            if let Ok(Ok(turn)) = turn {
                self.waiting.extend(turn.due);
            }
        }
        self.give_back().await;
        let finished = std::mem::take(&mut self.finished);
        let noted = turn(
            &self.tools.store,
            self.id,
            finished,
            0,
            &self.tools.schedule,
        );
        if let Err(error) = noted.await {
            tracing::warn!(%error, "deliveries could not be noted and are made again");
        }
    }
}

/// One turn; where the writer's queue is full, it is taken a little later.
async fn turn(
    store: &Store,
    id: MemoryId,
    finished: Vec<Attempt>,
    limit: usize,
    schedule: &Arc<RetrySchedule>,
) -> Result<Turn, StoreError> {
    let finished = Arc::new(finished);
    loop {
        let (finished, schedule) = (Arc::clone(&finished), Arc::clone(schedule));
        let taken = store
            .write(move |write| write.take_turn(id, &finished, limit, &schedule))
            .await;
        match taken {
            Err(StoreError::Busy) => tokio::time::sleep(WRITE_AGAIN).await,
            other => return other,
        }
    }
}

async fn attempt(
    tools: &Tools,
    kept: &Kept,
    subscription: &Subscription,
    delivery: &Delivery,
) -> Attempt {
    let now = tools.store.clock().now();
    let sent = tools.sender.send(kept, subscription, delivery, now);
    let (status, error) = match tokio::time::timeout(TIME_LIMIT, sent).await {
        Err(_) => (
            None,
            Some(format!("no answer within {} s", TIME_LIMIT.as_secs())),
        ),
        Ok(Err(error)) => (None, Some(error)),
        Ok(Ok(status)) if (200..300).contains(&status) => (Some(status), None),
        Ok(Ok(status)) => (
            Some(status),
            Some(format!("the receiver answered {status}")),
        ),
    };
    tools.counters.attempted(error.is_none());
    Attempt {
        seq: delivery.seq,
        status,
        error,
    }
}
