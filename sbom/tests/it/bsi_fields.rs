//! The data fields of BSI TR-03183-2 v2.1.0.

use sbom::bsi::gaps;
use serde_json::{Value, json};

use crate::support::Product;

fn document() -> Value {
    serde_json::from_slice(&Product::new().sbom().unwrap()).unwrap()
}

#[test]
fn our_sbom_has_every_field() {
    let missing: Vec<String> = gaps(&document()).iter().map(ToString::to_string).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn every_field_is_missed_when_it_is_taken_away() {
    let whole = document();
    let subject = "/metadata/component";
    let cases: &[(&str, &str, &str)] = &[
        ("", "specVersion", "CycloneDX 1.6 or higher"),
        ("/metadata", "manufacturer", "creator of the SBOM"),
        ("/metadata", "timestamp", "timestamp"),
        ("", "serialNumber", "SBOM-URI"),
        ("/metadata", "component", "primary component"),
        (subject, "manufacturer", "component creator"),
        (subject, "name", "component name"),
        (subject, "version", "component version"),
        (subject, "properties", "executable property"),
        (subject, "properties", "filename"),
        (subject, "properties", "archive property"),
        (subject, "properties", "structured property"),
        ("", "dependencies", "dependencies"),
        ("", "compositions", "completeness of the dependencies"),
        (subject, "licenses", "distribution licences"),
        (
            subject,
            "externalReferences",
            "SHA-512 of the deployable component",
        ),
        (subject, "externalReferences", "source code URI"),
        (subject, "externalReferences", "URI of the deployable form"),
        (subject, "purl", "other unique identifiers"),
        (subject, "evidence", "original licences"),
    ];
    for (place, name, field) in cases {
        let mut document = whole.clone();
        document
            .pointer_mut(place)
            .unwrap()
            .as_object_mut()
            .unwrap()
            .remove(*name)
            .unwrap();
        assert!(
            gaps(&document).iter().any(|gap| gap.field == *field),
            "{name} away, {field} not missed"
        );
    }
}

#[test]
fn vulnerabilities_inside_an_sbom_are_a_gap() {
    let mut document = document();
    document["vulnerabilities"] = json!([{ "id": "CVE-2026-0001" }]);
    assert!(gaps(&document).iter().any(|gap| gap.section == "3.1"));
}

#[test]
fn a_crate_without_its_packed_file_is_described_as_compiled_in_sources() {
    let mut product = Product::new();
    product.files.retain(|path, _| !path.ends_with(".crate"));
    let document: Value = serde_json::from_slice(&product.sbom().unwrap()).unwrap();
    assert_eq!(gaps(&document), []);
    let leaf = document["components"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["name"] == "leaf")
        .unwrap();
    let property = |name: &str| {
        leaf["properties"]
            .as_array()
            .unwrap()
            .iter()
            .find(|p| p["name"] == name)
    };
    assert_eq!(
        property("bsi:component:archive").unwrap()["value"],
        "no archive"
    );
    assert_eq!(property("bsi:component:filename"), None);
    assert_eq!(leaf["hashes"][0]["alg"], "SHA-256");
}
