//! The advisories gate: a database that cannot answer, or answers with a vulnerability, releases
//! nothing, and nothing is built.

use std::fs;
use std::process::Output;

use crate::fixture::{TAG, Workspace, advisory_db, talk};

/// A workspace with a signed tag whose Cargo.lock names the crate of the one advisory.
fn with_a_vulnerable_crate(ignore: &str) -> Workspace {
    let workspace = Workspace::new();
    let lock = fs::read_to_string(workspace.path().join("Cargo.lock")).unwrap();
    let package = format!(
        "\n[[package]]\nname = \"nobody-uses-this\"\nversion = \"1.2.3\"\n\
         source = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"{}\"\n",
        "0".repeat(64)
    );
    let lock = lock.replacen("\n[[package]]", &format!("{package}\n[[package]]"), 1);
    workspace.write("Cargo.lock", &lock);
    let plan = fs::read_to_string(workspace.path().join("release.toml")).unwrap();
    workspace.write("release.toml", &format!("{plan}{ignore}"));
    workspace.pin();
    workspace.commit("A dependency");
    workspace.sign_tag(TAG, &workspace.engineer);
    workspace
}

fn nothing_was_built(workspace: &Workspace, output: &Output) {
    let out = workspace.path().join("target/release-out").join(TAG);
    assert!(!out.join("build-first").exists(), "{}", talk(output));
}

#[test]
fn a_known_vulnerability_stops_the_release_by_its_name() {
    let workspace = with_a_vulnerable_crate("");
    let database = advisory_db();
    let output = workspace.release(database.path(), &[]);
    assert_eq!(output.status.code(), Some(1), "{}", talk(&output));
    assert!(
        talk(&output).contains("RUSTSEC-2026-0001"),
        "{}",
        talk(&output)
    );
    assert!(
        talk(&output).contains("nobody-uses-this 1.2.3"),
        "{}",
        talk(&output)
    );
    nothing_was_built(&workspace, &output);
}

#[test]
fn an_ignore_that_has_expired_stops_the_release() {
    let workspace = with_a_vulnerable_crate(
        "\n[[gate.ignore]]\nid = \"RUSTSEC-2026-0001\"\nreason = \"not reachable\"\n\
         expires = \"2026-08-02\"\ndecided_by = \"the engineer\"\n",
    );
    let database = advisory_db();
    let output = workspace.release(database.path(), &[]);
    assert_eq!(output.status.code(), Some(1), "{}", talk(&output));
    assert!(
        talk(&output).contains("the ignore for it has expired"),
        "{}",
        talk(&output)
    );
    nothing_was_built(&workspace, &output);
}

#[test]
fn an_empty_a_truncated_and_a_stale_database_release_nothing() {
    let workspace = Workspace::new();
    let plan = fs::read_to_string(workspace.path().join("release.toml")).unwrap();
    let strict = plan.replace("advisory_max_age_days = 3650", "advisory_max_age_days = 7");
    assert_ne!(strict, plan);
    workspace.write("release.toml", &strict);
    workspace.commit("The default age");
    workspace.sign_tag(TAG, &workspace.engineer);

    let stale = advisory_db();
    let output = workspace.release(stale.path(), &[]);
    assert_eq!(output.status.code(), Some(1), "{}", talk(&output));
    assert!(
        talk(&output).contains("days old; 7 are accepted"),
        "{}",
        talk(&output)
    );

    let truncated = advisory_db();
    let advisory = truncated
        .path()
        .join("crates/nobody-uses-this/RUSTSEC-2026-0001.md");
    let text = fs::read_to_string(&advisory).unwrap();
    fs::write(&advisory, &text[..text.len() / 2]).unwrap();
    let output = workspace.release(truncated.path(), &[]);
    assert_eq!(output.status.code(), Some(2), "{}", talk(&output));
    assert!(
        talk(&output).contains("RUSTSEC-2026-0001.md"),
        "{}",
        talk(&output)
    );

    let empty = tempfile::tempdir().unwrap();
    let output = workspace.release(empty.path(), &[]);
    assert_eq!(output.status.code(), Some(2), "{}", talk(&output));
    nothing_was_built(&workspace, &output);
}

#[test]
fn a_database_with_too_few_advisories_releases_nothing() {
    let workspace = Workspace::new();
    let plan = fs::read_to_string(workspace.path().join("release.toml")).unwrap();
    workspace.write(
        "release.toml",
        &plan.replace("min_count = 1\n", "min_count = 2\n"),
    );
    workspace.commit("More advisories");
    workspace.sign_tag(TAG, &workspace.engineer);
    let database = advisory_db();
    let output = workspace.release(database.path(), &[]);
    assert_eq!(output.status.code(), Some(1), "{}", talk(&output));
    assert!(
        talk(&output).contains("has 1 advisories, fewer than 2"),
        "{}",
        talk(&output)
    );
}
