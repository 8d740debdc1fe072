//! `Cargo.lock` as a graph of packages. It says which version and checksum each name resolved to;
//! it does not say which of them end up in a given binary, and nothing here guesses that.

use std::collections::BTreeMap;

use cargo_lock::package::SourceKind;

use crate::digest::Sha256Digest;
use crate::model::package::{Package, PackageId, Source};
use crate::source::dep_v0::DepGraph;

/// The packages of one `Cargo.lock`, in its own order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockGraph {
    packages: Vec<Package>,
    from_binary: bool,
}

impl LockGraph {
    /// Stands in for a lock file that nobody has: the packages of a binary, without checksums. An SBOM
    /// written from it says less.
    #[must_use]
    pub fn from_binary(graph: &DepGraph) -> Self {
        Self {
            packages: graph.packages().to_vec(),
            from_binary: true,
        }
    }

    /// Whether it only stands in for a lock file.
    #[must_use]
    pub fn is_from_binary(&self) -> bool {
        self.from_binary
    }

    /// All packages; in a real lock file `kind` is `None` and `root` false, since it does not say.
    #[must_use]
    pub fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// The packages with this name and version: none, one, or several from different sources.
    pub fn find<'a>(&'a self, id: &'a PackageId) -> impl Iterator<Item = &'a Package> + 'a {
        self.packages
            .iter()
            .filter(move |package| package.id == *id)
    }
}

/// Why a lock file is not used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Not TOML, or not the shape of a lock file (versions 1 to 4).
    #[error("`Cargo.lock` cannot be read")]
    Syntax(#[source] cargo_lock::Error),
    /// An entry names a dependency that the file does not list.
    #[error("`Cargo.lock`: `{package}` needs `{missing}`, which the file does not list")]
    DanglingDependency {
        /// The package that has the dependency.
        package: PackageId,
        /// What is missing, as name and version.
        missing: String,
    },
    /// The same package from the same source twice.
    #[error("`Cargo.lock` lists `{package}` twice from the same source")]
    Duplicate {
        /// The package in question.
        package: PackageId,
    },
}

/// Reads the text of a `Cargo.lock`, versions 1 to 4.
///
/// # Errors
/// When it is no lock file, or contradicts itself.
pub fn parse(text: &str) -> Result<LockGraph, LockError> {
    let lock: cargo_lock::Lockfile = text.parse().map_err(LockError::Syntax)?;
    let ids: Vec<PackageId> = lock
        .packages
        .iter()
        .map(|p| id_of(&p.name, &p.version))
        .collect();
    let mut places: BTreeMap<&PackageId, Vec<usize>> = BTreeMap::new();
    for (place, id) in ids.iter().enumerate() {
        let same = places.entry(id).or_default();
        if same
            .iter()
            .any(|&other| lock.packages[other].source == lock.packages[place].source)
        {
            return Err(LockError::Duplicate {
                package: id.clone(),
            });
        }
        same.push(place);
    }
    let mut packages = Vec::with_capacity(ids.len());
    for (package, id) in lock.packages.iter().zip(&ids) {
        let mut dependencies = Vec::with_capacity(package.dependencies.len());
        for dependency in &package.dependencies {
            let wanted = id_of(&dependency.name, &dependency.version);
            let same = places.get(&wanted).map(Vec::as_slice).unwrap_or_default();
            // Where one version comes from two sources the entry names the source too.
            let found = same
                .iter()
                .find(|&&place| lock.packages[place].source == dependency.source)
                .or_else(|| same.first());
            match found {
                Some(&place) => dependencies.push(place),
                None => {
                    return Err(LockError::DanglingDependency {
                        package: id.clone(),
                        missing: wanted.to_string(),
                    });
                }
            }
        }
        dependencies.sort_unstable();
        dependencies.dedup();
        packages.push(Package {
            id: id.clone(),
            source: package.source.as_ref().map_or(Source::Local, source_of),
            checksum: package
                .checksum
                .as_ref()
                .and_then(|sum| sum.as_sha256())
                .map(Sha256Digest::from_array),
            kind: None,
            root: false,
            dependencies,
        });
    }
    Ok(LockGraph {
        packages,
        from_binary: false,
    })
}

fn id_of(name: &cargo_lock::Name, version: &cargo_lock::Version) -> PackageId {
    PackageId {
        name: name.as_str().to_owned(),
        version: version.clone(),
    }
}

fn source_of(source: &cargo_lock::SourceId) -> Source {
    match source.kind() {
        _ if source.is_default_registry() => Source::CratesIo,
        SourceKind::Git(_) => Source::Git {
            url: Some(source.url().to_string()),
            commit: source.precise().map(str::to_owned),
        },
        SourceKind::Registry | SourceKind::SparseRegistry | SourceKind::LocalRegistry => {
            Source::Registry(Some(source.url().to_string()))
        }
        SourceKind::Path | SourceKind::Directory => Source::Local,
        _ => Source::Other("unknown".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
version = 4

[[package]]
name = "app"
version = "1.0.0"
dependencies = ["leaf 1.0.0", "leaf 2.0.0", "far"]

[[package]]
name = "far"
version = "0.1.0"
source = "git+https://example.org/far?branch=main#0123456789012345678901234567890123456789"

[[package]]
name = "leaf"
version = "1.0.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

[[package]]
name = "leaf"
version = "2.0.0"
source = "sparse+https://registry.example.org/index/"
checksum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"#;

    #[test]
    fn sources_checksums_and_edges_are_kept() {
        let graph = parse(LOCK).unwrap();
        let [app, far, one, two] = graph.packages() else {
            panic!("four packages")
        };
        assert_eq!(app.source, Source::Local);
        assert_eq!(app.dependencies, [1, 2, 3]);
        assert_eq!(one.source, Source::CratesIo);
        assert_eq!(one.checksum, Some(Sha256Digest::of(b"abc")));
        assert_eq!(two.source.kind(), "registry");
        assert!(matches!(&far.source, Source::Git { commit: Some(c), .. } if c.len() == 40));
        assert!(far.purl().contains("vcs_url="), "{}", far.purl());
        assert_eq!(one.purl(), "pkg:cargo/leaf@1.0.0");
    }

    #[test]
    fn a_dependency_that_is_not_listed_is_refused_by_name() {
        let text = LOCK.replace(
            "name = \"far\"\nversion = \"0.1.0\"",
            "name = \"near\"\nversion = \"0.1.0\"",
        );
        let error = parse(&text).unwrap_err();
        assert!(
            matches!(
                &error,
                LockError::DanglingDependency { .. } | LockError::Syntax(_)
            ),
            "{error}"
        );
    }

    #[test]
    fn one_package_listed_twice_is_refused() {
        let twice = format!("{LOCK}\n[[package]]\nname = \"app\"\nversion = \"1.0.0\"\n");
        assert!(parse(&twice).is_err());
    }

    #[test]
    fn rubbish_is_an_error_and_not_an_empty_graph() {
        assert!(parse("").is_err() || parse("").unwrap().packages().is_empty());
        assert!(parse("{").is_err());
    }
}
