//! Measures the federation with the node's own library, two nodes in one process over loopback TLS:
//! versions ingested with verification, handshakes, a fresh peer's catch-up, an idle pair. Then the
//! shipped program runs over the same two databases, as two processes with a counted wire between
//! them, and both repair a hundred differences.
//!
//! The answer on stdout is a Markdown table; `--versions N` makes it smaller, `--node FILE` names the
//! program.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program for the engineer's terminal"
)]

mod processes;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use node::clock::SystemClock;
use node::federation::hub::Hub;
use node::federation::identity::{Fingerprint, NodeCertificate};
use node::federation::serve;
use node::federation::set::VersionSet;
use node::federation::trust::Trust;
use node::federation::{intake, tls};
use node::identity::admit::WireVersion;
use node::identity::authors::Authors;
use node::model::{CreateMemory, MemoryDraft};
use node::store::{self, OpenOptions, Passphrase, Store, Way};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

const PASSPHRASE: &str = "a passphrase";

struct Node {
    hub: Arc<Hub>,
    address: String,
    stop: CancellationToken,
    dir: tempfile::TempDir,
}

fn open(dir: &Path) -> Store {
    let path = dir.join("memory.db");
    let passphrase = Passphrase::new(PASSPHRASE.to_owned().into()).unwrap();
    if !path.exists() {
        store::create(&path, &passphrase).unwrap();
    }
    Store::open(
        &path,
        &passphrase,
        OpenOptions::default(),
        Arc::new(SystemClock),
    )
    .unwrap()
}

impl Node {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let (peers, authors) = (dir.path().join("peers"), dir.path().join("authors"));
        std::fs::write(&peers, "").unwrap();
        std::fs::write(&authors, "").unwrap();
        let trust = Arc::new(Trust::load(&peers, &authors).unwrap());
        let own = NodeCertificate::load_or_make(
            &dir.path().join("federation.crt"),
            &dir.path().join("federation.key"),
        )
        .unwrap();
        let hub = Arc::new(Hub::new(store, trust, own));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let stop = CancellationToken::new();
        let (running, token) = (Arc::clone(&hub), stop.clone());
        tokio::spawn(async move { serve::run(running, Some(listener), token).await.unwrap() });
        Self {
            hub,
            address,
            stop,
            dir,
        }
    }

    fn meet(&self, others: &[&Self]) {
        let (mut peers, mut authors) = (String::new(), String::new());
        for (index, other) in others.iter().enumerate() {
            writeln!(
                peers,
                "{} peer{index} {}",
                other.hub.own.fingerprint(),
                other.address
            )
            .unwrap();
            writeln!(
                authors,
                "ed25519:{} author{index}",
                other.hub.store.author()
            )
            .unwrap();
        }
        std::fs::write(self.dir.path().join("authors"), authors).unwrap();
        std::fs::write(self.dir.path().join("peers"), peers).unwrap();
    }

    async fn digest(&self) -> (u64, String) {
        let total = self.hub.with_set(VersionSet::total).await.unwrap();
        (total.count, total.digest())
    }

    fn bytes(&self, peer: &Self) -> u64 {
        let status = self.hub.board.get(&peer.hub.own.fingerprint());
        status.bytes_in + status.bytes_out
    }
}

/// Stores memories of some 60 bytes of text, 500 a commit.
async fn fill(store: &Store, count: usize) {
    for start in (0..count).step_by(500) {
        let drafts: Vec<MemoryDraft> = (start..count.min(start + 500))
            .map(|n| {
                let text = format!("The kettle number {n} is blue, and stands where it always stood.");
                let raw = serde_json::json!({"title": format!("Memory {n}"), "content": text, "tier": "long"});
                let raw: CreateMemory = serde_json::from_value(raw).unwrap();
                MemoryDraft::check(raw, "bench", store.clock().now()).unwrap()
            })
            .collect();
        store
            .write(move |write| {
                drafts
                    .iter()
                    .try_for_each(|draft| write.create_memory(draft).map(drop))
            })
            .await
            .unwrap();
    }
}

