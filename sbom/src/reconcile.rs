//! Holds the inventories against each other: what the binary carries, what the SBOM claims, and what
//! `Cargo.lock` resolved. Every difference is listed by name; nothing is counted away.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use crate::model::package::{Kind, Package, PackageId, Source};
use crate::native::{FoundInBinary, NativeComponent};
use crate::read::{LeakedPath, ReadComponent, ReadSbom, Scope};
use crate::source::cargo_lock::LockGraph;
use crate::source::dep_v0::DepGraph;
use crate::write::Artifact;

/// What was compared, and what differs. No differences is what a pass needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reconciliation {
    /// Number of packages in the binary.
    pub in_binary: usize,
    /// Number of crates in the SBOM, the subject included; `None` when there was no SBOM.
    pub in_sbom: Option<usize>,
    /// Number of packages in `Cargo.lock`; `None` when there was none.
    pub in_lock: Option<usize>,
    /// Number of packages of the binary that were found, and agree, in everything they were held
    /// against.
    pub compared: usize,
    /// All differences, in order.
    pub differences: Vec<Difference>,
}

/// One difference, with the names that it is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "difference", rename_all = "kebab-case")]
pub enum Difference {
    /// The SBOM does not say what it is about, or says another name or version.
    SubjectDiffers {
        /// What the binary was built from.
        binary: PackageId,
        /// Name and version of the SBOM's subject; empty when it has none.
        sbom: String,
    },
    /// The SBOM has no SHA-256 of the binary.
    SubjectHashMissing,
    /// The SBOM is about another file: its SHA-256 or SHA-512 is another.
    SubjectHashDiffers {
        /// The algorithm.
        algorithm: String,
        /// Digest of the binary.
        binary: String,
        /// Digest in the SBOM.
        sbom: String,
    },
    /// In the binary, not in the SBOM.
    MissingInSbom {
        /// The package.
        package: PackageId,
    },
    /// In the SBOM as part of what is shipped, not in the binary.
    NotInBinary {
        /// Name and version of the component.
        component: String,
    },
    /// In both, with different versions.
    VersionDiffers {
        /// Name of the package.
        name: String,
        /// Version in the binary.
        binary: String,
        /// Version in the SBOM.
        sbom: String,
    },
    /// Linked in, but the SBOM says `excluded`; or only for the build, but the SBOM says otherwise.
    ScopeDiffers {
        /// The package.
        package: PackageId,
        /// What the binary says.
        binary: Kind,
        /// What the SBOM says; `None` when it says nothing, which means `required`.
        sbom: Option<Scope>,
    },
    /// The SBOM lists one crate twice.
    ListedTwice {
        /// Name and version.
        component: String,
    },
    /// A crate from a registry without a SHA-256 in the SBOM.
    HashMissing {
        /// The package.
        package: PackageId,
    },
    /// The SBOM's SHA-256 is not the one of `Cargo.lock`.
    HashDiffers {
        /// The package.
        package: PackageId,
        /// Checksum in `Cargo.lock`.
        lock: String,
        /// SHA-256 in the SBOM.
        sbom: String,
    },
    /// The dependency graph of the SBOM lacks an edge that the binary has.
    EdgeMissing {
        /// The package that depends.
        from: PackageId,
        /// What it depends on.
        to: PackageId,
    },
    /// The dependency graph of the SBOM has an edge between crates that the binary has not.
    EdgeExtra {
        /// The component that depends.
        from: String,
        /// What it depends on.
        to: String,
    },
    /// The dependency graph of the SBOM names something that it does not list.
    DanglingReference {
        /// The reference.
        reference: String,
    },
    /// A host path in the SBOM.
    LeakedPath(LeakedPath),
    /// In the binary, not in `Cargo.lock`.
    MissingInLock {
        /// The package.
        package: PackageId,
    },
    /// The binary and `Cargo.lock` name different kinds of source.
    SourceDiffers {
        /// The package.
        package: PackageId,
        /// Kind of source in the binary.
        binary: String,
        /// Kinds of source in `Cargo.lock`.
        lock: String,
    },
    /// A library that the binary or its crates contain without being a crate (C code, the standard
    /// library), not in the SBOM.
    NativeMissing {
        /// Name of the library.
        name: String,
        /// Version, where it is known.
        version: Option<String>,
    },
    /// The same, in the SBOM in another version.
    NativeVersionDiffers {
        /// Name of the library.
        name: String,
        /// Version in the binary or its crates.
        found: String,
        /// Versions in the SBOM.
        sbom: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SubjectDiffers { binary, sbom } if sbom.is_empty() => {
                write!(
                    f,
                    "the SBOM names no subject; the binary was built from `{binary}`"
                )
            }
            Self::SubjectDiffers { binary, sbom } => {
                write!(
                    f,
                    "the SBOM is about `{sbom}`; the binary was built from `{binary}`"
                )
            }
            Self::SubjectHashMissing => f.write_str("the SBOM has no SHA-256 of the binary"),
            Self::SubjectHashDiffers {
                algorithm,
                binary,
                sbom,
            } => {
                write!(
                    f,
                    "the {algorithm} of the binary is {binary}, the SBOM says {sbom}"
                )
            }
            Self::MissingInSbom { package } => {
                write!(f, "`{package}` is in the binary and not in the SBOM")
            }
            Self::NotInBinary { component } => {
                write!(f, "`{component}` is in the SBOM and not in the binary")
            }
            Self::VersionDiffers { name, binary, sbom } => {
                write!(
                    f,
                    "`{name}` is {binary} in the binary and {sbom} in the SBOM"
                )
            }
            Self::ScopeDiffers {
                package,
                binary,
                sbom,
            } => {
                let sbom = match sbom {
                    Some(Scope::Required) => "required",
                    Some(Scope::Optional) => "optional",
                    Some(Scope::Excluded) => "excluded",
                    None => "required (nothing is written)",
                };
                let binary = match binary {
                    Kind::Runtime => "linked into the binary",
                    Kind::Build => "used by the build only",
                };
                write!(
                    f,
                    "`{package}` is {binary}; its scope in the SBOM is {sbom}"
                )
            }
            Self::ListedTwice { component } => write!(f, "the SBOM lists `{component}` twice"),
            Self::HashMissing { package } => write!(f, "`{package}` has no SHA-256 in the SBOM"),
            Self::HashDiffers {
                package,
                lock,
                sbom,
            } => {
                write!(
                    f,
                    "`{package}` has the SHA-256 {sbom} in the SBOM and {lock} in Cargo.lock"
                )
            }
            Self::EdgeMissing { from, to } => {
                write!(f, "the SBOM does not say that `{from}` depends on `{to}`")
            }
            Self::EdgeExtra { from, to } => {
                write!(
                    f,
                    "the SBOM says that `{from}` depends on `{to}`; the binary does not"
                )
            }
            Self::DanglingReference { reference } => {
                write!(
                    f,
                    "the dependency graph of the SBOM names `{reference}`, which it does not list"
                )
            }
            Self::LeakedPath(LeakedPath { pointer, text }) => {
                write!(
                    f,
                    "the SBOM leaks a path of the building machine at `{pointer}`: {text:?}"
                )
            }
            Self::MissingInLock { package } => {
                write!(f, "`{package}` is in the binary and not in Cargo.lock")
            }
            Self::SourceDiffers {
                package,
                binary,
                lock,
            } => {
                write!(
                    f,
                    "`{package}` comes from {binary} in the binary and from {lock} in Cargo.lock"
                )
            }
            Self::NativeMissing { name, version } => {
                let version = version.as_deref().unwrap_or("of unknown version");
                write!(
                    f,
                    "the library `{name}` {version} is inside and not in the SBOM"
                )
            }
            Self::NativeVersionDiffers { name, found, sbom } => {
                write!(
                    f,
                    "the library `{name}` is {found} inside and {sbom} in the SBOM"
                )
            }
        }
    }
}

