//! The unpacked inputs on this machine: found in the cache or the Nix store, else fetched; never
//! used unless the NAR hash is the pinned one.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use sbom::digest::Sha256Digest;

use super::{
    fetch, nar,
    pins::{self, Pins, RustToolchain},
    progress::Progress,
    store_path,
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

/// Why an input could not be had.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// Every way to get it failed.
    #[error("`{name}` could not be fetched: {why}")]
    Fetch {
        /// Which input or file.
        name: String,
        /// What each way said.
        why: String,
    },
    /// A file or tree is not what was pinned.
    #[error("`{name}` is not the pinned one: expected SHA-256 `{pinned}`, got `{found}`")]
    Differs {
        /// Which input or file.
        name: String,
        /// The pin.
        pinned: Sha256Digest,
        /// What was got.
        found: Sha256Digest,
    },
    /// Reading or writing a file.
    #[error("`{path}` cannot be used")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl InputError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    pub(crate) fn fetch(name: &str, why: impl ToString) -> Self {
        Self::Fetch {
            name: name.to_owned(),
            why: why.to_string(),
        }
    }

    /// The command that helps.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Fetch { .. } => Some(
                "connect to a network, or carry the inputs over with `cargo xtask inputs export DIR` and `cargo xtask inputs import DIR`".into(),
            ),
            Self::Differs { .. } => {
                Some("the source of this input changed it; take it from its permanent address".into())
            }
            Self::Io { .. } => None,
        }
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
            remove_tree(&path).map_err(InputError::io(&path))?;
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
    let tree = folder.path().join(name);
    fs::create_dir(&tree).map_err(InputError::io(&tree))?;
    make(&tree)?;
    normalise(&tree).map_err(InputError::io(&tree))?;
    let digest = nar::digest(&tree).map_err(InputError::io(&tree))?;
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

/// What a Nix store does to a tree: times of 1 s, modes 0444 or 0555 (folders 0755 here, so that
/// the cache can be cleared). cargo compares times, so both engines must see the same ones.
pub(super) fn normalise(path: &Path) -> io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    if meta.is_symlink() {
        return set_time(path);
    }
    if meta.is_dir() {
        for entry in fs::read_dir(path)? {
            normalise(&entry?.path())?;
        }
        set_mode(path, 0o755)?;
    } else {
        let executable = meta.permissions().mode() & 0o100 != 0;
        set_mode(path, if executable { 0o555 } else { 0o444 })?;
    }
    set_time(path)
}

fn set_time(path: &Path) -> io::Result<()> {
    let second = rustix::fs::Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    };
    let times = rustix::fs::Timestamps {
        last_access: second,
        last_modification: second,
    };
    let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, flags)?;
    Ok(())
}

pub(super) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// Removes a tree whose folders may be read-only.
pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    for entry in walkdir::WalkDir::new(path) {
        let entry = entry.map_err(io::Error::other)?;
        if entry.file_type().is_dir() {
            set_mode(entry.path(), 0o755)?;
        }
    }
    fs::remove_dir_all(path)
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
