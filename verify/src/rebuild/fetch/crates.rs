//! The crates: cargo itself is the client, in the pinned version. The checksums in the lock file
//! and the NAR hash over the tree decide whether what came is right.

use std::{fs, io, path::Path, process::Command};

use sbom::digest::Sha256Digest;

use crate::rebuild::{command, input_error::InputError, pins::CargoAuditable, progress::Progress};

/// Fills `target` with the tree that `cargo vendor --locked` makes of the source's Cargo.lock.
///
/// # Errors
/// [`InputError::Fetch`] with what cargo said.
pub fn vendored(
    source: &Path,
    rust: &Path,
    target: &Path,
    progress: &dyn Progress,
) -> Result<(), InputError> {
    progress.step("fetching the crates of Cargo.lock");
    vendor("crates", &source.join("Cargo.toml"), rust, target, progress)
}

/// Fills `target` with `cargo-auditable/`, the crate as published, and `vendor/`, what its own
/// lock file names.
///
/// # Errors
/// Any [`InputError`].
pub fn cargo_auditable(
    pin: &CargoAuditable,
    rust: &Path,
    target: &Path,
    progress: &dyn Progress,
) -> Result<(), InputError> {
    progress.step(&format!("fetching cargo-auditable {}", pin.version));
    let found = cargo_auditable_crate(&pin.version, rust, target, progress)?;
    if found != pin.sha256 {
        let name = "cargo-auditable".to_owned();
        return Err(InputError::Differs {
            name,
            pinned: pin.sha256,
            found,
        });
    }
    Ok(())
}

/// As [`cargo_auditable`], with the digest of the `.crate` file returned instead of checked.
pub(super) fn cargo_auditable_crate(
    version: &str,
    rust: &Path,
    target: &Path,
    progress: &dyn Progress,
) -> Result<Sha256Digest, InputError> {
    let name = "cargo-auditable";
    let failed = |e: io::Error| InputError::fetch(name, e);
    // An empty package whose only dependency is the crate makes cargo fetch it by name.
    let work = tempfile::tempdir().map_err(failed)?;
    fs::create_dir(work.path().join("src")).map_err(failed)?;
    fs::write(work.path().join("src/lib.rs"), "").map_err(failed)?;
    let manifest = work.path().join("Cargo.toml");
    let text = format!(
        "[package]\nname = \"fetch\"\nedition = \"2021\"\n[workspace]\n[dependencies]\n{name} = \"={version}\"\n"
    );
    fs::write(&manifest, text).map_err(failed)?;
    cargo(
        name,
        rust,
        &["generate-lockfile"],
        &manifest,
        None,
        progress,
    )?;
    let outer = work.path().join("vendor");
    vendor(name, &manifest, rust, &outer, progress)?;

    let fetched = outer.join(format!("{name}-{version}"));
    let source = target.join(name);
    // The folders may lie on two file systems.
    fs::rename(&fetched, &source)
        .or_else(|_| copy_tree(&fetched, &source))
        .map_err(failed)?;
    let checksum = source.join(".cargo-checksum.json");
    let json: serde_json::Value = serde_json::from_slice(&fs::read(&checksum).map_err(failed)?)
        .map_err(|e| InputError::fetch(name, e))?;
    let digest = json["package"].as_str().and_then(|text| text.parse().ok());
    let digest = digest.ok_or_else(|| InputError::fetch(name, "cargo wrote no checksum"))?;
    vendor(
        name,
        &source.join("Cargo.toml"),
        rust,
        &target.join("vendor"),
        progress,
    )?;
    Ok(digest)
}

fn vendor(
    name: &str,
    manifest: &Path,
    rust: &Path,
    target: &Path,
    progress: &dyn Progress,
) -> Result<(), InputError> {
    cargo(
        name,
        rust,
        &["vendor", "--locked", "--versioned-dirs"],
        manifest,
        Some(target),
        progress,
    )?;
    // Without dependencies cargo makes no folder.
    fs::create_dir_all(target).map_err(InputError::io(target))
}

fn cargo(
    name: &str,
    rust: &Path,
    arguments: &[&str],
    manifest: &Path,
    target: Option<&Path>,
    progress: &dyn Progress,
) -> Result<(), InputError> {
    let mut cargo = Command::new(rust.join("bin/cargo"));
    cargo
        .args(arguments)
        .arg("--manifest-path")
        .arg(manifest)
        .args(target);
    // rustup's and cargo's own variables would choose another toolchain or target folder.
    for variable in [
        "CARGO",
        "RUSTUP_TOOLCHAIN",
        "CARGO_TARGET_DIR",
        "RUSTFLAGS",
        "RUSTC_WRAPPER",
    ] {
        cargo.env_remove(variable);
    }
    cargo.env("RUSTC", rust.join("bin/rustc"));
    if let Some(folder) = manifest.parent() {
        cargo.current_dir(folder);
    }
    let ended = command::run(&mut cargo, progress).map_err(|e| InputError::fetch(name, e))?;
    if ended.success {
        Ok(())
    } else {
        Err(InputError::fetch(name, ended.log))
    }
}

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.map_err(io::Error::other)?;
        let inner = entry.path().strip_prefix(from).map_err(io::Error::other)?;
        let place = to.join(inner);
        if entry.file_type().is_dir() {
            fs::create_dir_all(&place)?;
        } else {
            fs::copy(entry.path(), &place)?;
        }
    }
    Ok(())
}
