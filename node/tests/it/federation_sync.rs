//! Real nodes that agree: over loopback, with edits, deletes, restarts and repairs.

use serde_json::json;

use crate::peers::eventually;
use crate::support::{Scratch, Served};

/// Nodes that know each other's keys; who dials whom is said by the caller.
fn band(count: usize, extra: &str) -> (Vec<Scratch>, Vec<Served>) {
    let nodes: Vec<Scratch> = (0..count).map(|_| Scratch::federated()).collect();
    let mut authors = extra.to_owned();
    for (index, node) in nodes.iter().enumerate() {
        authors.push_str(&format!("{} node{index}\n", node.author()));
    }
    nodes.iter().for_each(|node| node.write_authors(&authors));
    let served: Vec<Served> = nodes.iter().map(Scratch::serve_federated).collect();
    (nodes, served)
}

fn line(node: &Scratch, name: &str, served: Option<&Served>) -> String {
    let address = served.map(Served::federation).unwrap_or_default();
    format!("{} {name} {address}\n", node.fingerprint())
}

#[test]
fn two_nodes_of_the_readme_agree_and_say_so() {
    let (nodes, served) = band(2, "");
    nodes[0].write_peers(&line(&nodes[1], "b", Some(&served[1])));
    nodes[1].write_peers(&line(&nodes[0], "a", Some(&served[0])));
    let kept = served[0].create("kept");
    let gone = served[1].create("gone");
    eventually("both have both", || {
        (served[0].titles() == ["gone", "kept"] && served[1].titles() == ["gone", "kept"])
            .then_some(())
    });
    let change = json!({"content": "changed words"});
    served[0]
        .http("PUT", &format!("/api/v1/memories/{kept}"), Some(&change))
        .expect(200);
    served[1]
        .http("DELETE", &format!("/api/v1/memories/{gone}"), None)
        .expect(200);
    eventually("the change and the deletion have come", || {
        let found = served[1]
            .http("GET", "/api/v1/search?q=changed", None)
            .expect(200)
            .json();
        (found["count"] == 1 && served[0].titles() == ["kept"]).then_some(())
    });
    // Another author's memory cannot be changed here, and nobody would believe it.
    let refused = served[1]
        .http("PUT", &format!("/api/v1/memories/{kept}"), Some(&change))
        .expect(403);
    assert_eq!(refused.json()["code"], "not_the_author");
    eventually("both say that they are equal", || {
        (served[0].peer("b")["digest_equal"] == true && served[1].peer("a")["digest_equal"] == true)
            .then_some(())
    });
    let text = nodes[0].run(&["peers"]).ok().stdout;
    assert!(
        text.contains("b  connected") && text.contains("digest        equal"),
        "{text}"
    );
    let metrics = served[0].http("GET", "/metrics", None).expect(200).body;
    assert!(
        metrics.contains("memory_node_federation_peer_equal{peer=\"b\"} 1"),
        "{metrics}"
    );
    for (node, served) in nodes.iter().zip(served) {
        assert_eq!(served.stop(), 0);
        node.run(&["db", "check"]).ok();
    }
}

#[test]
fn a_node_that_only_dials_gives_and_takes_all_the_same() {
    let (nodes, served) = band(2, "");
    // The second one cannot be dialled: the first knows no address of it.
    nodes[0].write_peers(&line(&nodes[1], "hidden", None));
    nodes[1].write_peers(&line(&nodes[0], "hub", Some(&served[0])));
    served[0].create("of the hub");
    served[1].create("of the hidden");
    eventually("both have both", || {
        let both = ["of the hidden", "of the hub"];
        (served[0].titles() == both && served[1].titles() == both).then_some(())
    });
}

