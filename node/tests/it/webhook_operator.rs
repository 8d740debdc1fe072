//! What an operator does with webhooks: over the API, the command line and MCP.

use std::collections::BTreeSet;

use node::store::{OpenOptions, Passphrase, Store};
use node::webhook::event::{EVENTS, PeerEvent};
use node::webhook::sign;
use serde_json::{Map, Value, json};

use crate::pytools;
use crate::receiver::{
    Got, Receiver, answer, deliveries_once, serve_to_loopback, store, subscribe,
};
use crate::support::{PASSPHRASE, Scratch, Served, write_private};

fn events(got: &[Got]) -> Vec<String> {
    let name = |got: &Got| got.event()["event"].as_str().unwrap().to_owned();
    got.iter().map(name).collect()
}

fn post(served: &Served, path: &str, body: Value) -> Value {
    let answer = served.http("POST", path, Some(&body));
    assert!(answer.status < 300, "{path}: {answer:?}");
    answer.json()
}

#[test]
fn every_change_of_a_memory_is_announced_by_its_name() {
    let node = Scratch::new();
    let served = serve_to_loopback(&node);
    let receiver = Receiver::accepting();
    subscribe(&served, json!({"url": receiver.url}));
    let (first, second) = (store(&served, "first"), store(&served, "second"));
    let path = format!("/api/v1/memories/{first}");
    served
        .http("PUT", &path, Some(&json!({"title": "changed"})))
        .expect(200);
    post(&served, &format!("{path}/promote"), json!({}));
    let link = json!({"source_id": first, "target_id": second});
    post(&served, "/api/v1/links", link);
    served.http("DELETE", &path, None).expect(200);
    post(&served, "/api/v1/forget?namespace=global", json!({}));
    let past = json!({"title": "old", "content": "c", "ttl_secs": 1});
    post(&served, "/api/v1/memories", past);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    post(&served, "/api/v1/gc", json!({}));
    let got = receiver.wait_for(9);
    let came: BTreeSet<String> = events(&got).into_iter().collect();
    let all = EVENTS.into_iter().filter(|name| !name.starts_with("peer."));
    assert_eq!(came, all.map(str::to_owned).collect());
    // What concerns one memory came in the order in which it happened.
    let of_first: Vec<Got> = got
        .into_iter()
        .filter(|got| {
            let data = &got.event()["data"];
            data["id"] == json!(first) || data["source_id"] == json!(first)
        })
        .collect();
    assert_eq!(
        events(&of_first),
        [
            "memory.created",
            "memory.updated",
            "memory.promoted",
            "link.created",
            "memory.deleted"
        ]
    );
}

#[test]
fn peer_events_are_queued_with_the_write_that_they_announce() {
    let node = Scratch::new();
    let receiver = Receiver::accepting();
    let served = serve_to_loopback(&node);
    subscribe(
        &served,
        json!({"url": receiver.url, "events": ["peer.refused", "peer.synced"]}),
    );
    let filtered = Receiver::accepting();
    subscribe(
        &served,
        json!({"url": filtered.url, "namespace_filter": "shared"}),
    );
    assert_eq!(served.stop(), 0);
    let peer = "sha256:00ff";
    let passphrase = Passphrase::new(PASSPHRASE.to_owned().into()).unwrap();
    let clock = std::sync::Arc::new(node::clock::SystemClock);
    let store = Store::open(&node.db(), &passphrase, OpenOptions::default(), clock).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let facts = |name: &str, value: Value| Map::from_iter([(name.to_owned(), value)]);
        let because = facts("reason", json!("not in the allowlist"));
        let many = facts("versions", json!(3));
        store
            .write(move |write| {
                write.announce_peer(PeerEvent::Refused, peer, None, because)?;
                write.announce_peer(PeerEvent::Accepted, peer, None, Map::new())?;
                write.announce_peer(PeerEvent::Synced, peer, Some("shared"), many)
            })
            .await
            .unwrap();
        // What is not committed is not announced.
        let undone: Result<(), _> = store
            .write(move |write| {
                write.announce_peer(PeerEvent::Synced, peer, None, Map::new())?;
                Err(node::store::StoreError::Busy)
            })
            .await;
        assert!(undone.is_err());
    });
    store.close();
    drop((store, runtime));
    let served = serve_to_loopback(&node);
    let got = receiver.wait_for(2);
    assert_eq!(events(&got), ["peer.refused", "peer.synced"]);
    let data = got[0].event()["data"].clone();
    assert_eq!(
        data,
        json!({"peer": peer, "reason": "not in the allowlist"})
    );
    assert_eq!(events(&filtered.wait_for(1)), ["peer.synced"]);
    crate::receiver::store(&served, "the last one");
    assert_eq!(receiver.got().len(), 2);
}

