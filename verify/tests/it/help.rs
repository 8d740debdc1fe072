//! The help is true: every command has an example, and each example runs and does what it says.

use std::process::Command;

use crate::fixture::release::{LOCK, write_db};
use crate::fixture::{Release, SIGNED, run, text, verify_without_network};

fn verify(release: &Release) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_verify"));
    command.current_dir(release.gnupg.home()).env_clear();
    command
}

/// The examples of a command's help, and of its own commands'.
fn examples(release: &Release, command: &[&str]) -> Vec<String> {
    let output = verify(release)
        .args(command)
        .arg("--help")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{command:?}");
    // A long example is wrapped; it ends with its paragraph.
    text(&output)
        .split("\n\n")
        .filter_map(|paragraph| paragraph.trim().strip_prefix("Example: "))
        .map(|example| example.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn every_example_in_the_help_runs() {
    let release = Release::good();
    let home = release.gnupg.home();
    let keys = release.gnupg.export(&[&release.key]);
    for name in ["maintainers.asc", "all.asc"] {
        std::fs::write(home.join(name), &keys).unwrap();
    }
    // What the examples are about, under the names that they use.
    let name = "hallmark-0.1.0-x86_64-linux";
    std::os::unix::fs::symlink(release.root(), home.join(name)).unwrap();
    std::os::unix::fs::symlink(release.at("bin"), home.join("bin")).unwrap();
    std::os::unix::fs::symlink(release.at("sbom"), home.join("sbom")).unwrap();
    std::fs::copy(release.at("bin/tool"), release.at("bin/memory-node")).unwrap();
    std::fs::copy(
        release.at("sbom/tool.cdx.json"),
        release.at("sbom/memory-node.cdx.json"),
    )
    .unwrap();
    std::fs::copy(release.at("bin/tool"), home.join("rebuilt")).unwrap();
    for list in ["SHA256SUMS", "SHA256SUMS.asc"] {
        std::fs::copy(release.at(list), home.join(list)).unwrap();
    }
    run(Command::new("git").arg("init").arg("--quiet").arg(home));
    run(Command::new("git")
        .arg("-C")
        .arg(home)
        .args(["fetch", "--quiet"])
        .arg(release.repo.path())
        .arg("refs/tags/v0.1.0:refs/tags/v0.1.0"));
    std::fs::write(home.join("Cargo.lock"), LOCK).unwrap();
    std::fs::write(home.join("policy.toml"), "version = 1\n").unwrap();
    std::fs::create_dir(home.join("man")).unwrap();
    write_db(&home.join("advisory-db"), 510, "2026-05-30");
    let mut secret = release.gnupg.command(SIGNED);
    secret.args(["--armor", "--export-secret-keys", release.key.as_str()]);
    std::fs::write(home.join("rebuilder.asc"), run(&mut secret).stdout).unwrap();
    for statement in ["a.jsonl", "b.jsonl"] {
        std::fs::copy(release.at("provenance.intoto.jsonl"), home.join(statement)).unwrap();
    }

    let commands = [
        &["release"][..],
        &["tag"],
        &["signature"],
        &["sbom"],
        &["advisories"],
        &["diff"],
        &["rebuild"],
        &["attest"],
        &["quorum"],
        &["policy", "check"],
        &["completions"],
        &["man"],
    ];
    let listed = text(&verify(&release).arg("--help").output().unwrap());
    for command in commands {
        assert!(
            listed.contains(&format!("\n  {}", command[0])),
            "{command:?}: {listed}"
        );
        let examples = examples(&release, command);
        assert!(!examples.is_empty(), "{command:?} has no example");
        for example in examples {
            let mut words = example.split(' ');
            assert_eq!(words.next(), Some("verify"), "{example}");
            let Some(mut program) = verify_without_network() else {
                return;
            };
            let output = program
                .current_dir(home)
                .env_clear()
                .env("HALLMARK_CACHE", home.join("cache"))
                .args(words)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(
                !said.contains("Usage:") && !said.contains("cannot be read"),
                "{example}: {said}"
            );
            // The fixture is no release of real bytes, so some answers are no pass; a command
            // line that is wrong, or a file that is not there, would have been said above.
            let code = output.status.code();
            assert!(matches!(code, Some(0..=2)), "{example}: {code:?} {said}");
            let builds = ["rebuild", "attest"].contains(&command[0]);
            let holds = [
                "tag",
                "signature",
                "sbom",
                "diff",
                "policy",
                "completions",
                "man",
            ];
            if holds.contains(&command[0]) {
                assert_eq!(code, Some(0), "{example}: {}{said}", text(&output));
            } else if builds {
                assert_eq!(code, Some(2), "{example}: there is nothing to build with");
            }
        }
    }
}
