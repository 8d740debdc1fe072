//! The one writer: a thread that takes commands from a bounded queue and commits them in groups.
//!
//! A group is what has queued up while the last commit was on its way to the disk: at most 256
//! commands or 2 ms of work, a SAVEPOINT each where one is needed, one COMMIT with
//! `synchronous=FULL`. Nobody gets an answer before that COMMIT. When it fails, everyone in the
//! group is told so, `/readyz` turns, and reads go on; the next commit that succeeds turns it back.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::error::StoreError;
use super::log::{Log, LogState};
use super::open_error::OpenError;
use super::pending_index::PendingIndex;
use super::reader::ReadContext;
use crate::clock::{Clock, Timestamp};
use crate::identity::head::HeadFile;

/// Commands that may wait. At 10,000 writes a second this is a tenth of a second of work.
const QUEUE: usize = 1024;
/// Commands in one commit.
const GROUP: usize = 256;
/// Time that a group may take before it is committed.
const GROUP_TIME: Duration = Duration::from_millis(2);

/// What a write may use.
pub struct WriteContext<'a> {
    pub(super) conn: &'a Connection,
    pub(super) log: &'a Log,
    pub(super) state: &'a mut LogState,
    pub(super) index: &'a PendingIndex,
    pub(super) now: Timestamp,
}

impl WriteContext<'_> {
    /// The moment of this write.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The same connection for reading; it sees what this write has done so far, except that the
    /// search index is changed when the group ends.
    #[must_use]
    pub fn read(&self) -> ReadContext<'_> {
        ReadContext {
            conn: self.conn,
            now: self.now,
        }
    }
}

/// What the writer has done, for `/readyz` and `/metrics`.
#[derive(Debug, Default)]
pub struct WriterHealth {
    failure: Mutex<Option<String>>,
    /// Commits that reached the disk.
    pub commits: AtomicU64,
    /// Commands in those commits.
    pub commands: AtomicU64,
    /// Commits that failed.
    pub failed_commits: AtomicU64,
    /// Commands that have no answer yet.
    pub waiting: AtomicU64,
    /// The last sequence number of the log that is on the disk.
    pub last_seq: AtomicU64,
}

impl WriterHealth {
    /// Why the last commit failed; `None`: it did not.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, failure: Option<String>) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }
}

/// What an error of a command takes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Undo {
    /// The command alone: it runs inside a SAVEPOINT.
    Command,
    /// The whole group. For a command that refuses nothing once it writes, so that an error of it
    /// is the database's, which would end the group anyway. SQLite then need not keep a copy of
    /// every page that the command changes.
    Group,
}

