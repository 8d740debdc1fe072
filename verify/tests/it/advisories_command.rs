//! `verify advisories`: functions, platforms, withdrawn advisories, kinds, and a VEX that accepts.

use std::path::Path;
use std::process::Command;

use crate::fixture::release::{LOCK, add_advisory, write_db};
use crate::fixture::{Release, run, text};

struct Asked {
    folder: tempfile::TempDir,
}

impl Asked {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("Cargo.lock"), LOCK).unwrap();
        let policy = "version = 1\n[advisories]\nmax_age_days = 36500\n";
        std::fs::write(folder.path().join("policy.toml"), policy).unwrap();
        write_db(&folder.path().join("db"), 510, "2026-05-30");
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Adds an advisory about `leaf`, with these lines in its front matter.
    fn add(&self, id: &str, advisory: &str, more: &str) {
        let text = format!(
            "```toml\n[advisory]\nid = \"{id}\"\npackage = \"leaf\"\ndate = \"2026-05-31\"\n{advisory}\n\
             [versions]\npatched = [\">= 9.0.0\"]\n{more}\n```\n\n# Something is wrong with leaf\n\nIn all versions before 9.0.0.\n"
        );
        add_advisory(
            &self.path().join("db"),
            &format!("crates/leaf/{id}.md"),
            &text,
        );
    }

    fn ask(&self, more: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_verify"))
            .current_dir(self.path())
            .env_clear()
            .args([
                "advisories",
                "Cargo.lock",
                "--db",
                "db",
                "--policy",
                "policy.toml",
            ])
            .args(more)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), format!("{}{errors}", text(&output)))
    }
}

#[test]
fn functions_that_are_affected_in_this_version_are_named() {
    let asked = Asked::new();
    asked.add(
        "RUSTSEC-2026-0900",
        "",
        "[affected.functions]\n\"leaf::parse\" = [\"< 9.0.0\"]\n\"leaf::later\" = [\">= 5.0.0\"]",
    );
    let (code, said) = asked.ask(&[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("in the functions leaf::parse"), "{said}");
    assert!(!said.contains("leaf::later"), "{said}");
}

#[test]
fn advisory_for_another_platform_counts_only_where_no_platform_or_that_one_is_named() {
    let asked = Asked::new();
    asked.add("RUSTSEC-2026-0900", "", "[affected]\nos = [\"windows\"]");
    assert_eq!(asked.ask(&[]).0, Some(1));
    assert_eq!(
        asked.ask(&["--platform", "x86_64-pc-windows-msvc"]).0,
        Some(1)
    );
    let (code, said) = asked.ask(&["--platform", "x86_64-unknown-linux-gnu"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = asked.ask(&["--platform", "x86_64-unknown-amiga"]);
    assert_eq!(code, Some(2), "{said}");
}

#[test]
fn withdrawn_and_informational_advisories_are_told_and_stop_nobody() {
    let asked = Asked::new();
    asked.add("RUSTSEC-2026-0900", "withdrawn = \"2026-06-01\"", "");
    asked.add("RUSTSEC-2026-0901", "informational = \"unmaintained\"", "");
    let (code, said) = asked.ask(&[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("withdrawn: RUSTSEC-2026-0900"), "{said}");
    assert!(said.contains("RUSTSEC-2026-0901 (unmaintained)"), "{said}");
}

#[test]
fn statement_of_a_vex_accepts_while_it_runs_and_only_with_reason_expiry_and_decider() {
    let asked = Asked::new();
    asked.add("RUSTSEC-2026-0900", "", "");
    let vex = |properties: &str| {
        let document = format!(
            r#"{{"bomFormat":"CycloneDX","specVersion":"1.6","vulnerabilities":[{{"id":"RUSTSEC-2026-0900",
            "analysis":{{"state":"not_affected","justification":"code_not_reachable","detail":"never called"}},
            "properties":[{properties}]}}]}}"#
        );
        std::fs::write(asked.path().join("vex.json"), document).unwrap();
        asked.ask(&["--vex", "vex.json"])
    };
    let by = r#"{"name":"vex:decided-by","value":"zoe"}"#;
    let until = |day: &str| format!(r#"{{"name":"vex:expires","value":"{day}"}}"#);
    let (code, said) = vex(&format!("{by},{}", until("2999-12-31")));
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("! RUSTSEC-2026-0900 ") && said.contains("accepted until 2999-12-31 by zoe"),
        "{said}"
    );
    let (code, said) = vex(&format!("{by},{}", until("2026-01-01")));
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("the decision to accept it has expired"),
        "{said}"
    );
    assert_eq!(vex(by).0, Some(1), "without an end it accepts nothing");
    assert_eq!(vex(&until("2999-12-31")).0, Some(1), "nobody has decided");
    std::fs::write(asked.path().join("vex.json"), "{}").unwrap();
    assert_eq!(asked.ask(&["--vex", "vex.json"]).0, Some(2));
}

#[test]
fn of_a_bundle_it_is_said_whether_an_advisory_was_known_at_release_or_since() {
    let release = Release::with_an_accepted_advisory();
    let asked = Asked::new();
    asked.add("RUSTSEC-2026-0900", "", "");
    asked.add("RUSTSEC-2026-0901", "", "");
    let root = release.root();
    let packed = asked.path().join("bundle.tar.zst");
    let mut tar = Command::new("tar");
    tar.arg("-C")
        .arg(root.parent().unwrap())
        .arg("-cf")
        .arg(asked.path().join("bundle.tar"))
        .arg(root.file_name().unwrap());
    run(&mut tar);
    let bytes = std::fs::read(asked.path().join("bundle.tar")).unwrap();
    std::fs::write(&packed, zstd::encode_all(&bytes[..], 1).unwrap()).unwrap();
    for bundle in [root, packed] {
        let output = Command::new(env!("CARGO_BIN_EXE_verify"))
            .current_dir(asked.path())
            .env_clear()
            .arg("advisories")
            .arg(&bundle)
            .args(["--db", "db", "--policy", "policy.toml"])
            .output()
            .unwrap();
        let said = text(&output);
        // The bundle's own decision is not taken here: nothing of it was verified.
        assert_eq!(output.status.code(), Some(1), "{said}");
        let line = |id: &str, words: &str| {
            said.lines()
                .any(|line| line.contains(id) && line.contains(words))
        };
        assert!(line("RUSTSEC-2026-0900", "known at release"), "{said}");
        assert!(
            line("RUSTSEC-2026-0901", "became known after the release"),
            "{said}"
        );
    }
}
