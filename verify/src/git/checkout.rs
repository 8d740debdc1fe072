//! Writes a commit's files into a folder, the same bytes and times on every machine.
//!
//! No attribute, filter or line-ending rule is applied: a blob's bytes are the file's bytes.
//! Modes are 0644 and 0755, every time is second 1, and nothing is written outside the folder.

use std::fs::{self, File, FileTimes, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::object::FileKind;
use super::{GitError, ObjectId, Repository};

/// Seconds since 1970 that every file and folder gets as its time.
pub const MTIME_S: u64 = 1;

impl Repository {
    /// Checks out a commit into `folder`, which must be empty or not yet there.
    ///
    /// # Errors
    /// When the folder holds something, when a path or a symbolic link would lead out of it,
    /// and when the commit has a submodule.
    pub fn check_out(&self, commit: ObjectId, folder: &Path) -> Result<(), GitError> {
        let files = self.files(commit)?;
        let io = |path: &Path, source| GitError::Io {
            path: path.to_owned(),
            source,
        };
        fs::create_dir_all(folder).map_err(|error| io(folder, error))?;
        if fs::read_dir(folder)
            .map_err(|error| io(folder, error))?
            .next()
            .is_some()
        {
            return Err(GitError::NotEmpty(folder.to_owned()));
        }
        let mut folders = std::collections::BTreeSet::from([folder.to_owned()]);
        for file in &files {
            let path = folder.join(&file.path);
            self.make_parents(folder, &path, &mut folders)?;
            match file.kind {
                FileKind::Plain | FileKind::Executable => {
                    let mode = if file.kind == FileKind::Executable {
                        0o755
                    } else {
                        0o644
                    };
                    write(&path, &self.blob(file.id)?, mode).map_err(|error| io(&path, error))?;
                }
                FileKind::Symlink => {
                    let target = link_target(&file.path, self.blob(file.id)?)?;
                    symlink(&target, &path).map_err(|error| io(&path, error))?;
                    set_link_time(&path).map_err(|error| io(&path, error))?;
                }
                FileKind::Submodule => return Err(GitError::Submodule(file.path.clone())),
            }
        }
        // Folders last, the deepest first: writing into a folder changes its time.
        for made in folders.iter().rev() {
            settle(made).map_err(|error| io(made, error))?;
        }
        Ok(())
    }

    fn make_parents(
        &self,
        root: &Path,
        path: &Path,
        made: &mut std::collections::BTreeSet<PathBuf>,
    ) -> Result<(), GitError> {
        let mut missing: Vec<&Path> = path
            .ancestors()
            .skip(1)
            .take_while(|above| *above != root && !made.contains(*above))
            .collect();
        while let Some(folder) = missing.pop() {
            // `create_dir` fails on anything that is there, so no link is ever walked through.
            fs::create_dir(folder).map_err(|source| GitError::Io {
                path: folder.to_owned(),
                source,
            })?;
            made.insert(folder.to_owned());
        }
        Ok(())
    }
}

fn times() -> FileTimes {
    let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(MTIME_S);
    FileTimes::new().set_accessed(moment).set_modified(moment)
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(bytes)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.set_times(times())
}

fn settle(folder: &Path) -> std::io::Result<()> {
    let open = File::open(folder)?;
    open.set_permissions(Permissions::from_mode(0o755))?;
    open.set_times(times())
}

fn set_link_time(path: &Path) -> std::io::Result<()> {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
    let moment = Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: moment,
        last_modification: moment,
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).map_err(std::io::Error::from)
}

/// A link may point anywhere inside the tree, and nowhere else.
fn link_target(path: &str, blob: Vec<u8>) -> Result<String, GitError> {
    let refused = |target: &str| GitError::UnsafePath(format!("{path} -> {target}"));
    let target = String::from_utf8(blob).map_err(|_| refused("a name that is not text"))?;
    let mut depth = path.split('/').count() - 1;
    // `..` only in front: after a name, which may itself be a link, it could lead anywhere.
    let mut climbing = true;
    let inside = !target.is_empty()
        && !target.starts_with('/')
        && !target.contains('\0')
        && target.split('/').all(|part| match part {
            "" | "." => true,
            ".." if depth == 0 || !climbing => false,
            ".." => {
                depth -= 1;
                true
            }
            _ => {
                climbing = false;
                true
            }
        });
    if inside {
        Ok(target)
    } else {
        Err(refused(&target))
    }
}

#[cfg(test)]
mod tests {
    use super::link_target;

    #[test]
    fn a_link_may_not_lead_out_of_the_tree() {
        for good in ["b", "../b", "./../x/y"] {
            assert!(link_target("a/link", good.into()).is_ok(), "{good}");
        }
        for bad in ["", "/etc/passwd", "../../etc", "b/../../../x", "x/../y"] {
            assert!(link_target("a/link", bad.into()).is_err(), "{bad}");
        }
    }
}
