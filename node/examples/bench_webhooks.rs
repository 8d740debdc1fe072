//! What webhooks cost: deliveries a second to fast receivers, what subscriptions add to a store,
//! and memory with a long queue.
//!
//! `cargo run --release -p node --example bench_webhooks -- --node target/release/memory-node
//!  [--table FILE] [--queued 100000] [--stores 1000]`
//!
//! Receivers, client and node share the machine's cores.
#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot go on should panic"
)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measuring program"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::{Value, json};

#[derive(Parser)]
struct Args {
    /// The binary `memory-node`.
    #[arg(long)]
    node: PathBuf,
    /// Where the table goes, as Markdown.
    #[arg(long)]
    table: Option<PathBuf>,
    /// Announcements in the long queue.
    #[arg(long, default_value_t = 100_000)]
    queued: usize,
    /// Announcements that are delivered to one receiver.
    #[arg(long, default_value_t = 10_000)]
    delivered: usize,
    /// Stores whose time is taken, one after the other.
    #[arg(long, default_value_t = 1_000)]
    stores: usize,
}

struct Node {
    child: Child,
    address: String,
    token: String,
    connection: BufReader<TcpStream>,
    _dir: tempfile::TempDir,
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Node {
    fn start(binary: &Path) -> Self {
        let dir = tempfile::tempdir_in(".").unwrap();
        let pass = dir.path().join("pass");
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::write(&pass, "bench passphrase").unwrap();
        std::fs::set_permissions(&pass, std::fs::Permissions::from_mode(0o600)).unwrap();
        let command = || {
            let mut command = Command::new(binary);
            command.arg("--data-dir").arg(dir.path().join("data"));
            command.arg("--passphrase-file").arg(&pass);
            command
        };
        let made = command().arg("init").stdout(Stdio::null()).status();
        assert!(made.unwrap().success());
        let mut child = command()
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(["--webhook-allow-network", "127.0.0.0/8"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut lines = stderr.lines().map_while(Result::ok);
        let address = lines
            .find_map(|line| {
                let (_, rest) = line.split_once("api: listening on ")?;
                rest.split(',').next().map(str::to_owned)
            })
            .unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        let token = std::fs::read_to_string(dir.path().join("data/token")).unwrap();
        let stream = TcpStream::connect(&address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            child,
            address,
            token: token.trim().to_owned(),
            connection: BufReader::new(stream),
            _dir: dir,
        }
    }

    /// One request on the connection that is kept open.
    fn ask(&mut self, method: &str, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            self.token,
            body.len()
        );
        self.connection
            .get_mut()
            .write_all(request.as_bytes())
            .unwrap();
        let (mut length, mut status, mut line) = (0, String::new(), String::new());
        while self.connection.read_line(&mut line).unwrap() > 2 {
            if status.is_empty() {
                status.push_str(line.trim_end());
            }
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut answer = vec![0; length];
        self.connection.read_exact(&mut answer).unwrap();
        assert!(status.contains(" 20"), "{path}: {status}");
        serde_json::from_slice(&answer).unwrap_or_default()
    }

    fn subscribe(&mut self, receiver: &Receiver) -> String {
        let path = "/api/v1/subscriptions";
        let made = self.ask("POST", path, &json!({"url": receiver.url}));
        made["id"].as_str().unwrap().to_owned()
    }

    fn turn(&mut self, ids: &[String], what: &str) {
        for id in ids {
            let path = format!("/api/v1/subscriptions/{id}/{what}");
            self.ask("POST", &path, &json!({}));
        }
    }

    fn fill(&mut self, count: usize) {
        for start in (0..count).step_by(500) {
            let batch: Vec<Value> = (start..count.min(start + 500)).map(memory).collect();
            self.ask("POST", "/api/v1/memories/bulk", &Value::from(batch));
        }
    }

    /// Memory in MiB: `VmRSS` now, `VmHWM` the most that it ever was.
    fn memory_mib(&self, field: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib / 1024.0
    }
}

fn memory(number: usize) -> Value {
    json!({"title": format!("note {number}"), "content": "some words ".repeat(20), "tier": "long"})
}

/// Answers at once, on as many connections as come.
struct Receiver {
    url: String,
    got: Arc<AtomicUsize>,
}

impl Receiver {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let got = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&got);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let count = Arc::clone(&count);
                std::thread::spawn(move || serve(stream, &count));
            }
        });
        Self { url, got }
    }

    fn wait_for(&self, count: usize) {
        while self.got.load(Ordering::Relaxed) < count {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn serve(stream: TcpStream, count: &AtomicUsize) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream);
    let (mut line, mut body) = (String::new(), Vec::new());
    loop {
        let mut length = 0;
        line.clear();
        while reader.read_line(&mut line).ok()? > 2 {
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length: ") {
                length = value.trim().parse().ok()?;
            }
            line.clear();
        }
        if length == 0 {
            return None;
        }
        body.resize(length, 0);
        reader.read_exact(&mut body).ok()?;
        count.fetch_add(1, Ordering::Relaxed);
        let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
        reader.get_mut().write_all(answer).ok()?;
    }
}

