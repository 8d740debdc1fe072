//! Answers: which files does this bundle hold, with which bytes?
//!
//! The one place where the names of a bundle's files stand; who writes a bundle takes them from
//! here. Loading judges nothing: a file that should not be there is evidence, not an error.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sbom::digest::Sha256Digest;

use super::archive;
use crate::manifest::BundlePath;

/// The folder of the released binaries.
pub const BIN_DIR: &str = "bin";
/// The folder of the SBOMs, one a binary.
pub const SBOM_DIR: &str = "sbom";
/// What ends an SBOM's file name, after the binary's name.
pub const SBOM_SUFFIX: &str = ".cdx.json";
/// DSSE envelopes, one statement a line.
pub const PROVENANCE: &str = "provenance.intoto.jsonl";
/// What the release's gate saw of the advisories.
pub const ADVISORIES: &str = "advisories.json";
/// The gate's ignores, as VEX.
pub const VEX: &str = "vex.cdx.json";
/// The pinned inputs of the build.
pub const INPUTS: &str = "inputs.json";
/// The git bundle with the signed tag and its history.
pub const SOURCE: &str = "source.bundle";
/// The list of all other files.
pub const MANIFEST: &str = "SHA256SUMS";
/// The detached signature over the list.
pub const MANIFEST_SIGNATURE: &str = "SHA256SUMS.asc";

/// Files that the manifest cannot list: itself and its signature.
pub const UNLISTED: [&str; 2] = [MANIFEST, MANIFEST_SIGNATURE];

/// Files that every bundle holds, besides binaries and SBOMs.
pub const REQUIRED: [&str; 6] = [PROVENANCE, ADVISORIES, VEX, INPUTS, SOURCE, MANIFEST];

/// The largest document that is read into memory, in bytes.
const MAX_DOCUMENT_BYTES: u64 = 128 << 20;

/// The largest binary, in bytes.
const MAX_BINARY_BYTES: u64 = 1 << 30;

/// The most files in a bundle.
const MAX_FILES: usize = 10_000;

/// The path of a binary in the bundle, such as `bin/memory-node`.
#[must_use]
pub fn binary_path(binary: &str) -> String {
    format!("{BIN_DIR}/{binary}")
}

/// The path of a binary's SBOM in the bundle, such as `sbom/memory-node.cdx.json`.
#[must_use]
pub fn sbom_path(binary: &str) -> String {
    format!("{SBOM_DIR}/{binary}{SBOM_SUFFIX}")
}

/// Why a bundle could not be read at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// It is an archive that cannot be unpacked.
    #[error("`{path}` cannot be unpacked as a bundle")]
    Archive {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no folder.
    #[error("`{0}` is not a folder; pass the folder of one release bundle, or its `.tar.zst`")]
    NotAFolder(PathBuf),
    /// A file could not be read.
    #[error("`{path}` cannot be read")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is larger than what is read.
    #[error("`{path}` is {size_bytes} bytes long, more than {limit_bytes} are not read")]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// Its size.
        size_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// There are more files than any bundle has.
    #[error("there are more than {MAX_FILES} files in it; pass the folder of one release bundle")]
    TooManyFiles,
}

/// One regular file, as it was read.
#[derive(Debug, Clone)]
pub struct LoadedFile {
    /// Its SHA-256.
    pub digest: Sha256Digest,
    /// Its size.
    pub size_bytes: u64,
    /// Its bytes; `None` for the source bundle, which is read from its place.
    pub bytes: Option<Vec<u8>>,
}

/// Everything in the bundle's folder. Nothing of it is believed yet.
#[derive(Debug, Clone)]
pub struct LoadedBundle {
    root: PathBuf,
    files: BTreeMap<BundlePath, LoadedFile>,
    strays: Vec<String>,
    /// Where an archive was unpacked; removed with the last copy of this value.
    scratch: Option<std::sync::Arc<tempfile::TempDir>>,
}

