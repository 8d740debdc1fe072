//! A workspace that this repository knows nothing of, released and verified by the same code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sbom::digest::Sha256Digest;
use verify::attest::dsse;
use verify::case::{RebuildOptions, Request};
use verify::check::{CheckId, Outcome};
use verify::load::bundle::{LoadedBundle, MANIFEST, MANIFEST_SIGNATURE, PROVENANCE};
use verify::load::policy::Policy;
use verify::manifest::Manifest;
use verify::rebuild::progress::Silent;
use verify::rebuild::{Engine, default_cache};
use verify::report::{ReleaseReport, assay};
use verify::trust::keyring::Keyring;
use verify::verdict::Verdict;

use crate::fixture::{TAG, Workspace, advisory_db, answer, of_this_repository, talk};

/// A released workspace.
pub(crate) struct Released {
    pub(crate) workspace: Workspace,
    pub(crate) bundle: PathBuf,
    said: String,
    answered: String,
}

impl Released {
    pub(crate) fn new() -> Self {
        let workspace = Workspace::new();
        workspace.sign_tag(TAG, &workspace.engineer);
        let (said, answered) = release(&workspace, &[]);
        let bundle = workspace
            .path()
            .join("target/release-out/v1.0.0/tiny-1.0.0-x86_64-linux");
        Self {
            workspace,
            bundle,
            said,
            answered,
        }
    }
}

/// Releases, wants success, and gives stderr and stdout.
fn release(workspace: &Workspace, more: &[&str]) -> (String, String) {
    let database = advisory_db();
    let output = workspace.release(database.path(), more);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}\n{}",
        answer(&output),
        talk(&output)
    );
    (talk(&output), answer(&output))
}

fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![folder.to_path_buf()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                found.insert(
                    path.strip_prefix(folder)
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .to_owned(),
                );
            }
        }
    }
    found
}

#[test]
fn a_second_workspace_is_released_by_both_engines_and_twice_with_the_same_bytes() {
    let released = Released::new();
    let expected = [
        "bin/tiny",
        "sbom/tiny.cdx.json",
        "provenance.intoto.jsonl",
        "advisories.json",
        "vex.cdx.json",
        "inputs.json",
        "source.bundle",
        "SHA256SUMS",
        "SHA256SUMS.asc",
    ];
    assert_eq!(files(&released.bundle), expected.map(str::to_owned).into());

    let line = released
        .answered
        .lines()
        .find(|line| line.starts_with("tiny "))
        .unwrap();
    let digests: Vec<&str> = line.split_whitespace().skip(1).collect();
    assert_eq!(
        digests.len(),
        2,
        "the digests of both engines stand side by side: {line}"
    );
    assert_eq!(digests[0], digests[1]);
    assert!(
        released.answered.contains("engine nix"),
        "{}",
        released.answered
    );
    assert!(
        released.answered.contains("engine namespaces"),
        "{}",
        released.answered
    );

    let (said, _) = release(&released.workspace, &[]);
    assert!(
        said.contains("the same bytes as in the run before"),
        "{said}"
    );
    assert!(!released.said.contains("run before"), "{}", released.said);
}

/// What an auditor finds who rebuilds with this engine.
fn audit(released: &Released, engine: Engine) -> ReleaseReport {
    let database = advisory_db();
    let cache = default_cache();
    let keyring = released
        .workspace
        .gnupg
        .export(&[&released.workspace.engineer]);
    let policy = "version = 1\n[advisories]\nmax_age_days = 3650\nmin_count = 1\n";
    assay(Request {
        bundle: LoadedBundle::read(&released.bundle).unwrap(),
        keyring: Keyring::from_bytes(keyring.as_bytes()).unwrap(),
        policy: Policy::parse(policy).unwrap().requiring(CheckId::Rebuild),
        now: SystemTime::now(),
        expected_tag: Some(TAG.parse().unwrap()),
        advisory_db: Some(database.path().to_owned()),
        rebuild: Some(RebuildOptions {
            engine,
            cache: &cache,
            progress: &Silent,
            out: None,
        }),
    })
}

fn outcome(report: &ReleaseReport, check: CheckId) -> &Outcome {
    let found = report
        .findings
        .iter()
        .find(|finding| finding.check == check);
    &found.unwrap().outcome
}

