//! What an SBOM is written from, and why it is not written.

use sha2::{Digest as _, Sha512};

use crate::digest::Sha256Digest;
use crate::model::package::PackageId;
use crate::native::{FoundInBinary, NativeInventory, in_binary};
use crate::source::cargo_lock::LockGraph;
use crate::source::dep_v0::DepGraph;
use crate::source::pinned_inputs::PinnedInput;

/// Everything that goes into one SBOM.
#[derive(Clone, Copy)]
pub struct SbomRequest<'a> {
    /// The binary.
    pub artifact: &'a Artifact,
    /// Its `.dep-v0` data.
    pub graph: &'a DepGraph,
    /// The `Cargo.lock` it was built with, for the checksums; [`LockGraph::from_binary`] where there is
    /// none, which leaves them out.
    pub lock: &'a LockGraph,
    /// Gives a file by its path: of the vendored crates as `<crate>-<version>/…` or `<crate>/…`, of
    /// workspace members as `<crate>/Cargo.toml`, the workspace's own as `Cargo.toml`, and, where the
    /// packed crates are at hand, `<crate>-<version>.crate`, whose SHA-512 is then written as well.
    /// A crate without its packed file is described as what it is in the product: compiled-in sources
    /// that are no file of their own.
    pub files: &'a dyn Fn(&str) -> Option<Vec<u8>>,
    /// The C code inside, from [`crate::native::from_crates`].
    pub native: &'a NativeInventory,
    /// The pinned inputs of the build; may be empty.
    pub inputs: &'a [PinnedInput],
    /// Where the source is.
    pub source: SourceRepository<'a>,
    /// Time of the commit, in seconds since 1970; the document bears it as its own.
    pub commit_time_s: i64,
    /// Who makes the product and the SBOM; [`Party::UNKNOWN`] where nobody says.
    pub supplier: Party<'a>,
    /// The program that writes the SBOM.
    pub tool: Tool<'a>,
    /// Address from which the binary is distributed; without one, its file name.
    pub distribution_url: Option<&'a str>,
    /// Address of the supplier's `security.txt` (RFC 9116).
    pub security_txt: Option<&'a str>,
}

/// The binary that the SBOM is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// File name, without folders.
    pub name: String,
    /// SHA-256 of the file.
    pub sha256: Sha256Digest,
    /// SHA-512 of the file, 128 lower-case hexadecimal digits.
    pub sha512: String,
    /// Size of the file in bytes.
    pub size_bytes: usize,
    /// Version strings that compilers and C libraries left in it.
    pub witnesses: Vec<FoundInBinary>,
}

impl Artifact {
    /// Takes the facts from the bytes of the binary.
    #[must_use]
    pub fn new(name: &str, bytes: &[u8]) -> Self {
        Self::with_sha256(name, bytes, Sha256Digest::of(bytes))
    }

    /// The same where the digest of these bytes was counted already.
    #[must_use]
    pub fn with_sha256(name: &str, bytes: &[u8], sha256: Sha256Digest) -> Self {
        Self {
            name: name.to_owned(),
            sha256,
            sha512: hex::encode(Sha512::digest(bytes)),
            size_bytes: bytes.len(),
            witnesses: in_binary(bytes),
        }
    }
}

/// Where the source of the product is.
#[derive(Debug, Clone, Copy)]
pub struct SourceRepository<'a> {
    /// Public address of the repository; `None` takes `repository` of the package's manifest.
    pub url: Option<&'a str>,
    /// Full hash of the commit that was built.
    pub commit: &'a str,
}

/// A person or an organisation.
#[derive(Debug, Clone, Copy)]
pub struct Party<'a> {
    /// Name.
    pub name: &'a str,
    /// E-mail address; BSI TR-03183-2 prefers it to an address on the web.
    pub email: Option<&'a str>,
    /// Address on the web.
    pub url: Option<&'a str>,
}

impl Party<'_> {
    /// Nobody says who it is. An SBOM without a creator does not meet BSI TR-03183-2.
    pub const UNKNOWN: Self = Self {
        name: "",
        email: None,
        url: None,
    };

    /// Whether nobody says who it is.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.name.is_empty() && self.email.is_none() && self.url.is_none()
    }
}

/// A program.
#[derive(Debug, Clone, Copy)]
pub struct Tool<'a> {
    /// Name.
    pub name: &'a str,
    /// Version.
    pub version: &'a str,
}

/// Why an SBOM is not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The binary contains a package that `Cargo.lock` does not list.
    #[error("`{package}` is in the binary and not in Cargo.lock")]
    NotInLock {
        /// The package.
        package: PackageId,
    },
    /// `Cargo.lock` has no checksum for a package from a registry.
    #[error("`{package}` has no checksum in Cargo.lock")]
    NoChecksum {
        /// The package.
        package: PackageId,
    },
    /// A packed crate that was handed over is not the one of `Cargo.lock`.
    #[error("`{package}`: the packed crate has the SHA-256 {found}, Cargo.lock says {expected}")]
    WrongCrate {
        /// Name and version of the package.
        package: String,
        /// SHA-256 of the file that was handed over.
        found: Sha256Digest,
        /// Checksum in `Cargo.lock`.
        expected: Sha256Digest,
    },
    /// The binary names another version of a C library than the sources have.
    #[error("the binary contains `{name}` {binary}, its sources are {sources}")]
    NativeContradiction {
        /// Name of the library.
        name: String,
        /// Version that the binary names.
        binary: String,
        /// Version of the sources.
        sources: String,
    },
    /// The supplier has neither an e-mail address nor one on the web.
    #[error("the supplier `{name}` has neither an e-mail address nor a web address")]
    NoContact {
        /// Name of the supplier.
        name: String,
    },
    /// The commit's time is outside of the years 0 to 9999.
    #[error("the commit's time, {seconds} s since 1970, is no date")]
    Time {
        /// The time.
        seconds: i64,
    },
    /// The models refuse a value.
    #[error("the CycloneDX models refuse the document")]
    Model(#[source] cyclonedx_bom::errors::JsonWriteError),
    /// The written document does not read back as what was asked for.
    #[error("the document that was written differs from the binary: {first}")]
    ReadBack {
        /// The first difference.
        first: String,
    },
}
