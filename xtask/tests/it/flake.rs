//! `nix run` and `nix build` on the flake: what it builds is what a release ships. The flake knows
//! no project either, so a tiny one stands in for this repository.

use std::fs;
use std::process::Command;

use crate::fixture::{TAG, Workspace, advisory_db, answer, of_this_repository, talk};
use crate::peers::said;

/// Nix with the sandbox, without any binary cache, and without build users where there are none.
fn nix(workspace: &Workspace, arguments: &[&str]) -> String {
    let mut command = Command::new("nix");
    command
        .args([
            "--extra-experimental-features",
            "nix-command flakes",
            "--option",
            "sandbox",
            "true",
            "--option",
            "sandbox-fallback",
            "false",
            "--option",
            "substitute",
            "false",
        ])
        .current_dir(workspace.path());
    let groups = fs::read_to_string("/etc/group").unwrap();
    if !groups.lines().any(|line| line.starts_with("nixbld:")) {
        command.args(["--option", "build-users-group", ""]);
    }
    let output = command.args(arguments).output().unwrap();
    said(&output);
    answer(&output)
}

#[test]
fn nix_run_starts_the_binary_that_the_release_ships() {
    let workspace = Workspace::new();
    for file in ["flake.nix", "nix/outputs.nix", "nix/module.nix"] {
        workspace.write(file, &of_this_repository(file));
    }
    workspace.commit("A flake");
    workspace.sign_tag(TAG, &workspace.engineer);
    let database = advisory_db();
    let released = workspace.release(database.path(), &["--engine", "namespaces"]);
    assert_eq!(released.status.code(), Some(0), "{}", talk(&released));

    let ran = nix(&workspace, &["run", ".#tiny-tool"]);
    assert!(ran.starts_with("a tiny tool, built at "), "{ran}");
    nix(&workspace, &["build", "--no-link", ".#tiny-tool"]);
    let path = nix(&workspace, &["eval", "--raw", ".#tiny-tool.outPath"]);
    let shipped = workspace
        .path()
        .join("target/release-out/v1.0.0/tiny-1.0.0-x86_64-linux/bin/tiny");
    let built = fs::read(format!("{}/bin/tiny", path.trim())).unwrap();
    assert!(built == fs::read(shipped).unwrap(), "other bytes");
}
