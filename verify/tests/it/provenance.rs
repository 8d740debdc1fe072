//! Check `provenance`: each statement that is not true of the bundle and its tag is named.

use std::collections::BTreeMap;

use sbom::digest::Sha256Digest;
use verify::attest::provenance::{Builder, Provenance};
use verify::check::{CheckId, Outcome};
use verify::load::bundle::{INPUTS, PROVENANCE, SOURCE};
use verify::verdict::Verdict;

use crate::fixture::release::{outcome, said};
use crate::fixture::{Release, run};

fn fails_with(change: impl FnOnce(&mut Provenance)) -> String {
    let release = Release::good();
    let mut provenance = release.provenance();
    change(&mut provenance);
    release.write_provenance(&provenance);
    release.seal();
    fails(&release)
}

fn fails(release: &Release) -> String {
    let outcome = release.outcome(CheckId::Provenance);
    assert!(matches!(outcome, Outcome::Fail { .. }), "{outcome:?}");
    said(&outcome)
}

#[test]
fn true_statement_pass() {
    assert!(matches!(
        Release::good().outcome(CheckId::Provenance),
        Outcome::Pass { .. }
    ));
}

#[test]
fn statement_of_another_commit_tag_time_package_target_or_input_fail() {
    let other = |p: &Provenance| p.tag_object;
    assert!(fails_with(|p| { p.commit = other(p) }).contains("states the commit"));
    assert!(fails_with(|p| { p.tag_object = p.commit }).contains("states the tag object"));
    assert!(fails_with(|p| p.source_date_epoch += 1).contains("states the build time"));
    assert!(fails_with(|p| p.packages.push(String::from("x"))).contains("states the packages"));
    assert!(fails_with(|p| p.target = String::from("aarch64")).contains("states the target"));
    let said = fails_with(|p| p.inputs[0].sha256 = Sha256Digest::of(b"other"));
    assert!(
        said.contains("the pinned input `debian/gcc-12@12.2.0-14` is not among"),
        "{said}"
    );
    assert!(
        fails_with(|p| {
            p.inputs.pop();
        })
        .contains("is not among the provenance's dependencies")
    );
    assert!(
        fails_with(|p| p.builder = Builder::workstation("AB"))
            .contains("did not sign its own statement")
    );
}

#[test]
fn binary_that_is_not_the_subject_fail() {
    let release = Release::good();
    let digest = Sha256Digest::of(b"other");
    for (path, words) in [
        ("bin/tool", "speaks of another `bin/tool`"),
        ("bin/x", "does not speak of `bin/tool`"),
    ] {
        let subjects = BTreeMap::from([(String::from(path), digest)]);
        release.write_statement(&release.provenance(), subjects, &release.key);
        release.seal();
        assert!(fails(&release).contains(words), "{path}");
    }
}

#[test]
fn statement_by_a_key_outside_the_keyring_fail() {
    let release = Release::good();
    let other = release.gnupg.key("mallory");
    let subjects = BTreeMap::from([(
        String::from("bin/tool"),
        Sha256Digest::of(&release.read("bin/tool")),
    )]);
    release.write_statement(&release.provenance(), subjects, &other);
    release.seal();
    let said = fails(&release);
    assert!(said.contains("which is not in the keyring"), "{said}");
}

#[test]
fn inputs_that_are_not_those_at_the_tag_fail() {
    let release = Release::good();
    let mut text = String::from_utf8(release.read(INPUTS)).unwrap();
    text.push('\n');
    release.write(INPUTS, text.as_bytes());
    release.seal();
    assert!(fails(&release).contains("is not the file `pins/inputs.json` at the tag"));
}

#[test]
fn binary_that_needs_more_than_the_plan_allows_or_is_not_planned_fail() {
    let release = Release::good();
    let hungry = release.repo.path().join("hungry");
    let mut gcc = std::process::Command::new("gcc");
    run(gcc
        .args(["-x", "c", "-", "-Wl,--no-as-needed", "-lm", "-o"])
        .arg(&hungry)
        .arg("-shared"));
    release.write("bin/tool", &std::fs::read(&hungry).unwrap());
    release.write("bin/more", b"x");
    release.write_provenance(&release.provenance());
    release.seal();
    let said = fails(&release);
    assert!(
        said.contains("`bin/more` is not among the binaries of the plan"),
        "{said}"
    );
    assert!(said.contains("libm.so.6"), "{said}");
}

#[test]
fn no_statement_at_all_fail() {
    let release = Release::good();
    for bytes in [&b""[..], b"{}\n", b"not json\n"] {
        release.write(PROVENANCE, bytes);
        release.seal();
        fails(&release);
    }
}

#[test]
fn true_statement_about_a_tag_that_does_not_hold_undecided() {
    let release = Release::good();
    release.write(SOURCE, b"# v2 git bundle\n\n");
    release.seal();
    let report = release.assay();
    assert!(matches!(
        outcome(&report, CheckId::Provenance),
        Outcome::Undecided { .. }
    ));
    assert!(matches!(
        outcome(&report, CheckId::Tag),
        Outcome::Fail { .. }
    ));
    assert_eq!(report.verdict, Verdict::Fail);
}

