//! An SBOM of the size of a real product: all crates of this workspace's own lock file, with the
//! manifests and packed crates that cargo has at hand.

use std::collections::BTreeMap;
use std::path::Path;

use sbom::model::package::Source;
use sbom::native::from_crates;
use sbom::source::{cargo_lock, dep_v0};
use sbom::write::{Artifact, Party, SbomRequest, SourceRepository, Tool, cyclonedx_1_6};
use serde_json::{Value, json};

use crate::support::{elf, pack, registry_sources};

/// The dependency list of `root`, as `cargo auditable` would write it; edges that only tests have and
/// that close a circle are left out.
fn dependency_list(lock: &cargo_lock::LockGraph, root: &str) -> String {
    fn visit(
        lock: &cargo_lock::LockGraph,
        place: usize,
        path: &mut Vec<usize>,
        out: &mut BTreeMap<usize, Vec<usize>>,
    ) {
        if out.contains_key(&place) {
            return;
        }
        path.push(place);
        let targets: Vec<usize> = lock.packages()[place]
            .dependencies
            .iter()
            .copied()
            .filter(|t| !path.contains(t))
            .collect();
        targets
            .iter()
            .for_each(|&target| visit(lock, target, path, out));
        path.pop();
        out.insert(place, targets);
    }
    let start = lock
        .packages()
        .iter()
        .position(|package| package.name() == root)
        .unwrap();
    let mut edges = BTreeMap::new();
    visit(lock, start, &mut Vec::new(), &mut edges);
    let order: BTreeMap<usize, usize> = edges
        .keys()
        .enumerate()
        .map(|(new, &old)| (old, new))
        .collect();
    let packages: Vec<Value> = edges
        .iter()
        .map(|(&place, targets)| {
            let package = &lock.packages()[place];
            json!({
                "name": package.name(), "version": package.version().to_string(),
                "source": package.source.kind(), "root": place == start,
                "dependencies": targets.iter().map(|t| order[t]).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({ "packages": packages, "format": 1 }).to_string()
}

#[test]
fn an_sbom_of_hundreds_of_real_crates_is_written_whole() {
    let sources = registry_sources();
    if sources.is_empty() {
        return;
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let lock =
        cargo_lock::parse(&std::fs::read_to_string(workspace.join("Cargo.lock")).unwrap()).unwrap();
    let binary = elf(
        Some(&pack(dependency_list(&lock, "verify").as_bytes())),
        b"",
    );
    let graph = dep_v0::read(&binary).unwrap();
    let files = |path: &str| -> Option<Vec<u8>> {
        if path.ends_with(".crate") {
            let cache = |source: &Path| {
                Some(
                    source
                        .parent()?
                        .parent()?
                        .join("cache")
                        .join(source.file_name()?),
                )
            };
            return sources
                .iter()
                .find_map(|s| std::fs::read(cache(s)?.join(path)).ok());
        }
        let member = |name: &str| {
            lock.packages()
                .iter()
                .any(|p| p.source == Source::Local && p.name() == name)
        };
        match path.split_once('/') {
            None => std::fs::read(workspace.join(path)).ok(),
            Some((name, _)) if member(name) => std::fs::read(workspace.join(path)).ok(),
            Some(_) => sources
                .iter()
                .find_map(|source| std::fs::read(source.join(path)).ok()),
        }
    };
    let at_hand = graph
        .packages()
        .iter()
        .filter(|p| p.source == Source::CratesIo)
        .all(|p| files(&format!("{}-{}/Cargo.toml", p.name(), p.version())).is_some());
    if !at_hand {
        println!(
            "skipped: not all crates of the lock file are at hand; run `cargo fetch --locked`"
        );
        return;
    }
    let document = cyclonedx_1_6(&SbomRequest {
        artifact: &Artifact::new("verify", &binary),
        graph: &graph,
        lock: &lock,
        files: &files,
        native: &from_crates(&graph, &files),
        inputs: &[],
        source: SourceRepository {
            url: Some("https://example.org/repository"),
            commit: "c0ffee",
        },
        commit_time_s: 1_780_000_000,
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
    let document: Value = serde_json::from_slice(&document).unwrap();
    crate::official_schema::meets_1_6(&document);
    let components = document["components"].as_array().unwrap().len();
    assert!(components > 200, "{components} components");
    // What real crates do not say of themselves cannot be written: some have neither an e-mail
    // address nor a repository, or no packed crate is at hand. Everything else is there.
    let gaps = sbom::bsi::gaps(&document);
    println!("{components} components, {} gaps", gaps.len());
    for gap in &gaps {
        println!("{gap}");
        assert!(
            ["component creator", "SHA-512 of the deployable component"].contains(&gap.field),
            "{gap}"
        );
    }
}
