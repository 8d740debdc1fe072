//! Reads git repositories and git bundles without git: refs, objects, trees.
//!
//! Nothing in a repository is obeyed: no hooks, filters, replacement refs or attributes, and no
//! object is handed out before its bytes were hashed again.

pub mod bundle;
pub mod checkout;
pub mod error;
pub mod object;
pub mod repository;

pub use error::GitError;
pub use gix::ObjectId;
pub use object::{Commit, FileKind, Object, ObjectKind, TreeFile};
pub use repository::Repository;
