//! No byte of a good bundle can be another, no leaf of its documents, no packet of its signatures:
//! `verify release` never says that all holds.

use verify::attest::dsse::{self, Envelope, Signature};
use verify::load::bundle::{
    ADVISORIES, INPUTS, LoadedBundle, MANIFEST_SIGNATURE, PROVENANCE, SOURCE, VEX,
};
use verify::report::assay;
use verify::trust::armor;
use verify::verdict::Verdict;

use crate::fixture::Release;
use crate::provenance::{leaves, other_leaf};

/// How many places are flipped, over all files.
const PLACES: usize = 260;

const SBOM: &str = "sbom/tool.cdx.json";

/// The JSON documents of a bundle that stand in files of their own.
const DOCUMENTS: [&str; 4] = [SBOM, ADVISORIES, VEX, INPUTS];

fn never_passes(release: &Release, what: &dyn Fn() -> String) {
    let verdict = assay(release.request()).verdict;
    assert_ne!(verdict, Verdict::Pass, "{} and all still holds", what());
}

#[test]
fn no_flipped_byte_anywhere_passes() {
    let release = Release::good();
    assert_eq!(release.assay().verdict, Verdict::Pass);
    let loaded = LoadedBundle::read(&release.root()).unwrap();
    let paths: Vec<String> = loaded.files().keys().map(ToString::to_string).collect();
    let each = PLACES / paths.len();
    let mut flipped = 0;
    for path in &paths {
        let good = release.read(path);
        let places = each.min(good.len());
        for place in 0..places {
            // First, last, and evenly between; another bit each time.
            let at = place * (good.len() - 1) / (places - 1).max(1);
            let mut bad = good.clone();
            bad[at] ^= 1 << (place % 8);
            release.write(path, &bad);
            never_passes(&release, &|| format!("byte {at} of {path} was flipped"));
            flipped += 1;
        }
        release.write(path, &good);
    }
    assert!(flipped >= 200, "only {flipped} places were flipped");
    assert_eq!(
        release.assay().verdict,
        Verdict::Pass,
        "the bundle is whole again"
    );
}

/// Changes each leaf of a document, one at a time; `seal` says what the attacker does afterwards.
fn each_leaf(release: &Release, path: &str, seal: &dyn Fn(&Release)) -> usize {
    let good = release.read(path);
    let document: serde_json::Value = serde_json::from_slice(&good).unwrap();
    let mut found = Vec::new();
    leaves(&document, "", &mut found);
    for leaf in &found {
        let mut bad = document.clone();
        other_leaf(bad.pointer_mut(leaf).unwrap());
        assert_ne!(bad, document, "{leaf} was not changed");
        release.write(path, bad.to_string().as_bytes());
        seal(release);
        never_passes(release, &|| format!("{leaf} of {path} was changed"));
    }
    release.write(path, &good);
    seal(release);
    assert_eq!(
        release.assay().verdict,
        Verdict::Pass,
        "{path} is whole again"
    );
    found.len()
}

#[test]
fn no_changed_leaf_of_any_document_passes_nor_with_a_list_that_was_signed_anew() {
    let release = Release::with_an_accepted_advisory();
    assert_eq!(release.assay().verdict, Verdict::Pass);
    let mut changed = 0;
    for path in DOCUMENTS {
        let count = each_leaf(&release, path, &|_| {});
        assert!(count > 4, "{path} has {count} leaves");
        // Who holds the key for releases, and not the one for provenance, gets no further.
        changed += count + each_leaf(&release, path, &Release::seal);
    }
    assert!(changed > 250, "only {changed} leaves were changed");
    println!("{changed} leaves of {} documents", DOCUMENTS.len());
}

