//! How a package is named in the document: its package URL and its reference.

use std::collections::BTreeMap;

use super::SbomRequest;
use crate::model::package::{Package, Source};

/// The `bom-ref` of each package: its package URL, with a number where two sources share one.
pub(super) fn references(request: &SbomRequest<'_>) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    request
        .graph
        .packages()
        .iter()
        .map(|package| {
            let purl = purl(request, package);
            let count = seen.entry(purl.clone()).or_default();
            *count += 1;
            if *count == 1 {
                purl
            } else {
                format!("{purl}#{count}")
            }
        })
        .collect()
}

/// The package URL; for members of the workspace with the address of its repository, so that nobody
/// takes them for crates of the same name in the public registry. Without an address it says, as
/// `cargo cyclonedx` does, that the package is a folder of the product itself.
pub(super) fn purl(request: &SbomRequest<'_>, package: &Package) -> String {
    match (&package.source, request.source.url) {
        (Source::Local, Some(url)) => {
            let commit = Some(request.source.commit.to_owned());
            let source = Source::Git {
                url: Some(url.to_owned()),
                commit,
            };
            Package {
                source,
                ..package.clone()
            }
            .purl()
        }
        (Source::Local, None) => format!("{}?download_url=file://.", package.purl()),
        _ => locked(request, package).map_or_else(|| package.purl(), Package::purl),
    }
}

/// The entry of the lock file, which knows the address of the source.
pub(super) fn locked<'a>(
    request: &'a SbomRequest<'_>,
    package: &'a Package,
) -> Option<&'a Package> {
    request
        .lock
        .find(&package.id)
        .find(|other| other.source.kind() == package.source.kind())
}
