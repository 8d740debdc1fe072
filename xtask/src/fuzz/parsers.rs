//! Every parser of outside data, with good documents to begin from.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use sbom::advisories::{Report, vex};
use sbom::source::{cargo_lock, dep_v0};
use verify::attest::dsse;
use verify::attest::provenance::Provenance;
use verify::attest::statement::Statement;
use verify::git::{ObjectId, ObjectKind};
use verify::load::policy::Policy;
use verify::manifest::Manifest;
use verify::plan::ReleasePlan;
use verify::rebuild::{binary, compare, pins::Pins};
use verify::trust::allowed_signers::AllowedSigners;
use verify::trust::keyring::Keyring;
use verify::trust::openpgp::{SignatureRules, verify_detached_canonical, verify_each};
use verify::trust::tag::{Authorised, TagObject, verify_tag};

use super::Parser;

/// A certificate, and a signature by it over [`SIGNED`]; made once by GnuPG, the key thrown away.
const CERTIFICATE: &[u8] = include_bytes!("seeds/certificate.asc");
const SIGNATURE: &[u8] = include_bytes!("seeds/signature.asc");
const SIGNED: &[u8] = b"signed\n";
/// SSH keys that `ssh-keygen` made, each with a signature over [`SIGNED`]; thrown away likewise.
const SIGNERS: &[u8] = include_bytes!("seeds/allowed-signers");
/// A time at which every key is in force, since 1970.
const NOW: Duration = Duration::from_secs(1_800_000_000);
/// A tag object that the same key signed.
const TAG: &[u8] = include_bytes!("seeds/tag");
const DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// All parsers. Files of the repository are read where they are there.
pub(super) fn all(root: &Path) -> Vec<Parser> {
    let own = |path: &str| fs::read(root.join(path)).ok();
    let elf = fs::read("/bin/true").unwrap_or_else(|_| b"\x7fELF".to_vec());
    vec![
        parser(
            "manifest",
            vec![given(&format!("{DIGEST}  bin/a\n{DIGEST}  b\n"))],
            |bytes| {
                drop(Manifest::parse(bytes));
            },
        ),
        parser(
            "envelope",
            vec![seed(include_bytes!("seeds/envelope.jsonl"))],
            |bytes| {
                for envelope in dsse::read_lines(bytes).unwrap_or_default() {
                    statement(envelope.payload());
                }
            },
        ),
        parser(
            "statement",
            vec![seed(include_bytes!("seeds/statement.json"))],
            statement,
        ),
        parser(
            "policy",
            vec![seed(include_bytes!("seeds/policy.toml"))],
            |bytes| {
                text(bytes, |text| drop(Policy::parse(text)));
            },
        ),
        parser(
            "plan",
            vec![own("release.toml"), given("version = 1\n")],
            |bytes| {
                text(bytes, |text| drop(ReleasePlan::parse(text)));
            },
        ),
        parser(
            "dep-v0",
            vec![seed(include_bytes!("seeds/dep-v0.json"))],
            |bytes| {
                text(bytes, |text| drop(dep_v0::parse(text)));
            },
        ),
        parser(
            "advisories-report",
            vec![seed(include_bytes!("seeds/report.json"))],
            |bytes| {
                drop(Report::parse(bytes));
            },
        ),
        parser(
            "vex",
            vec![seed(include_bytes!("seeds/vex.json"))],
            |bytes| {
                drop(vex::parse(bytes));
            },
        ),
        parser(
            "sbom",
            vec![
                seed(include_bytes!("seeds/sbom.json")),
                seed(include_bytes!("seeds/sbom.xml")),
            ],
            |bytes| drop(sbom::read::parse(bytes)),
        ),
        slow(parser(
            "pins",
            vec![own("nix/inputs.json"), given("{}")],
            |bytes| {
                text(bytes, |text| {
                    drop(Pins::parse(text, Path::new("inputs.json")))
                });
            },
        )),
        slow(parser(
            "cargo-lock",
            vec![own("Cargo.lock"), given("version = 4\n")],
            |bytes| {
                text(bytes, |text| drop(cargo_lock::parse(text)));
            },
        )),
        slow(parser("keyring", vec![seed(CERTIFICATE)], |bytes| {
            drop(Keyring::from_bytes(bytes));
        })),
        slow(parser("signature", vec![seed(SIGNATURE)], signature)),
        slow(parser("tag", vec![seed(TAG)], tag)),
        parser("allowed-signers", vec![seed(SIGNERS)], |bytes| {
            text(bytes, |text| drop(AllowedSigners::parse(text)));
        }),
        slow(parser(
            "ssh-signature",
            vec![
                seed(include_bytes!("seeds/ssh-ed25519.sig")),
                seed(include_bytes!("seeds/ssh-ecdsa.sig")),
                seed(include_bytes!("seeds/ssh-rsa.sig")),
            ],
            ssh_signature,
        )),
        slow(parser("binary", vec![Some(elf)], |bytes| {
            drop(dep_v0::read(bytes));
            drop(binary::needs(bytes));
            drop(compare::compare(bytes, &bytes[bytes.len() / 2..]));
        })),
    ]
}

fn parser(name: &'static str, seeds: Vec<Option<Vec<u8>>>, feed: fn(&[u8])) -> Parser {
    Parser {
        name,
        seeds: seeds.into_iter().flatten().collect(),
        feed,
        every: 1,
    }
}

/// A parser that takes long over each document.
fn slow(parser: Parser) -> Parser {
    Parser {
        every: 20,
        ..parser
    }
}

fn seed(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(bytes.to_vec())
}

fn given(text: &str) -> Option<Vec<u8>> {
    seed(text.as_bytes())
}

fn text(bytes: &[u8], feed: impl FnOnce(&str)) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        feed(text);
    }
}

fn statement(payload: &[u8]) {
    if let Ok(statement) = Statement::read(payload) {
        drop(Provenance::read(&statement));
    }
}

fn rules() -> SignatureRules {
    SignatureRules::strict(SystemTime::UNIX_EPOCH + NOW)
}

fn signature(bytes: &[u8]) {
    let Ok(keyring) = Keyring::from_bytes(CERTIFICATE) else {
        return;
    };
    drop(verify_each(SIGNED, bytes, &keyring, &rules()));
    drop(verify_detached_canonical(SIGNED, bytes, &keyring, &rules()));
}

fn ssh_signature(bytes: &[u8]) {
    let parsed = std::str::from_utf8(SIGNERS).map(AllowedSigners::parse);
    if let Ok(Ok(signers)) = parsed {
        drop(signers.verify(SIGNED, bytes, "git", SystemTime::UNIX_EPOCH + NOW));
    }
}

fn tag(bytes: &[u8]) {
    let (Ok(keyring), Ok(name)) = (Keyring::from_bytes(CERTIFICATE), "v1.0.0".parse()) else {
        return;
    };
    let Ok(id) = ObjectId::from_hex(&[b'0'; 40]) else {
        return;
    };
    let object = TagObject {
        name,
        id,
        kind: ObjectKind::Tag,
        bytes: bytes.to_vec(),
    };
    drop(verify_tag(
        &object,
        None,
        &keyring,
        &Authorised::WholeKeyring,
        &rules(),
    ));
}
