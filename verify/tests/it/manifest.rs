//! Check `manifest`: what is missing, added, changed or listed twice is refused by name.

use verify::check::{CheckId, Outcome};
use verify::load::bundle::{MANIFEST, MANIFEST_SIGNATURE};
use verify::load::policy::Policy;
use verify::report::assay;
use verify::trust::keyring::Fingerprint;
use verify::verdict::Verdict;

use crate::fixture::release::{outcome, said};
use crate::fixture::{Release, SIGNED};

fn manifest_fails(release: &Release) -> String {
    let report = release.assay();
    assert_eq!(report.verdict, Verdict::Fail);
    let outcome = outcome(&report, CheckId::Manifest);
    assert!(matches!(outcome, Outcome::Fail { .. }), "{outcome:?}");
    said(&outcome)
}

#[test]
fn complete_signed_list_pass() {
    let release = Release::good();
    let report = release.assay();
    for finding in report.findings.iter().filter(|finding| finding.required) {
        assert!(
            matches!(finding.outcome, Outcome::Pass { .. }),
            "{finding:?}"
        );
    }
    assert_eq!(report.verdict, Verdict::Pass);
    assert_eq!(report.tag.as_deref(), Some("v0.1.0"));
}

#[test]
fn missing_file_fail() {
    for path in [
        "sbom/tool.cdx.json",
        "inputs.json",
        "vex.cdx.json",
        "bin/tool",
        "source.bundle",
    ] {
        let release = Release::good();
        std::fs::remove_file(release.at(path)).unwrap();
        assert!(
            manifest_fails(&release).contains(&format!("`{path}` is missing")),
            "{path}"
        );
    }
    for path in [MANIFEST, MANIFEST_SIGNATURE] {
        let release = Release::good();
        std::fs::remove_file(release.at(path)).unwrap();
        assert!(
            manifest_fails(&release).contains(&format!("`{path}` is missing")),
            "{path}"
        );
    }
}

#[test]
fn added_file_link_and_odd_name_fail() {
    let release = Release::good();
    release.write("bin/extra", b"x");
    release.write("notes (1).txt", b"x");
    std::os::unix::fs::symlink("/etc/passwd", release.at("link")).unwrap();
    let said = manifest_fails(&release);
    assert!(
        said.contains("`bin/extra` is in the bundle and not in `SHA256SUMS`"),
        "{said}"
    );
    assert!(
        said.contains("`notes (1).txt") && said.contains("`link"),
        "{said}"
    );
}

#[test]
fn file_listed_twice_fail() {
    let release = Release::good();
    let mut list = release.read(MANIFEST);
    list.extend(format!("{}  bin/tool\n", "0".repeat(64)).bytes());
    release.seal_as(&list);
    assert!(manifest_fails(&release).contains("lists `bin/tool` twice"));
}

#[test]
fn list_without_a_file_that_every_release_has_fail() {
    let release = Release::good();
    std::fs::remove_file(release.at("vex.cdx.json")).unwrap();
    release.seal();
    assert!(manifest_fails(&release).contains("`vex.cdx.json` is not in `SHA256SUMS`"));
}

#[test]
fn changed_file_and_list_fail() {
    let release = Release::good();
    release.write("vex.cdx.json", b"{}");
    let said = manifest_fails(&release);
    assert!(
        said.contains("`vex.cdx.json` is ") && said.contains("as listed"),
        "{said}"
    );
    // The attacker sums again and cannot sign.
    let list = String::from_utf8(release.read(MANIFEST))
        .unwrap()
        .replacen('a', "b", 1);
    release.write(MANIFEST, list.as_bytes());
    assert!(manifest_fails(&release).contains("`SHA256SUMS.asc`: the signature by"));
}

#[test]
fn key_that_may_not_release_and_threshold_that_is_not_reached_fail() {
    let release = Release::good();
    let other = release.gnupg.key("bob");
    let policy = |text: &str| Policy::parse(&format!("version = 1\n{text}")).unwrap();
    let with = |policy: Policy| {
        let mut request = release.request();
        request.policy = policy;
        request.keyring = release.gnupg.keyring(&[&release.key, &other]);
        said(&outcome(&assay(request), CheckId::Manifest))
    };
    let said = with(policy(&format!("[keys]\nrelease = [\"{other}\"]\n")));
    assert!(
        said.contains("is not authorised to sign releases"),
        "{said}"
    );
    let two = policy("[thresholds]\nrelease = 2\n");
    assert!(with(two.clone()).contains("1 of 2 required release keys"));

    // One key that signs twice is still one key; two keys are two.
    let list = release.read(MANIFEST);
    let packet = |key: &Fingerprint| {
        verify::trust::armor::read(&release.gnupg.sign(key, SIGNED, &list)).unwrap()
    };
    let sign = |keys: [&Fingerprint; 2]| {
        let armored = verify::trust::armor::write(&[packet(keys[0]), packet(keys[1])].concat());
        release.write(MANIFEST_SIGNATURE, armored.as_bytes());
    };
    sign([&release.key, &release.key]);
    assert!(with(two.clone()).contains("1 of 2 required release keys"));
    sign([&release.key, &other]);
    let both = with(two);
    assert!(!both.contains("required release keys"), "{both}");
}

#[test]
fn list_signed_with_a_curve_that_this_program_does_not_have_undecided() {
    let release = Release::good();
    let exotic = release
        .gnupg
        .key_with("exotic", "brainpoolP256r1", "20250101T000000", "never");
    let list = release.read(MANIFEST);
    release.write(
        MANIFEST_SIGNATURE,
        &release.gnupg.sign(&exotic, SIGNED, &list),
    );
    let mut request = release.request();
    request.keyring = release.gnupg.keyring(&[&release.key, &exotic]);
    let report = assay(request);
    let manifest = outcome(&report, CheckId::Manifest);
    assert!(
        matches!(manifest, Outcome::Undecided { .. }),
        "what nobody could look at is neither good nor false: {manifest:?}"
    );
    assert!(said(&manifest).contains("which this program cannot check"));
    assert_eq!(report.verdict, Verdict::NoVerdict);
    // A file that is not as listed is false whoever signed the list.
    release.write("vex.cdx.json", b"{}");
    let mut request = release.request();
    request.keyring = release.gnupg.keyring(&[&release.key, &exotic]);
    assert!(matches!(
        outcome(&assay(request), CheckId::Manifest),
        Outcome::Fail { .. }
    ));
}
