//! `verify advisories` and the real `cargo audit` say the same of real lock files and one database.
//!
//! `cargo xtask peers cargo-audit` puts the pinned version below `target/peers`; where it is not
//! there yet, it is installed now. Without a registry the test says that it was skipped, and why.
//! `HALLMARK_EVERY_LOCK_FILE=1` compares every lock file at hand, not only a part of them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::fixture::test_data;

const PINNED: &str = "cargo-audit@0.22.2";

/// The fewest lock files that make a comparison.
const FEWEST: usize = 50;

/// The database is of a day that has passed; here only the findings count.
const PATIENT: &str = "version = 1\n[advisories]\nmax_age_days = 36500\n";

/// All kinds of advisories, and nothing that needs a registry.
const CONFIG: &str = "[yanked]\nenabled = false\n[advisories]\n\
                      informational_warnings = [\"unmaintained\", \"unsound\", \"notice\"]\n";

/// Identifier, package, version, and whether it is a vulnerability.
type Row = (String, String, String, bool);

fn installed() -> Result<PathBuf, String> {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers");
    fs::create_dir_all(&peers).map_err(|error| error.to_string())?;
    let lock = File::create(peers.join("cargo-audit.lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    let folder = peers.join("cargo-audit");
    let program = folder.join("bin/cargo-audit");
    let stamp = folder.join("installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == PINNED) {
        return Ok(program);
    }
    let output = Command::new("cargo")
        .args(["install", "--quiet", "--locked", PINNED, "--root"])
        .arg(&folder)
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    fs::write(&stamp, PINNED).map_err(|error| error.to_string())?;
    Ok(program)
}

/// The lock files in the sources that cargo has at hand, sorted.
fn lock_files() -> Vec<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let folders = |path: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(path).into_iter().flatten();
        entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect()
    };
    let mut found: Vec<PathBuf> = home
        .iter()
        .flat_map(|home| folders(&home.join("registry/src")))
        .flat_map(|registry| folders(&registry))
        .map(|sources| sources.join("Cargo.lock"))
        .filter(|lock| lock.is_file())
        .collect();
    found.sort();
    found
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn by_cargo_audit(document: &Value) -> BTreeSet<Row> {
    let row = |entry: &Value, vulnerable: bool| {
        (
            text(&entry["advisory"]["id"]),
            text(&entry["package"]["name"]),
            text(&entry["package"]["version"]),
            vulnerable,
        )
    };
    let vulnerable = document["vulnerabilities"]["list"].as_array().unwrap();
    let warned = document["warnings"].as_object().unwrap();
    vulnerable
        .iter()
        .map(|entry| row(entry, true))
        .chain(
            warned
                .values()
                .flat_map(|kind| kind.as_array().unwrap())
                .map(|entry| row(entry, false)),
        )
        .collect()
}

fn by_us(document: &Value) -> BTreeSet<Row> {
    let findings = document["details"]["findings"].as_array().unwrap();
    findings
        .iter()
        .filter(|judged| judged["decision"] != "withdrawn")
        .map(|judged| {
            let finding = &judged["finding"];
            (
                text(&finding["id"]),
                text(&finding["package"]),
                text(&finding["version"]),
                finding["kind"] == "vulnerability",
            )
        })
        .collect()
}

/// What the program printed as JSON, its exit code, and how long it took.
fn asked(command: &mut Command) -> (Option<Value>, Option<i32>, Duration) {
    let start = Instant::now();
    let output = command.output().unwrap();
    let took = start.elapsed();
    let document = serde_json::from_slice(&output.stdout).ok();
    (document, output.status.code(), took)
}

#[test]
fn findings_and_exit_codes_are_those_of_cargo_audit_on_real_lock_files() {
    let Some(database) = test_data("advisory-db") else {
        return;
    };
    let mut files = lock_files();
    if files.len() < FEWEST {
        println!("skipped: cargo has only {} lock files at hand", files.len());
        return;
    }
    let cargo_audit = match installed() {
        Ok(program) => program,
        Err(why) => {
            println!("skipped: {PINNED} cannot be had: {why}");
            return;
        }
    };
    if std::env::var_os("HALLMARK_EVERY_LOCK_FILE").is_none() {
        let step = files.len() / (FEWEST + 10);
        files = files.into_iter().step_by(step.max(1)).collect();
    }
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(".cargo")).unwrap();
    fs::write(folder.path().join(".cargo/audit.toml"), CONFIG).unwrap();
    let policy = folder.path().join("policy.toml");
    fs::write(&policy, PATIENT).unwrap();
    let (mut compared, mut findings, mut vulnerable) = (0, 0, 0);
    let (mut their_time, mut our_time) = (Duration::ZERO, Duration::ZERO);
    let platforms = [
        None,
        Some(("linux", "x86_64", "x86_64-unknown-linux-gnu")),
        Some(("windows", "x86_64", "x86_64-pc-windows-msvc")),
    ];
    for (place, lock) in files.iter().enumerate() {
        let platform = platforms[place % platforms.len()];
        let mut theirs = Command::new(&cargo_audit);
        theirs
            .current_dir(folder.path())
            .args(["audit", "--no-fetch", "--stale", "--json", "--db"])
            .arg(&database)
            .arg("--file")
            .arg(lock);
        let mut ours = Command::new(env!("CARGO_BIN_EXE_verify"));
        ours.arg("advisories")
            .arg(lock)
            .args(["--json", "--db"])
            .arg(&database)
            .arg("--policy")
            .arg(&policy);
        if let Some((os, arch, triple)) = platform {
            theirs.args(["--target-os", os, "--target-arch", arch]);
            ours.args(["--platform", triple]);
        }
        let (expected, their_code, took) = asked(&mut theirs);
        their_time += took;
        let (found, our_code, took) = asked(&mut ours);
        our_time += took;
        let Some(expected) = expected else {
            // A lock file that `cargo audit` cannot read proves nothing about findings.
            continue;
        };
        let shown = lock.display();
        let found = found.unwrap_or_else(|| panic!("{shown}: exit {our_code:?} and no JSON"));
        let rows = by_cargo_audit(&expected);
        assert_eq!(by_us(&found), rows, "{shown} {platform:?}");
        assert_eq!(our_code, their_code, "{shown} {platform:?}");
        compared += 1;
        findings += rows.len();
        vulnerable += rows.iter().filter(|row| row.3).count();
    }
    println!(
        "{compared} lock files: {findings} findings, {vulnerable} of them vulnerabilities; \
         cargo audit {their_time:.1?}, verify {our_time:.1?}"
    );
    assert!(
        compared >= FEWEST,
        "only {compared} lock files were compared"
    );
    assert!(
        vulnerable > 0,
        "without a vulnerability nothing was compared"
    );
}