trait Job: Send {
    fn undo(&self) -> Undo;
    fn run(&mut self, context: &mut WriteContext<'_>) -> Result<(), StoreError>;
    fn fail(&mut self, error: StoreError);
    fn answer(self: Box<Self>);
}

struct TypedJob<T, F> {
    undo: Undo,
    work: Option<F>,
    result: Result<T, StoreError>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for TypedJob<T, F>
where
    T: Send,
    F: FnOnce(&mut WriteContext<'_>) -> Result<T, StoreError> + Send,
{
    fn undo(&self) -> Undo {
        self.undo
    }

    fn run(&mut self, context: &mut WriteContext<'_>) -> Result<(), StoreError> {
        let Some(work) = self.work.take() else {
            return Err(StoreError::Closed);
        };
        match work(context) {
            Ok(value) => {
                self.result = Ok(value);
                Ok(())
            }
            Err(error) => {
                self.result = Err(error.clone());
                Err(error)
            }
        }
    }

    fn fail(&mut self, error: StoreError) {
        // A command that was refused before keeps its own reason.
        if self.result.is_ok() || matches!(self.result, Err(StoreError::Closed)) {
            self.result = Err(error);
        }
    }

    fn answer(self: Box<Self>) {
        // Whoever asked may have gone away; the write stands all the same.
        drop(self.reply.send(self.result));
    }
}

/// The handle that everyone else holds.
pub(super) struct Writer {
    queue: Mutex<Option<SyncSender<Box<dyn Job>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    health: Arc<WriterHealth>,
}

impl Writer {
    /// Starts the thread over a connection that is keyed, migrated and at the log's end.
    pub(super) fn start(
        conn: Connection,
        log: Log,
        state: LogState,
        head: HeadFile,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let (queue, commands) = sync_channel(QUEUE);
        let health = Arc::new(WriterHealth::default());
        health.last_seq.store(state.seq, Ordering::SeqCst);
        let worker = Worker {
            conn,
            log,
            state,
            head,
            clock,
            index: PendingIndex::default(),
            health: Arc::clone(&health),
        };
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || worker.run(commands))
            .map_err(|source| OpenError::io("start the writer of", "the store", source))?;
        Ok(Self {
            queue: Mutex::new(Some(queue)),
            thread: Mutex::new(Some(thread)),
            health,
        })
    }

    pub(super) fn health(&self) -> &Arc<WriterHealth> {
        &self.health
    }

    fn submit<T, F>(
        &self,
        undo: Undo,
        work: F,
    ) -> Result<oneshot::Receiver<Result<T, StoreError>>, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut WriteContext<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = TypedJob {
            undo,
            work: Some(work),
            result: Err(StoreError::Closed),
            reply,
        };
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queue.as_ref().ok_or(StoreError::Closed)?;
        self.health.waiting.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = queue.try_send(Box::new(job)) {
            self.health.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(match error {
                TrySendError::Full(_) => StoreError::Busy,
                TrySendError::Disconnected(_) => StoreError::Closed,
            });
        }
        Ok(answer)
    }

    pub(super) async fn write<T, F>(&self, undo: Undo, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut WriteContext<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.submit(undo, work)?
            .await
            .map_err(|_| StoreError::Closed)?
    }

    pub(super) fn write_blocking<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut WriteContext<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.submit(Undo::Command, work)?
            .blocking_recv()
            .map_err(|_| StoreError::Closed)?
    }

    /// Takes no more commands, commits what waits, and ends the thread.
    pub(super) fn close(&self) {
        self.queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the store's writer ended in a panic");
        }
    }
}

struct Worker {
    conn: Connection,
    log: Log,
    state: LogState,
    head: HeadFile,
    clock: Arc<dyn Clock>,
    index: PendingIndex,
    health: Arc<WriterHealth>,
}

impl Worker {
    fn run(mut self, commands: Receiver<Box<dyn Job>>) {
        while let Ok(first) = commands.recv() {
            self.commit_group(first, &commands);
        }
        if let Err(error) = self.head.sync() {
            tracing::warn!(%error, "the signed head could not be synced");
        }
        // Moves the WAL into the database, so that a stopped node is one file.
        let moved = self
            .conn
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = moved {
            tracing::warn!(%error, "the WAL could not be moved into the database");
        }
    }

    fn commit_group(&mut self, first: Box<dyn Job>, commands: &Receiver<Box<dyn Job>>) {
        let before = self.state.clone();
        let mut group: Vec<Box<dyn Job>> = Vec::new();
        let outcome = self.run_group(first, commands, &mut group);
        if let Err(cause) = outcome {
            self.state = before;
            self.index.forget_all();
            if !self.conn.is_autocommit()
                && let Err(error) = self.conn.execute_batch("ROLLBACK")
            {
                tracing::error!(%error, "a failed commit could not be rolled back");
            }
            tracing::error!(error = %cause, commands = group.len(), "the commit failed");
            self.health.failed_commits.fetch_add(1, Ordering::Relaxed);
            self.health.set(Some(match self.why_no_writes() {
                Some(why) => format!("{cause}; {why}"),
                None => cause.to_string(),
            }));
            let cause = Arc::new(cause);
            for job in &mut group {
                job.fail(StoreError::CommitFailed {
                    cause: Arc::clone(&cause),
                });
            }
        } else {
            self.health.commits.fetch_add(1, Ordering::Relaxed);
            let commands = u64::try_from(group.len()).unwrap_or(u64::MAX);
            self.health.commands.fetch_add(commands, Ordering::Relaxed);
            self.health.last_seq.store(self.state.seq, Ordering::SeqCst);
            let failure = self.write_head(&before);
            self.health.set(failure);
        }
        for job in group {
            self.health.waiting.fetch_sub(1, Ordering::Relaxed);
            job.answer();
        }
    }