/// Deliveries a second, out of queues that were filled before.
fn deliveries(args: &Args, receivers: usize) -> f64 {
    let mut node = Node::start(&args.node);
    let each = args.delivered / receivers;
    let all: Vec<Receiver> = (0..receivers).map(|_| Receiver::start()).collect();
    let ids: Vec<String> = all
        .iter()
        .map(|receiver| node.subscribe(receiver))
        .collect();
    node.turn(&ids, "pause");
    node.fill(each);
    let started = Instant::now();
    node.turn(&ids, "resume");
    for receiver in &all {
        receiver.wait_for(each);
    }
    rate(each * receivers, started.elapsed())
}

#[expect(clippy::cast_precision_loss, reason = "a rate")]
fn rate(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

/// The time of a store in microseconds, median and 99th percentile, with so many subscriptions.
fn store_latency(args: &Args, subscriptions: usize, active: bool) -> (u128, u128) {
    let mut node = Node::start(&args.node);
    let receiver = Receiver::start();
    let ids: Vec<String> = (0..subscriptions)
        .map(|_| node.subscribe(&receiver))
        .collect();
    if !active {
        node.turn(&ids, "pause");
    }
    let mut times: Vec<u128> = (0..args.stores)
        .map(|number| {
            let started = Instant::now();
            node.ask("POST", "/api/v1/memories", &memory(number));
            started.elapsed().as_micros()
        })
        .collect();
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

/// Memory in MiB: at the start, with the queue, and at most while the queue is delivered.
fn queue_memory(args: &Args) -> (f64, f64, f64, f64) {
    let mut node = Node::start(&args.node);
    let receiver = Receiver::start();
    node.ask("POST", "/api/v1/memories", &memory(0));
    let before = node.memory_mib("VmRSS");
    let ids = [node.subscribe(&receiver)];
    node.turn(&ids, "pause");
    node.fill(args.queued);
    let queued = node.memory_mib("VmRSS");
    let started = Instant::now();
    node.turn(&ids, "resume");
    receiver.wait_for(args.queued);
    let rate = rate(args.queued, started.elapsed());
    (before, queued, node.memory_mib("VmHWM"), rate)
}

fn main() {
    let args = Args::parse();
    let mut table = "| measured | result |\n|---|---:|\n".to_owned();
    let mut row = |what: &str, result: String| {
        eprintln!("{what}: {result}");
        table.push_str(&format!("| {what} | {result} |\n"));
    };
    for receivers in [1, 8] {
        let rate = deliveries(&args, receivers);
        let what =
            format!("deliveries a second to {receivers} fast receiver(s), over loopback http");
        row(&what, format!("{rate:.0}"));
    }
    let (bare, bare_99) = store_latency(&args, 0, true);
    row(
        "a store without subscriptions, median and 99th percentile",
        format!("{bare} µs, {bare_99} µs"),
    );
    for (subscriptions, active) in [(1, false), (1, true), (100, false), (100, true)] {
        let (median, late) = store_latency(&args, subscriptions, active);
        let what = format!(
            "a store with {subscriptions} subscription(s), {}",
            if active {
                "delivered meanwhile"
            } else {
                "queued only"
            }
        );
        let added = i128::try_from(median).unwrap() - i128::try_from(bare).unwrap();
        row(
            &what,
            format!("{median} µs, {late} µs (median {added:+} µs)"),
        );
    }
    let (before, queued, most, rate) = queue_memory(&args);
    row(
        &format!("memory with {} queued, against an empty node", args.queued),
        format!("{queued:.0} MiB, {before:.0} MiB"),
    );
    row(
        "the most memory while these were stored and delivered",
        format!("{most:.0} MiB, {rate:.0} deliveries a second"),
    );
    println!("{table}");
    if let Some(path) = &args.table {
        std::fs::write(path, table).unwrap();
    }
}