/// Lists the files anew and signs the list anew, as somebody with the release key could.
pub(crate) fn sum_and_sign_again(released: &Released) {
    let mut listed = BTreeMap::new();
    for path in files(&released.bundle) {
        if path != MANIFEST && path != MANIFEST_SIGNATURE {
            let bytes = fs::read(released.bundle.join(&path)).unwrap();
            listed.insert(path.parse().unwrap(), Sha256Digest::of(&bytes));
        }
    }
    let manifest = released.bundle.join(MANIFEST);
    let signature = released.bundle.join(MANIFEST_SIGNATURE);
    fs::write(&manifest, Manifest::new(listed).unwrap().to_string()).unwrap();
    fs::remove_file(&signature).unwrap();
    released.workspace.gnupg.gpg(&[
        "--local-user",
        &released.workspace.engineer,
        "--armor",
        "--output",
        signature.to_str().unwrap(),
        "--detach-sign",
        manifest.to_str().unwrap(),
    ]);
}

#[test]
fn a_binary_changed_and_summed_and_signed_again_fails_the_rebuild_in_the_section_that_differs() {
    let released = Released::new();
    let good = audit(&released, Engine::Namespaces);
    assert_eq!(good.verdict, Verdict::Pass, "{good:?}");

    let binary = released.bundle.join("bin/tiny");
    let mut bytes = fs::read(&binary).unwrap();
    let text = b"a tiny tool";
    let at = bytes
        .windows(text.len())
        .position(|window| window == text)
        .unwrap();
    bytes[at] = b'A';
    fs::write(&binary, bytes).unwrap();
    sum_and_sign_again(&released);

    for engine in [Engine::Namespaces, Engine::Nix] {
        let report = audit(&released, engine);
        assert_eq!(report.verdict, Verdict::Fail);
        let manifest = outcome(&report, CheckId::Manifest);
        assert!(
            matches!(manifest, Outcome::Pass { .. }),
            "signed anew: {manifest:?}"
        );
        let rebuild = outcome(&report, CheckId::Rebuild);
        let reason = rebuild.reason().unwrap_or_default();
        assert!(matches!(rebuild, Outcome::Fail { .. }), "{rebuild:?}");
        assert!(
            reason.contains("bin/tiny") && reason.contains(".rodata"),
            "{reason}"
        );
    }
}

/// Every file of a bundle but the signatures: the provenance as it was signed, no list of digests.
fn unsigned(bundle: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for path in files(bundle) {
        let bytes = fs::read(bundle.join(&path)).unwrap();
        if path == PROVENANCE {
            let envelopes = dsse::read_lines(&bytes).unwrap();
            found.insert(
                path,
                envelopes.iter().flat_map(dsse::Envelope::pae).collect(),
            );
        } else if path != MANIFEST && path != MANIFEST_SIGNATURE {
            found.insert(path, bytes);
        }
    }
    found
}

#[test]
fn a_release_from_another_clone_has_the_same_bytes_signatures_apart() {
    let released = Released::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let clone = elsewhere.path().join("another/clone");
    let origin = format!("file://{}", released.workspace.path().display());
    released
        .workspace
        .git(&["clone", "-q", &origin, clone.to_str().unwrap()]);
    // Other packs than where it came from.
    released
        .workspace
        .git(&["-C", clone.to_str().unwrap(), "gc", "-q", "--aggressive"]);
    let database = advisory_db();
    let output = released.workspace.xtask_in(
        &clone,
        &[
            "release",
            TAG,
            "--sign-with",
            &released.workspace.engineer,
            "--advisory-db",
            database.path().to_str().unwrap(),
        ],
    );
    assert_eq!(output.status.code(), Some(0), "{}", talk(&output));
    let bundle = clone.join("target/release-out/v1.0.0/tiny-1.0.0-x86_64-linux");
    let (here, there) = (unsigned(&released.bundle), unsigned(&bundle));
    assert_eq!(
        here.keys().collect::<Vec<_>>(),
        there.keys().collect::<Vec<_>>()
    );
    for (path, bytes) in &here {
        assert!(there[path] == *bytes, "`{path}` differs between two clones");
    }
}

#[test]
fn the_provenance_carries_a_second_signature_where_a_key_is_given() {
    let workspace = Workspace::new();
    workspace.sign_tag(TAG, &workspace.engineer);
    let keys = tempfile::tempdir().unwrap();
    let key = keys.path().join("key");
    let made = std::process::Command::new("openssl")
        .args(["genpkey", "-algorithm", "ed25519", "-out"])
        .arg(&key)
        .status()
        .unwrap();
    assert!(made.success());
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    release(&workspace, &["--attestation-key", key.to_str().unwrap()]);
    let bundle = workspace
        .path()
        .join("target/release-out/v1.0.0/tiny-1.0.0-x86_64-linux");
    let envelopes = dsse::read_lines(&fs::read(bundle.join(PROVENANCE)).unwrap()).unwrap();
    let keyids: Vec<&str> = envelopes[0]
        .signatures()
        .iter()
        .map(|s| s.keyid.as_str())
        .collect();
    assert_eq!(keyids.len(), 2);
    assert_eq!(keyids[0], workspace.engineer);
    assert!(keyids[1].starts_with("sha256:"), "{keyids:?}");
}