impl LoadedBundle {
    /// Reads a bundle: its folder, or the `.tar.zst` of it.
    ///
    /// # Errors
    /// When it is neither, or something in it cannot be read.
    pub fn read(path: &Path) -> Result<Self, LoadError> {
        if path.is_file()
            && path
                .as_os_str()
                .as_encoded_bytes()
                .ends_with(archive::SUFFIX.as_bytes())
        {
            let unpacked = archive::unpack(path);
            let (scratch, root) = unpacked.map_err(|source| LoadError::Archive {
                path: path.to_owned(),
                source,
            })?;
            let mut bundle = Self::read_folder(&root)?;
            bundle.scratch = Some(std::sync::Arc::new(scratch));
            return Ok(bundle);
        }
        Self::read_folder(path)
    }

    fn read_folder(root: &Path) -> Result<Self, LoadError> {
        if !root.is_dir() {
            return Err(LoadError::NotAFolder(root.to_owned()));
        }
        let mut bundle = Self {
            root: root.to_owned(),
            files: BTreeMap::new(),
            strays: Vec::new(),
            scratch: None,
        };
        let walk = walkdir::WalkDir::new(root)
            .follow_links(false)
            .sort_by_file_name()
            .min_depth(1);
        for (count, entry) in walk.into_iter().enumerate() {
            let entry = entry.map_err(|error| LoadError::Io {
                path: error.path().unwrap_or(root).to_owned(),
                source: error.into(),
            })?;
            if count > MAX_FILES {
                return Err(LoadError::TooManyFiles);
            }
            if entry.file_type().is_dir() {
                continue;
            }
            let relative = entry.path().strip_prefix(root).unwrap_or(entry.path());
            let shown = relative.to_string_lossy().into_owned();
            match shown.parse::<BundlePath>() {
                Ok(path) if entry.file_type().is_file() => {
                    let loaded = load(entry.path(), path.as_str())?;
                    bundle.files.insert(path, loaded);
                }
                Ok(_) => bundle
                    .strays
                    .push(format!("{shown} (neither file nor folder)")),
                Err(_) => bundle
                    .strays
                    .push(format!("{shown} (no name for a file in a bundle)")),
            }
        }
        Ok(bundle)
    }

    /// The folder it was read from.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The regular files, by path.
    #[must_use]
    pub fn files(&self) -> &BTreeMap<BundlePath, LoadedFile> {
        &self.files
    }

    /// What else lies there (links, devices, odd names); text from outside.
    #[must_use]
    pub fn strays(&self) -> &[String] {
        &self.strays
    }

    /// A file by its path.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&LoadedFile> {
        self.files.get(&path.parse::<BundlePath>().ok()?)
    }

    /// The bytes of a file by its path; `None` where it is missing (or is the source bundle).
    #[must_use]
    pub fn bytes(&self, path: &str) -> Option<&[u8]> {
        self.file(path)?.bytes.as_deref()
    }

    /// The released binaries: name, file; sorted by name.
    pub fn binaries(&self) -> impl Iterator<Item = (&str, &LoadedFile)> {
        self.files.iter().filter_map(|(path, file)| {
            let name = path.as_str().strip_prefix(BIN_DIR)?.strip_prefix('/')?;
            (!name.contains('/')).then_some((name, file))
        })
    }
}

fn load(path: &Path, name: &str) -> Result<LoadedFile, LoadError> {
    let io = |source| LoadError::Io {
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(io)?;
    if name == SOURCE {
        let mut hasher = Sha256Digest::hasher();
        let size_bytes = std::io::copy(&mut file, &mut hasher).map_err(io)?;
        return Ok(LoadedFile {
            digest: hasher.finish(),
            size_bytes,
            bytes: None,
        });
    }
    let binary = name
        .strip_prefix(BIN_DIR)
        .is_some_and(|rest| rest.starts_with('/'));
    let limit_bytes = if binary {
        MAX_BINARY_BYTES
    } else {
        MAX_DOCUMENT_BYTES
    };
    let size_bytes = fs::metadata(path).map_err(io)?.len();
    let too_large = LoadError::TooLarge {
        path: path.to_owned(),
        size_bytes,
        limit_bytes,
    };
    if size_bytes > limit_bytes {
        return Err(too_large);
    }
    let mut bytes = Vec::new();
    file.take(limit_bytes + 1)
        .read_to_end(&mut bytes)
        .map_err(io)?;
    if bytes.len() as u64 > limit_bytes {
        return Err(too_large);
    }
    Ok(LoadedFile {
        digest: Sha256Digest::of(&bytes),
        size_bytes: bytes.len() as u64,
        bytes: Some(bytes),
    })
}
