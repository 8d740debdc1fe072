//! `db check|backup|restore|rekey|encrypt`: copies that are whole, and damage that is found.

use std::os::unix::fs::FileExt as _;
use std::process::Command;

use serde_json::json;

use crate::support::{Scratch, write_private};

const PAGE: usize = 4096;

fn filled() -> Scratch {
    let node = Scratch::new();
    let served = node.serve();
    let batch: Vec<_> = (0..120)
        .map(|n| json!({"title": format!("t{n}"), "content": "words ".repeat(200), "tier": "long"}))
        .collect();
    let ids = served
        .http("POST", "/api/v1/memories/bulk", Some(&json!(batch)))
        .expect(201)
        .json();
    let link = json!({"source_id": ids["ids"][0], "target_id": ids["ids"][1]});
    served
        .http("POST", "/api/v1/links", Some(&link))
        .expect(201);
    let path = format!("/api/v1/memories/{}", ids["ids"][2].as_str().unwrap());
    served
        .http("PUT", &path, Some(&json!({"title": "changed"})))
        .expect(200);
    let path = format!("/api/v1/memories/{}", ids["ids"][3].as_str().unwrap());
    served.http("DELETE", &path, None).expect(200);
    served.stop();
    node
}

#[test]
fn a_sound_database_passes_and_is_left_as_it_is() {
    let node = filled();
    let before = node.digests();
    let checked = node.run(&["db", "check", "--json"]).ok().json();
    assert_eq!(checked["ok"], true);
    let report = &checked["report"];
    assert_eq!(
        (&report["versions"], &report["memories"]),
        (&json!(123), &json!(119))
    );
    assert_eq!(report["links"], 1);
    assert_eq!(node.digests(), before);
}

#[test]
fn any_flipped_bit_is_found() {
    let node = filled();
    let whole = std::fs::read(node.db()).unwrap();
    let pages = whole.len() / PAGE;
    // One place in every seventh page, at another offset each time, and the last page.
    let mut places: Vec<usize> = (0..pages)
        .step_by(7)
        .map(|p| p * PAGE + (p * 131) % PAGE)
        .collect();
    places.push(whole.len() - 1);
    for at in places {
        let mut changed = whole.clone();
        changed[at.max(16)] ^= 1;
        std::fs::write(node.db(), &changed).unwrap();
        let ran = node.run(&["db", "check", "--json"]);
        assert_eq!(ran.code, 1, "byte {at}: {ran:?}");
    }
}

#[test]
fn two_pages_that_changed_places_are_found() {
    let node = filled();
    let mut bytes = std::fs::read(node.db()).unwrap();
    let (head, tail) = bytes.split_at_mut(6 * PAGE);
    head[5 * PAGE..].swap_with_slice(&mut tail[..PAGE]);
    std::fs::write(node.db(), &bytes).unwrap();
    let ran = node.run(&["db", "check", "--json"]);
    assert_eq!(ran.code, 1, "{ran:?}");
}

#[test]
fn an_old_page_put_back_is_found_or_changes_nothing() {
    let node = filled();
    let old = std::fs::read(node.db()).unwrap();
    let id = node.run(&["list", "--json"]).ok().json()["memories"][0]["id"].clone();
    node.run(&["update", id.as_str().unwrap(), "--title", "newer"])
        .ok();
    node.store("one more", "words");
    let new = std::fs::read(node.db()).unwrap();
    let changed: Vec<usize> = (0..old.len() / PAGE)
        .filter(|p| old[p * PAGE..(p + 1) * PAGE] != new[p * PAGE..(p + 1) * PAGE])
        .collect();
    assert!(changed.len() >= 5, "{changed:?}");
    let shown = |node: &Scratch| {
        let list = node.run(&["list", "--limit", "1000", "--json"]).ok().json()["memories"].clone();
        let words = ["newer", "words", "more", "changed", "t119"];
        let found = words.map(|word| node.run(&["search", word, "--limit", "1000"]).ok().stdout);
        (list, found)
    };
    let right = shown(&node);
    let mut found = 0;
    for page in &changed {
        let mut bytes = new.clone();
        bytes[page * PAGE..(page + 1) * PAGE].copy_from_slice(&old[page * PAGE..(page + 1) * PAGE]);
        std::fs::write(node.db(), &bytes).unwrap();
        let ran = node.run(&["db", "check", "--json"]);
        // An inner page of the search index may be as good as its successor.
        assert!(
            ran.code == 1 || shown(&node) == right,
            "old page {}: {ran:?}",
            page + 1
        );
        found += usize::from(ran.code == 1);
    }
    assert!(found + 2 >= changed.len(), "only {found} of {changed:?}");
}

