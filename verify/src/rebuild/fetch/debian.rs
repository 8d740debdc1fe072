//! The Debian root: `.deb` files, checked one by one, unpacked over each other.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    os::unix::fs::PermissionsExt as _,
    path::{Component, Path, PathBuf},
    process::Command,
};

use sbom::digest::Sha256Digest;

use super::http;
use crate::rebuild::{
    command,
    input_error::InputError,
    pins::{DebianPackage, DebianRoot},
    progress::Progress,
    tree::set_mode,
};

/// Folders of `usr/share` that no build reads.
const LEFT_OUT: [&str; 8] = [
    "doc", "man", "locale", "info", "lintian", "bug", "gdb", "gcc",
];

/// Fills `target` with what the packages hold under `/usr`, merged: `/bin`, `/lib`, `/lib64` and
/// `/sbin` of a package belong to it too.
///
/// # Errors
/// Any [`InputError`], naming the package.
pub fn unpacked_root(
    root: &DebianRoot,
    cache: &Path,
    target: &Path,
    progress: &dyn Progress,
) -> Result<(), InputError> {
    let debs = cache.join("debs");
    fs::create_dir_all(&debs).map_err(InputError::io(&debs))?;
    let mut missing = Vec::new();
    for package in &root.packages {
        if checked(&debs, package)?.is_none() {
            missing.push(package);
        }
    }
    if !missing.is_empty() {
        progress.step(&format!("fetching {} Debian packages", missing.len()));
        let apt = by_apt(&missing, &debs, progress);
        for package in missing {
            if checked(&debs, package)?.is_none() {
                by_address(root, package, &debs, apt.as_deref(), progress)?;
            }
        }
    }
    progress.step("unpacking the Debian root");
    for package in &root.packages {
        let bytes = checked(&debs, package)?
            .ok_or_else(|| InputError::fetch(&package.name, "it vanished from the cache"))?;
        unpack(&bytes, target).map_err(|e| InputError::fetch(&package.name, e))?;
    }
    Ok(())
}

/// The bytes of a package that the cache has; a file that is not the pinned one is removed.
fn checked(debs: &Path, package: &DebianPackage) -> Result<Option<Vec<u8>>, InputError> {
    let path = deb_path(debs, package);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(InputError::io(&path)(e)),
    };
    if fits(package, &bytes) {
        return Ok(Some(bytes));
    }
    fs::remove_file(&path).map_err(InputError::io(&path))?;
    Ok(None)
}

fn fits(package: &DebianPackage, bytes: &[u8]) -> bool {
    bytes.len() as u64 == package.size_bytes && Sha256Digest::of(bytes) == package.sha256
}

fn deb_path(debs: &Path, package: &DebianPackage) -> PathBuf {
    debs.join(format!("{}.deb", package.sha256))
}

/// `apt-get download`: returns what went wrong, if anything; what came is in the cache.
fn by_apt(wanted: &[&DebianPackage], debs: &Path, progress: &dyn Progress) -> Option<String> {
    let work = match tempfile::tempdir_in(debs) {
        Ok(work) => work,
        Err(e) => return Some(e.to_string()),
    };
    // apt drops to its own user, which must be able to write here.
    if let Err(e) = set_mode(work.path(), 0o777) {
        return Some(e.to_string());
    }
    let mut apt = Command::new("apt-get");
    apt.args(["download", "-qq"]).current_dir(work.path());
    for package in wanted {
        apt.arg(format!("{}={}", package.name, package.version));
    }
    let ended = match command::run(&mut apt, progress) {
        Ok(ended) => ended,
        Err(e) => return Some(format!("apt-get: {e}")),
    };
    let wanted: BTreeMap<_, _> = wanted.iter().map(|p| (p.sha256, *p)).collect();
    for entry in fs::read_dir(work.path()).into_iter().flatten().flatten() {
        let Ok(bytes) = fs::read(entry.path()) else {
            continue;
        };
        if let Some(package) = wanted.get(&Sha256Digest::of(&bytes))
            && let Err(e) = fs::rename(entry.path(), deb_path(debs, package))
        {
            return Some(e.to_string());
        }
    }
    (!ended.success).then_some(format!("apt-get: {}", ended.log))
}

