//! A workspace that this repository knows nothing of, released and verified by the same code.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::fixture::{TAG, Workspace, advisory_db, answer, talk};

/// A released workspace.
struct Released {
    workspace: Workspace,
    bundle: PathBuf,
    said: String,
    answered: String,
}

impl Released {
    fn new() -> Self {
        let workspace = Workspace::new();
        workspace.sign_tag(TAG, &workspace.engineer);
        let (said, answered) = release(&workspace);
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
fn release(workspace: &Workspace) -> (String, String) {
    let database = advisory_db();
    let output = workspace.xtask(&[
        "release",
        TAG,
        "--sign-with",
        &workspace.engineer,
        "--advisory-db",
        database.path().to_str().unwrap(),
    ]);
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
        for entry in std::fs::read_dir(&next).unwrap() {
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

    let (said, _) = release(&released.workspace);
    assert!(
        said.contains("the same bytes as in the run before"),
        "{said}"
    );
    assert!(!released.said.contains("run before"), "{}", released.said);
}
