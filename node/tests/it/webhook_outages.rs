//! Receivers that are down for long: a whole day goes by on a clock that the test moves.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::Method;
use node::api::access::Access;
use node::api::metrics::Counters;
use node::api::{self, ApiState};
use node::client::Node;
use node::clock::{Clock as _, FixedClock, Timestamp};
use node::model::MemoryId;
use node::store::{DeliveryFilter, DeliveryView, OpenOptions, Passphrase, Store};
use node::webhook::backoff::RetrySchedule;
use node::webhook::dispatcher::{self, Delivering};
use node::webhook::resolve::Resolve;
use node::webhook::sender::Sender;
use node::webhook::target::TargetPolicy;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::authority::Authority;
use crate::receiver::{Got, Receiver, answer};

/// A node inside this process, over a real store, on a clock that stands still until it is moved.
pub(crate) struct InProcess {
    runtime: tokio::runtime::Runtime,
    pub(crate) store: Store,
    pub(crate) clock: Arc<FixedClock>,
    node: Node,
    stop: CancellationToken,
    _dir: tempfile::TempDir,
}

impl InProcess {
    pub(crate) fn new(
        networks: &[&str],
        authority: Option<&Authority>,
        resolver: Option<Arc<dyn Resolve>>,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("memory.db");
        let passphrase = Passphrase::new("of a test".to_owned().into()).unwrap();
        node::store::create(&path, &passphrase).unwrap();
        let start: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        let clock = Arc::new(FixedClock::at(start));
        let store = Store::open(&path, &passphrase, OpenOptions::default(), clock.clone()).unwrap();
        let networks = networks.iter().map(|text| text.parse().unwrap()).collect();
        let policy = Arc::new(TargetPolicy { networks });
        let pem = authority.map(Authority::pem);
        let sender = Sender::new(policy.clone(), pem.as_deref().map(str::as_bytes)).unwrap();
        let sender = match resolver {
            None => sender,
            Some(resolver) => sender.with_resolver(resolver),
        };
        let counters = Arc::new(Counters::default());
        let delivering = Delivering {
            sender,
            schedule: RetrySchedule::default(),
            counters: counters.webhooks.clone(),
        };
        let state = ApiState {
            federation: None,
            store: store.clone(),
            access: Arc::new(Access::new([0; 32], [], [])),
            counters,
            webhook_targets: policy,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let stop = CancellationToken::new();
        runtime.spawn(dispatcher::run(store.clone(), delivering, stop.clone()));
        Self {
            node: Node::Here(api::router(state)),
            runtime,
            store,
            clock,
            stop,
            _dir: dir,
        }
    }

    pub(crate) fn ask(&self, method: Method, path: &str, body: &Value) -> Value {
        let asked = self.node.ask(method, path, Some(body), &[]);
        let answer = self.runtime.block_on(asked).unwrap();
        assert!(answer.status < 300, "{answer:?}");
        answer.body
    }

    pub(crate) fn subscribe(&self, url: &str) -> MemoryId {
        let made = self.ask(Method::POST, "/api/v1/subscriptions", &json!({"url": url}));
        made["id"].as_str().unwrap().parse().unwrap()
    }

    /// Stores a memory and changes it, so that it has so many versions.
    pub(crate) fn store(&self, title: &str, versions: usize) {
        let body = json!({"title": title, "content": "1", "tier": "long"});
        let made = self.ask(Method::POST, "/api/v1/memories", &body);
        let path = format!("/api/v1/memories/{}", made["id"].as_str().unwrap());
        for version in 1..versions {
            self.ask(
                Method::PUT,
                &path,
                &json!({"title": format!("{title} {version}")}),
            );
        }
    }

    pub(crate) fn deliveries(&self, id: MemoryId) -> Vec<DeliveryView> {
        let filter = DeliveryFilter {
            state: None,
            before: None,
            limit: 10_000,
        };
        let read = self.store.read(move |read| read.deliveries(id, &filter));
        self.runtime.block_on(read).unwrap()
    }

    /// Waits until nothing is due and nothing is under way.
    pub(crate) fn settle(&self) {
        let started = Instant::now();
        loop {
            let look = self
                .store
                .read(|read| Ok((read.due()?, read.outbox_counts()?.under_way)));
            let (due, under_way) = self.runtime.block_on(look).unwrap();
            if due.now.is_empty() && under_way == 0 {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "{due:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        self.stop.cancel();
        self.store.close();
    }
}

/// An address where nobody listens, until somebody does.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Everything came once, and the versions of each memory came in their order.
fn assert_whole(got: &[Got], memories: usize, versions: usize) {
    assert_eq!(got.len(), memories * versions);
    let ids: std::collections::BTreeSet<&str> = got.iter().map(Got::id).collect();
    assert_eq!(ids.len(), got.len(), "something came twice");
    for memory in 0..memories {
        let title = format!("m{memory}");
        let mut expected = vec![title.clone()];
        expected.extend((1..versions).map(|version| format!("{title} {version}")));
        let came: Vec<String> = got
            .iter()
            .map(|got| got.event()["data"]["title"].as_str().unwrap().to_owned())
            .filter(|came| *came == title || came.starts_with(&format!("{title} ")))
            .collect();
        assert_eq!(came, expected);
    }
}

const MEMORIES: usize = 20;
const VERSIONS: usize = 5;

fn fill(node: &InProcess) {
    for memory in 0..MEMORIES {
        node.store(&format!("m{memory}"), VERSIONS);
    }
}

/// Lets so many hours go by, looking every quarter of an hour, as the dispatcher would.
fn pass_hours(node: &InProcess, hours: usize) {
    for _ in 0..hours * 4 {
        node.clock.advance_seconds(900);
        node.settle();
    }
}

#[test]
fn a_receiver_that_was_down_for_a_day_gets_everything_after() {
    let node = InProcess::new(&["127.0.0.0/8"], None, None);
    let address = nobody();
    let id = node.subscribe(&format!("http://{address}/hook"));
    fill(&node);
    node.settle();
    pass_hours(&node, 24);
    let rows = node.deliveries(id);
    assert_eq!(rows.len(), MEMORIES * VERSIONS);
    assert!(rows.iter().all(|row| row.state == "pending"), "{rows:?}");
    let first = rows.last().unwrap();
    assert_eq!(first.attempts, 7, "0 s, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h");
    assert!(
        first
            .last_error
            .as_deref()
            .unwrap()
            .contains("cannot connect"),
        "{first:?}"
    );
    let receiver = Receiver::at(&address, |_, _| answer(204));
    pass_hours(&node, 17);
    let got = receiver.wait_for(MEMORIES * VERSIONS);
    assert_whole(&got, MEMORIES, VERSIONS);
    let now = node.clock.now().as_secs();
    assert!(
        got.iter().all(|got| now - got.timestamp() < 17 * 3600),
        "a timestamp is of an earlier attempt"
    );
    assert!(
        node.deliveries(id)
            .iter()
            .all(|row| row.state == "delivered")
    );
}

#[test]
fn an_operator_need_not_wait_for_the_next_attempt() {
    let node = InProcess::new(&["127.0.0.0/8"], None, None);
    let address = nobody();
    let id = node.subscribe(&format!("http://{address}/hook"));
    fill(&node);
    node.settle();
    pass_hours(&node, 24);
    let receiver = Receiver::at(&address, |_, _| answer(204));
    let path = format!("/api/v1/subscriptions/{id}/replay");
    let replayed = node.ask(Method::POST, &path, &json!({}));
    assert_eq!(replayed["replayed"], MEMORIES, "the first of each memory");
    assert_whole(&receiver.wait_for(MEMORIES * VERSIONS), MEMORIES, VERSIONS);
}

#[test]
fn after_ten_failures_it_is_dead_and_a_replay_brings_all_of_it() {
    let node = InProcess::new(&["127.0.0.0/8"], None, None);
    let address = nobody();
    let id = node.subscribe(&format!("http://{address}/hook"));
    node.store("m0", VERSIONS);
    node.settle();
    // 3.2 days of attempts for the first version; the others follow each other.
    for _ in 0..VERSIONS {
        for _ in 0..5 * 24 {
            node.clock.advance_seconds(3600);
            node.settle();
        }
    }
    let rows = node.deliveries(id);
    assert!(
        rows.iter()
            .all(|row| row.state == "dead" && row.attempts == 10),
        "{rows:?}"
    );
    let receiver = Receiver::at(&address, |_, _| answer(204));
    let path = format!("/api/v1/subscriptions/{id}/replay");
    assert_eq!(
        node.ask(Method::POST, &path, &json!({}))["replayed"],
        VERSIONS
    );
    assert_whole(&receiver.wait_for(VERSIONS), 1, VERSIONS);
    node.settle();
    let metrics = node.ask(Method::GET, "/metrics", &Value::Null);
    let metrics = metrics.as_str().unwrap();
    for line in [
        "memory_node_webhook_given_up_total 5",
        "memory_node_webhook_attempts_total{outcome=\"failed\"} 50",
        "memory_node_webhook_attempts_total{outcome=\"delivered\"} 5",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
}