/// Compares the packages of a binary with an SBOM and a lock file.
///
/// Crates that the SBOM marks `excluded` and the binary does not name are no difference: they are
/// not shipped, and both say so.
#[must_use]
pub fn reconcile(
    graph: &DepGraph,
    sbom: Option<&ReadSbom>,
    lock: Option<&LockGraph>,
) -> Reconciliation {
    let mut differences = BTreeSet::new();
    if let Some(lock) = lock {
        against_lock(graph, lock, &mut differences);
    }
    let mut in_sbom = None;
    if let Some(sbom) = sbom {
        in_sbom = Some(against_sbom(graph, sbom, lock, &mut differences));
    }
    let named: BTreeSet<&PackageId> = differences.iter().filter_map(Difference::package).collect();
    let compared = if sbom.is_none() && lock.is_none() {
        0
    } else {
        graph
            .packages()
            .iter()
            .filter(|package| {
                !named.contains(&package.id)
                    && !differences.iter().any(|d| matches!(d, Difference::VersionDiffers { name, .. } if name == package.name()))
            })
            .count()
    };
    Reconciliation {
        in_binary: graph.packages().len(),
        in_sbom,
        in_lock: lock.map(|lock| lock.packages().len()),
        compared,
        differences: differences.into_iter().collect(),
    }
}

