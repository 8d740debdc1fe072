//! What is not welcome goes to quarantine with its reason, pushed and pulled alike.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::peers::{Played, eventually, runtime};
use crate::support::Scratch;
use node::clock::{Clock as _, SystemClock, Timestamp};
use node::federation::tls;
use node::federation::trust::Trust;
use node::identity::admit::WireVersion;
use node::identity::hlc::Hlc;
use node::identity::keys::AuthorSecret;
use node::identity::resolve::object_id;
use node::identity::version::{self, Kind, Op, Payload};

/// A memory's version with this title, by this author, dated this many seconds ahead.
struct Draft<'a> {
    secret: &'a AuthorSecret,
    seq: u64,
    title: &'a str,
    ns: &'a str,
    ahead_s: i64,
    id: Option<String>,
    parents: Vec<String>,
}

impl Draft<'_> {
    fn sign(&self) -> (WireVersion, String, String) {
        let now = SystemClock.now();
        let dated = now.plus_seconds(self.ahead_s);
        let body = json!({
            "agent_id": "a", "confidence": 1.0, "content": format!("text of {}", self.title),
            "created_at": now, "metadata": {}, "priority": 5, "source": "t", "tags": [],
            "tier": "long", "title": self.title, "updated_at": now,
        })
        .to_string();
        let salt = [3_u8; 16];
        let id = self.id.clone().unwrap_or_else(|| {
            object_id(
                self.secret.public().as_bytes(),
                self.seq,
                Timestamp::from_micros(now.as_micros()),
            )
            .to_string()
        });
        let payload = Payload {
            author: self.secret.public().to_string(),
            content_sha256: version::content_digest(&salt, body.as_bytes()),
            hlc: Hlc {
                ms: u64::try_from(dated.as_millis()).unwrap(),
                counter: 0,
            }
            .to_string(),
            id: id.clone(),
            kind: Kind::Memory,
            meta: BTreeMap::new(),
            ns: self.ns.to_owned(),
            op: Op::Put,
            parents: self.parents.clone(),
            prev: String::new(),
            seq: self.seq,
        };
        let signed = version::sign(&payload, self.secret).unwrap();
        let wire = WireVersion {
            payload: String::from_utf8(signed.payload).unwrap(),
            signature: hex::encode(signed.signature),
            salt: Some(hex::encode(salt)),
            body: Some(body),
        };
        (wire, id, signed.id.to_string())
    }
}

fn draft<'a>(secret: &'a AuthorSecret, seq: u64, title: &'a str) -> Draft<'a> {
    Draft {
        secret,
        seq,
        title,
        ns: "global",
        ahead_s: 0,
        id: None,
        parents: Vec::new(),
    }
}

/// Nine versions: two good ones, and each way of being unwelcome. `victim`: a memory of somebody else.
struct Cargo {
    wires: Vec<WireVersion>,
    authors: String,
    reasons: BTreeSet<&'static str>,
}

fn cargo(victim: (&str, &str)) -> Cargo {
    let [alice, bob, narrow, stranger] = [1, 2, 3, 4].map(|n| AuthorSecret::from_seed(&[n; 32]));
    let (good, ..) = draft(&alice, 1, "good").sign();
    let (mut forged, ..) = draft(&alice, 2, "forged").sign();
    forged.signature = hex::encode(stranger.sign(forged.payload.as_bytes()));
    let (mut altered, ..) = draft(&alice, 3, "altered").sign();
    altered.body = altered.body.map(|body| body.replace("altered", "alterED"));
    let (mut renamed, ..) = draft(&alice, 4, "renamed").sign();
    renamed.payload = renamed
        .payload
        .replace("\"ns\":\"global\"", "\"ns\":\"globel\"");
    let (unknown, ..) = draft(&stranger, 1, "unknown").sign();
    let (revoked, ..) = draft(&bob, 1, "revoked").sign();
    let (future, ..) = Draft {
        ahead_s: 900,
        ..draft(&alice, 5, "future")
    }
    .sign();
    let (outside, ..) = draft(&narrow, 1, "outside").sign();
    let (long, ..) = draft(&alice, 6, &"long ".repeat(200)).sign();
    // A known author takes the id of somebody else's memory: as its own, and as an edit of it.
    let (claimed, ..) = Draft {
        id: Some(victim.0.to_owned()),
        ahead_s: 100,
        ..draft(&alice, 7, "claimed")
    }
    .sign();
    let (edited, ..) = Draft {
        id: Some(victim.0.to_owned()),
        parents: vec![victim.1.to_owned()],
        ahead_s: 100,
        ..draft(&alice, 8, "edited")
    }
    .sign();
    let mut malformed = good.clone();
    malformed.payload.insert(0, ' ');
    Cargo {
        wires: vec![
            forged, altered, renamed, unknown, revoked, future, outside, long, claimed, edited,
            malformed, good,
        ],
        authors: format!(
            "ed25519:{} alice\ned25519:{} bob revoked=2026-01-01T00:00:00Z\ned25519:{} narrow namespaces=team\n",
            alice.public(),
            bob.public(),
            narrow.public()
        ),
        reasons: BTreeSet::from([
            "forged",
            "altered",
            "unknown_author",
            "revoked_author",
            "future_dated",
            "namespace_refused",
            "out_of_bounds",
            "malformed",
        ]),
    }
}

