//! What is on the disk: no plaintext, in any file, at any time.

use serde_json::json;

use crate::support::{Scratch, snapshot};

const CANARY: &str = "kanarienvogelQ7";

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[test]
fn a_canary_in_every_field_is_in_no_file_and_no_log() {
    let node = Scratch::new();
    let served = node.serve();
    let memory = json!({
        "title": format!("{CANARY} title"), "content": format!("{CANARY} content").repeat(200),
        "namespace": CANARY, "tags": [CANARY], "source": CANARY, "agent_id": CANARY,
        "metadata": {CANARY: CANARY}, "scope": CANARY, "tier": "long",
    });
    let created = served
        .http("POST", "/api/v1/memories", Some(&memory))
        .expect(201);
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let other = served
        .http("POST", "/api/v1/memories", Some(&memory))
        .expect(201);
    let link = json!({"source_id": id, "target_id": other.json()["id"]});
    served
        .http("POST", "/api/v1/links", Some(&link))
        .expect(201);
    served
        .http("GET", &format!("/api/v1/search?q={CANARY}"), None)
        .expect(200);
    served.http("GET", "/api/v1/nothing", None).expect(404);
    let live = snapshot(&node.data());
    assert!(
        live.iter()
            .any(|(path, bytes)| path.ends_with("memory.db-wal") && !bytes.is_empty())
    );
    let log = served.log.lock().unwrap().clone();
    assert!(!log.contains(CANARY), "{log}");
    let copies = node.dir.path().join("copies");
    std::fs::create_dir(&copies).unwrap();
    let backup = copies.join("of-a-running-node.db");
    node.run(&["db", "backup", backup.to_str().unwrap()]).ok();
    served.stop();
    let backup = copies.join("of-a-stopped-node.db");
    node.run(&["db", "backup", backup.to_str().unwrap()]).ok();
    let (seal, export) = (node.pass_file(), copies.join("sealed-export"));
    let (seal, export) = (seal.to_str().unwrap(), export.to_str().unwrap());
    node.run(&["export", export, "--seal-passphrase-file", seal])
        .ok();
    let at_rest = node.snapshot().into_iter().chain(snapshot(&copies));
    for (path, bytes) in live.into_iter().chain(at_rest) {
        assert!(
            !holds(&bytes, CANARY),
            "{} holds the canary",
            path.display()
        );
        assert!(
            !holds(&bytes, crate::support::PASSPHRASE),
            "{}",
            path.display()
        );
        if path.extension().is_some_and(|e| e == "db") {
            assert!(!bytes.starts_with(b"SQLite format 3"), "{}", path.display());
        }
    }
}

#[test]
fn the_token_is_in_its_file_and_nowhere_else() {
    let node = Scratch::new();
    let served = node.serve();
    served.http("GET", "/api/v1/stats", None).expect(200);
    let log = served.log.lock().unwrap().clone();
    served.stop();
    let token = node.token();
    assert!(!log.contains(&token));
    for (path, bytes) in node.snapshot() {
        assert_eq!(
            holds(&bytes, &token),
            path.ends_with("token"),
            "{}",
            path.display()
        );
    }
}
