//! The same findings as `cargo audit` on the same database: its engine, the `rustsec` crate with its
//! own loader and report, is the oracle.

use std::collections::BTreeSet;

use rustsec::advisory::Informational;
use rustsec::report::{Report, Settings};
use sbom::advisories::{Database, FindingKind, Listing};
use sbom::source::cargo_lock;

use crate::advisory_database_refused::real_documents;
use crate::support::{registry_sources, test_data};

type Row = (String, String, String, bool);

fn by_cargo_audit(
    database: &rustsec::Database,
    lock: &rustsec::Lockfile,
    settings: &Settings,
) -> BTreeSet<Row> {
    let report = Report::generate(database, lock, settings);
    let row = |id: &rustsec::advisory::Id, package: &rustsec::package::Package, vulnerable| {
        (
            id.as_str().to_owned(),
            package.name.as_str().to_owned(),
            package.version.to_string(),
            vulnerable,
        )
    };
    let vulnerable = report
        .vulnerabilities
        .list
        .iter()
        .map(|v| row(&v.advisory.id, &v.package, true));
    let warned = report
        .warnings
        .values()
        .flatten()
        .filter_map(|w| Some(row(&w.advisory.as_ref()?.id, &w.package, false)));
    vulnerable.chain(warned).collect()
}

fn by_us(database: &Database, lock: &cargo_lock::LockGraph, target: Option<&str>) -> BTreeSet<Row> {
    let target = target.map(|triple| triple.parse().unwrap());
    database
        .affecting(lock.packages(), target)
        .unwrap()
        .into_iter()
        .filter(|finding| !finding.is_withdrawn())
        .map(|f| {
            (
                f.id,
                f.package,
                f.version,
                f.kind == FindingKind::Vulnerability,
            )
        })
        .collect()
}

#[test]
fn findings_are_those_of_cargo_audit_on_every_lock_file_at_hand() {
    let Some(documents) = real_documents() else {
        return;
    };
    let Some(folder) = test_data("advisory-db") else {
        return;
    };
    let theirs = rustsec::Database::open(&folder).unwrap();
    let ours = Database::from_documents(documents.iter().map(|(p, t)| (p, t))).unwrap();
    let listing =
        Listing::from_entries(documents.iter().map(|(p, t)| (p.clone(), t.len() as u64))).unwrap();
    let platforms = [
        "x86_64-unknown-linux-gnu",
        "x86_64-pc-windows-msvc",
        "aarch64-apple-darwin",
    ];
    let (mut files, mut findings) = (0, 0);
    for source in registry_sources() {
        for entry in std::fs::read_dir(&source).unwrap() {
            let path = entry.unwrap().path().join("Cargo.lock");
            let Ok(text) = std::fs::read_to_string(&path) else {
                continue;
            };
            let Ok(lock) = text.parse::<rustsec::Lockfile>() else {
                continue;
            };
            let graph = cargo_lock::parse(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            files += 1;
            for target in platforms.map(Some).into_iter().chain([None]) {
                let platform = target.map(|t| rustsec::platforms::Platform::find(t).unwrap());
                let settings = Settings {
                    informational_warnings: vec![
                        Informational::Unmaintained,
                        Informational::Unsound,
                        Informational::Notice,
                    ],
                    target_arch: platform.iter().map(|p| p.target_arch).collect(),
                    target_os: platform.iter().map(|p| p.target_os).collect(),
                    ..Settings::default()
                };
                let expected = by_cargo_audit(&theirs, &lock, &settings);
                assert_eq!(
                    by_us(&ours, &graph, target),
                    expected,
                    "{} {target:?}",
                    path.display()
                );
                findings += expected.len();
            }
            // Reading only what is needed finds the same; every tenth file will do.
            if files % 10 != 1 {
                continue;
            }
            let names: BTreeSet<&str> = graph.packages().iter().map(|p| p.name()).collect();
            let wanted: BTreeSet<String> = listing
                .to_read(names)
                .into_iter()
                .map(str::to_owned)
                .collect();
            let part = documents
                .iter()
                .filter(|(path, _)| wanted.contains(path))
                .cloned();
            let part = Database::from_listing(listing.clone(), part).unwrap();
            assert_eq!(
                by_us(&part, &graph, None),
                by_us(&ours, &graph, None),
                "{}",
                path.display()
            );
        }
    }
    println!("{files} lock files, {findings} findings");
    if files > 0 {
        assert!(files >= 50, "only {files} lock files are at hand");
        assert!(findings > 0, "without a finding nothing was compared");
    }
}
