//! Rebuilders: who counts, who does not and why, and that a conflict is no gap.

use std::collections::BTreeMap;
use std::process::Command;

use sbom::digest::Sha256Digest;
use verify::attest::dsse;
use verify::attest::provenance::{Builder, Provenance};
use verify::case::Case;
use verify::check::Outcome;
use verify::load::policy::Policy;
use verify::output::quorum::table;
use verify::quorum::{Cell, Quorum};
use verify::trust::keyring::Fingerprint;
use verify::trust::openpgp::{SignatureRules, verify_detached};

use crate::fixture::{Release, SIGNED, now, run};

const TOOL: &str = "bin/tool";

/// What a rebuilder with this key states who got these bytes.
fn says(release: &Release, key: &Fingerprint, bytes: &[u8]) -> (String, Vec<u8>) {
    let provenance = Provenance {
        builder: Builder::workstation(key.as_str()),
        ..release.provenance()
    };
    let subjects = BTreeMap::from([(String::from(TOOL), Sha256Digest::of(bytes))]);
    (
        format!("{key}.jsonl"),
        release
            .statement_line(&provenance, subjects, key)
            .into_bytes(),
    )
}

fn count(
    release: &Release,
    keys: &[&Fingerprint],
    policy: &str,
    files: &[(String, Vec<u8>)],
) -> (Quorum, Outcome) {
    let mut request = release.request();
    request.policy = Policy::parse(&format!("version = 1\n{policy}")).unwrap();
    request.keyring = release.gnupg.keyring(keys);
    let case = Case::open(request);
    let quorum = Quorum::count(&case, case.tag().unwrap(), files, 2).unwrap();
    let outcome = quorum.outcome();
    (quorum, outcome)
}

fn cell(quorum: &Quorum, row: usize) -> &Cell {
    &quorum.rows[row].artifacts[TOOL]
}

#[test]
fn two_independent_rebuilders_agree_pass_and_one_is_a_gap_undecided() {
    let release = Release::good();
    let (bob, eve) = (release.gnupg.key("bob"), release.gnupg.key("eve"));
    let keys = [&release.key, &bob, &eve];
    let bytes = release.read(TOOL);
    let files = [says(&release, &bob, &bytes), says(&release, &eve, &bytes)];
    let (quorum, outcome) = count(&release, &keys, "", &files);
    assert!(matches!(outcome, Outcome::Pass { .. }), "{outcome:?}");
    assert_eq!((cell(&quorum, 0), quorum.agreeing[TOOL]), (&Cell::Ok, 2));

    for one in [&files[..1], &[files[0].clone(), files[0].clone()]] {
        let (quorum, outcome) = count(&release, &keys, "", one);
        assert!(matches!(outcome, Outcome::Undecided { .. }), "{outcome:?}");
        assert_eq!(quorum.agreeing[TOOL], 1);
    }
    // The same two keys, run by one operator, are one voice.
    let one_house = format!("[operators]\n{bob} = \"house\"\n{eve} = \"house\"\n");
    assert!(matches!(
        count(&release, &keys, &one_house, &files).1,
        Outcome::Undecided { .. }
    ));
}

#[test]
fn expired_revoked_unknown_and_unauthorised_keys_do_not_count_towards_the_quorum() {
    let release = Release::good();
    let bob = release.gnupg.key("bob");
    let expired = release
        .gnupg
        .key_with("old", "ed25519", "20260101T000000", "60d");
    let revoked = release.gnupg.key("stolen");
    let unknown = release.gnupg.key("nobody");
    let bytes = release.read(TOOL);
    let files: Vec<_> = [&bob, &expired, &revoked, &unknown]
        .iter()
        .map(|key| says(&release, key, &bytes))
        .collect();
    release.gnupg.revoke(&revoked, "20260301T000000", 1);
    let keys = [&release.key, &bob, &expired, &revoked];
    let lenient = "[signatures]\naccept_expired_since = true\naccept_retired_since = true\n";
    let (quorum, outcome) = count(&release, &keys, lenient, &files);
    let cells: Vec<&Cell> = (0..4).map(|row| cell(&quorum, row)).collect();
    assert_eq!(
        cells,
        [&Cell::Ok, &Cell::Expired, &Cell::Revoked, &Cell::NoKey]
    );
    assert!(matches!(outcome, Outcome::Undecided { .. }), "{outcome:?}");

    let only_others = format!("[keys]\nrebuild = [\"{expired}\"]\n");
    let (quorum, _) = count(&release, &keys, &only_others, &files);
    assert_eq!(cell(&quorum, 0), &Cell::NoKey);
}

