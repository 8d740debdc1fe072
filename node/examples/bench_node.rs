//! How fast the node stores, reads and searches over HTTP, and the same for `ai-memory`.
//!
//! `cargo run --release -p node --example bench_node -- --node target/release/memory-node
//!  [--ai-memory PATH] [--memories 100000] [--seconds 5]`
//!
//! It starts each server on a scratch folder, drives it over loopback, and prints one JSON line a
//! measurement. Client and server share the machine's cores: so do both candidates.
#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot go on should panic"
)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measuring program"
)]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[derive(Parser)]
struct Args {
    /// The binary `memory-node`.
    #[arg(long)]
    node: PathBuf,
    /// The binary `ai-memory`, to compare with.
    #[arg(long)]
    ai_memory: Option<PathBuf>,
    /// Memories in the store while reads and searches are measured.
    #[arg(long, default_value_t = 100_000)]
    memories: usize,
    /// Memories that match the searched word.
    #[arg(long, default_value_t = 15_000)]
    matching: usize,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

/// A server under test.
struct Server {
    name: &'static str,
    child: Child,
    address: String,
    headers: String,
    _dir: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Server {
    fn node(binary: &Path) -> Self {
        let dir = tempfile::tempdir_in(".").unwrap();
        let pass = dir.path().join("pass");
        write_private(&pass, "bench passphrase");
        let base = |command: &mut Command| {
            command.arg("--data-dir").arg(dir.path().join("data"));
            command.arg("--passphrase-file").arg(&pass);
        };
        let mut init = Command::new(binary);
        base(&mut init);
        assert!(
            init.arg("init")
                .stdout(Stdio::null())
                .status()
                .unwrap()
                .success()
        );
        let mut serve = Command::new(binary);
        base(&mut serve);
        let mut child = serve
            .args(["serve", "--listen", "127.0.0.1:0"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let mut lines = lines.into_iter();
        let address = lines
            .find_map(|line| {
                let (_, rest) = line.split_once("api: listening on ")?;
                rest.split(',').next().map(str::to_owned)
            })
            .unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        let token = std::fs::read_to_string(dir.path().join("data/token")).unwrap();
        let headers = format!(
            "Host: {address}\r\nAuthorization: Bearer {}\r\n",
            token.trim()
        );
        Self {
            name: "memory-node",
            child,
            address,
            headers,
            _dir: dir,
        }
    }

    fn ai_memory(binary: &Path) -> Self {
        let dir = tempfile::tempdir_in(".").unwrap();
        let pass = dir.path().join("pass");
        write_private(&pass, "bench passphrase");
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let child = Command::new(binary)
            .env("HOME", dir.path())
            .env("AI_MEMORY_NO_CONFIG", "1")
            .arg("--db")
            .arg(dir.path().join("ai.db"))
            .arg("--db-passphrase-file")
            .arg(&pass)
            .args(["serve", "--host", "127.0.0.1", "--port", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let address = format!("127.0.0.1:{port}");
        let started = Instant::now();
        while std::net::TcpStream::connect(&address).is_err() {
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "ai-memory does not listen"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        let headers = format!("Host: {address}\r\n");
        Self {
            name: "ai-memory",
            child,
            address,
            headers,
            _dir: dir,
        }
    }

    fn request(&self, method: &str, path: &str, body: &str) -> Vec<u8> {
        format!(
            "{method} {path} HTTP/1.1\r\n{}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.headers,
            body.len()
        )
        .into_bytes()
    }

    /// The most memory that it ever had, in KiB.
    fn peak_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM:"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// One connection that is kept open.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            buffer: Vec::with_capacity(65536),
        }
    }

    /// Sends one request; returns the status and leaves the body in the buffer from the given place.
    async fn ask(&mut self, request: &[u8]) -> (u16, usize) {
        self.stream.write_all(request).await.unwrap();
        self.buffer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await.unwrap();
            assert!(read > 0, "the server hung up");
            let Some(head) = find(&self.buffer, b"\r\n\r\n") else {
                continue;
            };
            let text = String::from_utf8_lossy(&self.buffer[..head]).to_ascii_lowercase();
            let length: usize = text.split_once("content-length: ").map_or(0, |(_, rest)| {
                rest.split("\r\n").next().unwrap().parse().unwrap()
            });
            while self.buffer.len() < head + 4 + length {
                let read = self.stream.read_buf(&mut self.buffer).await.unwrap();
                assert!(read > 0, "the server hung up");
            }
            return (text[9..12].parse().unwrap(), head + 4);
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// What one measurement gave.
struct Measured {
    done: usize,
    refused: usize,
    seconds: f64,
    latencies_us: Vec<u64>,
}

impl Measured {
    fn print(mut self, server: &Server, what: &str, connections: usize) -> f64 {
        self.latencies_us.sort_unstable();
        let at = |share: f64| {
            let last = self.latencies_us.len().saturating_sub(1);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a place in a list"
            )]
            let place = (last as f64 * share) as usize;
            self.latencies_us.get(place).copied().unwrap_or(0)
        };
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let rate = self.done as f64 / self.seconds;
        println!(
            "{}",
            json!({
                "server": server.name, "what": what, "connections": connections,
                "per_second": rate.round(), "p50_us": at(0.5), "p95_us": at(0.95),
                "p99_us": at(0.99), "done": self.done, "refused": self.refused,
                "peak_kib": server.peak_kib(),
            })
        );
        rate
    }
}

/// Drives the server over so many connections; `make` gives the request of each number.
async fn drive(
    server: &Server,
    connections: usize,
    duration: Duration,
    make: Arc<dyn Fn(u64) -> Vec<u8> + Send + Sync>,
) -> Measured {
    let next = Arc::new(AtomicU64::new(0));
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
    Measured {
        done: latencies_us.len(),
        refused,
        seconds,
        latencies_us,
    }
}

/// Words that differ from memory to memory, about 300 bytes.
fn prose(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = String::with_capacity(320);
    for _ in 0..40 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push_str(&format!("w{} ", state % 20_000));
    }
    text
}

fn memory(seed: u64, extra: &str) -> Value {
    json!({
        "title": format!("note {seed}"), "content": format!("{}{extra}", prose(seed)),
        "tier": "long", "tags": ["bench"],
    })
}

async fn measure(server: &Server, args: &Args) -> (f64, f64) {
    let duration = Duration::from_secs(args.seconds);
    let mut at_64 = 0.0;
    for connections in [1, 8, 64] {
        let shape = {
            let (headers, base) = (
                server.headers.clone(),
                u64::try_from(connections).unwrap() << 40,
            );
            move |n: u64| {
                let body = memory(base + n, "").to_string();
                format!(
                    "POST /api/v1/memories HTTP/1.1\r\n{headers}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                )
                .into_bytes()
            }
        };
        let measured = drive(server, connections, duration, Arc::new(shape)).await;
        at_64 = measured.print(server, "store", connections);
    }
    let ids = Arc::new(fill(server, args).await);
    let get = {
        let headers = server.headers.clone();
        move |n: u64| {
            let place =
                usize::try_from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16).unwrap() % ids.len();
            format!(
                "GET /api/v1/memories/{} HTTP/1.1\r\n{headers}\r\n",
                ids[place]
            )
            .into_bytes()
        }
    };
    let get = Arc::new(get);
    for connections in [1, 8] {
        drive(server, connections, duration, get.clone())
            .await
            .print(server, "get", connections);
    }
    let rare = {
        let headers = server.headers.clone();
        move |n: u64| {
            format!(
                "GET /api/v1/search?q=w{}+w{}&limit=10 HTTP/1.1\r\n{headers}\r\n",
                n % 20_000,
                (n * 7) % 20_000
            )
            .into_bytes()
        }
    };
    drive(server, 8, duration, Arc::new(rare))
        .await
        .print(server, "search, two words", 8);
    let broad = server.request("GET", "/api/v1/search?q=everywhere&limit=10", "");
    let broad = move |_| broad.clone();
    let searches = drive(server, 8, duration, Arc::new(broad)).await.print(
        server,
        &format!("search, {} matches", args.matching),
        8,
    );
    (at_64, searches)
}

/// Fills the store by batches; returns a sample of ids.
async fn fill(server: &Server, args: &Args) -> Vec<String> {
    let mut connection = Connection::open(&server.address).await;
    let mut ids = Vec::new();
    let started = Instant::now();
    let every = (args.memories / args.matching.max(1)).max(1);
    for start in (0..args.memories).step_by(500) {
        let batch: Vec<Value> = (start..(start + 500).min(args.memories))
            .map(|n| {
                let extra = if n % every == 0 && n / every < args.matching {
                    "everywhere"
                } else {
                    ""
                };
                memory((1 << 50) + u64::try_from(n).unwrap(), extra)
            })
            .collect();
        let request = server.request("POST", "/api/v1/memories/bulk", &json!(batch).to_string());
        let (status, body) = connection.ask(&request).await;
        let answer: Value = serde_json::from_slice(&connection.buffer[body..]).unwrap_or_default();
        assert!(status < 300, "{status}: {answer}");
        if let Some(id) = answer["ids"].get(0).and_then(Value::as_str) {
            ids.push(id.to_owned());
        }
    }
    eprintln!(
        "{}: filled in {:.1} s",
        server.name,
        started.elapsed().as_secs_f64()
    );
    if ids.is_empty() {
        let request = server.request("GET", "/api/v1/memories?limit=200", "");
        let (_, body) = connection.ask(&request).await;
        let answer: Value = serde_json::from_slice(&connection.buffer[body..]).unwrap();
        let rows = answer["memories"].as_array().unwrap();
        ids.extend(
            rows.iter()
                .filter_map(|row| row["id"].as_str().map(str::to_owned)),
        );
    }
    ids
}

fn main() {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let node = Server::node(&args.node);
    let (stores, searches) = runtime.block_on(measure(&node, &args));
    drop(node);
    if let Some(binary) = &args.ai_memory {
        let other = Server::ai_memory(binary);
        let (other_stores, other_searches) = runtime.block_on(measure(&other, &args));
        println!(
            "{}",
            json!({
                "ratio_stores_at_64": stores / other_stores,
                "ratio_searches": searches / other_searches,
            })
        );
    }
}