#[test]
fn a_shared_namespace_is_open_to_all_and_concurrent_edits_stay_as_siblings() {
    let (nodes, served) = band(2, "shared team\n");
    let body = json!({"title": "plan", "content": "first", "namespace": "team", "tier": "long"});
    eventually("the authors are read", || {
        // Whether a memory is open is said when it is made.
        let made = served[0]
            .http("POST", "/api/v1/memories", Some(&body))
            .expect(201)
            .json();
        let id = made["id"].as_str().unwrap().to_owned();
        let versions = served[0]
            .http("GET", &format!("/api/v1/memories/{id}/versions"), None)
            .expect(200);
        versions.body.contains("editors").then_some(())
    });
    let id = served[0]
        .http("GET", "/api/v1/memories?namespace=team", None)
        .json()["memories"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    nodes[0].write_peers(&line(&nodes[1], "b", Some(&served[1])));
    nodes[1].write_peers(&line(&nodes[0], "a", Some(&served[0])));
    eventually("it is there", || {
        (served[1]
            .http("GET", &format!("/api/v1/memories/{id}"), None)
            .status
            == 200)
            .then_some(())
    });
    // A partition: nobody knows anybody.
    nodes.iter().for_each(|node| node.write_peers(""));
    eventually("they are apart", || {
        served
            .iter()
            .all(|s| s.http("GET", "/api/v1/peers", None).json()["peers"] == json!([]))
            .then_some(())
    });
    for (index, node) in served.iter().enumerate() {
        let change = json!({"content": format!("edit of {index}")});
        node.http("PUT", &format!("/api/v1/memories/{id}"), Some(&change))
            .expect(200);
    }
    nodes[0].write_peers(&line(&nodes[1], "b", Some(&served[1])));
    nodes[1].write_peers(&line(&nodes[0], "a", Some(&served[0])));
    eventually("both show the same one and keep the other", || {
        let shown: Vec<(String, String)> = served
            .iter()
            .map(|s| {
                let now = s
                    .http("GET", &format!("/api/v1/memories/{id}"), None)
                    .json();
                let all = s
                    .http("GET", &format!("/api/v1/memories/{id}/versions"), None)
                    .json();
                (
                    now["content"].to_string(),
                    all["siblings"][0]["body"]
                        .as_str()
                        .unwrap_or_default()
                        .to_owned(),
                )
            })
            .collect();
        (shown[0] == shown[1] && shown[0].1.contains("edit of")).then_some(())
    });
    for (node, served) in nodes.iter().zip(served) {
        assert_eq!(served.stop(), 0);
        node.run(&["db", "check"]).ok();
    }
}

#[test]
fn a_restored_node_gets_back_what_it_lost_from_its_peer() {
    let (nodes, mut served) = band(2, "");
    let backup = nodes[0].dir.path().join("backup.db");
    served[0].create("before");
    nodes[0]
        .run(&["db", "backup", backup.to_str().unwrap()])
        .ok();
    nodes[0].write_peers(&line(&nodes[1], "b", None));
    nodes[1].write_peers(&line(&nodes[0], "a", Some(&served[0])));
    served[0].create("after");
    eventually("the peer has it", || {
        (served[1].titles() == ["after", "before"]).then_some(())
    });
    assert_eq!(served.remove(0).stop(), 0);
    nodes[0]
        .run(&["db", "restore", backup.to_str().unwrap()])
        .ok();
    let again = nodes[0].serve_federated();
    assert_eq!(again.titles(), ["before"]);
    nodes[0].write_peers(&line(&nodes[1], "b", Some(&served[0])));
    nodes[1].write_peers(&line(&nodes[0], "a", Some(&again)));
    eventually("it is back", || {
        (again.titles() == ["after", "before"]).then_some(())
    });
    again.create("and on it goes");
    eventually("the peer takes what comes after", || {
        (served[0].titles().len() == 3).then_some(())
    });
    eventually("equal", || {
        (again.digest() == served[0].digest()).then_some(())
    });
}

#[test]
fn a_peer_that_is_killed_is_told_of_at_once() {
    let (nodes, mut served) = band(2, "");
    nodes[0].write_peers(&line(&nodes[1], "b", Some(&served[1])));
    nodes[1].write_peers(&line(&nodes[0], "a", None));
    served[0].create("kept");
    eventually("both have it", || {
        (served[1].titles() == ["kept"]).then_some(())
    });
    eventually("equal", || {
        (served[0].peer("b")["digest_equal"] == true).then_some(())
    });
    served.remove(1).kill();
    let killed = std::time::Instant::now();
    let error = eventually("it is told", || {
        served[0].peer("b")["last_error"]
            .as_str()
            .map(str::to_owned)
    });
    let took = killed.elapsed();
    assert!(error.contains("cannot connect"), "{error}");
    // The next look would have come after five seconds.
    assert!(took < std::time::Duration::from_secs(2), "{took:?}");
    let text = nodes[0].run(&["peers"]).ok().stdout;
    assert!(text.contains("b  failing"), "{text}");
}