impl Difference {
    fn package(&self) -> Option<&PackageId> {
        match self {
            Self::MissingInSbom { package }
            | Self::ScopeDiffers { package, .. }
            | Self::HashMissing { package }
            | Self::HashDiffers { package, .. }
            | Self::MissingInLock { package }
            | Self::SourceDiffers { package, .. }
            | Self::EdgeMissing { from: package, .. }
            | Self::SubjectDiffers {
                binary: package, ..
            } => Some(package),
            _ => None,
        }
    }
}

/// Compares the file that an SBOM says it is about with the file that is there, and the libraries that
/// are no crates: those read from the sources (`components`, may be empty) and those that the binary
/// itself names.
#[must_use]
pub fn reconcile_artifact(
    artifact: &Artifact,
    components: &[NativeComponent],
    sbom: &ReadSbom,
) -> Vec<Difference> {
    let mut differences = Vec::new();
    let own = [
        ("SHA-256", artifact.sha256.to_string()),
        ("SHA-512", artifact.sha512.clone()),
    ];
    for (algorithm, binary) in own {
        match sbom
            .subject
            .as_ref()
            .and_then(|subject| subject.hashes.get(algorithm))
        {
            None if algorithm == "SHA-256" => differences.push(Difference::SubjectHashMissing),
            None => {}
            Some(hashes) => {
                differences.extend(hashes.iter().filter(|hash| **hash != binary).map(|wrong| {
                    Difference::SubjectHashDiffers {
                        algorithm: algorithm.to_owned(),
                        binary: binary.clone(),
                        sbom: wrong.clone(),
                    }
                }));
            }
        }
    }
    differences.extend(reconcile_native(components, &artifact.witnesses, sbom));
    differences
}

/// Compares the C libraries of an SBOM with those that were read from the crates (`components`) and
/// from the binary (`found`). Either list may be empty.
#[must_use]
pub fn reconcile_native(
    components: &[NativeComponent],
    found: &[FoundInBinary],
    sbom: &ReadSbom,
) -> Vec<Difference> {
    let mut claimed: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for component in sbom
        .components
        .iter()
        .filter(|component| !component.is_crate())
    {
        claimed
            .entry(&component.name)
            .or_default()
            .insert(&component.version);
    }
    let witnessed = components
        .iter()
        .map(|c| (c.name.as_str(), Some(c.version.as_str())))
        .chain(
            found
                .iter()
                .map(|f| (f.name.as_str(), f.version.as_deref())),
        );
    let mut differences = BTreeSet::new();
    for (name, version) in witnessed {
        match (claimed.get(name), version) {
            (None, _) => {
                differences.insert(Difference::NativeMissing {
                    name: name.to_owned(),
                    version: version.map(str::to_owned),
                });
            }
            (Some(versions), Some(version)) if !versions.contains(version) => {
                differences.insert(Difference::NativeVersionDiffers {
                    name: name.to_owned(),
                    found: version.to_owned(),
                    sbom: versions.iter().copied().collect::<Vec<_>>().join(", "),
                });
            }
            _ => {}
        }
    }
    differences.into_iter().collect()
}