fn by_address(
    root: &DebianRoot,
    package: &DebianPackage,
    debs: &Path,
    apt: Option<&str>,
    progress: &dyn Progress,
) -> Result<(), InputError> {
    progress.detail(&package.name);
    let bytes = http::get(&root.url_of(package), package.size_bytes).map_err(|web| {
        let apt = apt.unwrap_or("apt-get has another version");
        InputError::fetch(&package.name, format!("{apt}; snapshot.debian.org: {web}"))
    })?;
    if !fits(package, &bytes) {
        return Err(InputError::Differs {
            name: package.name.clone(),
            pinned: package.sha256,
            found: Sha256Digest::of(&bytes),
        });
    }
    let path = deb_path(debs, package);
    fs::write(&path, bytes).map_err(InputError::io(&path))
}

/// Unpacks the data member of a `.deb` (deb(5)): an `ar` archive that holds a compressed `tar`.
fn unpack(deb: &[u8], target: &Path) -> io::Result<()> {
    let mut archive = ar::Archive::new(deb);
    while let Some(entry) = archive.next_entry() {
        let entry = entry?;
        let name = String::from_utf8_lossy(entry.header().identifier()).into_owned();
        match name.as_str() {
            "data.tar.xz" => return untar(liblzma::read::XzDecoder::new(entry), target),
            "data.tar.zst" => return untar(zstd::Decoder::new(entry)?, target),
            "data.tar" => return untar(entry, target),
            _ => {}
        }
    }
    Err(io::Error::other(
        "it holds no data archive that is known (xz, zstd or plain)",
    ))
}

fn untar(reader: impl Read, target: &Path) -> io::Result<()> {
    let mut archive = tar::Archive::new(reader);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let Some(inner) = place_of(&entry.path()?)? else {
            continue;
        };
        let path = target.join(&inner);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        match entry.header().entry_type() {
            tar::EntryType::Directory => fs::create_dir_all(&path)?,
            tar::EntryType::Regular | tar::EntryType::Continuous => {
                write_file(&mut entry, &path)?;
            }
            tar::EntryType::Symlink => {
                let to = entry
                    .link_name()?
                    .ok_or_else(|| io::Error::other("a link to nowhere"))?;
                remove_if_there(&path)?;
                std::os::unix::fs::symlink(to, &path)?;
            }
            tar::EntryType::Link => {
                let to = entry
                    .link_name()?
                    .ok_or_else(|| io::Error::other("a link to nowhere"))?;
                let Some(from) = place_of(&to)? else { continue };
                remove_if_there(&path)?;
                fs::hard_link(target.join(from), &path)?;
            }
            other => return Err(io::Error::other(format!("an entry of type {other:?}"))),
        }
    }
    Ok(())
}

/// Where a path of a package goes in the root; `None` for what no build reads.
fn place_of(path: &Path) -> io::Result<Option<PathBuf>> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => parts.push(part.to_os_string()),
            Component::CurDir => {}
            _ => return Err(io::Error::other(format!("the path `{}`", path.display()))),
        }
    }
    let names: Vec<&str> = parts.iter().filter_map(|p| p.to_str()).collect();
    let inner = match names.as_slice() {
        ["usr", rest @ ..] => rest,
        ["bin" | "lib" | "lib64" | "sbin", ..] => names.as_slice(),
        _ => return Ok(None),
    };
    Ok(match inner {
        [] => None,
        ["share", folder, ..] if LEFT_OUT.contains(folder) => None,
        _ => Some(inner.iter().collect()),
    })
}

fn write_file(entry: &mut tar::Entry<'_, impl Read>, path: &Path) -> io::Result<()> {
    remove_if_there(path)?;
    let mode = entry.header().mode()?;
    let mut file = fs::File::create_new(path)?;
    io::copy(entry, &mut file)?;
    // No set-uid program in the root; only the executable bit is kept.
    let mode = if mode & 0o100 == 0 { 0o644 } else { 0o755 };
    file.set_permissions(fs::Permissions::from_mode(mode))
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_merged_under_usr_and_cannot_leave_it() {
        let place = |p: &str| place_of(Path::new(p)).map(|o| o.map(|p| p.display().to_string()));
        assert_eq!(
            place("./bin/busybox").unwrap().as_deref(),
            Some("bin/busybox")
        );
        assert_eq!(
            place("./usr/lib/gcc/x").unwrap().as_deref(),
            Some("lib/gcc/x")
        );
        assert_eq!(place("./etc/passwd").unwrap(), None);
        assert_eq!(place("./usr/share/doc/x").unwrap(), None);
        assert!(place("./usr/../../etc/passwd").is_err());
    }
}
