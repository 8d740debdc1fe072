//! A small product that exists only in memory, and where the real test data lie.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use object::write::{Object, StandardSegment};
use object::{Architecture, BinaryFormat, Endianness, SectionKind};
use sbom::digest::Sha256Digest;
use sbom::native::{NativeInventory, from_crates};
use sbom::source::cargo_lock::{self, LockGraph};
use sbom::source::dep_v0::{self, DepGraph};
use sbom::source::pinned_inputs::{DigestOf, PinnedInput};
use sbom::write::{Artifact, Party, SbomRequest, SourceRepository, Tool, cyclonedx_1_6};

/// The folder of third-party test data, or `None` with the reason printed.
pub(crate) fn test_data(inner: &str) -> Option<PathBuf> {
    let named = std::env::var_os("HALLMARK_TEST_DATA").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let found = named.unwrap_or(beside).join(inner);
    if found.exists() {
        return Some(found);
    }
    println!(
        "skipped: {} is not there; set HALLMARK_TEST_DATA to the folder of test data",
        found.display()
    );
    None
}

/// The folders in which cargo keeps the sources of crates, or none with the reason printed.
pub(crate) fn registry_sources() -> Vec<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home =
        home.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    let folders: Vec<PathBuf> = home
        .and_then(|home| std::fs::read_dir(home.join("registry/src")).ok())
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    if folders.is_empty() {
        println!("skipped: cargo's folder of crate sources is not there");
    }
    folders
}

/// zlib, as `cargo auditable` packs its list.
pub(crate) fn pack(json: &[u8]) -> Vec<u8> {
    miniz_oxide::deflate::compress_to_vec_zlib(json, 7)
}

/// An ELF file with a `.dep-v0` section of these bytes and some read-only data.
pub(crate) fn elf(dep_v0: Option<&[u8]>, rodata: &[u8]) -> Vec<u8> {
    let mut elf = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
    let segment = elf.segment_name(StandardSegment::Data).to_vec();
    let data = elf.add_section(
        segment.clone(),
        b".rodata".to_vec(),
        SectionKind::ReadOnlyData,
    );
    elf.append_section_data(data, rodata, 1);
    if let Some(bytes) = dep_v0 {
        let section = elf.add_section(segment, b".dep-v0".to_vec(), SectionKind::ReadOnlyData);
        elf.append_section_data(section, bytes, 1);
    }
    elf.write().unwrap()
}

/// Version strings that a linked binary of the product has.
pub(crate) const STRINGS: &[u8] =
    b"\0rustc version 1.95.0 (0123456789 2026-04-16)\0OpenSSL 3.6.3 9 Jun 2026\0";

/// A product with a runtime crate, a build crate, and C code inside a build crate.
pub(crate) struct Product {
    pub(crate) dep_v0: String,
    pub(crate) lock: String,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) strings: Vec<u8>,
    pub(crate) repository: Option<&'static str>,
}

