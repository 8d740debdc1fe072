//! A pool of read-only connections, each on a thread that may block.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::error::StoreError;
use super::open::{Connector, Role};
use super::open_error::OpenError;
use crate::clock::{Clock, Timestamp};

/// What a read may use: one consistent connection and the time.
pub struct ReadContext<'a> {
    pub(super) conn: &'a Connection,
    pub(super) now: Timestamp,
}

impl ReadContext<'_> {
    /// The moment of this read.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }
}

/// The pool. As many reads run at once as it has connections; the others wait in line.
pub(super) struct ReaderPool {
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
}

/// Brings the connection back, however the read ends.
struct Borrowed {
    conn: Option<Connection>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take() {
            self.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(conn);
        }
    }
}

impl ReaderPool {
    pub(super) fn open(
        connector: &Connector,
        size: usize,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, OpenError> {
        let connections = (0..size)
            .map(|_| connector.connect(Role::Reader))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            permits: Arc::new(Semaphore::new(connections.len())),
            idle: Arc::new(Mutex::new(connections)),
            clock,
        })
    }

    pub(super) async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&ReadContext<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|_| StoreError::Closed)?;
        let idle = Arc::clone(&self.idle);
        let now = self.clock.now();
        let task = tokio::task::spawn_blocking(move || {
            let conn = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let borrowed = Borrowed { conn, idle };
            let conn = borrowed.conn.as_ref().ok_or(StoreError::Closed)?;
            let answer = in_one_snapshot(conn, |conn| work(&ReadContext { conn, now }));
            drop(borrowed);
            drop(permit);
            answer
        });
        task.await
            .unwrap_or_else(|panicked| Err(StoreError::Database(panicked.to_string())))
    }

    /// Closes the idle connections; reads that still run close theirs when they end.
    pub(super) fn close(&self) {
        self.permits.close();
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

/// All statements of one read see the same state.
fn in_one_snapshot<T>(
    conn: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    conn.prepare_cached("BEGIN")?.execute([])?;
    let answer = work(conn);
    let ended = conn.prepare_cached("COMMIT")?.execute([]);
    let answer = answer?;
    ended?;
    Ok(answer)
}
