//! The packages of the binary held against `Cargo.lock`.

use std::collections::{BTreeMap, BTreeSet};

use super::Difference;
use crate::model::package::PackageId;
use crate::source::cargo_lock::LockGraph;
use crate::source::dep_v0::DepGraph;

pub(super) fn against_lock(graph: &DepGraph, lock: &LockGraph, out: &mut BTreeSet<Difference>) {
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
