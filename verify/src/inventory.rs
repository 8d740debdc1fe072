//! What is in the binaries of a bundle, for reports: names and versions, no judgement.

use sbom::model::package::Kind;
use sbom::source::dep_v0;
use serde::Serialize;

use crate::load::bundle::LoadedBundle;

/// The packages of one binary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inventory {
    /// The binary's name.
    pub binary: String,
    /// The package that the binary is made from.
    pub root: String,
    /// Its packages, in the order of its `.dep-v0` data.
    pub packages: Vec<Listed>,
}

/// One package; its texts come from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Whether it is linked in; `false` for what only the build needed.
    pub linked_in: bool,
    /// Kind of source: `crates.io`, `registry`, `git`, `local`.
    pub source: String,
    /// What it depends on, as places in the list.
    pub needs: Vec<usize>,
}

/// Reads the inventories of a bundle; binaries that do not say what is in them are left out, and
/// the check `sbom` names them.
#[must_use]
pub fn of_bundle(bundle: &LoadedBundle) -> Vec<Inventory> {
    bundle
        .binaries()
        .filter_map(|(name, file)| {
            let graph = dep_v0::read(file.bytes.as_deref()?).ok()?;
            let packages = graph
                .packages()
                .iter()
                .map(|package| Listed {
                    name: package.id.name.clone(),
                    version: package.id.version.to_string(),
                    linked_in: package.kind != Some(Kind::Build),
                    source: package.source.kind().to_owned(),
                    needs: package.dependencies.clone(),
                })
                .collect();
            Some(Inventory {
                binary: name.to_owned(),
                root: graph.root().id.name.clone(),
                packages,
            })
        })
        .collect()
}
