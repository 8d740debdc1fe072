//! Programs of the Python world, in a venv with pinned versions under `target/pytools`.
//!
//! Where no Python or no package index is to be had, a test says that it was skipped, and why.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What is installed, exactly.
const PINNED: [&str; 6] = [
    "ai-memory-mcp==0.10.0",
    "mcp==2.3.0",
    "sqlcipher3-wheels==0.5.7",
    "apsw-sqlite3mc==3.54.0.0",
    "schemathesis==4.32.5",
    "standardwebhooks==1.1.0",
];

/// What the federation's tests use.
const FOR_FEDERATION: [&str; 3] = ["cryptography==46.0.7", "pynacl==1.6.2", "sslyze==6.3.1"];

/// The venv's `bin` folder; `None` (and a line on stdout) where it cannot be made.
pub(crate) fn bin() -> Option<&'static Path> {
    static BIN: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    told(BIN.get_or_init(|| make("node", &PINNED)))
}

/// The same for the programs that look at the federation and at exports.
pub(crate) fn federation() -> Option<&'static Path> {
    static BIN: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    told(BIN.get_or_init(|| make("federation", &FOR_FEDERATION)))
}

fn told(bin: &'static Result<PathBuf, String>) -> Option<&'static Path> {
    match bin {
        Ok(bin) => Some(bin),
        Err(why) => {
            println!("skipped: the Python tools cannot be had: {why}");
            None
        }
    }
}

fn make(name: &str, pinned: &[&str]) -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .join("target/pytools");
    let venv = root.join(name);
    let stamp = venv.join("pinned.txt");
    let wanted = pinned.join("\n");
    if std::fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) {
        return Ok(venv.join("bin"));
    }
    std::fs::create_dir_all(&root).map_err(|e| e.to_string())?;
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&venv))?;
    run(Command::new(venv.join("bin/pip"))
        .args(["install", "--quiet", "--disable-pip-version-check"])
        .args(pinned))?;
    std::fs::write(&stamp, wanted).map_err(|e| e.to_string())?;
    Ok(venv.join("bin"))
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr)
        .lines()
        .last()
        .unwrap_or("it failed")
        .to_owned())
}

/// Runs a script with these variables; panics with all that it said when it fails.
pub(crate) fn script(bin: &Path, source: &str, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(bin.join("python"));
    command
        .args(["-c", source])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", "/nonexistent");
    for (name, value) in variables {
        command.env(name, value);
    }
    let output = command.output().unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{said}");
    said
}
