//! Properties over random dependency graphs: what is written agrees with the binary, and nothing can
//! be taken away or changed unnoticed.

use proptest::prelude::*;
use sbom::native::NativeInventory;
use sbom::reconcile::reconcile;
use sbom::source::cargo_lock::LockGraph;
use sbom::source::dep_v0::{self, DepGraph};
use sbom::write::{Artifact, Party, SbomRequest, SourceRepository, Tool, cyclonedx_1_6};
use serde_json::{Value, json};

/// A graph without circles: each package depends on some that come after it.
fn graphs() -> impl Strategy<Value = DepGraph> {
    let package = (0u64..3, any::<bool>(), 0usize..4, any::<u64>());
    proptest::collection::vec(package, 2..24).prop_map(|packages| {
        let count = packages.len();
        let list: Vec<Value> = packages
            .iter()
            .enumerate()
            .map(|(n, &(minor, build, source, edges))| {
                let targets: Vec<usize> = (n + 1..count).filter(|t| edges >> (t % 64) & 1 == 1).collect();
                let source = if n == 0 { "local" } else { ["crates.io", "registry", "git", "local"][source] };
                json!({
                    // Few names, so that one name stands there in several versions.
                    "name": format!("p{}", n % 9), "version": format!("{n}.{minor}.0"), "source": source,
                    "kind": if build && n > 0 { "build" } else { "runtime" },
                    "root": n == 0, "dependencies": targets,
                })
            })
            .collect();
        dep_v0::parse(&json!({ "packages": list }).to_string()).unwrap()
    })
}

fn write(graph: &DepGraph) -> Value {
    let bytes = cyclonedx_1_6(&SbomRequest {
        artifact: &Artifact::new("app", b"any bytes"),
        graph,
        lock: &LockGraph::from_binary(graph),
        files: &|_| None,
        native: &NativeInventory::default(),
        inputs: &[],
        source: SourceRepository {
            url: Some("https://example.org/app"),
            commit: "c0ffee",
        },
        commit_time_s: 0,
        supplier: Party {
            name: "Example",
            email: None,
            url: Some("https://example.org"),
        },
        tool: Tool {
            name: "sbom",
            version: "0.1.0",
        },
        distribution_url: None,
        security_txt: None,
    })
    .unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn differs(graph: &DepGraph, document: &Value) -> bool {
    match sbom::read::parse(&serde_json::to_vec(document).unwrap()) {
        Err(_) => true,
        Ok(read) => !reconcile(graph, Some(&read), None)
            .differences
            .iter()
            .all(|difference| {
                // These documents have no checksums, since there is no lock file.
                matches!(difference, sbom::reconcile::Difference::HashMissing { .. })
            }),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn what_is_written_agrees_and_is_the_same_every_time(graph in graphs()) {
        let document = write(&graph);
        prop_assert!(!differs(&graph, &document));
        prop_assert_eq!(write(&graph), document);
    }

    #[test]
    fn a_component_that_is_taken_away_is_missed(graph in graphs(), which in any::<prop::sample::Index>()) {
        let mut document = write(&graph);
        let list = document["components"].as_array_mut().unwrap();
        list.remove(which.index(list.len()));
        prop_assert!(differs(&graph, &document));
    }

    #[test]
    fn a_changed_scope_or_version_is_noticed(graph in graphs(), which in any::<prop::sample::Index>(), scope in any::<bool>()) {
        let mut document = write(&graph);
        let list = document["components"].as_array_mut().unwrap();
        let place = which.index(list.len());
        if scope {
            let other = if list[place]["scope"] == "excluded" { "required" } else { "excluded" };
            list[place]["scope"] = json!(other);
        } else {
            list[place]["version"] = json!("99.99.99");
        }
        prop_assert!(differs(&graph, &document));
    }

    #[test]
    fn an_edge_that_is_taken_away_is_missed(graph in graphs(), which in any::<prop::sample::Index>()) {
        let mut document = write(&graph);
        let list = document["dependencies"].as_array_mut().unwrap();
        let edges: Vec<(usize, usize)> = list
            .iter()
            .enumerate()
            .flat_map(|(n, d)| (0..d["dependsOn"].as_array().map_or(0, Vec::len)).map(move |t| (n, t)))
            .collect();
        prop_assume!(!edges.is_empty());
        let (from, to) = edges[which.index(edges.len())];
        list[from]["dependsOn"].as_array_mut().unwrap().remove(to);
        prop_assert!(differs(&graph, &document));
    }
}
