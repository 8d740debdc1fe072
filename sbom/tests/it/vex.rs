//! The ignores as VEX: written, read back, and turned into ignores again.

use sbom::advisories::vex::{self, SbomLink};
use sbom::advisories::{Analysis, Ignore, Justification};
use sbom::source::dep_v0;
use time::macros::{date, datetime};

use crate::advisories::report;

fn ignores() -> [Ignore; 2] {
    [
        Ignore::new(
            "RUSTSEC-2026-0001",
            "the function is never called",
            date!(2026 - 04 - 01),
            "A. Decider",
        )
        .unwrap()
        .with_analysis(Analysis::NotAffected, Some(Justification::CodeNotReachable))
        .unwrap(),
        Ignore::new(
            "RUSTSEC-2026-0002",
            "a successor is being looked for",
            date!(2026 - 05 - 01),
            "B. Decider",
        )
        .unwrap(),
    ]
}

pub(crate) fn document() -> Vec<u8> {
    let json =
        r#"{"packages":[{"name":"leaf","version":"1.0.0","source":"crates.io","root":true}]}"#;
    let report = report(dep_v0::parse(json).unwrap().packages(), &ignores(), &[]);
    let components = [("leaf".into(), "1.0.0".into(), "pkg:cargo/leaf@1.0.0".into())];
    let link = SbomLink {
        serial_number: "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79",
        components: &components,
    };
    vex::write(&report, &[link], datetime!(2026-03-01 12:00 UTC))
}

#[test]
fn every_ignore_that_met_a_finding_is_a_statement_on_the_component() {
    let statements = vex::parse(&document()).unwrap();
    assert_eq!(statements.len(), 2);
    let first = &statements[0];
    assert_eq!(first.id, "RUSTSEC-2026-0001");
    assert_eq!(first.state.as_deref(), Some("not_affected"));
    assert_eq!(first.justification.as_deref(), Some("code_not_reachable"));
    assert_eq!(
        first.affects,
        ["urn:cdx:3e671687-395b-41f5-a30f-a58921a69b79/1#pkg%3Acargo%2Fleaf%401.0.0"]
    );
}

#[test]
fn statements_become_the_ignores_that_they_came_from() {
    let back: Vec<Ignore> = vex::parse(&document())
        .unwrap()
        .iter()
        .map(|statement| statement.to_ignore().unwrap())
        .collect();
    assert_eq!(back, ignores());
}

#[test]
fn the_same_report_gives_the_same_bytes() {
    assert_eq!(document(), document());
}

#[test]
fn a_statement_without_expiry_or_decider_is_read_and_is_no_ignore() {
    let foreign = br#"{"bomFormat":"CycloneDX","specVersion":"1.5","vulnerabilities":[
        {"id":"CVE-2026-1","analysis":{"state":"not_affected","justification":"code_not_present","detail":"no"}}]}"#;
    let statements = vex::parse(foreign).unwrap();
    assert_eq!(statements[0].state.as_deref(), Some("not_affected"));
    assert_eq!(statements[0].to_ignore(), None);
}

#[test]
fn what_is_no_vex_is_refused() {
    for bad in [
        &b"{}"[..],
        br#"{"bomFormat":"CycloneDX","specVersion":"1.2"}"#,
        br#"{"bomFormat":"CycloneDX","specVersion":"1.6","vulnerabilities":{}}"#,
        br#"{"bomFormat":"CycloneDX","specVersion":"1.6","vulnerabilities":[{"analysis":{}}]}"#,
        br#"{"bomFormat":"CycloneDX","specVersion":"1.6","vulnerabilities":[{"id":"x","properties":[{"name":"vex:expires","value":"soon"}]}]}"#,
    ] {
        assert!(vex::parse(bad).is_err(), "{}", String::from_utf8_lossy(bad));
    }
}

#[test]
fn two_ignores_of_one_advisory_are_two_statements_with_references_of_their_own() {
    let json =
        r#"{"packages":[{"name":"leaf","version":"1.0.0","source":"crates.io","root":true}]}"#;
    let ignore = |id: &str| Ignore::new(id, "r", date!(2026 - 04 - 01), "d").unwrap();
    let ignores = [ignore("RUSTSEC-2026-0001"), ignore("CVE-2026-1111")];
    let report = report(dep_v0::parse(json).unwrap().packages(), &ignores, &[]);
    let bytes = vex::write(&report, &[], datetime!(2026-03-01 12:00 UTC));
    assert_eq!(vex::parse(&bytes).unwrap().len(), 2);
    let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let references: std::collections::BTreeSet<&str> = document["vulnerabilities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["bom-ref"].as_str().unwrap())
        .collect();
    assert_eq!(references.len(), 2);
    crate::official_schema::meets_1_6(&document);
}

#[test]
fn a_decision_that_the_vex_leaves_out_adds_or_softens_is_a_disagreement() {
    let json =
        r#"{"packages":[{"name":"leaf","version":"1.0.0","source":"crates.io","root":true}]}"#;
    let report = report(dep_v0::parse(json).unwrap().packages(), &ignores(), &[]);
    let components = [("leaf".into(), "1.0.0".into(), "leaf".into())];
    let link = SbomLink {
        serial_number: "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79",
        components: &components,
    };
    let stated = vex::parse(&vex::write(
        &report,
        &[link],
        datetime!(2026-03-01 12:00 UTC),
    ))
    .unwrap();
    let differ = |stated: &[vex::Statement]| vex::disagreements(&report, &[link], stated).unwrap();
    assert_eq!(differ(&stated), [""; 0]);
    assert!(differ(&stated[..1])[0].contains("does not state what the report decides"));
    let mut softened = stated.clone();
    softened[1].state = Some(String::from("not_affected"));
    assert_eq!(differ(&softened).len(), 2, "{:?}", differ(&softened));
    let twice = [stated.clone(), vec![stated[0].clone()]].concat();
    assert!(differ(&twice)[0].contains("what the report does not decide"));
    let mut elsewhere = stated;
    elsewhere[0].affects = vec![String::from("urn:cdx:other/1#leaf")];
    assert_eq!(differ(&elsewhere).len(), 2);
}
