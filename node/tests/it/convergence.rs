//! Any order, any duplication, any loss, any partition, skewed clocks: in the end all nodes have the
//! same versions and show the same. The real store, the real admission, the real reconciliation; the
//! network alone is played.
//!
//! `HALLMARK_CASES=500` makes the proof longer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use node::clock::{FixedClock, Timestamp};
use node::federation::identity::Fingerprint;
use node::federation::intake;
use node::federation::reconcile::{self, Walk};
use node::federation::set::VersionSet;
use node::identity::admit::WireVersion;
use node::identity::authors::Authors;
use node::model::{CreateMemory, MemoryDraft, MemoryId, MemoryPatch, UpdateMemory};
use node::store::{self, Filter, OpenOptions, Page, Passphrase, Store, StoreError, Way};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// A node without a network.
struct Sim {
    store: Store,
    clock: Arc<FixedClock>,
    _dir: tempfile::TempDir,
}

/// What happens.
#[derive(Clone, Debug)]
enum Event {
    /// A node stores a memory; whether others may change it.
    Create { at: usize, shared: bool },
    /// A node changes one of the memories made so far.
    Edit { at: usize, which: usize },
    /// A node deletes one of them.
    Delete { at: usize, which: usize },
    /// A message with what one node has reaches another: a part of it, in this order, this often.
    Message {
        from: usize,
        to: usize,
        keep: u32,
        order: u64,
        twice: bool,
    },
    /// A clock is set.
    Skew { at: usize, seconds: i64 },
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

fn sims(count: usize) -> Vec<Sim> {
    let start: Timestamp = "2026-05-01T00:00:00Z".parse().unwrap();
    (0..count)
        .map(|_| {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("memory.db");
            let passphrase = Passphrase::new("a passphrase".to_owned().into()).unwrap();
            store::create(&path, &passphrase).unwrap();
            let clock = Arc::new(FixedClock::at(start));
            let options = OpenOptions {
                readers: 1,
                ..OpenOptions::default()
            };
            let store = Store::open(&path, &passphrase, options, Arc::clone(&clock) as _).unwrap();
            store
                .write_blocking(|w| w.set_author_rules(&[], &BTreeSet::from(["team".to_owned()])))
                .unwrap();
            Sim {
                store,
                clock,
                _dir: dir,
            }
        })
        .collect()
}

/// One run over nodes that may have lived through others before.
struct World<'a> {
    rt: &'a tokio::runtime::Runtime,
    sims: &'a [Sim],
    authors: Authors,
    made: Vec<(MemoryId, bool)>,
    deleted: BTreeSet<MemoryId>,
    acknowledged: BTreeSet<String>,
}

