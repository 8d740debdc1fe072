//! Every way to open what should not be opened: its own error, its exit code, nothing modified.

use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::process::Stdio;

use crate::support::{PASSPHRASE, Scratch, write_private};

const PAGE: u64 = 4096;

/// Runs `list` and asserts the refusal; the data directory is byte for byte what it was.
fn refused(node: &Scratch, exit: i32, code: &str) -> String {
    let before = node.digests();
    let ran = node.run(&["list", "--json"]);
    assert_eq!(
        (ran.code, ran.error_code().as_str()),
        (exit, code),
        "{ran:?}"
    );
    assert_eq!(node.digests(), before, "something was modified");
    ran.stderr
}

fn flip(path: &std::path::Path, at: u64) {
    let file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
}

#[test]
fn a_wrong_passphrase_is_told_in_the_promised_words() {
    let node = Scratch::new();
    node.store("t", "c");
    write_private(&node.pass_file(), "something else");
    let text = refused(&node, 1, "wrong_passphrase");
    assert!(
        text.contains("PRAGMA key failed (wrong passphrase or unencrypted DB?)"),
        "{text}"
    );
    assert!(text.contains("memory.db"), "{text}");
}

#[test]
fn a_wrong_passphrase_leaves_the_wal_of_a_killed_node_alone() {
    let node = Scratch::new();
    let served = node.serve();
    let body = serde_json::json!({"title": "t", "content": "c"});
    served
        .http("POST", "/api/v1/memories", Some(&body))
        .expect(201);
    served.kill();
    assert!(
        std::fs::metadata(node.data().join("memory.db-wal"))
            .unwrap()
            .len()
            > 0
    );
    write_private(&node.pass_file(), "something else");
    refused(&node, 1, "wrong_passphrase");
    write_private(&node.pass_file(), PASSPHRASE);
    assert!(node.run(&["list"]).ok().stdout.contains(" t"));
}

#[test]
fn an_empty_a_missing_and_an_exposed_passphrase_are_no_verdict() {
    let node = Scratch::new();
    write_private(&node.pass_file(), "\n");
    refused(&node, 2, "passphrase_empty");
    write_private(&node.pass_file(), PASSPHRASE);
    std::fs::set_permissions(node.pass_file(), std::fs::Permissions::from_mode(0o644)).unwrap();
    refused(&node, 2, "passphrase_exposed");
    std::fs::remove_file(node.pass_file()).unwrap();
    refused(&node, 2, "passphrase_unreadable");
    let none = node.bare().args(["list", "--json"]).output().unwrap();
    assert_eq!(none.status.code(), Some(2));
    assert!(
        String::from_utf8(none.stderr)
            .unwrap()
            .contains("passphrase_missing")
    );
}

#[test]
fn an_empty_passphrase_never_makes_a_database() {
    let node = Scratch::empty();
    write_private(&node.pass_file(), "");
    let ran = node.run(&["init", "--json"]);
    assert_eq!(
        (ran.code, ran.error_code().as_str()),
        (2, "passphrase_empty")
    );
    assert!(!node.data().exists());
}

#[test]
fn a_plaintext_database_is_refused_by_name() {
    let node = Scratch::new();
    let mut plain = b"SQLite format 3\0".to_vec();
    plain.resize(8192, 0);
    std::fs::write(node.db(), plain).unwrap();
    let text = refused(&node, 1, "database_plaintext");
    assert!(
        text.contains("PRAGMA key failed (wrong passphrase or unencrypted DB?)"),
        "{text}"
    );
    assert!(text.contains("db encrypt"), "{text}");
}

#[test]
fn an_empty_and_a_missing_database_are_not_made_anew() {
    let node = Scratch::new();
    std::fs::write(node.db(), b"").unwrap();
    refused(&node, 1, "database_empty");
    std::fs::remove_file(node.db()).unwrap();
    refused(&node, 2, "database_missing");
}

#[test]
fn a_truncated_database_is_told_from_a_wrong_passphrase() {
    let node = Scratch::new();
    node.store("t", "c");
    let whole = std::fs::read(node.db()).unwrap();
    for length in [100, 4096, whole.len() - 4096, whole.len() - 1] {
        std::fs::write(node.db(), &whole[..length]).unwrap();
        refused(&node, 1, "database_truncated");
    }
}

