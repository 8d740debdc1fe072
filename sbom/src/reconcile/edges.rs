//! The dependency graph of the binary held against that of an SBOM.

use std::collections::{BTreeMap, BTreeSet};

use super::Difference;
use crate::read::{ReadComponent, ReadSbom};
use crate::source::dep_v0::DepGraph;

/// From one name and version to another.
type Edge<'a> = ((&'a str, &'a str), (&'a str, &'a str));

/// Compares the edges between crates. An SBOM without any dependency graph has all edges missing.
pub(super) fn edges(graph: &DepGraph, sbom: &ReadSbom, out: &mut BTreeSet<Difference>) {
    let mut claimed: BTreeSet<Edge<'_>> = BTreeSet::new();
    let by_reference: BTreeMap<&str, &ReadComponent> = sbom
        .subject
        .iter()
        .chain(&sbom.components)
        .filter_map(|component| Some((component.reference.as_deref()?, component)))
        .collect();
    let root = graph.root();
    let root_version = root.version().to_string();
    let is_subject = |component: &ReadComponent| {
        sbom.subject
            .as_ref()
            .is_some_and(|subject| std::ptr::eq(subject, component))
    };
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