fn against_lock(graph: &DepGraph, lock: &LockGraph, out: &mut BTreeSet<Difference>) {
    let mut sources: BTreeMap<&PackageId, BTreeSet<&str>> = BTreeMap::new();
    for package in lock.packages() {
        sources
            .entry(&package.id)
            .or_default()
            .insert(package.source.kind());
    }
    for package in graph.packages() {
        match sources.get(&package.id) {
            None => {
                out.insert(Difference::MissingInLock {
                    package: package.id.clone(),
                });
            }
            Some(kinds) if !kinds.contains(package.source.kind()) => {
                out.insert(Difference::SourceDiffers {
                    package: package.id.clone(),
                    binary: package.source.kind().to_owned(),
                    lock: kinds.iter().copied().collect::<Vec<_>>().join(", "),
                });
            }
            Some(_) => {}
        }
    }
}

fn against_sbom(
    graph: &DepGraph,
    sbom: &ReadSbom,
    lock: Option<&LockGraph>,
    out: &mut BTreeSet<Difference>,
) -> usize {
    out.extend(
        sbom.leaked_paths
            .iter()
            .cloned()
            .map(Difference::LeakedPath),
    );
    out.extend(
        sbom.dangling
            .iter()
            .cloned()
            .map(|reference| Difference::DanglingReference { reference }),
    );
    let root = graph.root();
    let subject = sbom.subject.as_ref();
    let version = root.version().to_string();
    // The binary may have another name than the package: name or package URL decides.
    let root_purl = root.purl();
    let subject_fits = subject.is_some_and(|subject| {
        let purl = subject
            .purl
            .as_deref()
            .and_then(|purl| purl.split('?').next());
        subject.version == version && (subject.name == root.name() || purl == Some(&root_purl))
    });
    if !subject_fits {
        out.insert(Difference::SubjectDiffers {
            binary: root.id.clone(),
            sbom: subject.map(label).unwrap_or_default(),
        });
    }
    let claimed: Vec<&ReadComponent> = sbom
        .components
        .iter()
        .filter(|component| component.is_crate())
        .collect();
    let mut by_id: BTreeMap<(&str, &str), Vec<&ReadComponent>> = BTreeMap::new();
    for component in &claimed {
        by_id
            .entry((&component.name, &component.version))
            .or_default()
            .push(component);
    }
    let mut in_binary: BTreeMap<(&str, String), Vec<&Package>> = BTreeMap::new();
    for package in graph.packages().iter().filter(|package| !package.root) {
        in_binary
            .entry((package.name(), package.version().to_string()))
            .or_default()
            .push(package);
    }
    let mut missing = Vec::new();
    for ((name, version), packages) in &in_binary {
        match by_id.get(&(*name, version.as_str())) {
            None => missing.push(packages[0]),
            Some(components) => {
                if components.len() > packages.len() {
                    out.insert(Difference::ListedTwice {
                        component: label(components[0]),
                    });
                }
                components
                    .iter()
                    .for_each(|component| one_package(packages, component, lock, out));
            }
        }
    }
    let mut extra: Vec<&ReadComponent> = claimed
        .iter()
        .copied()
        .filter(|component| {
            let known =
                in_binary.contains_key(&(component.name.as_str(), component.version.clone()));
            let is_root = component.name == root.name() && component.version == version;
            !known && !is_root && component.scope != Some(Scope::Excluded)
        })
        .collect();
    // One version here and one there of the same name is a wrong version, not two findings.
    missing.retain(|package| {
        let same_name: Vec<usize> = extra
            .iter()
            .enumerate()
            .filter(|(_, c)| c.name == package.name())
            .map(|(n, _)| n)
            .collect();
        if let [only] = same_name[..] {
            let component = extra.remove(only);
            out.insert(Difference::VersionDiffers {
                name: package.name().to_owned(),
                binary: package.version().to_string(),
                sbom: component.version.clone(),
            });
            return false;
        }
        true
    });
    out.extend(missing.into_iter().map(|p| Difference::MissingInSbom {
        package: p.id.clone(),
    }));
    out.extend(extra.into_iter().map(|c| Difference::NotInBinary {
        component: label(c),
    }));
    edges(graph, sbom, out);
    claimed.len() + usize::from(subject.is_some())
}

