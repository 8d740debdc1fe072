//! Programs of the Node.js world, with pinned versions under `target/npmtools`.
//!
//! Where no Node.js or no package registry is to be had, a test says that it was skipped, and why.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What is installed, exactly, its own dependencies included.
const PINNED: [&str; 3] = [
    "standardwebhooks@1.1.1",
    "@stablelib/base64@1.0.1",
    "fast-sha256@1.3.0",
];

/// The folder whose `node_modules` holds the packages; `None` (and a line on stdout) where it
/// cannot be made.
fn folder() -> Option<&'static Path> {
    static FOLDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match FOLDER.get_or_init(make) {
        Ok(folder) => Some(folder),
        Err(why) => {
            println!("skipped: the Node.js packages cannot be had: {why}");
            None
        }
    }
}

fn make() -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .join("target/npmtools/node");
    let stamp = root.join("pinned.txt");
    let wanted = PINNED.join("\n");
    if std::fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) {
        return Ok(root);
    }
    std::fs::create_dir_all(&root).map_err(|e| e.to_string())?;
    std::fs::write(root.join("package.json"), "{\"private\": true}\n")
        .map_err(|e| e.to_string())?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund"])
        .args(["--save-exact", "--loglevel", "error"])
        .args(PINNED)
        .current_dir(&root);
    let output = npm.output().map_err(|e| format!("{npm:?}: {e}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(said.lines().last().unwrap_or("it failed").to_owned());
    }
    std::fs::write(&stamp, wanted).map_err(|e| e.to_string())?;
    Ok(root)
}

/// Runs a module with the packages at hand; `false`: it was skipped. Panics with all that it said
/// when it fails.
pub(crate) fn module(source: &str, variables: &[(&str, &str)]) -> bool {
    let Some(folder) = folder() else { return false };
    plain_module(folder, source, variables);
    true
}

/// Runs a module with nothing but Node.js itself; `false`: there is none.
pub(crate) fn bare_module(source: &str, variables: &[(&str, &str)]) -> bool {
    if let Err(error) = Command::new("node").arg("--version").output() {
        println!("skipped in part: no Node.js: {error}");
        return false;
    }
    plain_module(Path::new("/"), source, variables);
    true
}

fn plain_module(folder: &Path, source: &str, variables: &[(&str, &str)]) {
    let output = Command::new("node")
        .args(["--input-type=module", "-e", source])
        .current_dir(folder)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{said}");
}
