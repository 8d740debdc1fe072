//! Databases that must not lead to a clean result.

use sbom::advisories::{Database, DatabaseError, Listing};
use sbom::source::dep_v0;

use crate::support::{advisory, test_data};

fn good() -> (String, String) {
    let id = "RUSTSEC-2026-0001";
    (
        format!("crates/leaf/{id}.md"),
        advisory(id, "leaf", "", "patched = []"),
    )
}

fn refused(path: &str, text: &str) -> DatabaseError {
    Database::from_documents([(path, text)]).unwrap_err()
}

#[test]
fn an_empty_database_is_refused() {
    let none: [(String, String); 0] = [];
    assert!(matches!(
        Database::from_documents(none),
        Err(DatabaseError::Empty)
    ));
    assert!(matches!(
        Listing::from_entries([]),
        Err(DatabaseError::Empty)
    ));
    let placeholder = advisory("RUSTSEC-0000-0000", "leaf", "", "patched = []");
    assert!(matches!(
        refused("crates/leaf/RUSTSEC-0000-0000.md", &placeholder),
        DatabaseError::Empty
    ));
}

#[test]
fn a_document_cut_anywhere_in_its_front_matter_is_refused_by_name() {
    let (path, text) = good();
    let end = text.find("\n# ").unwrap();
    for cut in (0..end).filter(|&cut| text.is_char_boundary(cut)) {
        let error = refused(&path, &text[..cut]);
        assert!(error.to_string().contains(&path), "cut at {cut}: {error}");
    }
}

#[test]
fn a_document_that_starts_with_other_letters_is_an_error_and_no_panic() {
    let (path, _) = good();
    // The 20th byte lies inside a character.
    let text = format!("```tom{}", "ü".repeat(100));
    assert!(matches!(
        refused(&path, &text),
        DatabaseError::Truncated { .. }
    ));
}

#[test]
fn a_document_in_the_wrong_place_is_refused() {
    let (_, text) = good();
    for path in [
        "crates/other/RUSTSEC-2026-0001.md",
        "crates/leaf/RUSTSEC-2026-0002.md",
    ] {
        assert!(
            matches!(refused(path, &text), DatabaseError::Misplaced { .. }),
            "{path}"
        );
    }
    for path in [
        "crates/leaf/README.md",
        "leaf/RUSTSEC-2026-0001.md",
        "crates/../RUSTSEC-2026-0001.md",
        "crates/leaf/x/RUSTSEC-2026-0001.md",
    ] {
        assert!(
            matches!(refused(path, &text), DatabaseError::Name { .. }),
            "{path}"
        );
    }
}

#[test]
fn one_identifier_twice_is_refused() {
    let (path, text) = good();
    let twice = [(path.clone(), text.clone()), (path.clone(), text)];
    assert!(matches!(
        Database::from_documents(twice),
        Err(DatabaseError::Duplicate { .. })
    ));
    let entries = [(path.clone(), 500), (path, 500)];
    assert!(matches!(
        Listing::from_entries(entries),
        Err(DatabaseError::Duplicate { .. })
    ));
}

#[test]
fn an_empty_file_in_the_listing_is_refused_by_name() {
    let (path, _) = good();
    let error = Listing::from_entries([(path.clone(), 0)]).unwrap_err();
    assert!(matches!(&error, DatabaseError::Truncated { path: p, .. } if *p == path));
}

#[test]
fn asking_about_a_package_that_was_not_read_is_an_error() {
    let documents: Vec<(String, String)> = (1..=200)
        .map(|n| {
            let (id, package) = (format!("RUSTSEC-2026-{n:04}"), format!("p{n}"));
            (
                format!("crates/{package}/{id}.md"),
                advisory(&id, &package, "", "patched = []"),
            )
        })
        .collect();
    let listing = Listing::from_entries(
        documents
            .iter()
            .map(|(path, text)| (path.clone(), text.len() as u64)),
    )
    .unwrap();
    let wanted: std::collections::BTreeSet<String> = listing
        .to_read(["p1"])
        .into_iter()
        .map(str::to_owned)
        .collect();
    assert!(wanted.len() < 100, "most documents need not be read");
    let part = documents
        .iter()
        .filter(|(path, _)| wanted.contains(path))
        .cloned();
    let database = Database::from_listing(listing.clone(), part.clone()).unwrap();
    assert_eq!(database.count(), 200);
    let package = |name: &str| {
        let json = format!(
            r#"{{"packages":[{{"name":"{name}","version":"1.0.0","source":"crates.io","root":true}}]}}"#
        );
        dep_v0::parse(&json).unwrap().packages().to_vec()
    };
    assert_eq!(database.affecting(&package("p1"), None).unwrap().len(), 1);
    assert_eq!(
        database.affecting(&package("unknown"), None).unwrap().len(),
        0
    );
    let error = database.affecting(&package("p2"), None).unwrap_err();
    assert!(matches!(error, DatabaseError::NotCovered { package } if package == "p2"));
    // A document that was to be read and was not handed over.
    let short = part.filter(|(path, _)| !path.starts_with("crates/p200/"));
    assert!(matches!(
        Database::from_listing(listing, short),
        Err(DatabaseError::NotRead { .. })
    ));
}

/// All documents of the real database, as path and text.
pub(crate) fn real_documents() -> Option<Vec<(String, String)>> {
    let folder = test_data("advisory-db")?;
    let mut documents = Vec::new();
    for collection in ["crates", "rust"] {
        for entry in walkdir::WalkDir::new(folder.join(collection)).sort_by_file_name() {
            let entry = entry.unwrap();
            if entry.file_type().is_file() {
                let path = entry
                    .path()
                    .strip_prefix(&folder)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                documents.push((path, std::fs::read_to_string(entry.path()).unwrap()));
            }
        }
    }
    Some(documents)
}

#[test]
fn the_real_database_is_counted_and_dated_the_same_way_in_part_and_in_full() {
    let Some(documents) = real_documents() else {
        return;
    };
    let full = Database::from_documents(documents.iter().map(|(p, t)| (p, t))).unwrap();
    let (crates, rust): (Vec<_>, Vec<_>) = documents
        .iter()
        .partition(|(path, _)| path.starts_with("crates/"));
    assert_eq!((crates.len(), rust.len(), full.count()), (1205, 20, 1225));
    let listing = Listing::from_entries(
        documents
            .iter()
            .map(|(path, text)| (path.clone(), text.len() as u64)),
    )
    .unwrap();
    assert_eq!(listing.count(), full.count());
    let wanted: std::collections::BTreeSet<String> = listing
        .to_read(["openssl", "time"])
        .into_iter()
        .map(str::to_owned)
        .collect();
    assert!(wanted.len() < 150, "{} documents", wanted.len());
    let part = Database::from_listing(
        listing,
        documents
            .iter()
            .filter(|(p, _)| wanted.contains(p))
            .cloned(),
    )
    .unwrap();
    assert_eq!(part.newest(), full.newest());
}
