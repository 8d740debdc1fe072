//! A small HTTP client that costs little, and what it measures.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::server::Server;

/// One connection that is kept open.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            buffer: Vec::with_capacity(65536),
        }
    }

    /// Sends one request; returns the status and the body.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> (u16, &[u8]) {
        self.stream.write_all(request).await.unwrap();
        self.buffer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await.unwrap();
            assert!(read > 0, "the server hung up");
            let Some(head) = find(&self.buffer, b"\r\n\r\n") else {
                continue;
            };
            let length = content_length(&self.buffer[..head]);
            while self.buffer.len() < head + 4 + length {
                let read = self.stream.read_buf(&mut self.buffer).await.unwrap();
                assert!(read > 0, "the server hung up");
            }
            let status = std::str::from_utf8(&self.buffer[9..12]).unwrap();
            return (status.parse().unwrap(), &self.buffer[head + 4..]);
        }
    }
}

/// What the head says; 0: nothing.
fn content_length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"content-length: ";
    let mut lines = head.split(|byte| *byte == b'\n');
    let line = lines.find(|line| {
        line.get(..NAME.len())
            .is_some_and(|name| name.eq_ignore_ascii_case(NAME))
    });
    line.map_or(0, |line| {
        let digits = std::str::from_utf8(&line[NAME.len()..]).unwrap();
        digits.trim_end().parse().unwrap()
    })
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// Gives the request of each number.
pub(crate) type Requests = Arc<dyn Fn(u64) -> Vec<u8> + Send + Sync>;

/// What one measurement gave.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) server: &'static str,
    pub(crate) what: String,
    pub(crate) connections: usize,
    pub(crate) per_second: f64,
    pub(crate) p50_us: u64,
    pub(crate) p95_us: u64,
    pub(crate) p99_us: u64,
    /// Answers that were not 2xx.
    pub(crate) refused: usize,
    /// The server's processor time for one request.
    pub(crate) cpu_us: f64,
    /// `None`: not counted.
    pub(crate) syncs_per_request: Option<f64>,
    pub(crate) peak_kib: u64,
}

/// Drives the server over so many connections for so long.
pub(crate) async fn drive(
    server: &Server,
    what: &str,
    connections: usize,
    duration: Duration,
    make: Requests,
) -> Row {
    server.forget_peak();
    let next = Arc::new(AtomicU64::new(0));
    let before = server.used();
    let started = Instant::now();
    let tasks: Vec<_> = (0..connections)
        .map(|_| {
            let (next, make, address) =
                (Arc::clone(&next), Arc::clone(&make), server.address.clone());
            tokio::spawn(async move {
                let mut connection = Connection::open(&address).await;
                let (mut latencies, mut refused) = (Vec::new(), 0_usize);
                while started.elapsed() < duration {
                    let request = make(next.fetch_add(1, Ordering::Relaxed));
                    let sent = Instant::now();
                    let (status, _) = connection.ask(&request).await;
                    if status < 300 {
                        latencies.push(u64::try_from(sent.elapsed().as_micros()).unwrap());
                    } else {
                        refused += 1;
                    }
                }
                (latencies, refused)
            })
        })
        .collect();
    let (mut latencies_us, mut refused) = (Vec::new(), 0);
    for task in tasks {
        let (latencies, not_done) = task.await.unwrap();
        latencies_us.extend(latencies);
        refused += not_done;
    }
    let seconds = started.elapsed().as_secs_f64();
    let after = server.used();
    latencies_us.sort_unstable();
    let done = latencies_us.len();
    let at = |percent: usize| {
        let place = done.saturating_sub(1) * percent / 100;
        latencies_us.get(place).copied().unwrap_or(0)
    };
    #[expect(clippy::cast_precision_loss, reason = "rates and shares")]
    let row = Row {
        server: server.name,
        what: what.to_owned(),
        connections,
        per_second: done as f64 / seconds,
        p50_us: at(50),
        p95_us: at(95),
        p99_us: at(99),
        refused,
        cpu_us: (after.cpu - before.cpu).as_secs_f64() * 1e6 / (done + refused).max(1) as f64,
        syncs_per_request: after
            .syncs
            .zip(before.syncs)
            .map(|(after, before)| (after - before) as f64 / done.max(1) as f64),
        peak_kib: server.peak_kib(),
    };
    crate::table::say(&row);
    row
}
