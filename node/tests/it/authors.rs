//! Authors: naming, rotating and revoking them.

use crate::peers::eventually;
use crate::support::Scratch;

#[test]
fn an_author_is_named_listed_and_revoked_on_the_command_line() {
    let node = Scratch::new();
    let other = Scratch::new();
    let key = other.author();
    node.run(&["author", "new", "me"]).ok();
    node.run(&[
        "author",
        "new",
        "other",
        &key,
        "--namespace",
        "team",
        "--not-after",
        "2999-01-01T00:00:00Z",
    ])
    .ok();
    let twice = node.run(&["author", "new", "other", &key, "--json"]);
    assert_eq!(
        (twice.code, twice.error_code().as_str()),
        (2, "authors_file")
    );
    let list = node.run(&["author", "list", "--json"]).ok().json();
    assert_eq!(list["authors"].as_array().unwrap().len(), 2);
    node.run(&["author", "revoke", "other"]).ok();
    assert_eq!(
        node.run(&["author", "revoke", "other", "--json"])
            .error_code(),
        "no_such_author"
    );
    let text = node.run(&["author", "list"]).ok().stdout;
    assert!(
        text.contains("revoked") && text.contains("in force") && text.contains(&key),
        "{text}"
    );
}

#[test]
fn a_rotated_node_goes_on_and_its_memories_stay_its_own() {
    let (node, peer) = (Scratch::federated(), Scratch::federated());
    let before = node.author();
    let id = node.store("old", "made with the old key");
    let rotated = node.run(&["author", "rotate", "--json"]).ok().json();
    let after = rotated["author"].as_str().unwrap();
    node.run(&["db", "check"]).ok();
    // The old key's memories may be changed with the new one.
    node.run(&["update", &id, "--content", "changed with the new key"])
        .ok();
    assert_eq!(node.author(), after);
    node.run(&["db", "check"]).ok();
    peer.write_authors(&format!(
        "{before} node\n{}\n",
        rotated["record"].as_str().unwrap()
    ));
    let (served, there) = (node.serve_federated(), peer.serve_federated());
    node.write_peers(&format!("{} peer\n", peer.fingerprint()));
    peer.write_peers(&format!(
        "{} node {}\n",
        node.fingerprint(),
        served.federation()
    ));
    eventually("the change by the new key is believed", || {
        let found = there
            .http("GET", "/api/v1/search?q=changed", None)
            .expect(200)
            .json();
        (found["count"] == 1).then_some(())
    });
    assert!(there.held().is_empty());
    assert_eq!(served.stop() + there.stop(), 0);
    node.run(&["author", "rotate"]).ok();
    node.run(&["db", "check"]).ok();
    peer.run(&["db", "check"]).ok();
}