fn reasons(held: &[Value]) -> BTreeSet<&str> {
    held.iter()
        .map(|row| row["reason"].as_str().unwrap())
        .collect()
}

fn check_quarantine(node: &Scratch, served: &crate::support::Served, cargo: &Cargo, way: &str) {
    let held = served.held();
    assert_eq!(reasons(&held), cargo.reasons, "{held:#?}");
    assert!(held.iter().all(|row| row["way"] == way));
    // `renamed` is a forgery too: the payload is another one than was signed.
    assert_eq!(
        held.iter().filter(|row| row["reason"] == "forged").count(),
        2
    );
    assert_eq!(served.titles(), ["good", "mine"]);
    for word in [
        "forged", "altered", "alterED", "unknown", "revoked", "future", "outside", "claimed",
        "edited",
    ] {
        let found = served
            .http("GET", &format!("/api/v1/search?q={word}"), None)
            .expect(200)
            .json();
        assert_eq!(found["count"], 0, "{word}");
    }
    let peer = served.peer("played");
    assert_eq!(peer["quarantine"]["forged"], 2, "{peer}");
    let list = node.run(&["quarantine", "list"]).ok().stdout;
    assert!(
        list.contains("unknown_author") && list.contains("no author has the key"),
        "{list}"
    );
    assert!(
        node.run(&["peers"])
            .ok()
            .stdout
            .contains("1 unknown_author")
    );
}

fn authors_are_read(served: &crate::support::Served) {
    eventually("the authors are read", || {
        let log = served.log.lock().unwrap();
        log.contains("authors file was read again").then_some(())
    });
}

#[test]
fn what_is_pushed_is_judged_and_a_person_may_decide() {
    let node = Scratch::federated();
    let friend = Played::new();
    node.write_peers(&format!("{} played\n", friend.fingerprint()));
    let served = node.serve_federated();
    let id = served.create("mine");
    let mine = served
        .http("GET", &format!("/api/v1/memories/{id}"), None)
        .expect(200)
        .json();
    let cargo = cargo((&id, mine["version_id"].as_str().unwrap()));
    node.write_authors(&cargo.authors);
    authors_are_read(&served);
    let text = json!({ "versions": cargo.wires }).to_string();
    let rt = runtime();
    let (fingerprint, address) = (node.fingerprint(), served.federation());
    // Twice: what is known already changes nothing.
    for _ in 0..2 {
        let asked = friend.ask(&fingerprint, &address, "POST /fed/v1/push", text.as_bytes());
        let answer = rt.block_on(asked).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    check_quarantine(&node, &served, &cargo, "pushed");
    // The node's own memory is what it was.
    let now = served
        .http("GET", &format!("/api/v1/memories/{id}"), None)
        .expect(200)
        .json();
    assert_eq!(now["version_id"], mine["version_id"]);
    // A person may take in what is genuine, and only that.
    let held = served.held();
    let digest = |reason: &str| {
        held.iter().find(|row| row["reason"] == reason).unwrap()["digest"]
            .as_str()
            .unwrap()
    };
    let ran = node.run(&["quarantine", "accept", digest("forged"), "--json"]);
    assert_ne!(ran.code, 0, "{ran:?}");
    assert_eq!(served.held().len(), held.len());
    node.run(&["quarantine", "accept", digest("unknown_author")])
        .ok();
    assert_eq!(served.titles(), ["good", "mine", "unknown"]);
    node.run(&["quarantine", "drop", digest("altered")]).ok();
    assert_eq!(served.held().len(), held.len() - 2);
    // An author that becomes known brings out what it had signed.
    let narrow = cargo
        .authors
        .replace("namespaces=team", "namespaces=team,global");
    node.write_authors(&narrow);
    eventually("it leaves quarantine by itself", || {
        (served.titles() == ["good", "mine", "outside", "unknown"]).then_some(())
    });
    assert_eq!(served.stop(), 0);
    node.run(&["db", "check"]).ok();
}

/// A peer that a test plays and that is pulled from: one answer to every request for changes.
async fn feed(
    listener: tokio::net::TcpListener,
    config: rustls::ServerConfig,
    wires: Vec<WireVersion>,
) {
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let count = wires.len();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(mut stream) = acceptor.accept(stream).await else {
            continue;
        };
        let mut asked = Vec::new();
        let mut buffer = [0_u8; 4096];
        while let Ok(n @ 1..) = stream.read(&mut buffer).await {
            asked.extend_from_slice(&buffer[..n]);
            let text = String::from_utf8_lossy(&asked).into_owned();
            if !text.contains("\r\n\r\n") {
                continue;
            }
            let fresh = text.contains("after=0");
            let body = if text.starts_with("GET /fed/v1/changes") {
                let versions = if fresh { wires.clone() } else { Vec::new() };
                json!({
                    "epoch": "0".repeat(32), "next": count, "more": false, "count": count,
                    "digest": "0".repeat(32), "dials_back": true, "versions": versions,
                })
            } else if text.starts_with("POST /fed/v1/ranges") {
                json!({ "ranges": [] })
            } else {
                json!({})
            };
            let body = body.to_string();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            if stream.write_all(head.as_bytes()).await.is_err() {
                break;
            }
            asked.clear();
        }
    }
}

