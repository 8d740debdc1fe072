//! Answers: what do the refs point at, and what are the objects?

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::error::{GitError, MAX_DEPTH, MAX_FILES, MAX_OBJECT_BYTES};
use super::object::{self, Commit, FileKind, Object, ObjectKind, TreeFile};
use super::{ObjectId, bundle};
use crate::trust::tag::{TagName, TagObject, TagRefusal};

enum Refs {
    Stored,
    Bundled(BTreeMap<String, ObjectId>),
}

/// A repository on disk, or one unpacked from a bundle into a scratch folder.
pub struct Repository {
    inner: gix::Repository,
    refs: Refs,
    _scratch: Option<tempfile::TempDir>,
}

impl Repository {
    /// Opens a repository: its work tree, its `.git` folder, or a bare one.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(path: &Path) -> Result<Self, GitError> {
        let inner = open(path)?;
        Ok(Self {
            inner,
            refs: Refs::Stored,
            _scratch: None,
        })
    }

    /// Unpacks a git bundle (v2 or v3) into a scratch folder that is removed with this value.
    /// All its objects are hashed on the way.
    ///
    /// # Errors
    /// When it is no bundle, lacks objects it builds on, or is damaged.
    pub fn from_bundle(path: &Path) -> Result<Self, GitError> {
        let (scratch, refs) = bundle::unpack(path)?;
        let inner = open(scratch.path())?;
        Ok(Self {
            inner,
            refs: Refs::Bundled(refs),
            _scratch: Some(scratch),
        })
    }

    /// The id that a ref points at, unpeeled; `None` if there is no such ref. `name` is a full
    /// name (`refs/…`) or `HEAD`; symbolic refs are followed.
    ///
    /// # Errors
    /// When the ref is there and cannot be read.
    pub fn resolve(&self, name: &str) -> Result<Option<ObjectId>, GitError> {
        let refused = |why: String| GitError::Ref {
            name: name.to_owned(),
            why,
        };
        if let Refs::Bundled(refs) = &self.refs {
            return Ok(refs.get(name).copied());
        }
        let full =
            gix::refs::FullName::try_from(name).map_err(|error| refused(error.to_string()))?;
        let found = self
            .inner
            .try_find_reference(full.as_ref())
            .map_err(|error| refused(error.to_string()))?;
        let Some(mut reference) = found.filter(|reference| reference.name() == full.as_ref())
        else {
            return Ok(None);
        };
        for _ in 0..8 {
            if let Some(id) = reference.try_id() {
                return Ok(Some(id.detach()));
            }
            reference = match reference.follow() {
                Some(Ok(next)) => next,
                Some(Err(_)) | None => return Ok(None),
            };
        }
        Err(refused(String::from("it is a chain of symbolic refs")))
    }

    /// The object that a tag's ref points at, for [`crate::trust::tag::verify_tag`].
    ///
    /// # Errors
    /// [`TagRefusal::NoSuchTag`] inside `Ok`, so that a missing tag is a finding and a damaged
    /// repository is none.
    pub fn tag(&self, name: &TagName) -> Result<Result<TagObject, TagRefusal>, GitError> {
        let Some(id) = self.resolve(&name.full_ref())? else {
            return Ok(Err(TagRefusal::NoSuchTag { name: name.clone() }));
        };
        let object = self.object(id)?;
        Ok(Ok(TagObject {
            name: name.clone(),
            id,
            kind: object.kind,
            bytes: object.bytes,
        }))
    }

    /// The names of all tags, sorted.
    ///
    /// # Errors
    /// When the refs cannot be listed.
    pub fn tags(&self) -> Result<BTreeSet<String>, GitError> {
        const PREFIX: &str = "refs/tags/";
        if let Refs::Bundled(refs) = &self.refs {
            return Ok(refs
                .keys()
                .filter_map(|name| name.strip_prefix(PREFIX))
                .map(str::to_owned)
                .collect());
        }
        let refused = |why: String| GitError::Ref {
            name: String::from(PREFIX),
            why,
        };
        let platform = self
            .inner
            .references()
            .map_err(|error| refused(error.to_string()))?;
        let mut names = BTreeSet::new();
        for reference in platform
            .tags()
            .map_err(|error| refused(error.to_string()))?
        {
            let reference = reference.map_err(|error| refused(error.to_string()))?;
            let full = reference.name().as_bstr().to_string();
            names.extend(full.strip_prefix(PREFIX).map(str::to_owned));
        }
        Ok(names)
    }

    /// Reads an object and hashes it again.
    ///
    /// # Errors
    /// When it is missing, damaged, too large, or another object than its id says.
    pub fn object(&self, id: ObjectId) -> Result<Object, GitError> {
        let missing = |why: String| GitError::Missing { id, why };
        let size_bytes = self
            .inner
            .find_header(id)
            .map_err(|error| missing(error.to_string()))?
            .size();
        if size_bytes > MAX_OBJECT_BYTES {
            return Err(GitError::TooLarge { id, size_bytes });
        }
        let found = self
            .inner
            .find_object(id)
            .map_err(|error| missing(error.to_string()))?
            .detach();
        let hash = gix::objs::compute_hash(id.kind(), found.kind, &found.data)
            .map_err(|error| missing(error.to_string()))?;
        if hash != id {
            return Err(GitError::WrongHash(id));
        }
        Ok(Object {
            id,
            kind: found.kind.into(),
            bytes: found.data,
        })
    }

    /// Reads a commit.
    ///
    /// # Errors
    /// As [`Repository::object`], and when it is no commit.
    pub fn commit(&self, id: ObjectId) -> Result<Commit, GitError> {
        Commit::of(&self.object(id)?)
    }

    /// The files of a commit, sorted by path as git sorts them.
    ///
    /// # Errors
    /// When a tree is missing or malformed, or a path is unsafe.
    pub fn files(&self, commit: ObjectId) -> Result<Vec<TreeFile>, GitError> {
        let mut files = Vec::new();
        self.walk(self.commit(commit)?.tree, "", 0, &mut files)?;
        Ok(files)
    }

    /// The bytes of one plain file of a commit; `None` if there is no such file.
    ///
    /// # Errors
    /// When a tree or the blob cannot be read.
    pub fn read_file(&self, commit: ObjectId, path: &str) -> Result<Option<Vec<u8>>, GitError> {
        let mut tree = self.commit(commit)?.tree;
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            let entries = object::entries(&self.object(tree)?)?;
            let Some((_, kind, id)) = entries.into_iter().find(|(name, _, _)| name == part) else {
                return Ok(None);
            };
            match (kind, parts.peek()) {
                (None, Some(_)) => tree = id,
                (Some(FileKind::Plain | FileKind::Executable), None) => {
                    return Ok(Some(self.blob(id)?));
                }
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    /// The bytes of a blob.
    ///
    /// # Errors
    /// As [`Repository::object`], and when it is no blob.
    pub fn blob(&self, id: ObjectId) -> Result<Vec<u8>, GitError> {
        let object = self.object(id)?;
        if object.kind == ObjectKind::Blob {
            Ok(object.bytes)
        } else {
            Err(GitError::Malformed {
                id,
                expected: ObjectKind::Blob,
            })
        }
    }

    fn walk(
        &self,
        tree: ObjectId,
        prefix: &str,
        depth: usize,
        files: &mut Vec<TreeFile>,
    ) -> Result<(), GitError> {
        if depth > MAX_DEPTH {
            return Err(GitError::TooManyFiles);
        }
        let mut names = BTreeSet::new();
        for (name, kind, id) in object::entries(&self.object(tree)?)? {
            let path = if prefix.is_empty() {
                name
            } else {
                format!("{prefix}/{name}")
            };
            if !names.insert(path.clone()) || files.len() >= MAX_FILES {
                return Err(GitError::UnsafePath(path));
            }
            match kind {
                None => self.walk(id, &path, depth + 1, files)?,
                Some(kind) => files.push(TreeFile { path, kind, id }),
            }
        }
        Ok(())
    }
}

/// Opens with nothing of the machine's or the user's git configuration.
fn open(path: &Path) -> Result<gix::Repository, GitError> {
    let options = gix::open::Options::isolated().config_overrides([
        "core.useReplaceRefs=false".to_owned(),
        format!("gitoxide.objects.allocLimit={MAX_OBJECT_BYTES}"),
    ]);
    gix::open_opts(path, options).map_err(|error| GitError::NotARepository {
        path: path.to_owned(),
        why: error.to_string(),
    })
}
