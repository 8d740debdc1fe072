//! The packages of the binary held against the components of an SBOM: names, versions, scopes, hashes.

use std::collections::{BTreeMap, BTreeSet};

use super::Difference;
use super::edges::edges;
use crate::model::package::{Kind, Package, Source};
use crate::read::{ReadComponent, ReadSbom, Scope};
use crate::source::cargo_lock::LockGraph;
use crate::source::dep_v0::DepGraph;

/// Returns the number of crates that the SBOM claims, its subject included.
pub(super) fn against_sbom(
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
    let mut extra: BTreeMap<&str, Vec<&ReadComponent>> = BTreeMap::new();
    for component in claimed.iter().copied() {
        let known = in_binary.contains_key(&(component.name.as_str(), component.version.clone()));
        let is_root = component.name == root.name() && component.version == version;
        if !known && !is_root && component.scope != Some(Scope::Excluded) {
            extra.entry(&component.name).or_default().push(component);
        }
    }
    // One version here and one there of the same name is a wrong version, not two findings.
    for package in missing {
        match extra.get(package.name()).map(Vec::as_slice) {
            Some([component]) => {
                out.insert(Difference::VersionDiffers {
                    name: package.name().to_owned(),
                    binary: package.version().to_string(),
                    sbom: component.version.clone(),
                });
                extra.remove(package.name());
            }
            _ => {
                out.insert(Difference::MissingInSbom {
                    package: package.id.clone(),
                });
            }
        }
    }
    out.extend(
        extra
            .into_values()
            .flatten()
            .map(|c| Difference::NotInBinary {
                component: label(c),
            }),
    );
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

fn label(component: &ReadComponent) -> String {
    format!("{} {}", component.name, component.version)
}
