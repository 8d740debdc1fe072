//! What an SBOM says about a binary, and when it is not written.

use sbom::native::NativeInventory;
use sbom::read::{self, Scope};
use sbom::reconcile::{Difference, reconcile, reconcile_artifact, reconcile_native};
use sbom::source::cargo_lock::LockGraph;
use sbom::write::{
    Artifact, Party, SbomRequest, SourceRepository, Tool, WriteError, cyclonedx_1_6,
};
use serde_json::Value;

use crate::support::Product;

fn component<'a>(document: &'a Value, name: &str) -> &'a Value {
    document["components"]
        .as_array()
        .unwrap()
        .iter()
        .find(|component| component["name"] == name)
        .unwrap_or_else(|| panic!("{name} is not listed"))
}

#[test]
fn the_same_request_gives_the_same_bytes_and_another_one_another_serial_number() {
    let product = Product::new();
    let first = product.sbom().unwrap();
    assert_eq!(first, product.sbom().unwrap());
    let mut other = Product::new();
    other.strings.push(b'x');
    let (first, other) = (
        read::parse(&first).unwrap(),
        read::parse(&other.sbom().unwrap()).unwrap(),
    );
    assert_ne!(first.serial_number, other.serial_number);
    assert!(first.serial_number.unwrap().starts_with("urn:uuid:"));
}

#[test]
fn linked_crates_are_required_and_build_crates_are_excluded() {
    let sbom = read::parse(&Product::new().sbom().unwrap()).unwrap();
    let scope = |name: &str| {
        sbom.components
            .iter()
            .find(|c| c.name == name)
            .unwrap()
            .scope
    };
    assert_eq!(scope("leaf"), Some(Scope::Required));
    assert_eq!(scope("helper"), Some(Scope::Excluded));
    assert_eq!(scope("openssl-src"), Some(Scope::Excluded));
    // The crate is of the build, its C code is in the binary.
    assert_eq!(scope("openssl"), Some(Scope::Required));
    assert_eq!(scope("rust-std"), Some(Scope::Required));
}

#[test]
fn the_commit_gives_the_time_and_the_binary_the_subject() {
    let document: Value = serde_json::from_slice(&Product::new().sbom().unwrap()).unwrap();
    assert_eq!(document["metadata"]["timestamp"], "2026-05-28T20:26:40Z");
    let subject = &document["metadata"]["component"];
    assert_eq!(subject["name"], "app-bin");
    assert_eq!(subject["type"], "application");
    assert!(
        subject["purl"]
            .as_str()
            .unwrap()
            .starts_with("pkg:cargo/app@1.0.0?vcs_url=")
    );
    assert_eq!(subject["hashes"].as_array().unwrap().len(), 2);
    assert!(document.get("vulnerabilities").is_none());
}

#[test]
fn versions_of_c_code_come_from_its_sources_with_the_file_as_evidence() {
    let document: Value = serde_json::from_slice(&Product::new().sbom().unwrap()).unwrap();
    let openssl = component(&document, "openssl");
    assert_eq!(openssl["version"], "3.6.3");
    assert_eq!(
        openssl["cpe"],
        "cpe:2.3:a:openssl:openssl:3.6.3:*:*:*:*:*:*:*"
    );
    let evidence = openssl["evidence"]["identity"][0]["methods"][0]["value"]
        .as_str()
        .unwrap();
    assert!(
        evidence.starts_with("openssl-src/openssl/VERSION.dat sha256:"),
        "{evidence}"
    );
}