    /// SQLite only says that a write failed. What the system says of a new file in the same folder
    /// tells a read-only file system from a full one; `None`: it takes one.
    fn why_no_writes(&self) -> Option<String> {
        let folder = Path::new(self.conn.path()?).parent()?;
        let probe = folder.join(format!(".probe-{}", std::process::id()));
        let tried = File::create(&probe)
            .and_then(|mut file| file.write_all(&[0; 4096]))
            .and_then(|()| std::fs::remove_file(&probe));
        let error = tried.err()?;
        // Made and not filled: the folder should not keep it.
        if let Err(left) = std::fs::remove_file(&probe)
            && left.kind() != std::io::ErrorKind::NotFound
        {
            tracing::debug!(error = %left, "the probe could not be taken away");
        }
        Some(format!("a new file in `{}`: {error}", folder.display()))
    }

    /// Writes the head where the log or the transcript has grown; returns why that failed.
    fn write_head(&mut self, before: &LogState) -> Option<String> {
        let grown =
            self.state.seq > before.seq || self.state.transcript_seq > before.transcript_seq;
        if !grown {
            return None;
        }
        let head = self.log.head(&self.state);
        let written = self.head.write(&head, self.log.secret());
        written.err().map(|error| {
            tracing::error!(%error, "the signed head could not be written");
            format!("the signed head could not be written: {error}")
        })
    }

    fn run_group(
        &mut self,
        first: Box<dyn Job>,
        commands: &Receiver<Box<dyn Job>>,
        group: &mut Vec<Box<dyn Job>>,
    ) -> Result<(), StoreError> {
        let started = Instant::now();
        let begun = self
            .conn
            .prepare_cached("BEGIN IMMEDIATE")
            .and_then(|mut s| s.execute([]));
        let mut next = Some(first);
        let begun = begun.map_err(StoreError::from);
        while let Some(mut job) = next {
            let ran = begun.clone().and_then(|_| self.run_one(job.as_mut()));
            group.push(job);
            ran?;
            if group.len() >= GROUP || started.elapsed() >= GROUP_TIME {
                break;
            }
            next = commands.try_recv().ok();
        }
        self.index.apply(&self.conn)?;
        self.conn.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    /// Runs one command; an error here is the whole group's.
    fn run_one(&mut self, job: &mut dyn Job) -> Result<(), StoreError> {
        if job.undo() == Undo::Command {
            self.run_inside_savepoint(job)?;
        } else {
            self.run_bare(job)?;
        }
        self.index.keep();
        if self.index.is_large() {
            self.index.apply(&self.conn)?;
        }
        Ok(())
    }

    fn run_bare(&mut self, job: &mut dyn Job) -> Result<(), StoreError> {
        let now = self.clock.now();
        job.run(&mut WriteContext {
            conn: &self.conn,
            log: &self.log,
            state: &mut self.state,
            index: &self.index,
            now,
        })
    }

    fn run_inside_savepoint(&mut self, job: &mut dyn Job) -> Result<(), StoreError> {
        self.conn.prepare_cached("SAVEPOINT command")?.execute([])?;
        let before = self.state.clone();
        if let Err(error) = self.run_bare(job) {
            self.state = before;
            self.index.forget_command();
            // SQLite itself rolls back on a full disk or a failed device: then nothing is left
            // to go on with, and the group ends here.
            if self.conn.is_autocommit() {
                return Err(error);
            }
            self.conn
                .prepare_cached("ROLLBACK TO command")?
                .execute([])?;
        }
        self.conn.prepare_cached("RELEASE command")?.execute([])?;
        Ok(())
    }
}
