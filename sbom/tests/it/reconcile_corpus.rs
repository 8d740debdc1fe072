//! Binary, SBOM and lock file held against each other: `_pass` agrees, each `_fail` has exactly the
//! difference that it was given, by name.

use sbom::reconcile::{Difference, reconcile, reconcile_artifact};
use sbom::write::Artifact;
use serde_json::{Value, json};

use crate::support::Product;

fn differences(change: impl FnOnce(&mut Value)) -> Vec<Difference> {
    let product = Product::new();
    let mut document: Value = serde_json::from_slice(&product.sbom().unwrap()).unwrap();
    change(&mut document);
    let sbom = sbom::read::parse(&serde_json::to_vec(&document).unwrap()).unwrap();
    let mut found = reconcile(&product.graph(), Some(&sbom), Some(&product.lock())).differences;
    let artifact = Artifact::new("app-bin", &product.binary());
    found.extend(reconcile_artifact(
        &artifact,
        &product.native().components,
        &sbom,
    ));
    found
}

fn place(document: &Value, name: &str) -> usize {
    document["components"]
        .as_array()
        .unwrap()
        .iter()
        .position(|c| c["name"] == name)
        .unwrap()
}

fn at<'a>(document: &'a mut Value, name: &str) -> &'a mut Value {
    let place = place(document, name);
    &mut document["components"][place]
}

