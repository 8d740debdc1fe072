//! The commands that ask one thing: what they print and how they end.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::fixture::release::{LOCK, add_advisory, advisory_text, write_db};
use crate::fixture::{Gnupg, Release, Repo, run, text};

/// Real time judges, so keys and signatures of these tests are of the past.
const SIGNED: &str = "20260201T120000";

fn verify(args: &[&str]) -> (Option<i32>, String) {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_verify"))
        .env_clear()
        .args(args)
        .output()
        .unwrap();
    (
        output.status.code(),
        format!(
            "{}{}",
            text(&output),
            String::from_utf8_lossy(&output.stderr)
        ),
    )
}

fn saved(folder: &Path, name: &str, bytes: &[u8]) -> String {
    let path: PathBuf = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn tag_of_a_repository_or_a_bundle_holds_or_is_refused_by_name() {
    let (gnupg, repo) = (Gnupg::new(), Repo::new());
    let key = gnupg.key("alice");
    repo.tag("v1", &gnupg, &key);
    let keys = saved(gnupg.home(), "keys.asc", &gnupg.export(&[&key]));
    let path = repo.path().to_str().unwrap();
    let bundle = repo.bundle("b", &["v1"], &[]);
    let commit = repo.rev("HEAD").to_string();
    for place in [path, bundle.to_str().unwrap()] {
        let (code, said) = verify(&["tag", place, "v1", "--keyring", &keys, "--commit", &commit]);
        assert_eq!(code, Some(0), "{said}");
        assert!(
            said.contains("alice@example.org") && said.contains(&commit),
            "{said}"
        );
    }
    let (code, said) = verify(&["tag", path, "v2", "--keyring", &keys]);
    assert!(
        code == Some(1) && said.contains("there is no tag `v2`"),
        "{said}"
    );
    let (code, said) = verify(&[
        "tag",
        path,
        "v1",
        "--keyring",
        &keys,
        "--commit",
        &"0".repeat(40),
    ]);
    assert!(code == Some(1) && said.contains("which is built"), "{said}");
    let (code, said) = verify(&["tag", path, "v1"]);
    assert!(
        code == Some(2) && said.contains("--allowed-signers"),
        "{said}"
    );
    assert_eq!(
        verify(&["tag", "/none", "v1", "--keyring", &keys]).0,
        Some(2)
    );
}

#[test]
fn signature_over_a_file_holds_or_not() {
    let gnupg = Gnupg::new();
    let (alice, bob) = (gnupg.key("alice"), gnupg.key("bob"));
    let keys = saved(gnupg.home(), "keys.asc", &gnupg.export(&[&alice]));
    let file = saved(gnupg.home(), "file", b"content");
    let good = saved(
        gnupg.home(),
        "good.asc",
        &gnupg.sign(&alice, SIGNED, b"content"),
    );
    let unknown = saved(
        gnupg.home(),
        "unknown.asc",
        &gnupg.sign(&bob, SIGNED, b"content"),
    );
    let other = saved(
        gnupg.home(),
        "other.asc",
        &gnupg.sign(&alice, SIGNED, b"other"),
    );
    let judge = |signature: &str| verify(&["signature", &file, signature, "--keyring", &keys]);
    assert_eq!(judge(&good).0, Some(0));
    assert!(judge(&unknown).1.contains("not in the keyring"));
    assert_eq!(
        (judge(&unknown).0, judge(&other).0, judge(&file).0),
        (Some(1), Some(1), Some(1))
    );
    assert_eq!(judge("/none").0, Some(2));
}

#[test]
fn ssh_signature_over_a_file_holds_for_its_purpose_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    let mut make = Command::new("ssh-keygen");
    make.args(["-q", "-t", "ed25519", "-N", "", "-C", "c", "-f"]);
    run(make.arg(&key));
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    let signers = saved(
        folder.path(),
        "signers",
        format!("alice {public}").as_bytes(),
    );
    let file = saved(folder.path(), "release.txt", b"content");
    let mut sign = Command::new("ssh-keygen");
    sign.args(["-q", "-Y", "sign", "-n", "file", "-f"]);
    run(sign.arg(&key).arg(&file));
    let signature = format!("{file}.sig");
    let asked = |more: &[&str]| verify(&[&["signature", &file, &signature], more].concat());
    let (code, said) = asked(&["--allowed-signers", &signers]);
    assert!(
        code == Some(0) && said.contains("signed by: alice (SSH SHA256:"),
        "{said}"
    );
    let (code, said) = asked(&["--allowed-signers", &signers, "--namespace", "git"]);
    assert!(
        code == Some(1) && said.contains("is for `file`, not for `git`"),
        "{said}"
    );
    let (code, said) = asked(&[]);
    assert!(
        code == Some(2) && said.contains("pass the keys that you trust: `--allowed-signers`"),
        "{said}"
    );
    std::fs::write(&file, b"Content").unwrap();
    let (code, said) = asked(&["--allowed-signers", &signers]);
    assert!(
        code == Some(1) && said.contains("does not match the signed bytes"),
        "{said}"
    );
    let x509 = "-----BEGIN SIGNED MESSAGE-----\nAAAA\n-----END SIGNED MESSAGE-----\n";
    std::fs::write(&signature, x509).unwrap();
    let (code, said) = asked(&["--allowed-signers", &signers]);
    assert!(code == Some(1) && said.contains("X.509"), "{said}");
}