#[test]
fn statement_signed_with_a_curve_that_this_program_does_not_have_undecided() {
    let release = Release::good();
    let exotic = release
        .gnupg
        .key_with("exotic", "brainpoolP256r1", "20250101T000000", "never");
    let mut provenance = release.provenance();
    provenance.builder = Builder::workstation(exotic.as_str());
    let digest = Sha256Digest::of(&release.read("bin/tool"));
    let subjects = BTreeMap::from([(String::from("bin/tool"), digest)]);
    release.write_statement(&provenance, subjects, &exotic);
    release.seal();
    let mut request = release.request();
    request.keyring = release.gnupg.keyring(&[&release.key, &exotic]);
    let outcome = outcome(&verify::report::assay(request), CheckId::Provenance);
    assert!(matches!(outcome, Outcome::Undecided { .. }), "{outcome:?}");
    assert!(said(&outcome).contains("which this program cannot check"));
}

#[test]
fn statement_that_two_readers_could_read_in_two_ways_fail() {
    use verify::attest::dsse::{self, Envelope, IN_TOTO_PAYLOAD_TYPE, Signature};
    let release = Release::good();
    let good = dsse::read_lines(&release.read(PROVENANCE))
        .unwrap()
        .remove(0);
    let text = String::from_utf8(good.payload().to_vec()).unwrap();
    let twice = text.replacen(
        "\"buildDefinition\":",
        "\"buildDefinition\":{},\"buildDefinition\":",
        1,
    );
    assert_ne!(text, twice);
    let pae = dsse::pae(IN_TOTO_PAYLOAD_TYPE, twice.as_bytes());
    let armored = release
        .gnupg
        .sign(&release.key, crate::fixture::SIGNED, &pae);
    let sig = verify::trust::armor::read(&armored).unwrap();
    let signature = Signature {
        keyid: release.key.to_string(),
        sig,
    };
    let line = Envelope::new(IN_TOTO_PAYLOAD_TYPE, twice.into_bytes(), vec![signature]).to_line();
    release.write(PROVENANCE, line.as_bytes());
    release.seal();
    fails(&release);
}

#[test]
fn byproduct_that_is_another_file_or_no_file_or_another_second_build_fail() {
    let other = Sha256Digest::of(b"other");
    for (name, words) in [
        ("vex.cdx.json", "is another file in the bundle"),
        ("none.json", "is not in the bundle"),
        (
            "second-build/namespaces/tool",
            "gave other bytes than are shipped",
        ),
        ("second-build/tool", "is not in the bundle"),
    ] {
        let said = fails_with(|p| {
            p.byproducts.insert(name.to_owned(), other);
        });
        assert!(said.contains(words), "{name}: {said}");
    }
}

/// Every leaf of a JSON document, by pointer.
pub(crate) fn leaves(value: &serde_json::Value, at: &str, found: &mut Vec<String>) {
    use serde_json::Value;
    match value {
        Value::Object(map) if !map.is_empty() => map
            .iter()
            .for_each(|(key, value)| leaves(value, &format!("{at}/{key}"), found)),
        Value::Array(list) if !list.is_empty() => {
            list.iter()
                .enumerate()
                .for_each(|(index, value)| leaves(value, &format!("{at}/{index}"), found));
        }
        _ => found.push(at.to_owned()),
    }
}

/// Makes a leaf another one of its kind.
pub(crate) fn other_leaf(value: &mut serde_json::Value) {
    use serde_json::Value;
    *value = match &*value {
        Value::String(text) if text.len() == 64 => format!("{}{}", &text[1..], &text[..1]).into(),
        Value::String(text) => format!("{text}x").into(),
        Value::Number(number) => (number.as_i64().unwrap() + 1).into(),
        Value::Bool(was) => (!was).into(),
        Value::Null => "x".into(),
        // An empty list or map is a leaf too.
        Value::Array(_) => serde_json::json!(["x"]),
        Value::Object(_) => serde_json::json!({"x": "x"}),
    };
}

#[test]
fn no_leaf_of_a_signed_statement_can_be_another_but_the_name_of_the_engine() {
    use verify::attest::dsse::{self, Envelope, IN_TOTO_PAYLOAD_TYPE, Signature};
    let release = Release::good();
    let good = dsse::read_lines(&release.read(PROVENANCE))
        .unwrap()
        .remove(0);
    let good: serde_json::Value = serde_json::from_slice(good.payload()).unwrap();
    let mut found = Vec::new();
    leaves(&good, "", &mut found);
    assert!(found.len() > 30, "{found:?}");
    let mut passed = Vec::new();
    for leaf in &found {
        let mut bad = good.clone();
        other_leaf(bad.pointer_mut(leaf).unwrap());
        let payload = bad.to_string().into_bytes();
        let pae = dsse::pae(IN_TOTO_PAYLOAD_TYPE, &payload);
        let sig = verify::trust::armor::read(&release.gnupg.sign(
            &release.key,
            crate::fixture::SIGNED,
            &pae,
        ))
        .unwrap();
        let signature = Signature {
            keyid: release.key.to_string(),
            sig,
        };
        let line = Envelope::new(IN_TOTO_PAYLOAD_TYPE, payload, vec![signature]).to_line();
        release.write(PROVENANCE, line.as_bytes());
        release.seal();
        if matches!(release.outcome(CheckId::Provenance), Outcome::Pass { .. }) {
            passed.push(leaf.as_str());
        }
    }
    // Which engine ran is the builder's word; both must give the same bytes. A builder of another
    // kind is named in a warning.
    let free = [
        "/predicate/buildDefinition/internalParameters/engine",
        "/predicate/runDetails/builder/id",
    ];
    passed.retain(|leaf| !free.contains(leaf));
    assert!(passed.is_empty(), "changed and not noticed: {passed:?}");
}
