//! What `verify rebuild` and `verify attest` answer after a real build, as text for programs: the form
//! that the schemas in `docs/` promise, the exit code, and a statement that a quorum reads.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::fixture::verify_folder;
use crate::second_workspace::{Released, sum_and_sign_again};

fn validator(name: &str) -> jsonschema::Validator {
    let schema = |name: &str| -> Value {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        serde_json::from_slice(&fs::read(docs.join(name)).unwrap()).unwrap()
    };
    let report = schema("verify-report.schema.json");
    let id = report["$id"].as_str().unwrap().to_owned();
    let registry = jsonschema::Registry::new().add(id, report).unwrap();
    jsonschema::options()
        .should_validate_formats(true)
        .with_registry(&registry.prepare().unwrap())
        .build(&schema(name))
        .unwrap()
}

/// An auditor beside a release: the certificates that he trusts, and a rebuilder's own key.
struct Auditor {
    released: Released,
    folder: tempfile::TempDir,
}

impl Auditor {
    fn new() -> Self {
        let (released, folder) = (Released::new(), tempfile::tempdir().unwrap());
        let gnupg = &released.workspace.gnupg;
        let engineer = released.workspace.engineer.as_str();
        let rebuilder = gnupg.key("rebuilder");
        let secret = gnupg.gpg(&["--armor", "--export-secret-keys", &rebuilder]);
        fs::write(folder.path().join("rebuilder.key"), secret).unwrap();
        let keyring = gnupg.export(&[engineer, &rebuilder]);
        fs::write(folder.path().join("keys.asc"), keyring).unwrap();
        Self { released, folder }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Exit code, answer, talk.
    fn asked(&self, command: &str, more: &[&str]) -> (Option<i32>, Option<Value>, String) {
        let output = Command::new(verify_folder().join("verify"))
            .current_dir(self.folder.path())
            .arg(command)
            .arg(&self.released.bundle)
            .args(more)
            .args(["--keyring", "keys.asc", "--json"])
            .output()
            .unwrap();
        let talk = String::from_utf8_lossy(&output.stderr).into_owned();
        let answer = serde_json::from_slice(&output.stdout).ok();
        (output.status.code(), answer, talk)
    }

    /// The answer, held against its schema, with the exit code that belongs to its verdict.
    fn answered(&self, schema: &str, command: &str, more: &[&str]) -> Value {
        let (code, answer, talk) = self.asked(command, more);
        let answer = answer.unwrap_or_else(|| panic!("{command}: no JSON: {talk}"));
        let complaints: Vec<String> = validator(schema)
            .iter_errors(&answer)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert_eq!(complaints, [""; 0], "{answer}");
        let wanted = match answer["verdict"].as_str() {
            Some("pass") => 0,
            Some("fail") => 1,
            _ => 2,
        };
        assert_eq!(code, Some(wanted), "{answer}");
        answer
    }
}

const REPORT: &str = "verify-report.schema.json";
const ANSWER: &str = "verify-answer.schema.json";
const ENGINE: [&str; 2] = ["--engine", "namespaces"];

#[test]
fn answers_of_rebuild_and_attest_have_the_form_of_their_schemas_pass_and_fail() {
    let auditor = Auditor::new();
    let attest = |out: &str| {
        let more = [&ENGINE[..], &["--key", "rebuilder.key", "--out", out]].concat();
        auditor.answered(ANSWER, "attest", &more)
    };
    assert_eq!(
        auditor.answered(REPORT, "rebuild", &ENGINE)["verdict"],
        "pass"
    );
    assert_eq!(attest("good.jsonl")["verdict"], "pass");
    let quorum = |statement: &str| {
        auditor.answered(ANSWER, "quorum", &[statement, "--threshold", "1"])["verdict"].clone()
    };
    assert_eq!(quorum("good.jsonl"), "pass");

    let binary = auditor.released.bundle.join("bin/tiny");
    let mut bytes = fs::read(&binary).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(&binary, bytes).unwrap();
    sum_and_sign_again(&auditor.released);
    let report = auditor.answered(REPORT, "rebuild", &ENGINE);
    assert_eq!(report["verdict"], "fail");
    let tables = &report["findings"][1]["evidence"]["tables"];
    assert!(
        tables.to_string().contains("\"differences\""),
        "the differences stand in a table: {report}"
    );
    // What this machine got is stated all the same: a conflict that nobody states is never found.
    assert_eq!(attest("conflict.jsonl")["verdict"], "fail");
    assert_eq!(quorum("conflict.jsonl"), "fail");

    // Nothing was looked at, so nothing is signed and there is no answer.
    fs::create_dir(auditor.at("empty")).unwrap();
    let more = ["--key", "keys.asc", "--out", "none.jsonl"];
    let (code, answer, talk) = auditor.asked("attest", &more);
    assert_eq!((code, answer), (Some(2), None), "{talk}");
    assert!(!auditor.at("none.jsonl").exists());
}