#[test]
fn a_build_under_varied_conditions_gives_the_same_bytes() {
    let workspace = Workspace::new();
    workspace.sign_tag(TAG, &workspace.engineer);
    let (said, answered) = release(&workspace, &["--vary"]);
    assert!(said.contains("varied build, engine namespaces"), "{said}");
    let line = answered
        .lines()
        .find(|line| line.starts_with("tiny "))
        .unwrap();
    let digests: BTreeSet<&str> = line.split_whitespace().skip(1).collect();
    assert_eq!(line.split_whitespace().count(), 4, "{line}");
    assert_eq!(digests.len(), 1, "{line}");
}

#[test]
fn nix_build_rebuilds_the_flake_to_the_released_bytes() {
    let workspace = Workspace::new();
    for file in ["flake.nix", "nix/outputs.nix", "nix/module.nix"] {
        workspace.write(file, &of_this_repository(file));
    }
    workspace.commit("A flake");
    workspace.sign_tag(TAG, &workspace.engineer);
    release(&workspace, &[]);
    let released = workspace
        .path()
        .join("target/release-out/v1.0.0/tiny-1.0.0-x86_64-linux/bin/tiny");

    // The first finds what the release built; the second builds it again, and Nix compares.
    for more in [&[][..], &["--rebuild"]] {
        let out = workspace.nix_build(".#default", more);
        let built = fs::read(out.join("bin/tiny")).unwrap();
        assert_eq!(built, fs::read(&released).unwrap(), "{more:?}");
    }
    let package = workspace.nix_build(".#tiny-tool", &[]);
    assert_eq!(
        fs::read(package.join("bin/tiny")).unwrap(),
        fs::read(&released).unwrap()
    );
}

#[test]
fn a_procedural_macro_that_follows_a_hash_map_builds_to_the_same_bytes() {
    let workspace = Workspace::new();
    workspace.use_a_macro_in_hash_map_order();
    workspace.sign_tag(TAG, &workspace.engineer);
    let (_, answered) = release(&workspace, &["--vary"]);
    let line = answered
        .lines()
        .find(|line| line.starts_with("tiny "))
        .unwrap();
    let digests: BTreeSet<&str> = line.split_whitespace().skip(1).collect();
    assert_eq!(line.split_whitespace().count(), 4, "{line}");
    assert_eq!(digests.len(), 1, "{line}");
}

#[test]
fn a_demo_without_an_advisory_database_says_that_nobody_looked() {
    let workspace = Workspace::new();
    workspace.sign_tag(TAG, &workspace.engineer);
    let output = workspace.xtask(&[
        "release",
        TAG,
        "--sign-with",
        &workspace.engineer,
        "--demo-without-advisory-db",
    ]);
    assert!(
        talk(&output).contains("NO advisory database"),
        "{}",
        talk(&output)
    );
    assert_eq!(output.status.code(), Some(0), "{}", talk(&output));
    let roster = talk(&output);
    let line = roster
        .lines()
        .find(|line| line.contains(" advisories "))
        .unwrap();
    assert!(line.starts_with("NOT MADE"), "{line}");
}

#[test]
fn what_is_published_is_the_verified_bundle_and_never_overwritten() {
    let workspace = Workspace::new();
    workspace.sign_tag(TAG, &workspace.engineer);
    let shelf = tempfile::tempdir().unwrap();
    let publish = [
        "--engine",
        "namespaces",
        "--publish",
        shelf.path().to_str().unwrap(),
    ];
    release(&workspace, &publish);
    let published = shelf.path().join("tiny-1.0.0-x86_64-linux");
    let bundle = workspace
        .path()
        .join("target/release-out/v1.0.0/tiny-1.0.0-x86_64-linux");
    assert_eq!(files(&published), files(&bundle));

    let database = advisory_db();
    let again = workspace.release(database.path(), &publish);
    assert_eq!(again.status.code(), Some(1), "{}", talk(&again));
    assert!(
        talk(&again).contains("is there already"),
        "{}",
        talk(&again)
    );
}
