//! Writes of every kind that share commits: each version that is on the disk carries its signature.

use serde_json::json;

use crate::support::Scratch;

/// Connections that write at once: enough for many writes to share one commit.
const WRITERS: usize = 24;
/// Rounds of each.
const ROUNDS: usize = 10;

#[test]
fn every_version_of_a_shared_commit_is_signed() {
    let node = Scratch::new();
    let served = node.serve();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let served = &served;
            scope.spawn(move || {
                let mut before: Option<String> = None;
                for round in 0..ROUNDS {
                    let title = format!("memory {writer} {round}");
                    let draft = json!({ "title": title, "content": "kept" });
                    let stored = served.http("POST", "/api/v1/memories", Some(&draft));
                    let stored = stored.expect(201).json();
                    let id = stored["id"].as_str().unwrap().to_owned();
                    // These read what others have just appended, in the same commit perhaps.
                    let path = format!("/api/v1/memories/{id}");
                    let change = json!({ "content": "kept, and changed" });
                    served.http("PUT", &path, Some(&change)).expect(200);
                    if let Some(before) = &before {
                        let link = json!({ "source_id": id, "target_id": before });
                        served
                            .http("POST", "/api/v1/links", Some(&link))
                            .expect(201);
                    }
                    before = Some(id);
                }
            });
        }
    });
    let metrics = served.http("GET", "/metrics", None).expect(200).body;
    let count = |name: &str| -> usize {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim().parse().unwrap()
    };
    let writes = WRITERS * ROUNDS * 3 - WRITERS;
    let commits = count("memory_node_commits_total ");
    assert!(
        commits < writes,
        "no two of {writes} writes shared a commit"
    );
    assert_eq!(served.stop(), 0);

    let checked = node.run(&["db", "check", "--json"]).ok().json();
    assert_eq!(checked["report"]["versions"], writes);
    assert_eq!(checked["report"]["findings"], json!([]));
}