#[test]
fn other_bytes_are_a_conflict_with_both_digests_fail() {
    let release = Release::good();
    let (bob, eve) = (release.gnupg.key("bob"), release.gnupg.key("eve"));
    let third = release.gnupg.key("zoe");
    let bytes = release.read(TOOL);
    let files = [
        says(&release, &bob, &bytes),
        says(&release, &eve, &bytes),
        says(&release, &third, b"other"),
    ];
    let (quorum, outcome) = count(&release, &[&release.key, &bob, &eve, &third], "", &files);
    let (shipped, rebuilt) = (Sha256Digest::of(&bytes), Sha256Digest::of(b"other"));
    assert_eq!(cell(&quorum, 2), &Cell::Mismatch { shipped, rebuilt });
    let Outcome::Fail { reason, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert!(
        reason.contains(&format!("−{shipped} +{rebuilt}")),
        "{reason}"
    );
    let shown = table(&quorum);
    let row = |key: &Fingerprint| {
        let mut lines = shown.lines().map(|line| line.split_whitespace());
        let mut cells = lines.find(|cells| cells.clone().next() == Some(key.as_str()));
        cells.as_mut().unwrap().nth(1).unwrap().to_owned()
    };
    assert_eq!([row(&bob), row(&third)], ["OK", "MISMATCH"], "{shown}");
    assert!(
        shown.contains(&format!("{TOOL} by {third}\n  −{shipped}\n  +{rebuilt}\n")),
        "{shown}"
    );
}

#[test]
fn who_signed_the_tag_or_the_list_of_a_release_is_no_independent_rebuilder() {
    let release = Release::good();
    let (bob, eve) = (release.gnupg.key("bob"), release.gnupg.key("eve"));
    let bytes = release.read(TOOL);
    let files = [says(&release, &bob, &bytes), says(&release, &eve, &bytes)];
    // Two signatures stand over the list: the releaser's and, since now, bob's.
    let list = release.read("SHA256SUMS");
    let both = release.gnupg.sign_by(&[&release.key, &bob], SIGNED, &list);
    release.write("SHA256SUMS.asc", &both);
    let (quorum, outcome) = count(&release, &[&release.key, &bob, &eve], "", &files);
    assert!(
        matches!(cell(&quorum, 0), Cell::Bad { reason } if reason.contains("the releaser's own key")),
        "{quorum:?}"
    );
    assert_eq!(cell(&quorum, 1), &Cell::Ok);
    assert!(matches!(outcome, Outcome::Undecided { .. }), "{outcome:?}");
}

#[test]
fn releaser_itself_another_release_and_another_artifact_do_not_count() {
    let release = Release::good();
    let bob = release.gnupg.key("bob");
    let bytes = release.read(TOOL);
    let mut other = release.provenance();
    other.commit = other.tag_object;
    let digest = Sha256Digest::of(&bytes);
    let line = |provenance: &Provenance, artifact: &str| {
        let subjects = BTreeMap::from([(artifact.to_owned(), digest)]);
        (
            String::from("f"),
            release
                .statement_line(provenance, subjects, &bob)
                .into_bytes(),
        )
    };
    let files = [
        says(&release, &release.key, &bytes),
        line(&other, TOOL),
        line(&release.provenance(), "bin/another"),
    ];
    let (quorum, outcome) = count(&release, &[&release.key, &bob], "", &files);
    assert!(
        matches!(cell(&quorum, 0), Cell::Bad { reason } if reason.contains("the releaser's own key"))
    );
    assert!(
        matches!(cell(&quorum, 1), Cell::Bad { reason } if reason.contains("it is about the tag"))
    );
    assert_eq!(cell(&quorum, 2), &Cell::Missing);
    assert!(matches!(outcome, Outcome::Undecided { .. }), "{outcome:?}");
}

#[test]
fn summary_says_reproduced_only_after_a_quorum_and_is_signed() {
    let release = Release::good();
    let (bob, eve) = (release.gnupg.key("bob"), release.gnupg.key("eve"));
    let home = release.gnupg.home();
    let bytes = release.read(TOOL);
    let mut files = Vec::new();
    for (name, content) in [says(&release, &bob, &bytes), says(&release, &eve, &bytes)] {
        let path = home.join(name);
        std::fs::write(&path, content).unwrap();
        files.push(path);
    }
    let keys = home.join("keys.asc");
    std::fs::write(&keys, release.gnupg.export(&[&release.key, &bob, &eve])).unwrap();
    let secret = home.join("secret.asc");
    let mut export = release.gnupg.command(SIGNED);
    export.args(["--armor", "--export-secret-keys", release.key.as_str()]);
    std::fs::write(&secret, run(&mut export).stdout).unwrap();
    let vsa = home.join("vsa.jsonl");
    let quorum = |files: &[std::path::PathBuf]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_verify"));
        command
            .env_clear()
            .arg("quorum")
            .arg(release.root())
            .args(files)
            .arg("--keyring")
            .arg(&keys);
        command
            .args(["--threshold", "2", "--vsa"])
            .arg(&vsa)
            .arg("--key")
            .arg(&secret);
        let code = command.output().unwrap().status.code();
        let envelope = dsse::read_lines(&std::fs::read(&vsa).unwrap())
            .unwrap()
            .remove(0);
        let keyring = release.gnupg.keyring(&[&release.key]);
        let rules = SignatureRules::strict(std::time::SystemTime::now());
        verify_detached(
            &envelope.pae(),
            &envelope.signatures()[0].sig,
            &keyring,
            &rules,
        )
        .unwrap();
        (
            code,
            String::from_utf8(envelope.payload().to_vec()).unwrap(),
        )
    };
    let (code, summary) = quorum(&files);
    assert_eq!(code, Some(0));
    assert!(
        summary.contains("\"PASSED\"") && summary.contains("SLSA_BUILD_REPRODUCED"),
        "{summary}"
    );
    let (code, summary) = quorum(&files[..1]);
    assert_eq!(code, Some(2));
    assert!(
        summary.contains("\"FAILED\"") && !summary.contains("SLSA_BUILD_REPRODUCED"),
        "{summary}"
    );
    assert!(
        now() < std::time::SystemTime::now(),
        "the fixtures are of the past"
    );
}
