//! The unpacked inputs on this machine: found in the cache or the Nix store, else fetched; never
//! used unless the NAR hash is the pinned one.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sbom::digest::Sha256Digest;

use super::{
    fetch,
    input_error::InputError,
    nar,
    pins::{self, Pins, RustToolchain},
    progress::Progress,
    store_path, tree,
};

/// The four trees, all checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trees {
    /// The Debian root; its content is seen as `/usr`.
    pub root: PathBuf,
    /// The Rust toolchain.
    pub rust: PathBuf,
    /// `cargo-auditable/` and its `vendor/`.
    pub auditable: PathBuf,
    /// One folder a crate, `NAME` or `NAME-VERSION`.
    pub crates: PathBuf,
}

impl Trees {
    /// In the order of [`Pins::trees`].
    #[must_use]
    pub fn in_order(&self) -> [&PathBuf; 4] {
        [&self.root, &self.rust, &self.auditable, &self.crates]
    }
}

/// Finds or fetches all four trees.
///
/// `source` is the source tree whose Cargo.lock names the crates; `cache` keeps what is fetched.
///
/// # Errors
/// The first [`InputError`]; what was fetched before stays in the cache.
pub fn ensure(
    pins: &Pins,
    source: &Path,
    cache: &Path,
    progress: &dyn Progress,
) -> Result<Trees, InputError> {
    let _lock = lock(cache)?;
    let find = |name, digest| find(cache, name, digest, progress);
    let root = match find(pins::ROOT, pins.root.nar_sha256)? {
        Some(path) => path,
        None => install(cache, pins::ROOT, pins.root.nar_sha256, |to| {
            fetch::debian::unpacked_root(&pins.root, cache, to, progress)
        })?,
    };
    let rust = rust(&pins.rust, cache, progress)?;
    let auditable = match find(pins::AUDITABLE, pins.cargo_auditable.nar_sha256)? {
        Some(path) => path,
        None => install(
            cache,
            pins::AUDITABLE,
            pins.cargo_auditable.nar_sha256,
            |to| fetch::crates::cargo_auditable(&pins.cargo_auditable, &rust, to, progress),
        )?,
    };
    let crates = match find(pins::CRATES, pins.crates.nar_sha256)? {
        Some(path) => path,
        None => install(cache, pins::CRATES, pins.crates.nar_sha256, |to| {
            fetch::crates::vendored(source, &rust, to, progress)
        })?,
    };
    progress.done();
    Ok(Trees {
        root,
        rust,
        auditable,
        crates,
    })
}

/// The toolchain. It has two origins; a local one that differs must not hide the permanent one.
pub(super) fn rust(
    pin: &RustToolchain,
    cache: &Path,
    progress: &dyn Progress,
) -> Result<PathBuf, InputError> {
    let digest = pin.nar_sha256;
    if let Some(path) = find(cache, pins::RUST, digest, progress)? {
        return Ok(path);
    }
    let local = install(cache, pins::RUST, digest, |to| {
        fetch::rust::from_rustup(pin, to, progress)
    });
    let Err(why) = local else { return local };
    install(cache, pins::RUST, digest, |to| {
        fetch::rust::from_archives(pin, cache, to, progress)
    })
    .map_err(|e| match e {
        InputError::Fetch { name, why: remote } => InputError::Fetch {
            name,
            why: format!(
                "from rustup on this machine: {}; from its address: {remote}",
                chain(&why)
            ),
        },
        other => other,
    })
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

/// A tree that is on this machine already and is the pinned one.
fn find(
    cache: &Path,
    name: &'static str,
    digest: Sha256Digest,
    progress: &dyn Progress,
) -> Result<Option<PathBuf>, InputError> {
    for path in [
        cached(cache, name, digest),
        store_path::of_tree(name, digest),
    ] {
        if !path.exists() {
            continue;
        }
        progress.step(&format!("checking {name}"));
        if nar::digest(&path).map_err(InputError::io(&path))? == digest {
            return Ok(Some(path));
        }
        // A damaged tree of ours is thrown away; a damaged store is Nix's to repair.
        if path.starts_with(cache) {
            tree::remove(&path).map_err(InputError::io(&path))?;
        }
    }
    Ok(None)
}

/// Where the cache keeps a tree: the folder is named by the digest, the tree as in the Nix store.
#[must_use]
pub fn cached(cache: &Path, name: &str, digest: Sha256Digest) -> PathBuf {
    cache.join("inputs").join(digest.to_string()).join(name)
}

/// Lets `make` fill an empty folder, makes it uniform, checks its digest, and moves it into place.
pub(super) fn install(
    cache: &Path,
    name: &'static str,
    digest: Sha256Digest,
    make: impl FnOnce(&Path) -> Result<(), InputError>,
) -> Result<PathBuf, InputError> {
    let (folder, found) = unpacked(cache, name, make)?;
    if found != digest {
        return Err(InputError::Differs {
            name: name.into(),
            pinned: digest,
            found,
        });
    }
    place(cache, name, digest, &folder)
}

/// Fills a new folder in the cache with `make`; returns it and the NAR hash of what is in it.
pub(super) fn unpacked(
    cache: &Path,
    name: &str,
    make: impl FnOnce(&Path) -> Result<(), InputError>,
) -> Result<(tempfile::TempDir, Sha256Digest), InputError> {
    let work = cache.join("work");
    fs::create_dir_all(&work).map_err(InputError::io(&work))?;
    let folder = tempfile::tempdir_in(&work).map_err(InputError::io(&work))?;
    let made = folder.path().join(name);
    fs::create_dir(&made).map_err(InputError::io(&made))?;
    make(&made)?;
    tree::normalise(&made).map_err(InputError::io(&made))?;
    let digest = nar::digest(&made).map_err(InputError::io(&made))?;
    Ok((folder, digest))
}

/// Moves a tree made by [`unpacked`] to its place in the cache.
pub(super) fn place(
    cache: &Path,
    name: &str,
    digest: Sha256Digest,
    folder: &tempfile::TempDir,
) -> Result<PathBuf, InputError> {
    let path = cached(cache, name, digest);
    let parent = path.parent().unwrap_or(cache);
    fs::create_dir_all(parent).map_err(InputError::io(parent))?;
    if path.exists() {
        return Ok(path);
    }
    fs::rename(folder.path().join(name), &path).map_err(InputError::io(&path))?;
    Ok(path)
}

/// One process at a time changes the inputs in the cache.
pub(super) fn lock(cache: &Path) -> Result<fs::File, InputError> {
    lock_file(cache, "lock")
}

/// Waits until no other process holds the lock of this name in the cache; dropping it lets go.
pub(super) fn lock_file(cache: &Path, name: &str) -> Result<fs::File, InputError> {
    fs::create_dir_all(cache).map_err(InputError::io(cache))?;
    let path = cache.join(name);
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(InputError::io(&path))?;
    file.lock().map_err(InputError::io(&path))?;
    Ok(file)
}
