//! The least that an SBOM tells of a pinned input of the build. The inputs file itself belongs to
//! the build; this is only the view that its formulation needs.

use crate::digest::Sha256Digest;

/// One input of the hermetic build, identified by its content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PinnedInput {
    /// Name, such as `gcc-12` or `rustc`.
    pub name: String,
    /// Version in the input's own scheme, such as `12.2.0-14+deb12u1`.
    pub version: String,
    /// SHA-256 of the file as it is served, or of the unpacked tree in NAR form.
    pub sha256: Sha256Digest,
    /// What the digest is over.
    pub digest_of: DigestOf,
    /// Permanent address; `None` where the content alone decides.
    pub url: Option<String>,
    /// Package URL (purl-spec), such as `pkg:deb/debian/gcc-12@12.2.0-14?arch=amd64`.
    pub purl: Option<String>,
}

/// What the digest of a pinned input is counted over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DigestOf {
    /// The file as it is served.
    File,
    /// The unpacked tree, as a Nix archive.
    Nar,
}
