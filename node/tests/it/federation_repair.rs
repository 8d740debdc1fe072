//! Two processes that have almost the same exchange only what differs; counted on the wire.

use std::sync::Arc;

use serde_json::json;

use crate::peers::eventually;
use crate::relay::Relay;
use crate::support::{PASSPHRASE, Scratch, Served};
use node::clock::SystemClock;
use node::federation::identity::Fingerprint;
use node::store::{OpenOptions, Passphrase, Store};

fn fill(served: &Served, word: &str, count: usize, content: &str) {
    // As many as one request may carry.
    let many = if content.len() > 1000 { 5 } else { 500 };
    for start in (0..count).step_by(many) {
        let memories: Vec<_> = (start..count.min(start + many))
            .map(|n| json!({"title": format!("{word} {n}"), "content": content, "tier": "long"}))
            .collect();
        served
            .http("POST", "/api/v1/memories/bulk", Some(&json!(memories)))
            .expect(201);
    }
}

fn versions(served: &Served) -> u64 {
    let peers = served.http("GET", "/api/v1/peers", None).expect(200).json();
    peers["versions"].as_u64().unwrap()
}

fn agree(nodes: &[&Served]) {
    eventually("equal digests", || {
        let first = nodes[0].digest();
        nodes
            .iter()
            .all(|node| node.digest() == first)
            .then_some(())
    });
}

#[test]
fn who_got_the_same_from_a_third_node_exchanges_only_what_differs() {
    const SHARED: usize = 3000;
    let nodes: Vec<Scratch> = (0..3).map(|_| Scratch::federated()).collect();
    let authors: String = nodes
        .iter()
        .enumerate()
        .map(|(index, node)| format!("{} node{index}\n", node.author()))
        .collect();
    nodes.iter().for_each(|node| node.write_authors(&authors));
    let served: Vec<Served> = nodes.iter().map(Scratch::serve_federated).collect();
    let line =
        |node: usize, address: &str| format!("{} n{node} {address}\n", nodes[node].fingerprint());
    // The first has much, and the other two read all of it.
    fill(&served[0], "shared", SHARED, "The kettle is blue.");
    nodes[0].write_peers(&format!("{}{}", line(1, ""), line(2, "")));
    let wire = Relay::to(&served[0].federation());
    nodes[1].write_peers(&line(0, &wire.address));
    nodes[2].write_peers(&line(0, &served[0].federation()));
    agree(&[&served[0], &served[1], &served[2]]);
    let whole_log = wire.bytes();
    // The first is gone; each of the others makes fifty that the other does not have.
    nodes[1].write_peers("");
    nodes[2].write_peers("");
    fill(&served[1], "of the second", 50, "c");
    fill(&served[2], "of the third", 50, "c");
    let wires = [
        Relay::to(&served[1].federation()),
        Relay::to(&served[2].federation()),
    ];
    nodes[1].write_peers(&line(2, &wires[1].address));
    nodes[2].write_peers(&line(1, &wires[0].address));
    agree(&[&served[1], &served[2]]);
    for node in &served[1..] {
        assert_eq!(versions(node), 3100);
    }
    let exchanged = wires[0].bytes() + wires[1].bytes();
    println!("{exchanged} bytes for 100 differences, {whole_log} bytes for the whole log");
    assert!(whole_log > 2_000_000, "{whole_log}");
    assert!(exchanged < 450_000, "{exchanged}");
    // What the node says of its traffic is what was on the wire, but for TLS and HTTP around it.
    let (second, third) = (served[1].peer("n2"), served[2].peer("n1"));
    let said: u64 = [&second, &third]
        .iter()
        .map(|peer| peer["bytes_in"].as_u64().unwrap() + peer["bytes_out"].as_u64().unwrap())
        .sum::<u64>()
        / 2;
    assert!(
        said < exchanged && said * 2 > exchanged,
        "{said} of {exchanged}"
    );
    // Nothing had to be repaired: the next ones come in the ordinary way.
    assert_eq!(
        (&second["repairs"], &third["repairs"]),
        (&json!(0), &json!(0))
    );
    let before = wires[0].bytes() + wires[1].bytes();
    served[1].create("and on it goes");
    agree(&[&served[1], &served[2]]);
    assert!(wires[0].bytes() + wires[1].bytes() - before < 20_000);
}

/// Moves what `node` remembers of `peer` to the ends of both logs, so that nothing is left to read.
fn claim_all_was_read(node: &Scratch, peer: &Fingerprint, epoch: &str, theirs: u64, ours: u64) {
    let (peer, epoch) = (*peer, epoch.to_owned());
    let store = open(node);
    store
        .write_blocking(move |write| {
            write.set_peer_cursor(&peer, &epoch, theirs)?;
            write.set_pushed_after(&peer, ours)
        })
        .unwrap();
    store.close();
}

fn open(node: &Scratch) -> Store {
    let passphrase = Passphrase::new(PASSPHRASE.to_owned().into()).unwrap();
    Store::open(
        &node.db(),
        &passphrase,
        OpenOptions::default(),
        Arc::new(SystemClock),
    )
    .unwrap()
}

#[test]
fn what_no_pull_finds_any_more_is_repaired_however_big_it_is() {
    const EACH: usize = 60;
    let nodes = [Scratch::federated(), Scratch::federated()];
    let authors = format!("{} a\n{} b\n", nodes[0].author(), nodes[1].author());
    nodes.iter().for_each(|node| node.write_authors(&authors));
    // Each is 450 KiB of JSON in JSON: sixty are beyond the largest message.
    let content = "\u{1}".repeat(65_000);
    for (node, word) in nodes.iter().zip(["a", "b"]) {
        let served = node.serve_federated();
        fill(&served, "shared", 5, "c");
        fill(&served, word, EACH, &content);
        assert_eq!(served.stop(), 0);
    }
    let store = open(&nodes[0]);
    let epoch = store.epoch().to_owned();
    store.close();
    drop(store);
    let peer: Fingerprint = nodes[0].fingerprint().parse().unwrap();
    let all = u64::try_from(EACH + 5).unwrap();
    claim_all_was_read(&nodes[1], &peer, &epoch, all, all);
    let first = nodes[0].serve_federated();
    nodes[0].write_peers(&format!("{} b\n", nodes[1].fingerprint()));
    nodes[1].write_peers(&format!("{peer} a {}\n", first.federation()));
    let second = nodes[1].serve_federated();
    agree(&[&first, &second]);
    assert_eq!(versions(&first), 2 * all);
    assert_eq!(second.peer("a")["repairs"], 1);
}
