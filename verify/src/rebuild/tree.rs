//! Folders of files made uniform, as a Nix store has them, and removed again.

use std::{fs, io, os::unix::fs::PermissionsExt as _, path::Path};

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
pub(super) fn remove(path: &Path) -> io::Result<()> {
    for entry in walkdir::WalkDir::new(path) {
        let entry = entry.map_err(io::Error::other)?;
        if entry.file_type().is_dir() {
            set_mode(entry.path(), 0o755)?;
        }
    }
    fs::remove_dir_all(path)
}
