//! Holds the inventories against each other: what the binary carries, what the SBOM claims, and what
//! `Cargo.lock` resolved. Every difference is listed by name; nothing is counted away.

mod artifact;
mod difference;
mod edges;
mod lock;
mod packages;

pub use artifact::{reconcile_artifact, reconcile_native};
pub use difference::Difference;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::model::package::{Package, PackageId};
use crate::read::ReadSbom;
use crate::source::cargo_lock::LockGraph;
use crate::source::dep_v0::DepGraph;

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
        lock::against_lock(graph, lock, &mut differences);
    }
    let mut in_sbom = None;
    if let Some(sbom) = sbom {
        in_sbom = Some(packages::against_sbom(graph, sbom, lock, &mut differences));
    }
    let named: BTreeSet<&PackageId> = differences.iter().filter_map(Difference::package).collect();
    let wrong_version: BTreeSet<&str> = differences
        .iter()
        .filter_map(|difference| match difference {
            Difference::VersionDiffers { name, .. } => Some(name.as_str()),
            _ => None,
        })
        .collect();
    let agrees = |package: &&Package| {
        !named.contains(&package.id) && !wrong_version.contains(package.name())
    };
    let compared = match (sbom, lock) {
        (None, None) => 0,
        _ => graph.packages().iter().filter(agrees).count(),
    };
    Reconciliation {
        in_binary: graph.packages().len(),
        in_sbom,
        in_lock: lock.map(|lock| lock.packages().len()),
        compared,
        differences: differences.into_iter().collect(),
    }
}
