//! Carrying the inputs to a machine without a network, and back in.
//!
//! A folder of NAR files named by their digest, or a Nix binary cache. Both are checked on import
//! by content; who carried them does not matter.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use super::{
    input_error::InputError,
    inputs::{self, Trees},
    nar, nix_store,
    pins::Pins,
    progress::Progress,
    store_path,
};

/// zstd level of the NAR files: the trees are read rarely and carried on slow media.
const LEVEL: i32 = 12;

/// Writes every tree to `folder` as `<nar-sha256>-<name>.nar.zst`, with `inputs.json`.
///
/// # Errors
/// An [`InputError`] where a file cannot be written.
pub fn export(
    pins: &Pins,
    trees: &Trees,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<(), InputError> {
    fs::create_dir_all(folder).map_err(InputError::io(folder))?;
    for ((name, digest), tree) in pins.trees().into_iter().zip(trees.in_order()) {
        progress.step(&format!("packing {name}"));
        let path = folder.join(file_name(name, digest));
        let partial = folder.join(format!(".{name}.partial"));
        pack(tree, &partial).map_err(InputError::io(&partial))?;
        fs::rename(&partial, &path).map_err(InputError::io(&path))?;
    }
    progress.done();
    let path = folder.join("inputs.json");
    fs::write(&path, pins.to_json()).map_err(InputError::io(&path))
}

fn pack(tree: &Path, to: &Path) -> io::Result<()> {
    let mut encoder = zstd::Encoder::new(fs::File::create(to)?, LEVEL)?;
    nar::write(tree, &mut encoder)?;
    let mut file = encoder.finish()?;
    file.flush()?;
    file.sync_all()
}

/// Takes every tree that the pins name from a folder made by [`export`] or [`export_nix_cache`]
/// into the cache.
///
/// # Errors
/// An [`InputError`] that names the first tree that is missing or not the pinned one.
pub fn import(
    pins: &Pins,
    folder: &Path,
    cache: &Path,
    progress: &dyn Progress,
) -> Result<(), InputError> {
    if folder.join("nix-cache-info").is_file() {
        return import_nix_cache(pins, folder, progress);
    }
    let _lock = inputs::lock(cache)?;
    for (name, digest) in pins.trees() {
        if inputs::cached(cache, name, digest).exists() {
            continue;
        }
        progress.step(&format!("unpacking {name}"));
        let path = folder.join(file_name(name, digest));
        let file = fs::File::open(&path).map_err(InputError::io(&path))?;
        inputs::install(cache, name, digest, |tree| {
            fs::remove_dir(tree).map_err(InputError::io(tree))?;
            zstd::Decoder::new(file)
                .and_then(|mut reader| nar::unpack(&mut reader, tree))
                .map_err(|e| InputError::fetch(name, e))
        })?;
    }
    progress.done();
    Ok(())
}

/// Writes every tree into a Nix binary cache in `folder`. Its paths are content-addressed, so that
/// no signature is needed to use it (`--option extra-substituters file://…`).
///
/// # Errors
/// An [`InputError`] with what Nix said.
pub fn export_nix_cache(
    pins: &Pins,
    trees: &Trees,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<(), InputError> {
    nix_store::make_valid(pins, trees, progress)?;
    fs::create_dir_all(folder).map_err(InputError::io(folder))?;
    let folder = fs::canonicalize(folder).map_err(InputError::io(folder))?;
    progress.step("copying the inputs into a Nix binary cache");
    let paths = pins
        .trees()
        .map(|(name, digest)| store_path::of_tree(name, digest));
    nix_store::copy(
        &["--to", &format!("file://{}", folder.display())],
        &paths,
        progress,
    )?;
    progress.done();
    let path = folder.join("inputs.json");
    fs::write(&path, pins.to_json()).map_err(InputError::io(&path))
}

fn import_nix_cache(pins: &Pins, folder: &Path, progress: &dyn Progress) -> Result<(), InputError> {
    let folder = fs::canonicalize(folder).map_err(InputError::io(folder))?;
    progress.step("copying the inputs out of the Nix binary cache");
    let paths = pins
        .trees()
        .map(|(name, digest)| store_path::of_tree(name, digest));
    nix_store::copy(
        &["--from", &format!("file://{}", folder.display())],
        &paths,
        progress,
    )?;
    for ((name, digest), path) in pins.trees().into_iter().zip(&paths) {
        let found = nar::digest(path).map_err(InputError::io(path))?;
        if found != digest {
            return Err(InputError::Differs {
                name: name.into(),
                pinned: digest,
                found,
            });
        }
    }
    progress.done();
    Ok(())
}

fn file_name(name: &str, digest: sbom::digest::Sha256Digest) -> String {
    format!("{digest}-{name}.nar.zst")
}