#[test]
fn filters_let_through_what_they_name() {
    let node = Scratch::new();
    let served = serve_to_loopback(&node);
    let all = Receiver::accepting();
    subscribe(&served, json!({"url": all.url}));
    let filtered: Vec<(Value, Vec<&str>)> = vec![
        (
            json!({"namespace_filter": "work"}),
            vec!["work by a", "work by b"],
        ),
        (json!({"agent_filter": "a"}), vec!["work by a", "home by a"]),
        (
            json!({"namespace_filter": "work", "agent_filter": "a"}),
            vec!["work by a"],
        ),
        (
            json!({"filter": {"namespace": "home", "agent_id": "a"}}),
            vec!["home by a"],
        ),
        (json!({"events": ["memory.deleted"]}), vec![]),
    ];
    let filtered: Vec<_> = filtered
        .into_iter()
        .map(|(mut body, expected)| {
            let receiver = Receiver::accepting();
            body["url"] = json!(receiver.url);
            subscribe(&served, body);
            (receiver, expected)
        })
        .collect();
    let mut ids = Vec::new();
    for (namespace, agent) in [("work", "a"), ("work", "b"), ("home", "a"), ("home", "b")] {
        let title = format!("{namespace} by {agent}");
        let body = json!({
            "title": title, "content": "c", "namespace": namespace, "agent_id": agent,
        });
        let made = post(&served, "/api/v1/memories", body);
        ids.push(made["id"].as_str().unwrap().to_owned());
    }
    let link = json!({"source_id": ids[0], "target_id": ids[3]});
    post(&served, "/api/v1/links", link);
    all.wait_for(5);
    let last = json!({"title": "the last", "content": "c", "namespace": "x", "agent_id": "x"});
    post(&served, "/api/v1/memories", last);
    all.wait_for(6);
    for (receiver, expected) in &filtered {
        // The link is from a memory of agent a in work.
        let link = usize::from(expected.contains(&"work by a"));
        let got = receiver.wait_until("all that pass", |got| got.len() >= expected.len() + link);
        let titles: BTreeSet<String> = got
            .iter()
            .filter_map(|got| got.event()["data"]["title"].as_str().map(str::to_owned))
            .collect();
        assert_eq!(
            titles,
            expected.iter().map(|title| (*title).to_owned()).collect()
        );
    }
    for wrong in [
        json!({"events": ["memory.stored"]}),
        json!({"namespace_filter": ""}),
        json!({"namespace_filter": " x"}),
        json!({"agent_filter": ""}),
        json!({"profile": "md5"}),
        json!({"secret": "short"}),
        json!({"secret": "with a blank in the middle"}),
        json!({"secret": "whsec_this-is-no-base64!"}),
        json!({"unknown": 1}),
    ] {
        let mut body = wrong.clone();
        body["url"] = json!(all.url);
        let refused = served.http("POST", "/api/v1/subscriptions", Some(&body));
        assert_eq!(refused.status, 400, "{wrong}: {refused:?}");
    }
}

