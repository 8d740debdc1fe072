//! `nix run` and `nix build` on the flake: what it builds is what a release ships. The flake knows
//! no project either, so a tiny one stands in for this repository.

use std::fs;

use crate::fixture::{TAG, Workspace, advisory_db, of_this_repository, talk};

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

    let ran = workspace.nix(&["run", ".#tiny-tool"]);
    assert!(ran.starts_with("a tiny tool, built at "), "{ran}");
    workspace.nix(&["build", "--no-link", ".#tiny-tool"]);
    let path = workspace.nix(&["eval", "--raw", ".#tiny-tool.outPath"]);
    let shipped = workspace
        .path()
        .join("target/release-out/v1.0.0/tiny-1.0.0-x86_64-linux/bin/tiny");
    let built = fs::read(format!("{}/bin/tiny", path.trim())).unwrap();
    assert!(built == fs::read(shipped).unwrap(), "other bytes");
}
