//! What is missing is named with the command that repairs it, and is no refusal: exit code 2.

use std::fs;
use std::os::unix::fs::symlink;

use crate::fixture::{TAG, Workspace, advisory_db, talk};

#[test]
fn without_nix_the_release_names_the_command_that_installs_it() {
    let workspace = Workspace::new();
    workspace.sign_tag(TAG, &workspace.engineer);
    let programs = tempfile::tempdir().unwrap();
    for folder in std::env::split_paths(&std::env::var_os("PATH").unwrap()) {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let entry = entry.unwrap();
            let name = entry.file_name();
            if !name.to_string_lossy().starts_with("nix") {
                // The first folder of PATH wins, as it does for a shell.
                symlink(entry.path(), programs.path().join(name)).ok();
            }
        }
    }
    let database = advisory_db();
    let output = workspace.xtask_with(
        &[("PATH", programs.path().to_str().unwrap())],
        &[
            "release",
            TAG,
            "--sign-with",
            &workspace.engineer,
            "--advisory-db",
            database.path().to_str().unwrap(),
        ],
    );
    let talk = talk(&output);
    assert_eq!(output.status.code(), Some(2), "{talk}");
    assert!(talk.contains("apt-get install nix-bin"), "{talk}");
    assert!(talk.contains("--engine namespaces"), "{talk}");
}

#[test]
fn without_a_key_that_signs_the_option_is_named() {
    let workspace = Workspace::new();
    workspace.sign_tag(TAG, &workspace.engineer);
    let output = workspace.xtask(&["release", TAG]);
    assert_eq!(output.status.code(), Some(2), "{}", talk(&output));
    assert!(
        talk(&output).contains("--sign-with FINGERPRINT"),
        "{}",
        talk(&output)
    );
}

#[test]
fn a_key_that_the_keyring_does_not_hold_may_not_sign_the_bundle() {
    let workspace = Workspace::new();
    workspace.sign_tag(TAG, &workspace.engineer);
    let stranger = workspace.gnupg.key("stranger");
    let output = workspace.xtask(&["release", TAG, "--sign-with", &stranger]);
    assert_eq!(output.status.code(), Some(1), "{}", talk(&output));
    assert!(
        talk(&output).contains("is not in the keyring"),
        "{}",
        talk(&output)
    );
}

#[test]
fn a_tag_of_another_version_than_the_packages_is_refused() {
    let workspace = Workspace::new();
    workspace.sign_tag("v2.0.0", &workspace.engineer);
    let output = workspace.xtask(&["release", "v2.0.0", "--sign-with", &workspace.engineer]);
    assert_eq!(output.status.code(), Some(1), "{}", talk(&output));
    let said = talk(&output);
    assert!(
        said.contains("`2.0.0`, and `tiny-tool` is version `1.0.0`"),
        "{said}"
    );
}

#[test]
fn a_shallow_clone_is_sent_for_its_history() {
    let workspace = Workspace::new();
    workspace.commit("A second commit");
    workspace.sign_tag(TAG, &workspace.engineer);
    let origin = format!("file://{}", workspace.path().display());
    workspace.git(&[
        "clone",
        "-q",
        "--depth",
        "1",
        "--branch",
        TAG,
        &origin,
        "target/clone",
    ]);
    let clone = workspace.path().join("target/clone");
    let shallow = std::process::Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["release", TAG])
        .current_dir(clone)
        .output()
        .unwrap();
    let talk = talk(&shallow);
    assert_eq!(shallow.status.code(), Some(2), "{talk}");
    assert!(talk.contains("git fetch --unshallow"), "{talk}");
}

#[test]
fn a_wrong_command_line_is_no_verdict() {
    let workspace = Workspace::new();
    assert_eq!(workspace.xtask(&["release"]).status.code(), Some(2));
    assert_eq!(
        workspace.xtask(&["release", "../v1"]).status.code(),
        Some(2)
    );
}