#[test]
fn a_pause_lets_announcements_queue_up_and_an_end_takes_them_along() {
    let node = Scratch::new();
    let served = serve_to_loopback(&node);
    let receiver = Receiver::accepting();
    let made = subscribe(&served, json!({"url": receiver.url}));
    let id = made["id"].as_str().unwrap();
    let path = format!("/api/v1/subscriptions/{id}");
    post(&served, &format!("{path}/pause"), json!({}));
    for n in 0..5 {
        store(&served, &format!("n{n}"));
    }
    let test = post(&served, &format!("{path}/test"), json!({}));
    let shown = served.http("GET", &path, None).expect(200).json();
    assert_eq!(shown["active"], false);
    let rows = deliveries_once(&served, id, |rows| rows.len() == 6);
    assert!(
        rows.iter()
            .all(|row| row["state"] == "pending" && row["attempts"] == 0)
    );
    assert_eq!(rows[0]["event_id"], test["event_id"]);
    let page = served.http(
        "GET",
        &format!("{path}/deliveries?limit=2&before_seq=4"),
        None,
    );
    let places: Vec<Value> = page.json()["deliveries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["seq"].clone())
        .collect();
    assert_eq!(places, [json!(3), json!(2)]);
    assert_eq!(receiver.connections(), 0);
    post(&served, &format!("{path}/resume"), json!({}));
    receiver.wait_for(6);
    post(&served, &format!("{path}/pause"), json!({}));
    store(&served, "never told");
    served.http("DELETE", &path, None).expect(200);
    served.http("GET", &path, None).expect(404);
    served
        .http("GET", &format!("{path}/deliveries"), None)
        .expect(404);
    let metrics = served.http("GET", "/metrics", None).expect(200).body;
    assert!(
        metrics.contains("memory_node_webhook_pending 0\n"),
        "{metrics}"
    );
}

#[test]
fn dead_letters_are_listed_with_their_error_and_replayed_one_by_one_or_in_a_range() {
    let node = Scratch::new();
    let served = node.serve_with(&[
        "--webhook-allow-network",
        "127.0.0.0/8",
        "--webhook-retry-s",
        "0,0",
    ]);
    // Three attempts for each of six, all refused; then it takes everything.
    let receiver = Receiver::start(|n| answer(if n < 18 { 503 } else { 200 }));
    let secret = node.dir.path().join("secret");
    write_private(&secret, "a-secret-from-a-file");
    let connect = served.address.as_str();
    let webhook = |args: &[&str]| {
        let mut all = vec!["--connect", connect, "--json", "webhook"];
        all.extend_from_slice(args);
        node.run(&all).ok().json()
    };
    let made = webhook(&[
        "add",
        &receiver.url,
        "--secret-file",
        secret.to_str().unwrap(),
    ]);
    let id = made["id"].as_str().unwrap();
    for n in 0..6 {
        store(&served, &format!("n{n}"));
    }
    deliveries_once(&served, id, |rows| {
        rows.iter().all(|row| row["state"] == "dead")
    });
    let dead = webhook(&["deliveries", id, "--state", "dead"]);
    assert_eq!(dead["count"], 6);
    let first = &dead["deliveries"][0];
    assert_eq!(
        (
            &first["attempts"],
            &first["last_status"],
            &first["last_error"]
        ),
        (&json!(3), &json!(503), &json!("the receiver answered 503"))
    );
    let text = node
        .run(&[
            "--connect",
            connect,
            "webhook",
            "deliveries",
            id,
            "--limit",
            "1",
        ])
        .ok()
        .stdout;
    assert!(
        text.contains("dead") && text.contains("answered 503"),
        "{text}"
    );
    let metrics = served.http("GET", "/metrics", None).expect(200).body;
    for line in [
        "memory_node_webhook_dead 6\n",
        "memory_node_webhook_given_up_total 6\n",
        "memory_node_webhook_attempts_total{outcome=\"failed\"} 18\n",
        "memory_node_webhook_oldest_pending_seconds 0\n",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    assert_eq!(webhook(&["replay", id, "--seq", "2"])["replayed"], 1);
    receiver.wait_for(19);
    assert_eq!(
        webhook(&["replay", id, "--from", "3", "--to", "4"])["replayed"],
        2
    );
    receiver.wait_for(21);
    assert_eq!(webhook(&["replay", id])["replayed"], 3);
    receiver.wait_for(24);
    deliveries_once(&served, id, |rows| {
        rows.iter().all(|row| row["state"] == "delivered")
    });
    let again = webhook(&["replay", id, "--seq", "2", "--delivered-too"]);
    assert_eq!(again["replayed"], 1);
    let got = receiver.wait_for(25);
    assert_eq!(got[18].id(), got[24].id(), "a replay has the same id");
    let nothing = webhook(&["replay", id]);
    assert_eq!(nothing["replayed"], 0);
}

#[test]
fn during_a_rotation_both_secrets_sign_and_after_it_only_the_new_one() {
    let node = Scratch::new();
    let served = serve_to_loopback(&node);
    let receiver = Receiver::accepting();
    let made = subscribe(&served, json!({"url": receiver.url}));
    let (id, old) = (
        made["id"].as_str().unwrap(),
        made["secret"].as_str().unwrap(),
    );
    let secret = node.dir.path().join("secret");
    write_private(&secret, "the-next-secret-0123");
    let rotate = |args: &[&str]| {
        let mut all = vec![
            "--connect",
            &served.address,
            "--json",
            "webhook",
            "rotate",
            id,
        ];
        all.extend_from_slice(args);
        let answer = node.run(&all).ok().json();
        answer["secret"].as_str().unwrap().to_owned()
    };
    let signs = |got: &Got, secret: &str| {
        let (at, body) = (got.timestamp(), got.body.as_bytes());
        let signatures = &got.headers["webhook-signature"];
        sign::verify_standard(secret, got.id(), signatures, at, body, at, 0).is_ok()
    };
    let own = rotate(&[
        "--secret-file",
        secret.to_str().unwrap(),
        "--overlap-s",
        "3600",
    ]);
    assert_eq!(own, "the-next-secret-0123");
    store(&served, "during the overlap");
    let got = receiver.wait_for(1).remove(0);
    assert!(signs(&got, old) && signs(&got, &own));
    let made = rotate(&["--overlap-s", "0"]);
    assert!(made.starts_with("whsec_"));
    store(&served, "after it");
    let got = receiver.wait_for(2).remove(1);
    assert!(signs(&got, &made) && !signs(&got, old) && !signs(&got, &own));
    assert!(!got.headers["webhook-signature"].contains(' '));
}

#[test]
fn the_command_line_shows_what_is_subscribed() {
    let node = Scratch::new();
    let served = serve_to_loopback(&node);
    let receiver = Receiver::accepting();
    let run = |args: &[&str]| {
        let mut all = vec!["--connect", &served.address, "webhook"];
        all.extend_from_slice(args);
        node.run(&all)
    };
    let args = [
        "--event",
        "link.created",
        "--namespace",
        "work",
        "--agent-id",
        "a",
    ];
    let said = run(&[&["add", receiver.url.as_str()][..], &args[..]].concat())
        .ok()
        .stdout;
    let word = |name: &str| {
        let line = said.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    let (id, secret) = (word("id"), word("secret"));
    let shown = run(&["show", &id]).ok().stdout;
    for part in [
        &id,
        &receiver.url,
        "active",
        "link.created",
        "work",
        "standard",
    ] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    assert!(!shown.contains(&secret), "{shown}");
    run(&["test", &id]).ok();
    assert_eq!(events(&receiver.wait_for(1)), ["test"]);
    run(&["pause", &id]).ok();
    assert!(run(&["list"]).ok().stdout.contains("paused"));
    run(&["resume", &id]).ok();
    run(&["remove", &id]).ok();
    assert_eq!(run(&["list"]).ok().stdout.trim(), "");
    let refused = run(&["show", &id]);
    assert_eq!(refused.code, 1, "{refused:?}");
    let refused = run(&["add", "http://example.com/"]);
    assert!(
        refused.code != 0 && refused.stderr.contains("http goes to"),
        "{refused:?}"
    );
}

#[test]
fn an_agent_does_the_same_over_mcp() {
    let Some(bin) = pytools::bin() else { return };
    let node = Scratch::new();
    let served = serve_to_loopback(&node);
    let receiver = Receiver::start(|n| answer(if n == 0 { 500 } else { 200 }));
    let data = node.data();
    let said = pytools::script(
        bin,
        include_str!("python/mcp_webhooks.py"),
        &[
            ("NODE", env!("CARGO_BIN_EXE_memory-node")),
            ("DATA", data.to_str().unwrap()),
            ("RECEIVER", &receiver.url),
        ],
    );
    assert!(said.contains("it holds"), "{said}");
    let got = receiver.wait_for(2);
    assert_eq!(events(&got[..1]), ["test"]);
    assert_eq!(got[0].id(), got[1].id());
    drop(served);
}
