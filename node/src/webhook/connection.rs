//! Connections to one receiver: one request after the other on each, kept for a short while.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;

/// How long a connection serves; after that the name is asked for again, and judged again.
const SERVES: Duration = Duration::from_secs(30);
/// Bytes of an answer that are read before it is taken as given.
const ANSWER_BYTES: usize = 16 * 1024;
/// How long an answer's body is waited for: its head has said all that counts.
const ANSWER_TIME: Duration = Duration::from_secs(1);
/// Bytes that the head of an answer may have.
const HEAD_BYTES: usize = 64 * 1024;

/// One open connection.
pub(super) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<hyper::Result<()>>,
    made: Instant,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    /// Begins to speak HTTP/1.1.
    pub(super) async fn begin<T>(io: T) -> Result<Self, String>
    where
        T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = Builder::new()
            .max_buf_size(HEAD_BYTES)
            .handshake(TokioIo::new(io))
            .await
            .map_err(broken)?;
        Ok(Self {
            sender,
            driver: tokio::spawn(connection),
            made: Instant::now(),
        })
    }

    /// Sends one request. The status of the answer, and the connection if it can serve again.
    pub(super) async fn exchange(
        mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<(u16, Option<Self>), String> {
        let response = self.sender.send_request(request).await.map_err(broken)?;
        let status = response.status().as_u16();
        let ended = was_read(response.into_body()).await;
        let again = ended && self.made.elapsed() < SERVES && self.sender.ready().await.is_ok();
        Ok((status, again.then_some(self)))
    }
}

/// Reads a bounded part for a bounded time: an endless body is cut off and does no harm.
async fn was_read(body: Incoming) -> bool {
    let read = Limited::new(body, ANSWER_BYTES).collect();
    matches!(tokio::time::timeout(ANSWER_TIME, read).await, Ok(Ok(_)))
}

fn broken(error: hyper::Error) -> String {
    format!("the connection broke: {error}")
}

/// Connections that wait for the next request to the same receiver.
#[derive(Default)]
pub(super) struct Kept {
    idle: Mutex<Vec<Connection>>,
    /// Whoever holds it asks the resolver: one question at a time for one receiver.
    pub(super) asking: tokio::sync::Mutex<()>,
}

impl Kept {
    /// One that is still open and young enough.
    pub(super) fn take(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(connection) = idle.pop() {
            if !connection.sender.is_closed() && connection.made.elapsed() < SERVES {
                return Some(connection);
            }
        }
        None
    }

    pub(super) fn put(&self, connection: Connection) {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(connection);
    }
}
