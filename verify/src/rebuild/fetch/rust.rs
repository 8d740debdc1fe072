//! The Rust toolchain: from rustup's copy on this machine, or from the distribution's archives.
//! Both give the same tree, and the NAR hash proves it.

use std::{
    collections::BTreeSet,
    env, fs,
    io::{self, Read},
    os::unix::fs::PermissionsExt as _,
    path::{Component, Path, PathBuf},
};

use sbom::digest::Sha256Digest;

use super::http;
use crate::rebuild::{
    input_error::InputError,
    pins::{RustComponent, RustToolchain},
    progress::Progress,
};

/// No archive of the distribution comes near this.
const ARCHIVE_LIMIT_BYTES: u64 = 1 << 30;

/// Copies the toolchain's files from rustup's folder on this machine.
///
/// # Errors
/// [`InputError::Fetch`] where rustup has no such toolchain.
pub fn from_rustup(
    pin: &RustToolchain,
    target: &Path,
    progress: &dyn Progress,
) -> Result<(), InputError> {
    let folder = rustup_folder(pin)?;
    progress.step("importing the Rust toolchain from rustup");
    for file in component_files(&folder, pin)? {
        let path = target.join(&file);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(InputError::io(parent))?;
        }
        fs::copy(folder.join(&file), &path).map_err(InputError::io(&path))?;
        make_uniform(&file, &path).map_err(InputError::io(&path))?;
    }
    Ok(())
}

/// Where rustup keeps this toolchain on this machine.
///
/// # Errors
/// [`InputError::Fetch`] where it does not.
pub fn rustup_folder(pin: &RustToolchain) -> Result<PathBuf, InputError> {
    let home = env::var_os("RUSTUP_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".rustup")))
        .ok_or_else(|| InputError::fetch("rust", "no home folder to look for rustup in"))?;
    let folder = home
        .join("toolchains")
        .join(format!("{}-{}", pin.version, pin.host));
    if folder.join("bin/cargo").exists() {
        return Ok(folder);
    }
    let why = format!("rustup has no toolchain `{}`", pin.version);
    Err(InputError::fetch("rust", why))
}

/// Relative paths of the components' files that belong to the tree.
fn component_files(folder: &Path, pin: &RustToolchain) -> Result<BTreeSet<PathBuf>, InputError> {
    let mut files = BTreeSet::new();
    for component in &pin.components {
        let path = folder.join(format!(
            "lib/rustlib/manifest-{}-{}",
            component.name, pin.host
        ));
        let text = fs::read_to_string(&path).map_err(InputError::io(&path))?;
        for line in text.lines() {
            // `file:PATH` or `dir:PATH`, as rust-installer writes them.
            match line.split_once(':') {
                Some(("file", path)) if belongs(path) => {
                    files.insert(PathBuf::from(path));
                }
                Some(("dir", dir)) => {
                    let start = folder.join(dir);
                    for entry in walkdir::WalkDir::new(&start) {
                        let entry = entry.map_err(|e| InputError::fetch("rust", e))?;
                        if let Ok(inner) = entry.path().strip_prefix(folder)
                            && entry.file_type().is_file()
                            && belongs(&inner.to_string_lossy())
                        {
                            files.insert(inner.to_owned());
                        }
                    }
                }
                _ => {}
            }
        }
    }
    Ok(files)
}

/// Compiler, cargo and libraries; no documentation, no debugger scripts, no rustdoc.
fn belongs(path: &str) -> bool {
    matches!(path, "bin/cargo" | "bin/rustc")
        || path.starts_with("lib/") && !path.starts_with("lib/rustlib/etc/")
}

/// Archives and rustup do not agree on every mode, so the place decides: programs are what stands
/// in a folder of programs.
fn make_uniform(inner: &Path, path: &Path) -> io::Result<()> {
    let program = inner
        .parent()
        .is_some_and(|p| p.ends_with("bin") || p.ends_with("gcc-ld"));
    fs::set_permissions(
        path,
        fs::Permissions::from_mode(if program { 0o755 } else { 0o644 }),
    )
}

/// Unpacks the archives of the distribution.
///
/// # Errors
/// Any [`InputError`], naming the component.
pub fn from_archives(
    pin: &RustToolchain,
    cache: &Path,
    target: &Path,
    progress: &dyn Progress,
) -> Result<(), InputError> {
    let folder = cache.join("rust");
    fs::create_dir_all(&folder).map_err(InputError::io(&folder))?;
    for component in &pin.components {
        progress.step(&format!("fetching {} {}", component.name, pin.version));
        let bytes = archive(component, &folder)?;
        progress.step(&format!("unpacking {}", component.name));
        untar(liblzma::read::XzDecoder::new(bytes.as_slice()), target)
            .map_err(|e| InputError::fetch(&component.name, e))?;
    }
    Ok(())
}

fn archive(component: &RustComponent, folder: &Path) -> Result<Vec<u8>, InputError> {
    let path = folder.join(format!("{}.tar.xz", component.sha256));
    if let Ok(bytes) = fs::read(&path)
        && Sha256Digest::of(&bytes) == component.sha256
    {
        return Ok(bytes);
    }
    let bytes = http::get(&component.url, ARCHIVE_LIMIT_BYTES)
        .map_err(|e| InputError::fetch(&component.name, e))?;
    let found = Sha256Digest::of(&bytes);
    if found != component.sha256 {
        let name = component.name.clone();
        return Err(InputError::Differs {
            name,
            pinned: component.sha256,
            found,
        });
    }
    fs::write(&path, &bytes).map_err(InputError::io(&path))?;
    Ok(bytes)
}

/// `NAME-VERSION-HOST/COMPONENT/PATH` → `PATH`.
fn untar(reader: impl Read, target: &Path) -> io::Result<()> {
    for entry in tar::Archive::new(reader).entries()? {
        let mut entry = entry?;
        if entry.header().entry_type() != tar::EntryType::Regular {
            continue;
        }
        let path = entry.path()?.into_owned();
        if path
            .components()
            .any(|c| !matches!(c, Component::Normal(_)))
        {
            return Err(io::Error::other(format!("the path `{}`", path.display())));
        }
        let inner: PathBuf = path.components().skip(2).collect();
        if !belongs(&inner.to_string_lossy()) {
            continue;
        }
        let place = target.join(&inner);
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut file = fs::File::create(&place)?;
        io::copy(&mut entry, &mut file)?;
        make_uniform(&inner, &place)?;
    }
    Ok(())
}