fn one_package(
    packages: &[&Package],
    component: &ReadComponent,
    lock: Option<&LockGraph>,
    out: &mut BTreeSet<Difference>,
) {
    let package = packages[0];
    // Where one version comes from two sources, linked in wins.
    let kind = packages
        .iter()
        .filter_map(|p| p.kind)
        .max()
        .unwrap_or(Kind::Runtime);
    let excluded = component.scope == Some(Scope::Excluded);
    if excluded != (kind == Kind::Build) {
        out.insert(Difference::ScopeDiffers {
            package: package.id.clone(),
            binary: kind,
            sbom: component.scope,
        });
    }
    if !matches!(package.source, Source::CratesIo | Source::Registry(_)) {
        return;
    }
    let Some(hashes) = component.hashes.get("SHA-256") else {
        out.insert(Difference::HashMissing {
            package: package.id.clone(),
        });
        return;
    };
    let Some(lock) = lock else { return };
    let checksums: BTreeSet<String> = lock
        .find(&package.id)
        .filter_map(|p| p.checksum)
        .map(|c| c.to_string())
        .collect();
    if !checksums.is_empty()
        && let Some(wrong) = hashes.iter().find(|hash| !checksums.contains(*hash))
    {
        out.insert(Difference::HashDiffers {
            package: package.id.clone(),
            lock: checksums.into_iter().collect::<Vec<_>>().join(", "),
            sbom: wrong.clone(),
        });
    }
}

/// From one name and version to another.
type Edge<'a> = ((&'a str, &'a str), (&'a str, &'a str));

/// Compares the edges between crates. An SBOM without any dependency graph has all edges missing.
fn edges(graph: &DepGraph, sbom: &ReadSbom, out: &mut BTreeSet<Difference>) {
    let mut claimed: BTreeSet<Edge<'_>> = BTreeSet::new();
    let by_reference: BTreeMap<&str, &ReadComponent> = sbom
        .subject
        .iter()
        .chain(&sbom.components)
        .filter_map(|component| Some((component.reference.as_deref()?, component)))
        .collect();
    let root = graph.root();
    let root_version = root.version().to_string();
    let is_subject = |component: &ReadComponent| sbom.subject.as_ref() == Some(component);
    let key = |component: &'_ ReadComponent| -> Option<(String, String)> {
        if is_subject(component) {
            return Some((root.name().to_owned(), root_version.clone()));
        }
        component
            .is_crate()
            .then(|| (component.name.clone(), component.version.clone()))
    };
    let mut owned = Vec::new();
    for (from, targets) in &sbom.dependencies {
        let Some(from) = by_reference.get(from.as_str()).and_then(|c| key(c)) else {
            continue;
        };
        for target in targets {
            if let Some(to) = by_reference.get(target.as_str()).and_then(|c| key(c)) {
                owned.push((from.clone(), to));
            }
        }
    }
    for ((from, from_version), (to, to_version)) in &owned {
        claimed.insert(((from, from_version), (to, to_version)));
    }
    let versions: Vec<String> = graph
        .packages()
        .iter()
        .map(|p| p.version().to_string())
        .collect();
    let name_of = |place: usize| (graph.packages()[place].name(), versions[place].as_str());
    let mut real = BTreeSet::new();
    for (place, package) in graph.packages().iter().enumerate() {
        for &target in &package.dependencies {
            real.insert((name_of(place), name_of(target)));
            if !claimed.contains(&(name_of(place), name_of(target))) {
                out.insert(Difference::EdgeMissing {
                    from: package.id.clone(),
                    to: graph.packages()[target].id.clone(),
                });
            }
        }
    }
    let known: BTreeSet<(&str, &str)> = (0..versions.len()).map(name_of).collect();
    for (from, to) in &claimed {
        // What hangs on a package that is itself a difference is reported there.
        if known.contains(from) && known.contains(to) && !real.contains(&(*from, *to)) {
            out.insert(Difference::EdgeExtra {
                from: format!("{} {}", from.0, from.1),
                to: format!("{} {}", to.0, to.1),
            });
        }
    }
}

fn label(component: &ReadComponent) -> String {
    format!("{} {}", component.name, component.version)
}
