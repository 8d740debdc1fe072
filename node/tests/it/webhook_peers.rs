//! What happens with peers is announced by the nodes that federate.

use std::io::Write as _;

use serde_json::json;

use crate::receiver::{Got, Receiver, subscribe};
use crate::support::{Scratch, Served};

fn names(got: &[Got]) -> Vec<String> {
    let name = |got: &Got| got.event()["event"].as_str().unwrap().to_owned();
    got.iter().map(name).collect()
}

/// A node that federates, and a receiver of what it says about its peers.
fn serve(node: &Scratch) -> (Served, Receiver) {
    let served = node.serve_with(&[
        "--federation-listen",
        "127.0.0.1:0",
        "--webhook-allow-network",
        "127.0.0.0/8",
    ]);
    let receiver = Receiver::accepting();
    let events: Vec<&str> = node::webhook::event::EVENTS
        .into_iter()
        .filter(|name| name.starts_with("peer."))
        .collect();
    subscribe(&served, json!({"url": receiver.url, "events": events}));
    (served, receiver)
}

#[test]
fn peers_that_come_sync_and_go_are_announced() {
    let (a, b) = (Scratch::federated(), Scratch::federated());
    a.write_authors(&format!("{} b\n", b.author()));
    let ((at_a, told_a), (at_b, told_b)) = (serve(&a), serve(&b));
    b.write_peers(&format!("{} a\n", a.fingerprint()));
    at_b.create("from b");
    a.write_peers(&format!("{} b {}\n", b.fingerprint(), at_b.federation()));
    let has = |event: &'static str| move |got: &[Got]| names(got).iter().any(|name| name == event);
    told_a.wait_until("peer.added", has("peer.added"));
    let got = told_a.wait_until("peer.synced", has("peer.synced"));
    let synced = got.iter().find(|got| got.event()["event"] == "peer.synced");
    let data = synced.unwrap().event()["data"].clone();
    assert_eq!(data, json!({"peer": b.fingerprint(), "versions": 1}));
    let got = told_b.wait_until("peer.accepted", has("peer.accepted"));
    let accepted = got
        .iter()
        .find(|got| got.event()["event"] == "peer.accepted");
    let data = accepted.unwrap().event()["data"].clone();
    assert_eq!(
        (&data["peer"], &data["name"]),
        (&json!(a.fingerprint()), &json!("a"))
    );
    a.write_peers("");
    told_a.wait_until("peer.removed", has("peer.removed"));
    // Somebody who speaks no TLS.
    let mut stranger = std::net::TcpStream::connect(at_a.federation()).unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    told_a.wait_until("peer.refused", has("peer.refused"));
}