#[test]
fn a_backup_of_a_running_node_is_whole_and_can_be_restored() {
    let node = filled();
    let served = node.serve();
    let body = json!({"title": "in the WAL only", "content": "c"});
    served
        .http("POST", "/api/v1/memories", Some(&body))
        .expect(201);
    let backup = node.dir.path().join("backup.db");
    let name = backup.to_str().unwrap();
    node.run(&["db", "backup", name]).ok();
    assert_eq!(node.run(&["db", "backup", name]).code, 2);
    served
        .http("POST", "/api/v1/forget?tier=long", None)
        .expect(200);
    assert_eq!(node.run(&["db", "restore", name]).code, 2, "it is in use");
    served.stop();
    let kept = node.run(&["db", "restore", name, "--json"]).ok().json()["kept"].clone();
    assert!(std::path::Path::new(kept.as_str().unwrap()).exists());
    assert_eq!(node.run(&["stats", "--json"]).ok().json()["total"], 120);
    assert!(
        node.run(&["search", "WAL"])
            .ok()
            .stdout
            .contains("in the WAL only")
    );
    node.run(&["db", "check"]).ok();
}

#[test]
fn a_damaged_backup_is_not_restored() {
    let node = filled();
    let backup = node.dir.path().join("backup.db");
    node.run(&["db", "backup", backup.to_str().unwrap()]).ok();
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&backup)
        .unwrap();
    // One byte of a cipher text is anything by chance: it becomes another one.
    let mut byte = [0];
    file.read_exact_at(&mut byte, 20_000).unwrap();
    file.write_all_at(&[!byte[0]], 20_000).unwrap();
    let before = node.digests();
    let ran = node.run(&["db", "restore", backup.to_str().unwrap(), "--json"]);
    assert_eq!(
        (ran.code, ran.error_code().as_str()),
        (1, "database_damaged")
    );
    assert_eq!(node.digests(), before);
}

#[test]
fn after_a_rekey_only_the_new_passphrase_opens() {
    let node = filled();
    let new = node.dir.path().join("new");
    write_private(&new, "another one");
    let old_bytes = std::fs::read(node.db()).unwrap();
    node.run(&[
        "db",
        "rekey",
        "--new-passphrase-file",
        new.to_str().unwrap(),
    ])
    .ok();
    let ran = node.run(&["list", "--json"]);
    assert_eq!(
        (ran.code, ran.error_code().as_str()),
        (1, "wrong_passphrase")
    );
    std::fs::copy(&new, node.pass_file()).unwrap();
    assert_eq!(node.run(&["stats", "--json"]).ok().json()["total"], 119);
    assert!(!node.run(&["search", "words"]).ok().stdout.is_empty());
    node.run(&["db", "check"]).ok();
    let bytes = std::fs::read(node.db()).unwrap();
    for page in old_bytes.chunks(PAGE).filter(|page| page.len() == PAGE) {
        assert!(
            !bytes.chunks(PAGE).any(|new| new == page),
            "a page was not encrypted anew"
        );
    }
    node.store("after", "rekey");
    assert_eq!(node.run(&["db", "check"]).code, 0);
}