#[test]
fn a_flipped_bit_in_the_first_page_is_damage_and_not_a_wrong_passphrase() {
    let node = Scratch::new();
    flip(&node.db(), 200);
    let text = refused(&node, 1, "database_damaged");
    assert!(text.contains("page 1"), "{text}");
}

#[test]
fn an_old_file_put_back_is_refused_until_the_operator_accepts_it() {
    let node = Scratch::new();
    node.store("first", "c");
    let old = std::fs::read(node.db()).unwrap();
    node.store("second", "c");
    std::fs::write(node.db(), &old).unwrap();
    let text = refused(&node, 1, "rolled_back");
    assert!(
        text.contains("ends at version 1, its signed head says 2"),
        "{text}"
    );
    node.run(&["list", "--accept-rollback"]).ok();
    assert!(node.run(&["list"]).ok().stdout.contains("first"));
}

#[test]
fn a_deleted_wal_is_a_rollback() {
    let node = Scratch::new();
    let served = node.serve();
    let body = serde_json::json!({"title": "t", "content": "c"});
    served
        .http("POST", "/api/v1/memories", Some(&body))
        .expect(201);
    served.kill();
    std::fs::remove_file(node.data().join("memory.db-wal")).unwrap();
    std::fs::remove_file(node.data().join("memory.db-shm")).unwrap();
    refused(&node, 1, "rolled_back");
}

#[test]
fn a_missing_and_a_forged_head_are_refused() {
    let node = Scratch::new();
    node.store("t", "c");
    let head = node.data().join("memory.db.head");
    let good = std::fs::read_to_string(&head).unwrap();
    // Another sequence under the old signature, in both slots.
    std::fs::write(&head, good.replace("\"seq\":1", "\"seq\":0")).unwrap();
    let ran = node.run(&["list", "--json"]);
    // One slot speaks of nothing (sequence 0, rightly signed): an honest but older head.
    assert_eq!(ran.code, 0, "{ran:?}");
    std::fs::write(
        &head,
        good.replace("\"root\":\"", "\"root\":\"00")
            .replace("  ", ""),
    )
    .unwrap();
    refused(&node, 1, "head_forged");
    std::fs::remove_file(&head).unwrap();
    refused(&node, 1, "head_missing");
}

#[test]
fn a_database_in_use_is_not_opened_twice() {
    let node = Scratch::new();
    let served = node.serve();
    std::fs::remove_file(node.data().join("running.json")).unwrap();
    let ran = node.run(&["list", "--json"]);
    assert_eq!(
        (ran.code, ran.error_code().as_str()),
        (2, "database_locked")
    );
    drop(served);
}

#[test]
fn the_passphrase_comes_from_every_place_but_the_command_line() {
    let node = Scratch::new();
    let works = |command: &mut std::process::Command| {
        let ran = command.arg("list").output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
        String::from_utf8(ran.stderr).unwrap()
    };
    works(node.bare().args([
        "--passphrase-command",
        &format!("printf '%s' '{PASSPHRASE}'"),
    ]));
    let credentials = node.dir.path().join("credentials");
    std::fs::create_dir(&credentials).unwrap();
    write_private(&credentials.join("db-passphrase"), PASSPHRASE);
    works(node.bare().env("CREDENTIALS_DIRECTORY", &credentials));
    let file = std::fs::File::open(node.pass_file()).unwrap();
    works(
        node.bare()
            .args(["--passphrase-fd", "0"])
            .stdin(Stdio::from(file)),
    );
    let warned = works(node.bare().env("MEMORY_NODE_PASSPHRASE", PASSPHRASE));
    assert!(warned.contains("WARN"), "{warned}");
    let two = node.run(&["list", "--passphrase-fd", "0", "--json"]);
    assert_eq!(
        (two.code, two.error_code().as_str()),
        (2, "passphrase_ambiguous")
    );
}

#[test]
fn pages_are_whole() {
    let node = Scratch::new();
    assert_eq!(std::fs::metadata(node.db()).unwrap().len() % PAGE, 0);
}
