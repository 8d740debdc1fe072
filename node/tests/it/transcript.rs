//! The transcript: whoever alters, removes or cuts off a row is found.

use crate::support::{PASSPHRASE, Scratch};

fn open(node: &Scratch) -> rusqlite::Connection {
    let conn = rusqlite::Connection::open(node.db()).unwrap();
    conn.pragma_update(None, "key", PASSPHRASE).unwrap();
    conn
}

/// A node with five rows in its transcript, stopped.
fn with_rows() -> Scratch {
    let node = Scratch::new();
    node.store("t", "c");
    for round in 0..4 {
        let url = format!("https://hooks.example.org/{round}");
        node.run(&["webhook", "add", &url, "--json"]).ok();
    }
    let id = node.run(&["webhook", "list", "--json"]).ok().json()["subscriptions"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    node.run(&["webhook", "remove", &id]).ok();
    node.run(&["db", "check"]).ok();
    let rows: i64 = open(&node)
        .query_row("SELECT count(*) FROM transcript", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 5);
    node
}

/// Puts back what the test has spoilt.
fn spoil(node: &Scratch, sql: &str) -> crate::support::Ran {
    let kept = std::fs::read(node.db()).unwrap();
    open(node).execute_batch(sql).unwrap();
    let ran = node.run(&["db", "check"]);
    for beside in ["memory.db-wal", "memory.db-shm"] {
        drop(std::fs::remove_file(node.data().join(beside)));
    }
    std::fs::write(node.db(), kept).unwrap();
    ran
}

#[test]
fn every_row_that_is_altered_removed_or_cut_off_is_found() {
    let node = with_rows();
    for row in 1..=5 {
        for (what, sql) in [
            (
                "action",
                format!("UPDATE transcript SET action = 'nothing' WHERE seq = {row}"),
            ),
            (
                "time",
                format!("UPDATE transcript SET at_us = at_us + 1 WHERE seq = {row}"),
            ),
            (
                "detail",
                format!("UPDATE transcript SET detail = '{{}}' WHERE seq = {row}"),
            ),
            (
                "author",
                format!("UPDATE transcript SET author = zeroblob(32) WHERE seq = {row}"),
            ),
            (
                "root",
                format!("UPDATE transcript SET root = zeroblob(32) WHERE seq = {row}"),
            ),
            (
                "signature",
                format!("UPDATE transcript SET signature = zeroblob(64) WHERE seq = {row}"),
            ),
            (
                "removed",
                format!("DELETE FROM transcript WHERE seq = {row}"),
            ),
            (
                "cut off",
                format!("DELETE FROM transcript WHERE seq >= {row}"),
            ),
            (
                "moved up",
                format!(
                    "DELETE FROM transcript WHERE seq = {row}; UPDATE transcript SET seq = seq - 1 WHERE seq > {row}"
                ),
            ),
        ] {
            let ran = spoil(&node, &sql);
            assert_eq!(ran.code, 1, "row {row}, {what}: {ran:?}");
            assert!(
                ran.stderr.contains("transcript"),
                "row {row}, {what}: {ran:?}"
            );
        }
    }
    node.run(&["db", "check"]).ok();
}

#[test]
fn what_was_stored_and_deleted_is_bound_in_the_same_way() {
    let node = with_rows();
    node.store("t2", "c2");
    for sql in [
        "UPDATE versions SET signature = zeroblob(64) WHERE seq = 1",
        "DELETE FROM versions WHERE seq = 2",
        "UPDATE versions SET root = zeroblob(32) WHERE seq = 2",
    ] {
        let sql = format!("PRAGMA foreign_keys = OFF; {sql}");
        assert_eq!(spoil(&node, &sql).code, 1, "{sql}");
    }
}

#[test]
fn a_database_whose_transcript_was_cut_off_is_not_opened() {
    let node = with_rows();
    open(&node)
        .execute_batch("DELETE FROM transcript WHERE seq = 5")
        .unwrap();
    let ran = node.run(&["stats", "--json"]);
    assert_eq!((ran.code, ran.error_code().as_str()), (1, "transcript_cut"));
}