async fn until_equal(a: &Node, b: &Node) -> Duration {
    let started = Instant::now();
    while a.digest().await != b.digest().await {
        assert!(
            started.elapsed() < Duration::from_secs(900),
            "they do not agree"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    started.elapsed()
}

/// Processor time of this process, in seconds.
fn processor_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    // utime and stime, in ticks of 10 ms.
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn argument(name: &str, default: usize) -> usize {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments
        .nth(1)
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

fn per_second(count: usize, took: Duration) -> String {
    let count = f64::from(u32::try_from(count).unwrap());
    format!("{:.0}/s", count / took.as_secs_f64())
}

/// `count` handshakes, `at_once` of them under way.
async fn handshakes(server: &Node, client: &Node, count: usize, at_once: usize) -> Duration {
    let peer: Fingerprint = server.hub.own.fingerprint();
    let config = Arc::new(tls::client_config(&client.hub.own, peer).unwrap());
    let started = Instant::now();
    let mut hands = tokio::task::JoinSet::new();
    for _ in 0..at_once {
        let (config, address) = (Arc::clone(&config), server.address.clone());
        hands.spawn(async move {
            for _ in 0..count / at_once {
                let stream = TcpStream::connect(&address).await.unwrap();
                let name = rustls::pki_types::ServerName::try_from("x.invalid").unwrap();
                let connector = tokio_rustls::TlsConnector::from(Arc::clone(&config));
                drop(connector.connect(name, stream).await.unwrap());
            }
        });
    }
    hands.join_all().await;
    started.elapsed()
}

async fn measure(versions: usize, program: &Path) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    let (a, b) = (Node::new().await, Node::new().await);
    let started = Instant::now();
    fill(&a.hub.store, versions).await;
    rows.push((
        "versions signed and stored here, 500 a commit",
        per_second(versions, started.elapsed()),
    ));
    // Checking alone, and checking with storing, without a network.
    let sample = versions.min(20_000);
    let wires: Vec<WireVersion> = a
        .hub
        .store
        .read(move |r| r.changes(0, sample, usize::MAX))
        .await
        .unwrap()
        .into_iter()
        .map(|(_, wire)| wire)
        .collect();
    let authors = Authors::parse(&format!("ed25519:{} a\n", a.hub.store.author())).unwrap();
    let started = Instant::now();
    let judged = intake::judge(
        wires.clone(),
        &authors,
        &b.hub.store.author(),
        b.hub.store.clock().now(),
    );
    assert_eq!(judged.admitted.len(), sample);
    rows.push((
        "versions checked (signature, content, limits, author)",
        per_second(sample, started.elapsed()),
    ));
    let c = Node::new().await;
    c.meet(&[&a]);
    while c.hub.trust.authors().authors().count() == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let started = Instant::now();
    for page in wires.chunks(1000) {
        let done = c
            .hub
            .take_in(a.hub.own.fingerprint(), Way::Pulled, page.to_vec(), None)
            .await
            .unwrap();
        assert_eq!(done.quarantined, 0);
    }
    rows.push((
        "versions ingested with verification",
        per_second(sample, started.elapsed()),
    ));
    c.stop.cancel();
    // A fresh peer catches up, over TLS.
    a.meet(&[&b]);
    b.meet(&[&a]);
    let took = until_equal(&a, &b).await;
    rows.push((
        "a fresh peer is equal, over TLS",
        format!(
            "{versions} versions in {:.1} s ({})",
            took.as_secs_f64(),
            per_second(versions, took)
        ),
    ));
    for (what, at_once) in [
        ("mutual handshakes, both ends here, one after another", 1),
        ("mutual handshakes, both ends here, 8 at once", 8),
    ] {
        let took = handshakes(&a, &b, 2000, at_once).await;
        rows.push((what, per_second(2000, took)));
    }
    // An idle pair.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let (before, bytes) = (processor_s(), a.bytes(&b));
    tokio::time::sleep(Duration::from_secs(20)).await;
    let (spent, bytes) = (processor_s() - before, a.bytes(&b) - bytes);
    rows.push((
        "an idle pair",
        format!(
            "{:.2} % of one core for both, {} bytes of messages a minute",
            spent * 5.0,
            bytes * 3
        ),
    ));
    let folders = [a, b].map(|node| {
        node.stop.cancel();
        node.hub.store.close();
        node.dir
    });
    rows.extend(processes::repairs(program, &folders).await);
    rows
}

fn main() {
    let versions = argument("--versions", 100_000);
    let rt = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let program = std::env::args().skip_while(|argument| argument != "--node");
    let program = program.skip(1).map(PathBuf::from).next();
    let program = program.unwrap_or_else(|| PathBuf::from("target/release/memory-node"));
    let rows = rt.block_on(measure(versions, &program));
    println!("| what | measured |\n|---|---|");
    for (what, measured) in rows {
        println!("| {what} | {measured} |");
    }
}
