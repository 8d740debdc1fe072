//! What an operator does in the first five minutes.

use std::os::unix::fs::PermissionsExt as _;

use crate::support::Scratch;

#[test]
fn a_memory_that_was_stored_is_found_listed_and_shown() {
    let node = Scratch::new();
    let id = node.store("Harbour lights", "The lighthouse keeper sleeps at noon.");
    assert!(
        node.run(&["search", "lighthouse"])
            .ok()
            .stdout
            .contains(&id)
    );
    assert!(node.run(&["list"]).ok().stdout.contains("Harbour lights"));
    let shown = node.run(&["get", &id, "--json"]).ok().json();
    assert_eq!(shown["content"], "The lighthouse keeper sleeps at noon.");
    assert_eq!(shown["memory"]["id"], shown["id"]);
    assert_eq!(shown["version"], 1);
    assert!(
        node.run(&["search", "nothing-like-that"])
            .ok()
            .stdout
            .is_empty()
    );
}

#[test]
fn a_memory_that_is_not_there_is_exit_1_and_a_wrong_id_exit_2() {
    let node = Scratch::new();
    let missing = node.run(&["get", "01990000-0000-7000-8000-000000000000", "--json"]);
    assert_eq!(
        (missing.code, missing.error_code().as_str()),
        (1, "not_found")
    );
    let wrong = node.run(&["get", "elephant", "--json"]);
    assert_eq!(
        (wrong.code, wrong.error_code().as_str()),
        (2, "invalid_field")
    );
    assert_eq!(node.run(&["no-such-command"]).code, 2);
}

#[test]
fn everything_that_init_makes_belongs_to_its_owner_alone() {
    let node = Scratch::new();
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&node.data()), 0o700);
    for entry in std::fs::read_dir(node.data()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn a_second_init_changes_nothing() {
    let node = Scratch::new();
    let before = node.digests();
    let again = node.run(&["init", "--json"]);
    assert_eq!(
        (again.code, again.error_code().as_str()),
        (2, "database_exists")
    );
    assert_eq!(node.digests(), before);
}

#[test]
fn commands_go_to_the_running_node_and_need_no_passphrase_then() {
    let node = Scratch::new();
    let served = node.serve();
    let ran = node
        .bare()
        .args(["store", "--title", "over the wire", "--content", "x"])
        .output()
        .unwrap();
    assert!(ran.status.success(), "{ran:?}");
    let found = node.bare().args(["search", "wire"]).output().unwrap();
    assert!(
        String::from_utf8(found.stdout)
            .unwrap()
            .contains("over the wire")
    );
    assert_eq!(served.stop(), 0);
    assert!(!node.data().join("running.json").exists());
    assert!(node.run(&["list"]).ok().stdout.contains("over the wire"));
}

#[test]
fn serve_says_one_clear_line_for_each_surface() {
    let node = Scratch::new();
    let served = node.serve();
    let log = served.log.lock().unwrap().clone();
    for line in [
        "storage: ",
        "encrypted with SQLCipher 4",
        "api: listening on 127.0.0.1:",
        "identity: ",
        "federation: ",
        "webhooks: ",
    ] {
        assert!(log.contains(line), "{line} is not in\n{log}");
    }
}

#[test]
fn a_node_listens_to_this_machine_only() {
    let node = Scratch::new();
    let ran = node.run(&["serve", "--listen", "0.0.0.0:0", "--json"]);
    assert_eq!((ran.code, ran.error_code().as_str()), (2, "configuration"));
}

#[test]
fn a_wrong_command_line_is_told_as_json_where_json_is_read() {
    let node = Scratch::empty();
    let ran = node.run(&["list", "--no-such-option", "--json"]);
    assert_eq!((ran.code, ran.error_code().as_str()), (2, "usage"));
    let script = node.run(&["completions", "bash", "--json"]).ok().json();
    assert!(script["script"].as_str().unwrap().contains("memory-node"));
}
