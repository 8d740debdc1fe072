//! The three stages of the recipe: what each reads, and the key under which its result is kept.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sbom::digest::Sha256Digest;

use super::nar;

/// A stage of `build.sh`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// cargo-auditable from its source.
    Auditable,
    /// The dependencies, from the manifests alone.
    Deps,
    /// The plan's binaries, from the whole source.
    Binaries,
}

/// Time that all stages but the last are told; `build.nix` says the same.
pub(super) const FIXED_EPOCH: i64 = 315_532_800;

impl Stage {
    /// Its name, as `build.sh` takes it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Auditable => "auditable",
            Self::Deps => "deps",
            Self::Binaries => "binaries",
        }
    }
}

/// Names that decide the dependencies; `build.nix` filters by the same ones.
fn is_manifest(name: &str) -> bool {
    matches!(
        name,
        "Cargo.toml" | "Cargo.lock" | "config.toml" | "rust-toolchain.toml"
    )
}

/// Copies folders and manifests of a source tree, and nothing else, to `target`.
pub(super) fn copy_manifests(source: &Path, target: &Path) -> io::Result<()> {
    fs::create_dir_all(target)?;
    for entry in fs::read_dir(source)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let to = target.join(name.as_ref());
        if entry.file_type()?.is_dir() {
            if name != ".git" && name != "target" {
                copy_manifests(&entry.path(), &to)?;
            }
        } else if is_manifest(&name) {
            fs::copy(entry.path(), &to)?;
        }
    }
    Ok(())
}

/// Digest over everything that a stage's result depends on: trees by NAR hash, texts as they are.
pub(super) fn key(stage: Stage, trees: &[&PathBuf], texts: &[&str]) -> io::Result<Sha256Digest> {
    let mut hasher = Sha256Digest::hasher();
    hasher.update(stage.name().as_bytes());
    for tree in trees {
        hasher.update(nar::digest(tree)?.as_bytes());
    }
    for text in texts {
        // Lengths keep `a`,`bc` and `ab`,`c` apart.
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    Ok(hasher.finish())
}
