//! The commands that ask one thing: what they print and how they end.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::fixture::{Gnupg, Repo, text};

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
}
