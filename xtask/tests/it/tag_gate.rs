//! The tag gate: each kind of bad tag is refused for its own reason, before anything is built.

use crate::fixture::{Gnupg, TAG, Workspace, answer, talk};

/// Runs the release, and the gate alone, and wants both refused, for this reason and with nothing
/// written.
fn refused(workspace: &Workspace, reason: &str) {
    let release: &[&str] = &["release", TAG, "--sign-with", &workspace.engineer];
    for arguments in [release, &["gate", TAG]] {
        let output = workspace.xtask(arguments);
        let talk = talk(&output);
        assert_eq!(output.status.code(), Some(1), "not a refusal: {talk}");
        assert!(
            talk.contains(reason),
            "`{reason}` is not the reason: {talk}"
        );
        assert!(talk.contains("hint: "), "no repair is named: {talk}");
        assert!(
            !workspace.path().join("target").exists(),
            "something was written: {talk}"
        );
    }
}

#[test]
fn the_gate_alone_names_who_signed_a_good_tag_and_writes_nothing() {
    let workspace = Workspace::new();
    workspace.sign_tag(TAG, &workspace.engineer);
    let output = workspace.xtask(&["gate", TAG]);
    assert_eq!(output.status.code(), Some(0), "{}", talk(&output));
    let answer = answer(&output);
    assert!(
        answer.contains("may be released") && answer.contains(&workspace.engineer),
        "{answer}"
    );
    assert!(!workspace.path().join("target").exists());
}

#[test]
fn a_tag_that_does_not_exist_is_refused() {
    refused(&Workspace::new(), "there is no tag `v1.0.0`");
}

#[test]
fn a_lightweight_tag_is_refused() {
    let workspace = Workspace::new();
    workspace.git(&["tag", TAG]);
    refused(&workspace, "the tag is lightweight");
}

#[test]
fn an_annotated_but_unsigned_tag_is_refused() {
    let workspace = Workspace::new();
    workspace.git(&["tag", "-a", "-m", "A release", TAG]);
    refused(&workspace, "annotated but not signed");
}

#[test]
fn an_ssh_signed_tag_is_refused() {
    let workspace = Workspace::new();
    let keys = tempfile::tempdir().unwrap();
    let key = keys.path().join("key");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status()
        .unwrap();
    assert!(made.success());
    let signing_key = format!("user.signingkey={}", key.display());
    workspace.git(&[
        "-c",
        "gpg.format=ssh",
        "-c",
        &signing_key,
        "tag",
        "-s",
        "-m",
        "A release",
        TAG,
    ]);
    refused(&workspace, "signed with an SSH key");
}

#[test]
fn a_tag_changed_after_it_was_signed_is_refused() {
    let workspace = Workspace::new();
    workspace.sign_tag(TAG, &workspace.engineer);
    let object = workspace.git(&["cat-file", "tag", TAG]) + "\n";
    let changed = object.replace("A release", "A malease");
    assert_ne!(changed, object);
    workspace.put_tag(TAG, changed.as_bytes());
    refused(&workspace, "the signature is bad");
}

#[test]
fn a_tag_by_a_key_outside_the_keyring_is_refused_by_the_keys_name() {
    let workspace = Workspace::new();
    let stranger = workspace.gnupg.key("stranger");
    workspace.sign_tag(TAG, &stranger);
    refused(
        &workspace,
        &format!("signed by the key `{stranger}`, which is not in the keyring"),
    );
}

#[test]
fn a_tag_by_a_key_that_has_expired_is_refused() {
    let gnupg = Gnupg::new();
    let at = ["--faked-system-time", "20240101T000000!"];
    let expired = gnupg.key_with("expired", &at, "2024-06-01");
    let workspace = Workspace::with(gnupg, expired.clone());
    workspace.git_with(
        &[("SIGN_AT", "20240301T000000!")],
        &["tag", "-s", "-u", &expired, "-m", "A release", TAG],
    );
    refused(&workspace, "has expired since, at 2024-06-0");
}

#[test]
fn a_tag_by_a_key_that_was_revoked_is_refused() {
    let workspace = Workspace::new();
    workspace.sign_tag("before", &workspace.engineer);
    workspace.gnupg.revoke(&workspace.engineer);
    workspace.keep_keyring();
    workspace.commit("The engineer's key is revoked");
    // The tag was made before the revocation; its object is moved to the new commit's keyring.
    let object = workspace.git(&["cat-file", "tag", "before"]) + "\n";
    assert!(object.contains("tag before"));
    workspace.git(&["switch", "-q", "--detach", "before"]);
    workspace.git(&["checkout", "-q", "main", "--", "keys"]);
    let output = workspace.xtask(&["release", "before"]);
    assert_eq!(output.status.code(), Some(1), "{}", talk(&output));
    assert!(talk(&output).contains("was revoked"), "{}", talk(&output));
}

#[test]
fn a_signed_tag_under_another_name_is_refused() {
    let workspace = Workspace::new();
    workspace.sign_tag("v0.9.0", &workspace.engineer);
    let old = workspace.git(&["rev-parse", "refs/tags/v0.9.0"]);
    workspace.git(&["update-ref", &format!("refs/tags/{TAG}"), &old]);
    refused(&workspace, "the tag object is named `v0.9.0`, not `v1.0.0`");
}

#[test]
fn a_tag_of_another_commit_than_head_is_refused() {
    let workspace = Workspace::new();
    workspace.sign_tag(TAG, &workspace.engineer);
    workspace.commit("Later work");
    refused(&workspace, "the tag points at the commit");
}

#[test]
fn a_dirty_tree_is_refused_by_the_names_of_its_files() {
    let workspace = Workspace::new();
    workspace.sign_tag(TAG, &workspace.engineer);
    workspace.write("src/forgotten.rs", "");
    refused(&workspace, "the working tree is dirty: src/forgotten.rs");
}

#[test]
fn everything_that_is_wrong_is_named_at_once() {
    let workspace = Workspace::new();
    workspace.git(&["tag", TAG]);
    workspace.write("src/forgotten.rs", "");
    refused(&workspace, "the tag is lightweight");
    refused(&workspace, "the working tree is dirty");
}