#[test]
fn what_is_pulled_is_judged_in_the_same_way() {
    let node = Scratch::federated();
    let friend = Played::new();
    let served = node.serve_federated();
    let id = served.create("mine");
    let mine = served
        .http("GET", &format!("/api/v1/memories/{id}"), None)
        .expect(200)
        .json();
    let cargo = cargo((&id, mine["version_id"].as_str().unwrap()));
    node.write_authors(&cargo.authors);
    authors_are_read(&served);
    let rt = runtime();
    let listener = rt
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .unwrap();
    let address = listener.local_addr().unwrap();
    let (peers, authors) = (
        friend.dir.path().join("peers"),
        friend.dir.path().join("authors"),
    );
    std::fs::write(&peers, format!("{} node\n", node.fingerprint())).unwrap();
    std::fs::write(&authors, "").unwrap();
    let trust = Arc::new(Trust::load(&peers, &authors).unwrap());
    let config = tls::server_config(&friend.own, trust).unwrap();
    rt.spawn(feed(listener, config, cargo.wires.clone()));
    node.write_peers(&format!("{} played {address}\n", friend.fingerprint()));
    // What is taken in and what is held are two writes.
    eventually("the good one is there, and the others are held", || {
        (served.titles().len() == 2 && !served.held().is_empty()).then_some(())
    });
    check_quarantine(&node, &served, &cargo, "pulled");
    let now = served
        .http("GET", &format!("/api/v1/memories/{id}"), None)
        .expect(200)
        .json();
    assert_eq!(now["version_id"], mine["version_id"]);
    assert_eq!(served.stop(), 0);
    node.run(&["db", "check"]).ok();
}

#[test]
fn scopes_are_kept() {
    let node = Scratch::federated();
    let (reader, writer) = (Played::new(), Played::new());
    node.write_peers(&format!(
        "{} reader read\n{} writer write\n",
        reader.fingerprint(),
        writer.fingerprint()
    ));
    let served = node.serve_federated();
    let rt = runtime();
    let status = |peer: &Played, request: &str, body: &[u8]| {
        let answer = rt
            .block_on(peer.ask(&node.fingerprint(), &served.federation(), request, body))
            .unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    let (read, push) = ("GET /fed/v1/changes", "POST /fed/v1/push");
    assert_eq!(status(&reader, read, b""), "200");
    assert_eq!(status(&reader, push, b"{\"versions\":[]}"), "403");
    assert_eq!(status(&writer, read, b""), "403");
    assert_eq!(status(&writer, push, b"{\"versions\":[]}"), "200");
    for bad in [
        "GET /fed/v1/changes?limit=x",
        "GET /fed/v1/changes?nonsense=1",
    ] {
        assert_eq!(status(&reader, bad, b""), "400");
    }
    assert_eq!(
        status(&writer, push, b"{\"versions\":[{\"payload\":1}]}"),
        "400"
    );
    assert_eq!(
        status(
            &reader,
            "POST /fed/v1/ranges",
            b"{\"ranges\":[{\"prefix\":\"x\",\"count\":0,\"digest\":\"\"}]}"
        ),
        "400"
    );
    assert_eq!(status(&reader, "GET /api/v1/memories", b""), "404");
}