#[test]
fn pinned_inputs_stand_in_the_formulation() {
    let document: Value = serde_json::from_slice(&Product::new().sbom().unwrap()).unwrap();
    let inputs = document["formulation"][0]["components"].as_array().unwrap();
    let names: Vec<&str> = inputs
        .iter()
        .map(|input| input["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["gcc-12", "rustc"]);
    assert_eq!(inputs[0]["hashes"][0]["alg"], "SHA-256");
    assert_eq!(inputs[1]["properties"][0]["name"], "nix:nar-sha256");
}

#[test]
fn licences_are_expressions_with_their_acknowledgement() {
    let document: Value = serde_json::from_slice(&Product::new().sbom().unwrap()).unwrap();
    let leaf = component(&document, "leaf");
    assert_eq!(leaf["licenses"][0]["expression"], "MIT OR Apache-2.0");
    assert_eq!(leaf["licenses"][0]["acknowledgement"], "concluded");
    assert_eq!(
        leaf["evidence"]["licenses"][0]["acknowledgement"],
        "declared"
    );
}

#[test]
fn what_was_written_agrees_with_the_binary_and_the_lock_file() {
    let product = Product::new();
    let sbom = read::parse(&product.sbom().unwrap()).unwrap();
    let graph = product.graph();
    let outcome = reconcile(&graph, Some(&sbom), Some(&product.lock()));
    assert_eq!(outcome.differences, []);
    assert_eq!((outcome.compared, outcome.in_binary), (4, 4));
    let found = sbom::native::in_binary(&product.binary());
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(
        reconcile_native(&product.native().components, &found, &sbom),
        []
    );
}

#[test]
fn a_package_that_the_lock_file_does_not_list_is_not_written_down() {
    let mut product = Product::new();
    product.dep_v0 = product
        .dep_v0
        .replace(r#""leaf","version":"1.0.0""#, r#""leaf","version":"1.0.1""#);
    let error = product.sbom().unwrap_err();
    assert!(
        matches!(&error, WriteError::NotInLock { package } if package.name == "leaf"),
        "{error}"
    );
}

#[test]
fn c_code_in_another_version_than_the_binary_names_is_not_written_down() {
    let mut product = Product::new();
    product.strings = b"\0OpenSSL 3.6.2 9 Apr 2026\0".to_vec();
    let error = product.sbom().unwrap_err();
    assert!(
        matches!(&error, WriteError::NativeContradiction { binary, sources, .. } if binary == "3.6.2" && sources == "3.6.3"),
        "{error}"
    );
}

#[test]
fn a_packed_crate_with_another_checksum_is_refused() {
    let mut product = Product::new();
    product
        .files
        .insert("leaf-1.0.0.crate".into(), b"another file".to_vec());
    assert!(matches!(
        product.sbom().unwrap_err(),
        WriteError::WrongCrate { .. }
    ));
}

#[test]
fn a_carrier_whose_version_cannot_be_read_makes_the_composition_incomplete() {
    let mut product = Product::new();
    product.files.remove("openssl-src/openssl/VERSION.dat");
    product.strings = b"\0nothing that names itself\0".to_vec();
    assert_eq!(product.native().gaps.len(), 1);
    let document: Value = serde_json::from_slice(&product.sbom().unwrap()).unwrap();
    assert_eq!(document["compositions"][0]["aggregate"], "incomplete");
}

#[test]
fn c_code_that_only_the_binary_names_is_listed_with_the_binary_as_evidence() {
    let mut product = Product::new();
    product.files.remove("openssl-src/openssl/VERSION.dat");
    product
        .strings
        .extend(format!("\x002026-06-05 13:48:00 {}\0", "0123456789abcdef".repeat(4)).bytes());
    let document: Value = serde_json::from_slice(&product.sbom().unwrap()).unwrap();
    let method = |name: &str| &component(&document, name)["evidence"]["identity"][0]["methods"][0];
    assert_eq!(component(&document, "openssl")["version"], "3.6.3");
    assert_eq!(method("openssl")["technique"], "binary-analysis");
    // Its string is a date and a hash, which is no version.
    assert!(component(&document, "sqlite").get("version").is_none());
    assert_eq!(document["compositions"][0]["aggregate"], "incomplete");
    crate::official_schema::meets_1_6(&document);
}

#[test]
fn a_binary_alone_gives_an_sbom_that_agrees_with_it_and_claims_no_checksums() {
    let product = Product::new();
    let graph = product.graph();
    let artifact = Artifact::new("app-bin", &product.binary());
    let bytes = cyclonedx_1_6(&SbomRequest {
        artifact: &artifact,
        graph: &graph,
        lock: &LockGraph::from_binary(&graph),
        files: &|_| None,
        native: &NativeInventory::default(),
        inputs: &[],
        source: SourceRepository {
            url: None,
            commit: "",
        },
        commit_time_s: 0,
        supplier: Party::UNKNOWN,
        tool: Tool {
            name: "sbom",
            version: "0.1.0",
        },
        distribution_url: None,
        security_txt: None,
    })
    .unwrap();
    let document: Value = serde_json::from_slice(&bytes).unwrap();
    crate::official_schema::meets_1_6(&document);
    assert!(component(&document, "leaf").get("hashes").is_none());
    assert!(document["metadata"].get("manufacturer").is_none());
    let sbom = read::parse(&bytes).unwrap();
    assert_eq!(reconcile_artifact(&artifact, &[], &sbom), []);
    let missing = reconcile(&graph, Some(&sbom), Some(&product.lock())).differences;
    assert!(
        missing
            .iter()
            .all(|d| matches!(d, Difference::HashMissing { .. })),
        "{missing:?}"
    );
    assert_eq!(missing.len(), 3);
}

#[test]
fn the_manifest_tells_the_repository_where_the_request_does_not() {
    let mut product = Product::new();
    product.repository = None;
    let document: Value = serde_json::from_slice(&product.sbom().unwrap()).unwrap();
    let purl = document["metadata"]["component"]["purl"].as_str().unwrap();
    assert!(
        purl.contains("vcs_url=git%2Bhttps:%2F%2Fexample.org%2Fapp%40"),
        "{purl}"
    );
}

#[test]
fn a_member_of_a_workspace_without_address_is_not_taken_for_a_published_crate() {
    let mut product = Product::new();
    product.repository = None;
    product.files.remove("app/Cargo.toml");
    let document: Value = serde_json::from_slice(&product.sbom().unwrap()).unwrap();
    assert_eq!(
        document["metadata"]["component"]["purl"],
        "pkg:cargo/app@1.0.0?download_url=file://."
    );
}