#[test]
fn policy_is_explained_and_a_key_that_the_keyring_lacks_is_named() {
    let gnupg = Gnupg::new();
    let (alice, bob) = (gnupg.key("alice"), gnupg.key("bob"));
    let keys = saved(gnupg.home(), "keys.asc", &gnupg.export(&[&alice]));
    let policy = |key| {
        let text = format!("version = 1\nrequired = [\"manifest\"]\n[keys]\ntag = [\"{key}\"]\n");
        saved(gnupg.home(), "policy.toml", text.as_bytes())
    };
    let (code, said) = verify(&["policy", "check", &policy(&alice), "--keyring", &keys]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("tag: NOT required") && said.contains(&format!("may sign tag: {alice}")),
        "{said}"
    );
    let (code, said) = verify(&["policy", "check", &policy(&bob), "--keyring", &keys]);
    assert!(
        code == Some(1) && said.contains(&format!("does not hold `{bob}`")),
        "{said}"
    );
    assert_eq!(verify(&["policy", "check", &keys]).0, Some(2));
    let operated = |key| {
        let text = format!("version = 1\n[operators]\n{key} = \"example.org\"\n");
        saved(gnupg.home(), "policy.toml", text.as_bytes())
    };
    let (code, said) = verify(&["policy", "check", &operated(&alice), "--keyring", &keys]);
    assert!(
        code == Some(0) && said.contains(&format!("{alice} is run by example.org")),
        "{said}"
    );
    let (code, said) = verify(&["policy", "check", &operated(&bob), "--keyring", &keys]);
    assert!(
        code == Some(1) && said.contains("the rebuilder of example.org"),
        "{said}"
    );
}

#[test]
fn policy_that_can_never_be_met_or_lets_something_through_says_so() {
    let gnupg = Gnupg::new();
    let alice = gnupg.key("alice");
    let keys = saved(gnupg.home(), "keys.asc", &gnupg.export(&[&alice]));
    let check = |text: &str| {
        let policy = saved(
            gnupg.home(),
            "policy.toml",
            format!("version = 1\n{text}").as_bytes(),
        );
        verify(&["policy", "check", &policy, "--keyring", &keys])
    };
    let (code, said) = check("[thresholds]\nrelease = 2\n");
    assert!(
        code == Some(1)
            && said.contains("`release` needs 2 distinct keys, and the keyring holds 1"),
        "{said}"
    );
    let (code, said) = check(
        "[advisories]\naccept_release_ignores = false\n[[advisories.ignore]]\n\
         id = \"RUSTSEC-2023-0071\"\nreason = \"r\"\nexpires = \"2026-01-01\"\ndecided_by = \"zoe\"\n",
    );
    assert!(
        code == Some(0)
            && said.contains("! the decision to ignore RUSTSEC-2023-0071 ran until 2026-01-01")
            && said.contains("ignores of the release: do NOT count")
            && said.contains("SHA-1 never counts"),
        "{said}"
    );
    let (_, said) = check("[signatures]\nsha1_until = \"2027-01-01\"\n");
    assert!(
        said.contains("! SHA-1 signatures count until") && !said.contains("SHA-1 never counts"),
        "{said}"
    );
}

