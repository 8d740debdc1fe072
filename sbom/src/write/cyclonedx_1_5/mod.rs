//! The document in the models of `cyclonedx-bom` (CycloneDX 1.5), and beside it, by reference, what
//! only 1.6 can say.

mod crates;
mod document;
mod identity;
mod libraries;
mod parts;

use std::collections::{BTreeMap, BTreeSet};

use cyclonedx_bom::models::bom::{Bom, BomReference, SpecVersion};
use cyclonedx_bom::models::component::Components;
use cyclonedx_bom::models::composition::{AggregateType, Composition, Compositions};
use cyclonedx_bom::models::dependency::{Dependencies, Dependency};
use serde_json::Value;

use self::crates::crate_component;
use self::document::{formulation, metadata};
use self::identity::references;
use self::libraries::libraries;
use super::bsi_properties::{Form, properties};
use super::creator;
use super::request::{SbomRequest, WriteError};

/// What CycloneDX 1.6 adds to one component.
#[derive(Default)]
pub(in crate::write) struct Extra {
    /// `manufacturer`: who made it.
    pub(in crate::write) manufacturer: Option<Value>,
    /// The licence as its authors declare it.
    pub(in crate::write) declared: Option<String>,
    /// References of types that 1.5 does not have.
    pub(in crate::write) references: Vec<Value>,
    /// `evidence.identity`.
    pub(in crate::write) identity: Option<Value>,
}

/// The document in the models of 1.5, and the additions by `bom-ref`.
pub(in crate::write) struct Built {
    pub(in crate::write) bom: Bom,
    pub(in crate::write) extras: BTreeMap<String, Extra>,
}

/// Builds the document from a request.
pub(in crate::write) fn build(request: &SbomRequest<'_>) -> Result<Built, WriteError> {
    let mut extras = BTreeMap::new();
    let references = references(request);
    let mut components = Vec::new();
    let mut dependencies = Vec::new();
    let mut native_of: BTreeMap<&crate::model::package::PackageId, Vec<String>> = BTreeMap::new();
    for (carrier, component, extra, reference) in libraries(request)? {
        native_of
            .entry(carrier)
            .or_default()
            .push(reference.clone());
        dependencies.push(Dependency {
            dependency_ref: reference.clone(),
            dependencies: Vec::new(),
        });
        extras.insert(reference, extra);
        components.push(component);
    }
    let mut subject = None;
    for (package, reference) in request.graph.packages().iter().zip(&references) {
        let mut targets: BTreeSet<String> = package
            .dependencies
            .iter()
            .map(|&place| references[place].clone())
            .collect();
        targets.extend(native_of.get(&package.id).into_iter().flatten().cloned());
        dependencies.push(Dependency {
            dependency_ref: reference.clone(),
            dependencies: targets.into_iter().collect(),
        });
        let (component, extra) = crate_component(request, package, reference)?;
        extras.insert(reference.clone(), extra);
        if package.root {
            subject = Some(component);
        } else {
            components.push(component);
        }
    }
    components.sort_by(|a, b| a.bom_ref.cmp(&b.bom_ref));
    dependencies.sort_by(|a, b| a.dependency_ref.cmp(&b.dependency_ref));
    let all: Vec<BomReference> = dependencies
        .iter()
        .map(|d| BomReference::new(&d.dependency_ref))
        .collect();
    let complete = request.native.gaps.is_empty();
    let bom = Bom {
        version: 1,
        serial_number: None,
        metadata: Some(metadata(request, subject)?),
        components: Some(Components(components)),
        services: None,
        external_references: None,
        dependencies: Some(Dependencies(dependencies)),
        compositions: Some(Compositions(vec![Composition {
            bom_ref: None,
            aggregate: if complete {
                AggregateType::Complete
            } else {
                AggregateType::Incomplete
            },
            assemblies: None,
            dependencies: Some(all),
            vulnerabilities: None,
            signature: None,
        }])),
        properties: None,
        vulnerabilities: None,
        signature: None,
        annotations: None,
        formulation: formulation(request.inputs),
        spec_version: SpecVersion::V1_5,
    };
    Ok(Built { bom, extras })
}