impl Product {
    pub(crate) fn new() -> Self {
        let packed = b"the packed crate of leaf";
        let manifest = |name: &str, version: &str, licence: &str| {
            format!(
                "[package]\nname = \"{name}\"\nversion = \"{version}\"\nlicense = \"{licence}\"\n\
                 authors = [\"A. Author <author@example.org>\"]\nrepository = \"https://example.org/{name}\"\n"
            )
            .into_bytes()
        };
        let openssl = "300.6.1+3.6.3";
        let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        files.insert(
            "app/Cargo.toml".into(),
            manifest("app", "1.0.0", "Apache-2.0 OR MIT"),
        );
        files.insert(
            "leaf-1.0.0/Cargo.toml".into(),
            manifest("leaf", "1.0.0", "MIT/Apache-2.0"),
        );
        files.insert("leaf-1.0.0.crate".into(), packed.to_vec());
        files.insert(
            "helper/Cargo.toml".into(),
            manifest("helper", "2.0.0", "MIT"),
        );
        files.insert("helper-2.0.0.crate".into(), b"abc".to_vec());
        files.insert(
            "openssl-src/Cargo.toml".into(),
            manifest("openssl-src", openssl, "MIT/Apache-2.0"),
        );
        files.insert("openssl-src-300.6.1+3.6.3.crate".into(), Vec::new());
        files.insert(
            "openssl-src/openssl/VERSION.dat".into(),
            b"MAJOR=3\nMINOR=6\nPATCH=3\nPRE_RELEASE_TAG=\n".to_vec(),
        );
        Self {
            dep_v0: r#"{"packages":[
                {"name":"app","version":"1.0.0","source":"local","root":true,"dependencies":[2,3]},
                {"name":"helper","version":"2.0.0","source":"crates.io","kind":"build"},
                {"name":"leaf","version":"1.0.0","source":"crates.io","dependencies":[1]},
                {"name":"openssl-src","version":"300.6.1+3.6.3","source":"crates.io","kind":"build"}
            ],"format":1}"#
                .into(),
            lock: format!(
                "version = 4\n\n[[package]]\nname = \"app\"\nversion = \"1.0.0\"\n\
                 dependencies = [\"leaf\", \"openssl-src\"]\n\n{}{}{}",
                locked("helper", "2.0.0", Sha256Digest::of(b"abc"), ""),
                locked(
                    "leaf",
                    "1.0.0",
                    Sha256Digest::of(packed),
                    "dependencies = [\"helper\"]\n"
                ),
                locked("openssl-src", openssl, Sha256Digest::of(b""), ""),
            ),
            files,
            strings: STRINGS.to_vec(),
            repository: Some("https://example.org/app.git"),
        }
    }

    pub(crate) fn binary(&self) -> Vec<u8> {
        elf(Some(&pack(self.dep_v0.as_bytes())), &self.strings)
    }

    pub(crate) fn graph(&self) -> DepGraph {
        dep_v0::read(&self.binary()).unwrap()
    }

    pub(crate) fn lock(&self) -> LockGraph {
        cargo_lock::parse(&self.lock).unwrap()
    }

    pub(crate) fn native(&self) -> NativeInventory {
        from_crates(&self.graph(), &|path| self.files.get(path).cloned())
    }

    pub(crate) fn sbom(&self) -> Result<Vec<u8>, sbom::write::WriteError> {
        let (graph, lock, native) = (self.graph(), self.lock(), self.native());
        let files = |path: &str| self.files.get(path).cloned();
        cyclonedx_1_6(&SbomRequest {
            artifact: &Artifact::new("app-bin", &self.binary()),
            graph: &graph,
            lock: &lock,
            files: &files,
            native: &native,
            inputs: &[
                PinnedInput {
                    name: "rustc".into(),
                    version: "1.95.0".into(),
                    sha256: Sha256Digest::of(b"tree"),
                    digest_of: DigestOf::Nar,
                    url: None,
                    purl: None,
                },
                PinnedInput {
                    name: "gcc-12".into(),
                    version: "12.2.0-14".into(),
                    sha256: Sha256Digest::of(b"deb"),
                    digest_of: DigestOf::File,
                    url: Some("https://example.org/gcc-12_12.2.0-14_amd64.deb".into()),
                    purl: Some("pkg:deb/debian/gcc-12@12.2.0-14?arch=amd64".into()),
                },
            ],
            source: SourceRepository {
                url: self.repository,
                commit: "0123456789012345678901234567890123456789",
            },
            commit_time_s: 1_780_000_000,
            supplier: Party {
                name: "Example",
                email: Some("security@example.org"),
                url: None,
            },
            tool: Tool {
                name: "sbom",
                version: "0.1.0",
            },
            distribution_url: Some("https://example.org/releases/app-bin"),
            security_txt: Some("https://example.org/.well-known/security.txt"),
        })
    }
}

fn locked(name: &str, version: &str, checksum: Sha256Digest, more: &str) -> String {
    format!(
        "[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n\
         source = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"{checksum}\"\n{more}\n"
    )
}

/// The text of an advisory.
pub(crate) fn advisory(id: &str, package: &str, more: &str, versions: &str) -> String {
    format!(
        "```toml\n[advisory]\nid = \"{id}\"\npackage = \"{package}\"\ndate = \"2026-01-02\"\n{more}\n\
         [versions]\n{versions}\n```\n\n# Something is wrong with {package}\n\nA description that is long enough.\n"
    )
}