#[test]
fn sbom_is_held_against_the_binary_or_written_from_it() {
    let release = Release::good();
    let (binary, sbom) = (release.at("bin/tool"), release.at("sbom/tool.cdx.json"));
    let (binary, sbom) = (binary.to_str().unwrap(), sbom.to_str().unwrap());
    let lock = saved(release.gnupg.home(), "Cargo.lock", LOCK.as_bytes());
    let (code, said) = verify(&["sbom", binary, sbom, "--lock", &lock]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = verify(&["sbom", binary]);
    assert!(
        code == Some(0) && said.contains("linked in: leaf 1.0.0 (crates.io)"),
        "{said}"
    );

    let text = std::fs::read_to_string(sbom).unwrap();
    let hidden = saved(
        release.gnupg.home(),
        "hidden.json",
        text.replace("leaf", "loaf").as_bytes(),
    );
    let (code, said) = verify(&["sbom", binary, &hidden]);
    assert!(
        code == Some(1) && said.contains("`leaf 1.0.0` is in the binary and not in the SBOM"),
        "{said}"
    );
    assert_eq!(verify(&["sbom", "/bin/true"]).0, Some(2));

    let (code, written) = verify(&[
        "sbom",
        binary,
        "--emit",
        "--lock",
        &lock,
        "--commit",
        &"a".repeat(40),
    ]);
    assert_eq!(code, Some(0), "{written}");
    let written = saved(release.gnupg.home(), "written.json", written.as_bytes());
    let (code, said) = verify(&["sbom", binary, &written, "--lock", &lock]);
    assert_eq!(code, Some(0), "{said}");
    let (code, alone) = verify(&["sbom", binary, "--emit"]);
    assert!(code == Some(0) && alone.contains("leaf"), "{alone}");
}

#[test]
fn advisories_against_a_lock_file_a_binary_and_a_bundle_are_found() {
    let release = Release::good();
    let folder = tempfile::tempdir().unwrap();
    let (db, root) = (folder.path().to_str().unwrap(), release.root());
    write_db(folder.path(), 510, "2026-05-30");
    let lock = saved(release.gnupg.home(), "Cargo.lock", LOCK.as_bytes());
    let policy = saved(
        release.gnupg.home(),
        "p.toml",
        b"version = 1\n[advisories]\nmax_age_days = 36500\n",
    );
    let binary = release.at("bin/tool");
    let targets = [
        lock.as_str(),
        binary.to_str().unwrap(),
        root.to_str().unwrap(),
    ];
    for target in targets {
        let (code, said) = verify(&["advisories", target, "--db", db, "--policy", &policy]);
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(
            verify(&["advisories", target]).0,
            Some(2),
            "never a pass without a database"
        );
    }
    let text = advisory_text("RUSTSEC-2026-0900", "leaf", "2026-05-31");
    add_advisory(folder.path(), "crates/leaf/RUSTSEC-2026-0900.md", &text);
    for target in targets {
        let (code, said) = verify(&["advisories", target, "--db", db, "--policy", &policy]);
        assert!(
            code == Some(1) && said.contains("RUSTSEC-2026-0900 (vulnerability) in leaf 1.0.0"),
            "{said}"
        );
    }
}

#[test]
fn files_that_differ_are_told_apart_by_section() {
    let release = Release::good();
    let binary = release.at("bin/tool");
    let bytes = std::fs::read(&binary).unwrap();
    let mut other = bytes.clone();
    let place = other
        .windows(6)
        .position(|window| window == b"GLIBC_")
        .unwrap();
    other[place] ^= 1;
    let other = saved(release.gnupg.home(), "other", &other);
    let binary = binary.to_str().unwrap();
    assert_eq!(verify(&["diff", binary, binary]).0, Some(0));
    let (code, said) = verify(&["diff", binary, &other]);
    assert!(
        code == Some(1) && said.contains(".dynstr (1 bytes differ"),
        "{said}"
    );
}

#[test]
fn completions_and_man_pages_speak_of_every_command() {
    let (code, script) = verify(&["completions", "bash"]);
    assert!(
        code == Some(0) && script.contains("quorum") && script.contains("--advisory-db"),
        "{script}"
    );
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(verify(&["man", folder.path().to_str().unwrap()]).0, Some(0));
    let page = std::fs::read_to_string(folder.path().join("verify-release.1")).unwrap();
    assert!(page.contains("advisory\\-db"), "{page}");
    assert_eq!(verify(&["man", "/none"]).0, Some(2));
}