#[test]
fn no_changed_leaf_of_an_envelope_passes() {
    let release = Release::good();
    let good = release.read(PROVENANCE);
    let envelope = dsse::read_lines(&good).unwrap().remove(0);
    let document: serde_json::Value = serde_json::from_slice(envelope.payload()).unwrap();
    let mut found = Vec::new();
    leaves(&document, "", &mut found);
    for leaf in &found {
        let mut bad = document.clone();
        other_leaf(bad.pointer_mut(leaf).unwrap());
        let payload = bad.to_string().into_bytes();
        let bad = Envelope::new(
            envelope.payload_type(),
            payload,
            envelope.signatures().to_vec(),
        );
        release.write(PROVENANCE, bad.to_line().as_bytes());
        never_passes(&release, &|| format!("{leaf} of the statement was changed"));
        release.seal();
        never_passes(&release, &|| format!("{leaf} was changed and listed anew"));
    }
    let raw: serde_json::Value = serde_json::from_slice(&good).unwrap();
    let mut found = Vec::new();
    leaves(&raw, "", &mut found);
    assert_eq!(found.len(), 4, "{found:?}");
    for leaf in &found {
        let mut bad = raw.clone();
        other_leaf(bad.pointer_mut(leaf).unwrap());
        release.write(PROVENANCE, format!("{bad}\n").as_bytes());
        never_passes(&release, &|| format!("{leaf} of the envelope was changed"));
        release.seal();
        never_passes(&release, &|| format!("{leaf} was changed and listed anew"));
    }
}

/// Every bit of the first bytes, where the fields stand, and one bit of each byte after them.
fn spoilt(packet: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> + '_ {
    (0..packet.len()).flat_map(move |at| {
        let bits = if at < 48 { 0..8 } else { at % 8..at % 8 + 1 };
        bits.map(move |bit| {
            let mut bad = packet.to_vec();
            bad[at] ^= 1 << bit;
            (at, bad)
        })
    })
}

#[test]
fn no_changed_bit_of_the_packet_over_the_list_of_checksums_passes() {
    let release = Release::good();
    let packet = armor::read(&release.read(MANIFEST_SIGNATURE)).unwrap();
    for (at, bad) in spoilt(&packet) {
        release.write(MANIFEST_SIGNATURE, armor::write(&bad).as_bytes());
        never_passes(&release, &|| {
            format!("byte {at} of the list's packet was changed")
        });
    }
}

#[test]
fn no_changed_bit_of_the_packet_over_the_statement_passes_nor_with_a_list_signed_anew() {
    let release = Release::good();
    let envelope = dsse::read_lines(&release.read(PROVENANCE))
        .unwrap()
        .remove(0);
    let signature = &envelope.signatures()[0];
    for (place, (at, bad)) in spoilt(&signature.sig).enumerate() {
        let bad = Signature {
            keyid: signature.keyid.clone(),
            sig: bad,
        };
        let line = Envelope::new(
            envelope.payload_type(),
            envelope.payload().to_vec(),
            vec![bad],
        )
        .to_line();
        release.write(PROVENANCE, line.as_bytes());
        never_passes(&release, &|| {
            format!("byte {at} of the statement's packet was changed")
        });
        // Signing takes gpg a while, so every seventh will do.
        if place % 7 == 0 {
            release.seal();
            never_passes(&release, &|| {
                format!("byte {at} was changed and listed anew")
            });
        }
    }
}

#[test]
fn no_changed_bit_of_the_packet_in_the_tag_passes() {
    let release = Release::good();
    let tag = release.repo.tag_bytes("v0.1.0");
    let begins = b"-----BEGIN PGP SIGNATURE-----";
    let at = tag.windows(begins.len()).position(|w| w == begins).unwrap();
    let (signed, armored) = tag.split_at(at);
    let packet = armor::read(armored).unwrap();
    let repository = release.repo.path().to_owned();
    let mut judged = 0;
    for (at, bad) in spoilt(&packet) {
        let bytes = [signed, armor::write(&bad).as_bytes()].concat();
        release.repo.raw_tag("v0.1.0", &bytes);
        let tag = verify::git::Repository::open(&repository)
            .unwrap()
            .tag(&"v0.1.0".parse().unwrap())
            .unwrap()
            .unwrap();
        let request = release.request();
        let outcome = verify::trust::tag::verify_tag(
            &tag,
            None,
            &request.keyring,
            &verify::trust::tag::Authorised::WholeKeyring,
            &request.policy.signature_rules(request.now),
        );
        judged += 1;
        // What stands beside the hashed part of a signature says nothing about the tag; there the
        // bundle's list of checksums holds the bytes. It is tried below.
        if outcome.is_ok() {
            let source = release.repo.bundle("source", &["refs/tags/v0.1.0"], &[]);
            std::fs::copy(source, release.at(SOURCE)).unwrap();
            never_passes(&release, &|| {
                format!("byte {at} of the tag's packet was changed")
            });
            release.seal();
            never_passes(&release, &|| {
                format!("byte {at} was changed and listed anew")
            });
        }
    }
    assert!(judged > 400, "{judged}");
}
