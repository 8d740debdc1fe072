//! Documents that were changed or cut anywhere: every reader ends in an answer, none panics, and what
//! it still reads keeps its promises.

use proptest::prelude::*;
use sbom::advisories::{Database, Report, vex};
use sbom::source::cargo_lock;

use crate::read_versions::{json, xml};
use crate::support::{Product, advisory};

/// One byte changed, a piece taken out or doubled, or the end cut off.
fn spoil(document: &[u8], kind: u8, place: usize, length: usize, value: u8) -> Vec<u8> {
    let mut bytes = document.to_vec();
    let place = place % bytes.len();
    let end = (place + length).min(bytes.len());
    match kind % 4 {
        0 => bytes[place] ^= value.max(1),
        1 => drop(bytes.drain(place..end)),
        2 => {
            let piece = bytes[place..end].to_vec();
            bytes.splice(place..place, piece);
        }
        _ => bytes.truncate(place),
    }
    bytes
}

fn spoilt(documents: &[Vec<u8>]) -> impl Strategy<Value = Vec<u8>> + use<> {
    let documents = documents.to_vec();
    (
        any::<prop::sample::Index>(),
        any::<u8>(),
        any::<usize>(),
        1usize..200,
        any::<u8>(),
    )
        .prop_map(move |(which, kind, place, length, value)| {
            spoil(
                which.get(documents.as_slice()).as_slice(),
                kind,
                place,
                length,
                value,
            )
        })
}

fn sboms() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = ["1.3", "1.4", "1.5"].map(|v| xml(v).into_bytes()).to_vec();
    all.extend(["1.3", "1.5", "1.7"].map(|v| json(v).into_bytes()));
    all.push(Product::new().sbom().unwrap());
    all
}

fn cases() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(2000)
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn sboms_end_in_an_answer_and_references_stay_unique(bytes in spoilt(&sboms())) {
        if let Ok(read) = sbom::read::parse(&bytes) {
            let all: Vec<&String> =
                read.subject.iter().chain(&read.components).filter_map(|c| c.reference.as_ref()).collect();
            let unique: std::collections::BTreeSet<&String> = all.iter().copied().collect();
            prop_assert_eq!(all.len(), unique.len());
            let product = Product::new();
            drop(sbom::reconcile::reconcile(&product.graph(), Some(&read), Some(&product.lock())));
        }
        if let Ok(value) = sbom::model::json::parse(&bytes) {
            drop(sbom::bsi::gaps(&value));
        }
    }

    #[test]
    fn lock_files_end_in_an_answer_and_edges_stay_inside(bytes in spoilt(&[Product::new().lock.into_bytes()])) {
        if let Some(graph) = String::from_utf8(bytes).ok().and_then(|text| cargo_lock::parse(&text).ok()) {
            let count = graph.packages().len();
            prop_assert!(graph.packages().iter().flat_map(|p| &p.dependencies).all(|&d| d < count));
        }
    }

    #[test]
    fn advisories_end_in_an_answer(bytes in spoilt(&[
        advisory("RUSTSEC-2026-0001", "leaf", "", "patched = [\">= 1.2.0\"]\nunaffected = [\"< 1.0.0\"]").into_bytes(),
    ])) {
        if let Ok(text) = String::from_utf8(bytes)
            && let Ok(database) = Database::from_documents([("crates/leaf/RUSTSEC-2026-0001.md", &text)])
        {
            prop_assert_eq!(database.count(), 1);
            drop(database.affecting(Product::new().graph().packages(), None));
        }
    }

    #[test]
    fn reports_and_vex_end_in_an_answer_and_read_back_the_same(bytes in spoilt(&[
        crate::advisories::report(Product::new().graph().packages(), &[], &[]).to_bytes(),
        crate::vex::document(),
    ])) {
        if let Ok(report) = Report::parse(&bytes) {
            prop_assert_eq!(Report::parse(&report.to_bytes()).unwrap(), report);
        }
        if let Ok(statements) = vex::parse(&bytes) {
            statements.iter().for_each(|statement| drop(statement.to_ignore()));
        }
    }
}

#[test]
fn an_sbom_of_a_hundred_thousand_foreign_components_is_judged_in_seconds() {
    let components: Vec<String> = (0..100_000)
        .map(|n| format!(r#"{{"type":"library","name":"x{}","version":"{n}.0.0","purl":"pkg:cargo/x{n}@1.0.0"}}"#, n % 50_000))
        .collect();
    let document = format!(
        r#"{{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{}]}}"#,
        components.join(",")
    );
    let packages: Vec<String> = (0..20_000)
        .map(|n| {
            format!(
                r#"{{"name":"y{n}","version":"1.0.0","source":"local","root":{}}}"#,
                n == 0
            )
        })
        .collect();
    let graph = sbom::source::dep_v0::parse(&format!(r#"{{"packages":[{}]}}"#, packages.join(",")))
        .unwrap();
    let read = sbom::read::parse(document.as_bytes()).unwrap();
    let outcome = sbom::reconcile::reconcile(&graph, Some(&read), None);
    assert_eq!(outcome.differences.len(), 100_000 + 19_999 + 1);
}