impl World<'_> {
    fn play(&mut self, event: &Event) {
        match *event {
            Event::Create { at, shared } => {
                let raw = CreateMemory {
                    namespace: Some(if shared { "team" } else { "own" }.to_owned()),
                    ..serde_json::from_str(r#"{"title":"t","content":"first","tier":"long"}"#)
                        .unwrap()
                };
                let store = &self.sims[at].store;
                let now = store.clock().now();
                let draft = MemoryDraft::check(raw, "agent", now).unwrap();
                let stored = store
                    .write_blocking(move |w| w.create_memory(&draft))
                    .unwrap();
                self.made.push((stored.id, shared));
                self.acknowledged.insert(stored.version_id);
            }
            Event::Edit { at, which } => {
                let Some((id, _)) = self.pick(which) else {
                    return;
                };
                let raw = UpdateMemory {
                    content: Some(format!("changed at {at}")),
                    ..UpdateMemory::default()
                };
                let patch = MemoryPatch::check(raw).unwrap();
                let changed = self.sims[at]
                    .store
                    .write_blocking(move |w| w.update_memory(id, patch, None));
                self.acknowledge(which, changed.map(|stored| stored.version_id));
            }
            Event::Delete { at, which } => {
                let Some((id, _)) = self.pick(which) else {
                    return;
                };
                let gone = self.sims[at]
                    .store
                    .write_blocking(move |w| w.delete_memory(id, None, "deleted"));
                if gone.is_ok() {
                    self.deleted.insert(id);
                }
                self.acknowledge(which, gone.map(|stored| stored.version_id));
            }
            Event::Message {
                from,
                to,
                keep,
                order,
                twice,
            } => {
                let mut all = self.all_of(from);
                let mut place = order;
                all.sort_by_cached_key(|_| {
                    place = place
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    place >> 33
                });
                let mut index = 0_u32;
                all.retain(|_| {
                    index += 1;
                    keep >> (index % 32) & 1 == 1
                });
                self.deliver(to, all.clone());
                if twice {
                    self.deliver(to, all);
                }
            }
            Event::Skew { at, seconds } => self.sims[at].clock.advance_seconds(seconds),
        }
    }

    fn pick(&self, which: usize) -> Option<(MemoryId, bool)> {
        self.made.get(which % self.made.len().max(1)).copied()
    }

    /// A write that was acknowledged must be everywhere in the end; the only refusals are those
    /// that the rules demand.
    fn acknowledge(&mut self, which: usize, outcome: Result<String, StoreError>) {
        match outcome {
            Ok(version) => {
                self.acknowledged.insert(version);
            }
            Err(StoreError::NotFound { .. }) => {}
            Err(StoreError::NotTheAuthor { .. }) => {
                assert!(
                    !self.pick(which).unwrap().1,
                    "a shared memory is open to all"
                );
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn all_of(&self, at: usize) -> Vec<WireVersion> {
        let found = self.rt.block_on(
            self.sims[at]
                .store
                .read(|read| read.changes(0, 100_000, usize::MAX)),
        );
        found.unwrap().into_iter().map(|(_, wire)| wire).collect()
    }

    fn deliver(&self, to: usize, wires: Vec<WireVersion>) {
        let store = &self.sims[to].store;
        // Clocks that are skewed by more than the limit hold back what is dated ahead; it comes
        // again later, as it does from a real peer.
        let judged = intake::judge(wires, &self.authors, &store.author(), store.clock().now());
        for refused in &judged.refused {
            assert_eq!(
                refused.reason.as_str(),
                "future_dated",
                "{}",
                refused.detail
            );
        }
        store
            .write_blocking(move |w| w.ingest(&judged.admitted))
            .unwrap();
    }

    fn set_of(&self, at: usize) -> VersionSet {
        let ids = self
            .rt
            .block_on(self.sims[at].store.read(|r| r.version_ids_after(0)));
        let mut set = VersionSet::default();
        ids.unwrap()
            .into_iter()
            .for_each(|(seq, id)| set.add(seq, id));
        set
    }

    /// The partition is over: everyone reconciles with everyone, by ranges.
    fn heal(&self) {
        let latest = self
            .sims
            .iter()
            .map(|sim| sim.store.clock().now())
            .max()
            .unwrap();
        for sim in self.sims {
            let behind = latest.as_secs() - sim.store.clock().now().as_secs();
            sim.clock.advance_seconds(behind);
        }
        for _ in 0..self.sims.len() {
            for here in 0..self.sims.len() {
                let there = (here + 1) % self.sims.len();
                let (own, other) = (self.set_of(here), self.set_of(there));
                let mut walk = Walk::new();
                while let Some(questions) = walk.questions(&own) {
                    walk.take(&own, &reconcile::answer(&other, &questions));
                }
                let fetch = |at: usize, set: &VersionSet, ids: &BTreeSet<[u8; 32]>| {
                    let places: Vec<i64> = ids.iter().filter_map(|id| set.find(id)).collect();
                    let read = self.sims[at]
                        .store
                        .read(move |r| r.versions_at(&places, usize::MAX));
                    self.rt.block_on(read).unwrap()
                };
                self.deliver(here, fetch(there, &other, &walk.missing_here));
                self.deliver(there, fetch(here, &own, &walk.missing_there));
            }
        }
    }

    /// What a node shows: each memory with its version and its siblings.
    fn view(&self, at: usize) -> BTreeMap<String, (String, Vec<String>)> {
        let page = Page {
            limit: 100_000,
            offset: 0,
            after: None,
        };
        let shown = self.rt.block_on(self.sims[at].store.read(move |read| {
            let mut view = BTreeMap::new();
            for placed in read.list(&Filter::default(), &page)? {
                let mut siblings: Vec<String> = read
                    .siblings_of(placed.memory.id)?
                    .into_iter()
                    .map(|wire| wire.signature)
                    .collect();
                siblings.sort();
                view.insert(
                    placed.memory.id.to_string(),
                    (placed.memory.version_id, siblings),
                );
            }
            Ok(view)
        }));
        shown.unwrap()
    }

    fn check(&self) {
        let first = self.set_of(0);
        let view = self.view(0);
        for at in 1..self.sims.len() {
            assert_eq!(self.set_of(at).total(), first.total(), "the digests differ");
            assert_eq!(self.view(at), view, "what is shown differs");
        }
        for version in &self.acknowledged {
            let mut id = [0; 32];
            hex::decode_to_slice(version, &mut id).unwrap();
            assert!(first.find(&id).is_some(), "an acknowledged write is lost");
        }
        for id in &self.deleted {
            assert!(
                !view.contains_key(&id.to_string()),
                "a deleted memory is back"
            );
        }
        for (id, _) in &self.made {
            let there = view.contains_key(&id.to_string());
            assert!(there || self.deleted.contains(id), "a memory is not shown");
        }
    }
}

fn event(nodes: usize) -> impl Strategy<Value = Event> {
    let at = 0..nodes;
    prop_oneof![
        3 => (at.clone(), any::<bool>()).prop_map(|(at, shared)| Event::Create { at, shared }),
        4 => (at.clone(), 0..8_usize).prop_map(|(at, which)| Event::Edit { at, which }),
        1 => (at.clone(), 0..8_usize).prop_map(|(at, which)| Event::Delete { at, which }),
        6 => (at.clone(), 0..nodes, any::<u32>(), any::<u64>(), any::<bool>()).prop_map(
            |(from, to, keep, order, twice)| Event::Message { from, to, keep, order, twice }
        ),
        1 => (at, -200..200_i64).prop_map(|(at, seconds)| Event::Skew { at, seconds }),
    ]
}

fn prove(nodes: usize, cases: u32) {
    let rt = runtime();
    let sims = sims(nodes);
    let mut text = String::new();
    for (index, sim) in sims.iter().enumerate() {
        text.push_str(&format!("ed25519:{} node{index}\n", sim.store.author()));
    }
    let authors = Authors::parse(&text).unwrap();
    let wanted = std::env::var("HALLMARK_CASES")
        .ok()
        .and_then(|n| n.parse().ok());
    let config = Config {
        cases: wanted.unwrap_or(cases),
        failure_persistence: None,
        max_shrink_iters: 0,
        ..Config::default()
    };
    let events = proptest::collection::vec(event(nodes), 1..40);
    let outcome = TestRunner::new(config).run(&events, |events| {
        let mut world = World {
            rt: &rt,
            sims: &sims,
            authors: authors.clone(),
            made: Vec::new(),
            deleted: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
        };
        events.iter().for_each(|event| world.play(event));
        world.heal();
        world.check();
        Ok(())
    });
    for sim in &sims {
        sim.store.close();
    }
    outcome.unwrap();
}

#[test]
fn three_nodes_agree_whatever_happens() {
    prove(3, 24);
}

#[test]
fn five_nodes_agree_whatever_happens() {
    prove(5, 12);
}

#[test]
fn a_message_of_a_peer_is_held_once_and_named_by_its_bytes() {
    let rt = runtime();
    let sims = sims(2);
    let world = World {
        rt: &rt,
        sims: &sims,
        authors: Authors::default(),
        made: Vec::new(),
        deleted: BTreeSet::new(),
        acknowledged: BTreeSet::new(),
    };
    let draft: CreateMemory = serde_json::from_str(r#"{"title":"t","content":"c"}"#).unwrap();
    let draft = MemoryDraft::check(draft, "agent", sims[0].store.clock().now()).unwrap();
    sims[0]
        .store
        .write_blocking(move |w| w.create_memory(&draft))
        .unwrap();
    let genuine = world.all_of(0).remove(0);
    let mut forged = genuine.clone();
    forged.signature = "00".repeat(64);
    // The forgery comes first, under the id of the genuine version, and must not keep it out.
    let judge = |wire: WireVersion, authors: &Authors| {
        let store = &sims[1].store;
        intake::judge(vec![wire], authors, &store.author(), store.clock().now())
    };
    let peer = Fingerprint::from_bytes([7; 32]);
    let refused = judge(forged.clone(), &world.authors).refused;
    assert_eq!(refused[0].reason.as_str(), "forged");
    for expected in [true, false] {
        let one = refused[0].clone();
        let held = sims[1]
            .store
            .write_blocking(move |w| w.hold(&one, &peer, Way::Pulled));
        assert_eq!(held.unwrap(), expected);
    }
    let id = refused[0].version_id().0;
    let known = rt
        .block_on(sims[1].store.read(move |r| r.in_quarantine(&[id])))
        .unwrap();
    assert!(known.is_empty(), "a forgery is not the version itself");
    let text = format!("ed25519:{} node0\n", sims[0].store.author());
    let authors = Authors::parse(&text).unwrap();
    let admitted = judge(genuine, &authors).admitted;
    let done = sims[1]
        .store
        .write_blocking(move |w| w.ingest(&admitted))
        .unwrap();
    assert_eq!(done.taken, 1);
    sims.iter().for_each(|sim| sim.store.close());
}
