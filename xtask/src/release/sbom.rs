//! Step 5: what is inside each binary. In: a [`Build`]. Out: [`Sboms`].
//!
//! Names, versions and edges come from the binary itself, checksums from Cargo.lock, licences and
//! the versions of C code from the sources that the build was made from.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::Context as _;
use sbom::advisories::vex::SbomLink;
use sbom::native;
use sbom::source::cargo_lock::{self, LockGraph};
use sbom::source::dep_v0;
use sbom::source::pinned_inputs::{DigestOf, PinnedInput};
use sbom::write::{Artifact, Party, SbomRequest, SourceRepository, Tool, cyclonedx_1_6};
use verify::rebuild::pins::ListedInput;

use super::build::Build;

/// One CycloneDX document a binary. Only [`write`] makes one.
#[derive(Debug)]
pub(crate) struct Sboms {
    build: Build,
    documents: BTreeMap<String, Vec<u8>>,
}

impl Sboms {
    /// The step before.
    pub(crate) fn build(&self) -> &Build {
        &self.build
    }

    /// The documents, by the name of the binary.
    pub(crate) fn documents(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.documents
    }

    /// The VEX document over the components of all of them.
    pub(crate) fn vex(&self) -> anyhow::Result<Vec<u8>> {
        let mut read = Vec::new();
        for (name, document) in &self.documents {
            let sbom = sbom::read::parse(document)
                .with_context(|| format!("reading back the SBOM of `{name}`"))?;
            let serial = sbom.serial_number.clone().unwrap_or_default();
            let components: Vec<(String, String, String)> = sbom
                .components
                .into_iter()
                .filter_map(|part| Some((part.name, part.version, part.reference?)))
                .collect();
            read.push((serial, components));
        }
        let links: Vec<SbomLink<'_>> = read
            .iter()
            .map(|(serial_number, components)| SbomLink {
                serial_number,
                components,
            })
            .collect();
        self.build.report().vex(&links)
    }
}

/// Writes the documents.
pub(crate) fn write(build: Build) -> anyhow::Result<Sboms> {
    let lock = cargo_lock::parse(build.report().checkout().lock())
        .context("reading the commit's Cargo.lock")?;
    let sources = Sources::of(&build)?;
    let inputs: Vec<PinnedInput> = build.first().pins.listed().iter().map(pinned).collect();
    let mut documents = BTreeMap::new();
    for (name, built) in &build.first().binaries {
        let bytes =
            fs::read(&built.path).with_context(|| format!("reading `{}`", built.path.display()))?;
        let document = one(&build, name, &bytes, &lock, &sources, &inputs)
            .with_context(|| format!("writing the SBOM of `{name}`"))?;
        documents.insert(name.clone(), document);
    }
    Ok(Sboms { build, documents })
}

fn one(
    build: &Build,
    name: &str,
    bytes: &[u8],
    lock: &LockGraph,
    sources: &Sources,
    inputs: &[PinnedInput],
) -> anyhow::Result<Vec<u8>> {
    let tag = build.report().checkout().tag();
    let graph = dep_v0::read(bytes)?;
    let files = |path: &str| sources.file(path);
    let inventory = native::from_crates(&graph, &files);
    let (supplier, email) = supplier(tag.verified().signature().holder());
    let commit = tag.verified().commit().to_string();
    let document = cyclonedx_1_6(&SbomRequest {
        artifact: &Artifact::new(name, bytes),
        graph: &graph,
        lock,
        files: &files,
        native: &inventory,
        inputs,
        source: SourceRepository {
            url: None,
            commit: &commit,
        },
        commit_time_s: tag.commit().time_s,
        supplier: Party {
            name: supplier,
            email,
            url: None,
        },
        tool: Tool {
            name: "sbom",
            version: env!("CARGO_PKG_VERSION"),
        },
        distribution_url: None,
        security_txt: None,
    })?;
    Ok(document)
}

/// Who releases: the user id of the certificate that signed the tag, `Name (comment) <address>`.
fn supplier(user_id: &str) -> (&str, Option<&str>) {
    let Some((name, rest)) = user_id.split_once('<') else {
        return (user_id.trim(), None);
    };
    let name = name.split('(').next().unwrap_or(name).trim();
    let email = rest
        .strip_suffix('>')
        .filter(|address| address.contains('@'));
    (name, email)
}

