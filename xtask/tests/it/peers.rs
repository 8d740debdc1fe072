//! Tools of others, as `cargo xtask peers` installs them; where they cannot be had, a test says that
//! it was skipped, and why.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::fixture::{answer, talk};

/// Set to build the peers that cargo has to compile, for minutes, where they are not there yet.
const COMPILE: &str = "HALLMARK_COMPILE_PEERS";

/// The folder of a peer that is installed in seconds; `None`, and a line that says so, where it
/// cannot be had.
pub(crate) fn installed(name: &str) -> Option<PathBuf> {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["peers", name])
        .output()
        .unwrap();
    match output.status.code() {
        Some(0) => Some(PathBuf::from(answer(&output).trim())),
        Some(2) => {
            skipped(&talk(&output));
            None
        }
        other => panic!("{other:?}: {}", talk(&output)),
    }
}

/// The folder of a peer that has to be compiled: only where it was, or where that was asked for.
pub(crate) fn compiled(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if std::env::var_os(COMPILE).is_some() || root.join("target/peers").join(name).is_dir() {
        return installed(name);
    }
    skipped(&format!(
        "`{name}` is not compiled here; `cargo xtask peers {name}`, or set {COMPILE}"
    ));
    None
}

fn skipped(why: &str) {
    println!("skipped: {}", why.trim());
}

/// Runs a script of `tests/it/ecosystem` with Python's or Node.js' packages and wants it to succeed.
pub(crate) fn script(peer: &str, name: &str, arguments: &[&Path]) -> Option<String> {
    let packages = installed(peer)?;
    let mut command = match peer {
        "python" => Command::new(packages.join("bin/python")),
        _ => Command::new("node"),
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/ecosystem")
        .join(name);
    let output = command
        .arg(script)
        .args(arguments)
        .env("PACKAGES", &packages)
        .output()
        .unwrap();
    Some(said(&output))
}

/// All that a program said; it must have succeeded.
pub(crate) fn said(output: &Output) -> String {
    let said = format!("{}{}", answer(output), talk(output));
    assert!(output.status.success(), "{said}");
    said
}
