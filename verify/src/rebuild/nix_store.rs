//! Puts the pinned trees into this machine's Nix store, and copies between stores.
//!
//! It builds nothing and knows no recipe.

use std::path::{Path, PathBuf};
use std::process::Command;

use sbom::digest::Sha256Digest;

use super::{
    command,
    input_error::InputError,
    inputs::Trees,
    pins::Pins,
    progress::{Progress, Silent},
    store_path,
};

/// Makes every tree valid in this machine's Nix store.
///
/// # Errors
/// An [`InputError`] with what Nix said.
pub fn make_valid(pins: &Pins, trees: &Trees, progress: &dyn Progress) -> Result<(), InputError> {
    for ((name, digest), tree) in pins.trees().into_iter().zip(trees.in_order()) {
        add(name, digest, tree, progress)?;
    }
    progress.done();
    Ok(())
}

/// Whether the store has a path.
pub(super) fn is_valid(path: &Path) -> bool {
    let mut ask = Command::new("nix-store");
    command::run(ask.arg("--check-validity").arg(path), &Silent).is_ok_and(|ended| ended.success)
}

/// Copies paths from or to another store.
pub(super) fn copy(
    where_to: &[&str],
    paths: &[PathBuf],
    progress: &dyn Progress,
) -> Result<(), InputError> {
    let mut nix = Command::new("nix");
    nix.args(["--extra-experimental-features", "nix-command", "copy"])
        .args(where_to)
        .args(paths);
    let ended = command::run(&mut nix, progress).map_err(|e| InputError::fetch("nix copy", e))?;
    if ended.success {
        Ok(())
    } else {
        Err(InputError::fetch("nix copy", ended.log))
    }
}

/// Makes a tree valid at the path where the expressions expect it.
fn add(
    name: &str,
    digest: Sha256Digest,
    tree: &Path,
    progress: &dyn Progress,
) -> Result<(), InputError> {
    let place = store_path::of_tree(name, digest);
    if is_valid(&place) {
        return Ok(());
    }
    progress.step(&format!("adding {name} to the Nix store"));
    let said = |what: String| InputError::fetch(name, format!("nix-store: {what}"));
    let mut add = Command::new("nix-store");
    add.args(["--add-fixed", "--recursive", "sha256"]).arg(tree);
    let ended = command::run(&mut add, progress).map_err(|e| said(e.to_string()))?;
    if !ended.success {
        return Err(said(ended.log));
    }
    let put = Path::new(ended.stdout.trim());
    if put == place {
        Ok(())
    } else {
        let (put, place) = (put.display(), place.display());
        Err(said(format!("it put the tree at {put}, not at {place}")))
    }
}
