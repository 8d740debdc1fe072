//! Why something could not be read from git, and the limits of what is read.

use std::path::PathBuf;

use super::ObjectId;
use super::object::ObjectKind;

/// The largest object that is read, in bytes: hostile packs claim terabytes.
pub(super) const MAX_OBJECT_BYTES: u64 = 512 << 20;

/// The most files in one tree.
pub(super) const MAX_FILES: usize = 500_000;

/// The deepest nesting of folders.
pub(super) const MAX_DEPTH: usize = 200;

/// Why something could not be read from git.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    /// There is no repository here.
    #[error("`{path}` is not a git repository: {why}")]
    NotARepository {
        /// Where.
        path: PathBuf,
        /// What was missing.
        why: String,
    },
    /// The file is no git bundle that can be read.
    #[error("`{path}` is not a git bundle that can be read: {why}")]
    NotABundle {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file could not be read or written.
    #[error("`{path}` cannot be used")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A ref could not be read.
    #[error("the ref `{name}` cannot be read: {why}")]
    Ref {
        /// Its name.
        name: String,
        /// Why.
        why: String,
    },
    /// An object is missing or cannot be unpacked.
    #[error("the object `{id}` cannot be read: {why}")]
    Missing {
        /// Its id.
        id: ObjectId,
        /// Why.
        why: String,
    },
    /// An object is too large to be read.
    #[error(
        "the object `{id}` is {size_bytes} bytes long, more than {MAX_OBJECT_BYTES} are not read"
    )]
    TooLarge {
        /// Its id.
        id: ObjectId,
        /// Its size.
        size_bytes: u64,
    },
    /// An object's bytes do not hash to its id.
    #[error("the bytes stored for the object `{0}` are another object")]
    WrongHash(ObjectId),
    /// An object is not of the expected kind, or malformed.
    #[error("the object `{id}` is not a well-formed {expected}")]
    Malformed {
        /// Its id.
        id: ObjectId,
        /// What it should be.
        expected: ObjectKind,
    },
    /// A name in a tree would lead out of the folder or confuse its reader.
    #[error("the tree holds the unsafe path `{0}`")]
    UnsafePath(String),
    /// The tree names a commit of another repository.
    #[error("the tree holds the submodule `{0}`, whose files are not here")]
    Submodule(String),
    /// The tree is too deep or has too many files.
    #[error("the tree is deeper than {MAX_DEPTH} folders or has more than {MAX_FILES} files")]
    TooManyFiles,
    /// The folder to check out to is not empty.
    #[error("`{0}` exists and is not an empty folder")]
    NotEmpty(PathBuf),
}
