//! The file that an SBOM is about, and the libraries in it that are no crates.

use std::collections::{BTreeMap, BTreeSet};

use super::Difference;
use crate::native::{FoundInBinary, NativeComponent};
use crate::read::ReadSbom;
use crate::write::Artifact;

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
