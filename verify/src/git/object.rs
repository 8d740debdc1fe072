//! Answers: what does this git object say? Bytes in, typed views out.

use std::fmt;

use super::{GitError, ObjectId};

/// The four kinds of git objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectKind {
    /// A commit.
    Commit,
    /// A tree: one folder.
    Tree,
    /// A blob: the bytes of one file.
    Blob,
    /// An annotated tag.
    Tag,
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Commit => "commit",
            Self::Tree => "tree",
            Self::Blob => "blob",
            Self::Tag => "tag",
        })
    }
}

impl From<gix::objs::Kind> for ObjectKind {
    fn from(kind: gix::objs::Kind) -> Self {
        match kind {
            gix::objs::Kind::Commit => Self::Commit,
            gix::objs::Kind::Tree => Self::Tree,
            gix::objs::Kind::Blob => Self::Blob,
            gix::objs::Kind::Tag => Self::Tag,
        }
    }
}

/// One object whose bytes hash to its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its id.
    pub id: ObjectId,
    /// Its kind.
    pub kind: ObjectKind,
    /// Its bytes, without the header that git hashes in front of them.
    pub bytes: Vec<u8>,
}

/// What a commit says that matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub id: ObjectId,
    /// The tree of files.
    pub tree: ObjectId,
    /// The commits before it, in order.
    pub parents: Vec<ObjectId>,
    /// The committer's time, in seconds since 1970.
    pub time_s: i64,
}

/// How a file stands in a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// A file that is not executable.
    Plain,
    /// A file that is executable.
    Executable,
    /// A symbolic link; its blob is the target.
    Symlink,
    /// The commit of a submodule, which is not in this repository.
    Submodule,
}

/// One file of a commit's tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeFile {
    /// The path from the root of the tree, parts joined by `/`.
    pub path: String,
    /// How it stands there.
    pub kind: FileKind,
    /// The id of its blob (or the submodule's commit).
    pub id: ObjectId,
}

impl Commit {
    /// Reads a commit object.
    ///
    /// # Errors
    /// When it is no commit, or a malformed one.
    pub(super) fn of(object: &Object) -> Result<Self, GitError> {
        let malformed = || GitError::Malformed {
            id: object.id,
            expected: ObjectKind::Commit,
        };
        if object.kind != ObjectKind::Commit {
            return Err(malformed());
        }
        let commit = gix::objs::CommitRef::from_bytes(&object.bytes, object.id.kind())
            .map_err(|_| malformed())?;
        let committer = commit.committer().map_err(|_| malformed())?;
        Ok(Self {
            id: object.id,
            tree: commit.tree(),
            parents: commit.parents().collect(),
            time_s: committer.seconds(),
        })
    }
}

/// The entries of one tree: name, kind (`None` for a folder), id.
pub(super) type Entry = (String, Option<FileKind>, ObjectId);

/// Reads a tree object; each name is checked to be one plain path component.
pub(super) fn entries(object: &Object) -> Result<Vec<Entry>, GitError> {
    use gix::objs::tree::EntryKind;
    let malformed = || GitError::Malformed {
        id: object.id,
        expected: ObjectKind::Tree,
    };
    if object.kind != ObjectKind::Tree {
        return Err(malformed());
    }
    let tree =
        gix::objs::TreeRef::from_bytes(&object.bytes, object.id.kind()).map_err(|_| malformed())?;
    tree.entries
        .iter()
        .map(|entry| {
            let name = component(entry.filename)?;
            let kind = match entry.mode.kind() {
                EntryKind::Tree => None,
                EntryKind::Blob => Some(FileKind::Plain),
                EntryKind::BlobExecutable => Some(FileKind::Executable),
                EntryKind::Link => Some(FileKind::Symlink),
                EntryKind::Commit => Some(FileKind::Submodule),
            };
            Ok((name, kind, entry.oid.to_owned()))
        })
        .collect()
}

fn component(name: &[u8]) -> Result<String, GitError> {
    let unsafe_name = || GitError::UnsafePath(String::from_utf8_lossy(name).into_owned());
    let text = std::str::from_utf8(name).map_err(|_| unsafe_name())?;
    let forbidden = text.is_empty()
        || text == "."
        || text == ".."
        || text.eq_ignore_ascii_case(".git")
        || text.contains(['/', '\0']);
    if forbidden {
        Err(unsafe_name())
    } else {
        Ok(text.to_owned())
    }
}
