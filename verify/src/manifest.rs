//! Answers: which files, with which digests, does `SHA256SUMS` list?
//!
//! The format is coreutils': 64 lower-case hexadecimal digits, two spaces, a path. Read strictly,
//! because a list that can be read in two ways can be two lists: a name that stands there twice is
//! an error that names it, never the last entry winning.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use sbom::digest::Sha256Digest;

/// The largest `SHA256SUMS` that is read, in bytes.
pub const MAX_MANIFEST_BYTES: usize = 4 << 20;

const MAX_PATH_BYTES: usize = 512;

/// The path of a file in a bundle: parts of letters, digits and `._+-`, joined by `/`; relative,
/// with no `.` and no `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BundlePath(String);

impl BundlePath {
    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BundlePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BundlePath {
    type Err = ManifestError;

    fn from_str(text: &str) -> Result<Self, ManifestError> {
        let part_holds = |part: &str| {
            !part.is_empty()
                && part != "."
                && part != ".."
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "._+-".contains(c))
        };
        if text.len() <= MAX_PATH_BYTES && text.split('/').all(part_holds) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ManifestError::Path(text.to_owned()))
        }
    }
}

/// Why a list of checksums is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// More than [`MAX_MANIFEST_BYTES`].
    #[error("it is {0} bytes long, more than {MAX_MANIFEST_BYTES} are not read")]
    TooLarge(usize),
    /// Not UTF-8.
    #[error("it is not text")]
    NotText,
    /// No entry at all.
    #[error("it lists no file")]
    Empty,
    /// The last line has no end: the list may have been cut off.
    #[error("its last line does not end with a newline; it may have been cut off")]
    CutOff,
    /// A line of another form.
    #[error("line {line} is not `DIGEST  PATH`")]
    Line {
        /// Which line, counted from 1.
        line: usize,
    },
    /// A path that is not one plain path inside the bundle.
    #[error("`{0}` is not a plain path inside the bundle")]
    Path(String),
    /// One name, twice.
    #[error("it lists `{path}` twice, with {first} and {second}")]
    Duplicate {
        /// The name.
        path: BundlePath,
        /// The digest in the first entry.
        first: Sha256Digest,
        /// The digest in the second entry.
        second: Sha256Digest,
    },
}

/// The files of a bundle and their digests, each name once; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    files: BTreeMap<BundlePath, Sha256Digest>,
}

impl Manifest {
    /// Makes a list to be written.
    ///
    /// # Errors
    /// [`ManifestError::Empty`].
    pub fn new(files: BTreeMap<BundlePath, Sha256Digest>) -> Result<Self, ManifestError> {
        if files.is_empty() {
            Err(ManifestError::Empty)
        } else {
            Ok(Self { files })
        }
    }

    /// Reads a list.
    ///
    /// # Errors
    /// At the first line that is not as it must be.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MAX_MANIFEST_BYTES {
            return Err(ManifestError::TooLarge(bytes.len()));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| ManifestError::NotText)?;
        if text.is_empty() {
            return Err(ManifestError::Empty);
        }
        let text = text.strip_suffix('\n').ok_or(ManifestError::CutOff)?;
        let mut files: BTreeMap<BundlePath, Sha256Digest> = BTreeMap::new();
        for (index, line) in text.split('\n').enumerate() {
            let malformed = || ManifestError::Line { line: index + 1 };
            let (digest, path) = line.split_once("  ").ok_or_else(malformed)?;
            let digest: Sha256Digest = digest.parse().map_err(|_| malformed())?;
            let path: BundlePath = path.parse()?;
            if let Some(first) = files.get(&path) {
                return Err(ManifestError::Duplicate {
                    first: *first,
                    second: digest,
                    path,
                });
            }
            files.insert(path, digest);
        }
        Self::new(files)
    }

    /// The files, sorted by path.
    #[must_use]
    pub fn files(&self) -> &BTreeMap<BundlePath, Sha256Digest> {
        &self.files
    }
}

impl fmt::Display for Manifest {
    /// The bytes of the file, as `sha256sum -c` reads them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (path, digest) in &self.files {
            writeln!(f, "{digest}  {path}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(of: &str) -> Sha256Digest {
        Sha256Digest::of(of.as_bytes())
    }

    #[test]
    fn what_is_written_is_read_back() {
        let files = BTreeMap::from([
            ("bin/a".parse().unwrap(), digest("a")),
            ("b".parse().unwrap(), digest("b")),
        ]);
        let manifest = Manifest::new(files).unwrap();
        assert_eq!(
            Manifest::parse(manifest.to_string().as_bytes()).unwrap(),
            manifest
        );
    }

    #[test]
    fn a_name_listed_twice_is_refused_by_name() {
        let text = format!("{}  bin/a\n{}  bin/a\n", digest("a"), digest("b"));
        let refused = Manifest::parse(text.as_bytes()).unwrap_err();
        assert!(
            matches!(&refused, ManifestError::Duplicate { path, .. } if path.as_str() == "bin/a")
        );
        assert!(refused.to_string().contains("`bin/a` twice"), "{refused}");
    }

    #[test]
    fn a_list_that_could_be_read_in_two_ways_is_refused() {
        let good = digest("a").to_string();
        for bad in [
            String::new(),
            format!("{good}  a"),
            format!("{good} a\n"),
            format!("{good} *a\n"),
            format!("\\{good}  a\n"),
            format!("{}  a\n", good.to_uppercase()),
            format!("{good}  a\n\n"),
            format!("{good}  a\r\n"),
            format!("{good}  ../a\n"),
            format!("{good}  /a\n"),
            format!("{good}  a//b\n"),
            format!("{good}  ./a\n"),
            format!("{good}  a b\n"),
        ] {
            assert!(
                Manifest::parse(bad.as_bytes()).is_err(),
                "{bad:?} was taken"
            );
        }
    }
}