/// The kinds of the differences, each with the text that a reader sees.
fn kinds(found: &[Difference]) -> Vec<String> {
    found
        .iter()
        .map(|d| {
            serde_json::to_value(d).unwrap()["difference"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect()
}

#[test]
fn everything_agrees_pass() {
    assert_eq!(differences(|_| ()), []);
}

#[test]
fn lock_file_alone_pass() {
    let product = Product::new();
    let outcome = reconcile(&product.graph(), None, Some(&product.lock()));
    assert_eq!(
        (outcome.differences.len(), outcome.compared, outcome.in_sbom),
        (0, 4, None)
    );
}

#[test]
fn excluded_crate_that_the_binary_does_not_name_pass() {
    let found = differences(|document| {
        document["components"].as_array_mut().unwrap().push(json!({
            "type": "library", "name": "only-for-tests", "version": "1.0.0",
            "purl": "pkg:cargo/only-for-tests@1.0.0", "scope": "excluded",
        }));
    });
    assert_eq!(found, []);
}

#[test]
fn nothing_to_compare_with_compares_nothing_undecided() {
    let outcome = reconcile(&Product::new().graph(), None, None);
    assert_eq!(
        (outcome.compared, outcome.in_sbom, outcome.in_lock),
        (0, None, None)
    );
}

#[test]
fn crate_missing_in_sbom_fail() {
    let found = differences(|document| {
        let place = place(document, "leaf");
        document["components"].as_array_mut().unwrap().remove(place);
    });
    assert!(
        kinds(&found).contains(&"missing-in-sbom".to_owned()),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|d| d.to_string() == "`leaf 1.0.0` is in the binary and not in the SBOM")
    );
}

#[test]
fn crate_not_in_binary_fail() {
    let found = differences(|document| {
        document["components"].as_array_mut().unwrap().push(json!({
            "type": "library", "name": "ghost", "version": "1.0.0", "purl": "pkg:cargo/ghost@1.0.0",
        }));
    });
    assert_eq!(
        found,
        [Difference::NotInBinary {
            component: "ghost 1.0.0".into()
        }]
    );
}

#[test]
fn wrong_version_fail() {
    let found = differences(|document| at(document, "leaf")["version"] = json!("1.0.9"));
    assert!(
        found.contains(&Difference::VersionDiffers {
            name: "leaf".into(),
            binary: "1.0.0".into(),
            sbom: "1.0.9".into()
        }),
        "{found:?}"
    );
}

#[test]
fn linked_crate_marked_excluded_fail() {
    let found = differences(|document| at(document, "leaf")["scope"] = json!("excluded"));
    assert_eq!(kinds(&found), ["scope-differs"]);
}

#[test]
fn build_crate_marked_required_fail() {
    for scope in [json!("required"), json!("optional")] {
        let found = differences(|document| at(document, "helper")["scope"] = scope);
        assert_eq!(kinds(&found), ["scope-differs"]);
    }
    let found = differences(|document| {
        at(document, "helper")
            .as_object_mut()
            .unwrap()
            .remove("scope");
    });
    assert_eq!(kinds(&found), ["scope-differs"]);
}

#[test]
fn hash_missing_fail() {
    let found = differences(|document| {
        let leaf = at(document, "leaf").as_object_mut().unwrap();
        leaf.remove("hashes");
        leaf.remove("externalReferences");
    });
    assert_eq!(kinds(&found), ["hash-missing"]);
}

#[test]
fn wrong_hash_fail() {
    let found = differences(|document| {
        at(document, "leaf")["hashes"][0]["content"] = json!("0".repeat(64));
    });
    assert_eq!(kinds(&found), ["hash-differs"]);
}

#[test]
fn leaked_path_fail() {
    let found = differences(|document| {
        at(document, "leaf")["description"] = json!("built in /home/builder/leaf");
    });
    assert_eq!(kinds(&found), ["leaked-path"]);
}

#[test]
fn listed_twice_fail() {
    let found = differences(|document| {
        let mut copy = at(document, "leaf").clone();
        copy["bom-ref"] = json!("another");
        document["components"].as_array_mut().unwrap().push(copy);
    });
    assert_eq!(kinds(&found), ["listed-twice"]);
}

#[test]
fn edge_missing_and_edge_extra_fail() {
    let edge = |document: &mut Value, name: &str| -> usize {
        document["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .position(|d| d["ref"].as_str().unwrap().contains(&format!("/{name}@")))
            .unwrap()
    };
    let found = differences(|document| {
        let place = edge(document, "leaf");
        document["dependencies"][place]["dependsOn"] = json!([]);
    });
    assert_eq!(kinds(&found), ["edge-missing"]);
    let found = differences(|document| {
        let place = edge(document, "helper");
        document["dependencies"][place]["dependsOn"] = json!(["pkg:cargo/leaf@1.0.0"]);
    });
    assert_eq!(kinds(&found), ["edge-extra"]);
}

#[test]
fn dangling_reference_fail() {
    let found =
        differences(|document| document["dependencies"][0]["dependsOn"] = json!(["nowhere"]));
    assert!(
        kinds(&found).contains(&"dangling-reference".to_owned()),
        "{found:?}"
    );
}

#[test]
fn wrong_subject_fail() {
    let found =
        differences(|document| document["metadata"]["component"]["version"] = json!("9.9.9"));
    assert_eq!(kinds(&found), ["subject-differs"]);
}

#[test]
fn sbom_of_another_file_fail() {
    for (place, algorithm) in [(0, "SHA-256"), (1, "SHA-512")] {
        let found = differences(|document| {
            let length = document["metadata"]["component"]["hashes"][place]["content"]
                .as_str()
                .unwrap()
                .len();
            document["metadata"]["component"]["hashes"][place]["content"] =
                json!("0".repeat(length));
        });
        assert_eq!(kinds(&found), ["subject-hash-differs"]);
        assert!(found[0].to_string().contains(algorithm));
    }
    let found = differences(|document| {
        let subject = document["metadata"]["component"].as_object_mut().unwrap();
        subject.remove("hashes");
        subject.remove("externalReferences");
    });
    assert_eq!(kinds(&found), ["subject-hash-missing"]);
}

#[test]
fn c_code_missing_or_in_another_version_fail() {
    let found = differences(|document| {
        let place = place(document, "openssl");
        let reference = document["components"][place]["bom-ref"]
            .as_str()
            .unwrap()
            .to_owned();
        document["components"].as_array_mut().unwrap().remove(place);
        for dependency in document["dependencies"].as_array_mut().unwrap() {
            if let Some(list) = dependency
                .get_mut("dependsOn")
                .and_then(Value::as_array_mut)
            {
                list.retain(|target| target != &json!(reference));
            }
        }
        document["dependencies"]
            .as_array_mut()
            .unwrap()
            .retain(|d| d["ref"] != json!(reference));
    });
    assert_eq!(kinds(&found), ["native-missing"]);
    let found = differences(|document| at(document, "openssl")["version"] = json!("3.0.0"));
    assert_eq!(kinds(&found), ["native-version-differs"]);
}

#[test]
fn package_missing_in_lock_or_from_another_source_fail() {
    let product = Product::new();
    let graph = product.graph();
    let short = product
        .lock
        .replace("name = \"helper\"", "name = \"helped\"")
        .replace("[\"helper\"]", "[\"helped\"]");
    let found = reconcile(
        &graph,
        None,
        Some(&sbom::source::cargo_lock::parse(&short).unwrap()),
    );
    assert_eq!(kinds(&found.differences), ["missing-in-lock"]);
    assert_eq!(found.compared, 3);
    let elsewhere = product.lock.replacen(
        "registry+https://github.com/rust-lang/crates.io-index",
        "registry+https://example.org/index",
        1,
    );
    let found = reconcile(
        &graph,
        None,
        Some(&sbom::source::cargo_lock::parse(&elsewhere).unwrap()),
    );
    assert_eq!(kinds(&found.differences), ["source-differs"]);
}

#[test]
fn every_single_leaf_of_the_sbom_that_reconciliation_reads_matters() {
    // Each of these leaves, changed in any component, must be noticed.
    let product = Product::new();
    let document: Value = serde_json::from_slice(&product.sbom().unwrap()).unwrap();
    for (place, component) in document["components"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
    {
        for leaf in ["name", "version", "bom-ref", "purl"] {
            // Libraries that are no crates are matched by name and version.
            let is_crate = component["purl"]
                .as_str()
                .unwrap()
                .starts_with("pkg:cargo/");
            if leaf == "purl" && !is_crate {
                continue;
            }
            let found = differences(|document| {
                let value = document["components"][place][leaf]
                    .as_str()
                    .unwrap()
                    .to_owned();
                document["components"][place][leaf] = json!(format!("x{value}"));
            });
            assert_ne!(found, [], "{leaf} of {}", component["name"]);
        }
    }
}
