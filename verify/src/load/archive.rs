//! Unpacks a bundle that comes as one `.tar.zst` file, into a scratch folder.
//!
//! Only folders and regular files under one top folder are taken; a link, a device, a name that
//! stands twice or leads elsewhere is an error, and so is more than a bundle can hold.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

/// What ends the name of such a file.
pub const SUFFIX: &str = ".tar.zst";

/// The most bytes that are unpacked.
const MAX_UNPACKED_BYTES: u64 = 4 << 30;

/// The most entries.
const MAX_ENTRIES: usize = 10_000;

/// Unpacks the archive; gives the scratch folder and the bundle's folder in it.
pub(super) fn unpack(archive: &Path) -> io::Result<(tempfile::TempDir, PathBuf)> {
    let scratch = tempfile::Builder::new()
        .prefix("verify-bundle-")
        .tempdir()?;
    let unpacked = zstd::Decoder::new(File::open(archive)?)?.take(MAX_UNPACKED_BYTES);
    let mut tar = tar::Archive::new(unpacked);
    let mut top: Option<PathBuf> = None;
    for (count, entry) in tar.entries()?.enumerate() {
        let mut entry = entry?;
        if count >= MAX_ENTRIES {
            return Err(refused("it has more entries than a bundle can have"));
        }
        let path = entry.path()?.into_owned();
        let mut parts = path.components();
        let plain = path
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        let (Some(first), true) = (parts.next(), plain) else {
            return Err(refused(&format!(
                "`{}` is not a plain path",
                path.display()
            )));
        };
        let first: PathBuf = Path::new(&first).to_owned();
        if top.get_or_insert_with(|| first.clone()) != &first {
            return Err(refused("it has more than one top folder"));
        }
        let place = scratch.path().join(&path);
        match entry.header().entry_type() {
            tar::EntryType::Directory => fs::create_dir_all(&place)?,
            tar::EntryType::Regular => {
                if let Some(folder) = place.parent() {
                    fs::create_dir_all(folder)?;
                }
                let mut file = OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .open(&place)?;
                io::copy(&mut entry, &mut file)?;
            }
            _ => {
                return Err(refused(&format!(
                    "`{}` is neither file nor folder",
                    path.display()
                )));
            }
        }
    }
    let top = top.ok_or_else(|| refused("it is empty"))?;
    let root = scratch.path().join(top);
    Ok((scratch, root))
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}