/// The sources of the build: the vendored crates, and the manifests of the workspace's packages.
struct Sources {
    crates: PathBuf,
    workspace: PathBuf,
    members: BTreeMap<String, PathBuf>,
}

impl Sources {
    fn of(build: &Build) -> anyhow::Result<Self> {
        let workspace = build.report().checkout().source().to_path_buf();
        let mut members = BTreeMap::new();
        find_members(&workspace, &mut members)?;
        Ok(Self {
            crates: build.first().trees.crates.clone(),
            workspace,
            members,
        })
    }

    /// A file by the path that the `sbom` crate asks for.
    fn file(&self, path: &str) -> Option<Vec<u8>> {
        let plain = Path::new(path)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if !plain {
            return None;
        }
        if path == "Cargo.toml" {
            return fs::read(self.workspace.join(path)).ok();
        }
        let (package, rest) = path.split_once('/')?;
        let member = self.members.get(package).map(|folder| folder.join(rest));
        member
            .and_then(|path| fs::read(path).ok())
            .or_else(|| fs::read(self.crates.join(path)).ok())
    }
}

/// Folders of the workspace's packages, by package name.
fn find_members(folder: &Path, members: &mut BTreeMap<String, PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("listing `{}`", folder.display()))? {
        let entry = entry.with_context(|| format!("listing `{}`", folder.display()))?;
        if entry.file_type()?.is_dir() {
            find_members(&entry.path(), members)?;
        } else if entry.file_name() == "Cargo.toml" {
            let text = fs::read_to_string(entry.path())
                .with_context(|| format!("reading `{}`", entry.path().display()))?;
            if let Some(name) = package_name(&text) {
                members.insert(name.to_owned(), folder.to_path_buf());
            }
        }
    }
    Ok(())
}

/// `name` in the section `[package]` of a manifest.
fn package_name(manifest: &str) -> Option<&str> {
    manifest
        .lines()
        .map(str::trim)
        .skip_while(|line| *line != "[package]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .find_map(|line| line.strip_prefix("name")?.trim_start().strip_prefix('='))
        .map(|value| value.trim().trim_matches('"'))
}

fn pinned(input: &ListedInput) -> PinnedInput {
    PinnedInput {
        name: input.name.clone(),
        version: input.version.clone(),
        sha256: input.sha256,
        digest_of: if input.kind == "tree" {
            DigestOf::Nar
        } else {
            DigestOf::File
        },
        url: input.url.clone(),
        purl: purl(input),
    }
}

/// Package URL of an input that is a package of Debian or of the Rust registry.
fn purl(input: &ListedInput) -> Option<String> {
    let version = input.version.replace(':', "%3A").replace('+', "%2B");
    match input.kind {
        "debian" => {
            let file = input.url.as_deref()?.strip_suffix(".deb")?;
            let (_, arch) = file.rsplit_once('_')?;
            let name = input.name.replace('+', "%2B");
            Some(format!("pkg:deb/debian/{name}@{version}?arch={arch}"))
        }
        "crate" => Some(format!("pkg:cargo/{}@{version}", input.name)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_supplier_is_who_the_certificate_names() {
        assert_eq!(supplier("A B (work) <a@b.c>"), ("A B", Some("a@b.c")));
        assert_eq!(supplier("A B"), ("A B", None));
        assert_eq!(supplier("A <nobody>"), ("A", None));
    }

    #[test]
    fn a_package_is_named_by_its_own_section_only() {
        let manifest =
            "[workspace]\nname = \"no\"\n[package]\nname = \"yes\"\n[[bin]]\nname = \"x\"\n";
        assert_eq!(package_name(manifest), Some("yes"));
        assert_eq!(package_name("[workspace]\nmembers = []\n"), None);
    }

    #[test]
    fn the_purl_of_a_debian_package_has_its_architecture() {
        let input = ListedInput {
            kind: "debian",
            name: "libstdc++6".to_owned(),
            version: "1:12.2+b1".to_owned(),
            url: Some("https://example.org/libstdc++6_12.2+b1_amd64.deb".to_owned()),
            sha256: ::sbom::digest::Sha256Digest::of(b""),
        };
        let purl = purl(&input).unwrap();
        assert_eq!(
            purl,
            "pkg:deb/debian/libstdc%2B%2B6@1%3A12.2%2Bb1?arch=amd64"
        );
    }
}
