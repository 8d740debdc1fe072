//! The official JSON schemas of CycloneDX, over our own documents and over their own test vectors.

use std::path::Path;

use serde_json::Value;

use crate::support::{Product, test_data};

fn validator(folder: &Path, version: &str) -> jsonschema::Validator {
    let load = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(folder.join("schema").join(name)).unwrap()).unwrap()
    };
    let mut registry = jsonschema::Registry::new();
    for name in [
        "spdx.schema.json",
        "jsf-0.82.schema.json",
        "cryptography-defs.schema.json",
    ] {
        registry = registry
            .add(format!("http://cyclonedx.org/schema/{name}"), load(name))
            .unwrap();
    }
    let registry = registry.prepare().unwrap();
    jsonschema::options()
        .should_validate_formats(true)
        .with_registry(&registry)
        .build(&load(&format!("bom-{version}.schema.json")))
        .unwrap()
}

fn complaints(validator: &jsonschema::Validator, document: &Value) -> Vec<String> {
    validator
        .iter_errors(document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

/// Holds a document against the official schema 1.6, where that is at hand.
pub(crate) fn meets_1_6(document: &Value) {
    if let Some(folder) = test_data("cyclonedx") {
        assert_eq!(complaints(&validator(&folder, "1.6"), document), [""; 0]);
    }
}

#[test]
fn our_sbom_meets_the_official_schema() {
    meets_1_6(&serde_json::from_slice(&Product::new().sbom().unwrap()).unwrap());
}

#[test]
fn our_vex_meets_the_official_schema() {
    meets_1_6(&serde_json::from_slice(&crate::vex::document()).unwrap());
}

#[test]
fn the_official_vectors_are_judged_as_their_names_say() {
    let Some(folder) = test_data("cyclonedx") else {
        return;
    };
    let validator = validator(&folder, "1.6");
    let mut judged = 0;
    for entry in std::fs::read_dir(folder.join("vectors-1.6")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let bytes = std::fs::read(&path).unwrap();
        let document: Value = serde_json::from_slice(&bytes).unwrap();
        let found = complaints(&validator, &document);
        assert_eq!(
            found.is_empty(),
            name.starts_with("valid-"),
            "{name}: {found:?}"
        );
        if name.starts_with("valid-") {
            let read = sbom::read::parse(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(read.spec_version, "1.6", "{name}");
        } else {
            // The reader asks less than the schema, and all that these documents try.
            let refused = sbom::read::parse(&bytes).err();
            assert!(refused.is_some(), "{name} was read");
        }
        judged += 1;
    }
    assert!(judged >= 60, "only {judged} vectors");
}