#[test]
fn a_plaintext_database_is_taken_in_and_left_untouched() {
    let plain = tempfile::tempdir().unwrap();
    let file = plain.path().join("old.db");
    let sql = "CREATE TABLE memories (id TEXT PRIMARY KEY, tier TEXT, namespace TEXT, title TEXT,
           content TEXT, tags TEXT, priority INTEGER, confidence REAL, source TEXT,
           access_count INTEGER, created_at TEXT, updated_at TEXT, last_accessed_at TEXT,
           expires_at TEXT, metadata TEXT);
         INSERT INTO memories VALUES ('0199aaaa-0000-4000-8000-000000000001', 'long', 'work',
           'kept title', 'kept content', '[\"red\"]', 7, 0.5, 'claude', 3, '2025-01-02T03:04:05+00:00',
           '2025-01-02T03:04:05+00:00', NULL, NULL, '{\"agent_id\":\"ai:x\"}');
         INSERT INTO memories VALUES ('not-a-uuid', 'long', 'work', 't', 'c', '[]', 5, 1, 's', 0,
           '2025-01-02T03:04:05+00:00', '2025-01-02T03:04:05+00:00', NULL, NULL, '{}');
         INSERT INTO memories VALUES ('0199aaaa-0000-4000-8000-000000000002', 'long', 'work', 'second',
           'c', '[]', 5, 1, 's', 0, '2025-01-02T03:04:05+00:00', NULL, NULL, NULL, '{}');
         INSERT INTO memories VALUES ('0199aaaa-0000-4000-8000-000000000003', 'long', 'work', 't', 'c',
           '[]', 5, 1, 's', 0, 'yesterday', NULL, NULL, NULL, '{}');
         CREATE TABLE memory_links (source_id TEXT, target_id TEXT, relation TEXT, created_at TEXT);
         INSERT INTO memory_links VALUES ('0199aaaa-0000-4000-8000-000000000001',
           '0199aaaa-0000-4000-8000-000000000002', 'supersedes', '2025-01-02T03:04:05+00:00');
         INSERT INTO memory_links VALUES ('0199aaaa-0000-4000-8000-000000000001',
           '0199aaaa-0000-4000-8000-000000000003', 'supersedes', '2025-01-02T03:04:05+00:00');";
    let Ok(made) = Command::new("sqlite3").arg(&file).arg(sql).output() else {
        println!("skipped: no `sqlite3` program is installed");
        return;
    };
    assert!(made.status.success(), "{made:?}");
    let before = std::fs::read(&file).unwrap();
    let node = Scratch::empty();
    let answer = node.run(&["db", "encrypt", file.to_str().unwrap(), "--json"]);
    assert_eq!(
        (answer.code, answer.error_code().as_str()),
        (1, "rows_refused")
    );
    let answer = answer.json();
    assert_eq!(
        (&answer["memories"], &answer["links"]),
        (&json!(2), &json!(1))
    );
    let refused: Vec<_> = answer["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["row"].as_str().unwrap())
        .collect();
    assert_eq!(
        refused,
        [
            "not-a-uuid",
            "0199aaaa-0000-4000-8000-000000000003",
            "0199aaaa-0000-4000-8000-000000000001 -> 0199aaaa-0000-4000-8000-000000000003"
        ]
    );
    assert_eq!(
        answer["refused"][1]["reason"],
        "`created_at` is no time: `yesterday`"
    );
    assert_eq!(std::fs::read(&file).unwrap(), before);
    assert_eq!(
        std::fs::read_dir(plain.path()).unwrap().count(),
        1,
        "files were made beside it"
    );
    let id = "0199aaaa-0000-4000-8000-000000000001";
    let memory = node.run(&["get", id, "--json"]).ok().json();
    for (field, value) in [
        ("title", json!("kept title")),
        ("tags", json!(["red"])),
        ("priority", json!(7)),
        ("agent_id", json!("ai:x")),
        ("created_at", json!("2025-01-02T03:04:05.000000Z")),
    ] {
        assert_eq!(memory[field], value);
    }
    let links = node.run(&["links", id, "--json"]).ok().json();
    assert_eq!(links["links"][0]["relation"], "supersedes");
    node.run(&["db", "check"]).ok();
    let other = Scratch::empty();
    let twice = node.run(&["db", "encrypt", file.to_str().unwrap(), "--json"]);
    assert_eq!(
        (twice.code, twice.error_code().as_str()),
        (2, "database_exists")
    );
    let encrypted = other.run(&["db", "encrypt", node.db().to_str().unwrap(), "--json"]);
    assert_eq!(
        (encrypted.code, encrypted.error_code().as_str()),
        (2, "not_plaintext")
    );
}
