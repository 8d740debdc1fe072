//! What `--json` prints has the form that the schemas in `docs/` promise, whatever the answer.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::fixture::release::{LOCK, add_advisory, advisory_text, write_db};
use crate::fixture::{Release, SIGNED, verify_without_network};

fn schema(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn validator(name: &str) -> jsonschema::Validator {
    let report = schema("verify-report.schema.json");
    let id = report["$id"].as_str().unwrap().to_owned();
    let registry = jsonschema::Registry::new()
        .add(id, report)
        .unwrap()
        .prepare()
        .unwrap();
    jsonschema::options()
        .should_validate_formats(true)
        .with_registry(&registry)
        .build(&schema(name))
        .unwrap()
}

fn asked(release: &Release, args: &[&str]) -> Value {
    // None of these commands needs a network, so they have none where it can be taken away.
    let mut command =
        verify_without_network().unwrap_or_else(|| Command::new(env!("CARGO_BIN_EXE_verify")));
    let output = command
        .current_dir(release.gnupg.home())
        .env_clear()
        .args(args)
        .arg("--json")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let answer: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{args:?}: {error}: {said}"));
    let code = match answer["verdict"].as_str().unwrap() {
        "pass" => 0,
        "fail" => 1,
        _ => 2,
    };
    assert_eq!(output.status.code(), Some(code), "{args:?}: {answer}");
    answer
}

fn holds(validator: &jsonschema::Validator, answer: &Value) {
    let complaints: Vec<String> = validator
        .iter_errors(answer)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert_eq!(complaints, [""; 0], "{answer}");
}

/// A release, and beside it the files that the commands below are asked about.
fn prepared() -> Release {
    let release = Release::good();
    let home = release.gnupg.home();
    let bob = release.gnupg.key("bob");
    let keys = release.gnupg.export(&[&release.key, &bob]);
    std::fs::write(home.join("keys.asc"), keys).unwrap();
    let policy = "version = 1\n[advisories]\nmax_age_days = 36500\n";
    std::fs::write(home.join("policy.toml"), policy).unwrap();
    std::fs::write(home.join("Cargo.lock"), LOCK).unwrap();
    std::fs::write(home.join("file"), b"content").unwrap();
    let signature = release.gnupg.sign(&release.key, SIGNED, b"content");
    std::fs::write(home.join("file.asc"), signature).unwrap();
    std::os::unix::fs::symlink(release.root(), home.join("bundle")).unwrap();
    std::os::unix::fs::symlink(release.repo.path(), home.join("repository")).unwrap();
    write_db(&home.join("db"), 510, "2026-05-30");
    let provenance = verify::attest::provenance::Provenance {
        builder: verify::attest::provenance::Builder::workstation(bob.as_str()),
        byproducts: std::collections::BTreeMap::new(),
        ..release.provenance()
    };
    let digest = sbom::digest::Sha256Digest::of(&release.read("bin/tool"));
    let subjects = std::collections::BTreeMap::from([(String::from("bin/tool"), digest)]);
    let line = release.statement_line(&provenance, subjects, &bob);
    std::fs::write(home.join("bob.jsonl"), line).unwrap();
    let mut other = release.read("bin/tool");
    let place = other.len() / 2;
    other[place] ^= 1;
    std::fs::write(home.join("other"), other).unwrap();
    release
}

#[test]
fn reports_that_pass_fail_and_are_undecided_have_the_form_of_their_schema() {
    let release = prepared();
    let report = validator("verify-report.schema.json");
    let base = [
        "release",
        "bundle",
        "--keyring",
        "keys.asc",
        "--policy",
        "policy.toml",
    ];
    let whole = [&base[..], &["--advisory-db", "db"]].concat();
    let verdict = |args: &[&str]| {
        let answer = asked(&release, args);
        holds(&report, &answer);
        answer["verdict"].as_str().unwrap().to_owned()
    };
    assert_eq!(verdict(&whole), "pass");
    assert_eq!(verdict(&base), "no-verdict");
    add_advisory(
        &release.gnupg.home().join("db"),
        "crates/leaf/RUSTSEC-2026-0900.md",
        &advisory_text("RUSTSEC-2026-0900", "leaf", "2026-05-31"),
    );
    assert_eq!(verdict(&whole), "fail");
    let answer = asked(&release, &whole);
    let tables = answer["findings"][4]["evidence"]["tables"].clone();
    assert_eq!(tables[0]["title"], "advisories", "{answer}");
    assert_eq!(tables[0]["rows"][0][1], "RUSTSEC-2026-0900", "{answer}");
    // Neither inputs nor a network to get them from.
    std::fs::create_dir(release.gnupg.home().join("empty")).unwrap();
    let rebuild = [
        "rebuild",
        "bundle",
        "--keyring",
        "keys.asc",
        "--engine",
        "namespaces",
        "--cache",
        "empty",
    ];
    assert_eq!(verdict(&rebuild), "no-verdict");
    release.write("bin/extra", b"x");
    std::fs::remove_file(release.at("source.bundle")).unwrap();
    assert_eq!(verdict(&whole), "fail");
}

#[test]
fn answers_of_every_single_command_without_a_network_have_the_form_of_their_schema() {
    let release = prepared();
    let answer = validator("verify-answer.schema.json");
    let commands: [(&str, &str); 14] = [
        ("pass", "tag repository v0.1.0 --keyring keys.asc"),
        ("fail", "tag repository v9 --keyring keys.asc"),
        ("no-verdict", "tag repository v0.1.0 --allowed-signers file"),
        ("pass", "signature file file.asc --keyring keys.asc"),
        ("fail", "signature keys.asc file.asc --keyring keys.asc"),
        (
            "pass",
            "sbom bundle/bin/tool bundle/sbom/tool.cdx.json --lock Cargo.lock",
        ),
        ("fail", "sbom other bundle/sbom/tool.cdx.json"),
        ("pass", "advisories Cargo.lock --db db --policy policy.toml"),
        ("pass", "advisories bundle --db db --policy policy.toml"),
        ("pass", "diff other other"),
        ("fail", "diff other bundle/bin/tool"),
        (
            "pass",
            "quorum bundle bob.jsonl --keyring keys.asc --threshold 1",
        ),
        (
            "no-verdict",
            "quorum bundle bob.jsonl --keyring keys.asc --threshold 2",
        ),
        ("pass", "policy check policy.toml --keyring keys.asc"),
    ];
    for (verdict, words) in commands {
        let args: Vec<&str> = words.split(' ').collect();
        let found = asked(&release, &args);
        holds(&answer, &found);
        assert_eq!(found["verdict"], verdict, "{words}: {found}");
    }
    add_advisory(
        &release.gnupg.home().join("db"),
        "crates/leaf/RUSTSEC-2026-0900.md",
        &advisory_text("RUSTSEC-2026-0900", "leaf", "2026-05-31"),
    );
    let words = "advisories Cargo.lock --db db --policy policy.toml";
    let found = asked(&release, &words.split(' ').collect::<Vec<_>>());
    holds(&answer, &found);
    assert_eq!(found["details"]["findings"][0]["decision"], "stops");
}

#[test]
fn schemas_refuse_what_is_no_report() {
    let release = Release::good();
    let report = validator("verify-report.schema.json");
    let good = serde_json::to_value(release.assay()).unwrap();
    holds(&report, &good);
    for (pointer, value) in [
        ("/version", 2.into()),
        ("/verdict", "passed".into()),
        ("/findings/0/outcome", "ok".into()),
        ("/findings/0/check", "unknown".into()),
        ("/commit", "main".into()),
        ("/judged_at", "yesterday".into()),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        assert!(!report.is_valid(&bad), "{pointer}");
    }
}
