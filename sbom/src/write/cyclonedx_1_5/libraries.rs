//! Libraries that are no crates as components: C code by its sources or by the binary, and the
//! standard library.

use std::collections::BTreeSet;

use cyclonedx_bom::external_models::uri::Purl;
use cyclonedx_bom::models::component::{Classification, Component, Cpe, Scope};
use cyclonedx_bom::models::external_reference::{ExternalReferenceType, ExternalReferences};
use cyclonedx_bom::models::license::{LicenseChoice, Licenses};
use cyclonedx_bom::models::property::{Properties, Property};
use serde_json::json;

use super::parts::{hashes, link, source_distribution};
use super::{Extra, Form, SbomRequest, WriteError, properties};
use crate::model::package::PackageId;
use crate::native::{FoundInBinary, NativeComponent, library};

/// Name of the component that stands for the standard library.
const STD: &str = "rust-std";

/// Every library that is no crate: the package that brings it, the component, what 1.6 adds, and its
/// reference. What only the binary names is brought by the root package.
pub(super) fn libraries<'a>(
    request: &SbomRequest<'a>,
) -> Result<Vec<(&'a PackageId, Component, Extra, String)>, WriteError> {
    let mut all = Vec::new();
    for native in &request.native.components {
        check_witnesses(request, native)?;
        let (component, extra) = native_component(request, native);
        all.push((&native.crate_id, component, extra, native.purl()));
    }
    let root = &request.graph.root().id;
    let witnesses = &request.artifact.witnesses;
    let std = witnesses
        .iter()
        .filter(|witness| witness.name == STD)
        .find_map(|witness| witness.version.as_ref());
    let alone = only_in_binary(request).into_iter().map(witnessed_component);
    for (component, extra, reference) in alone.chain(std.map(|version| std_component(version))) {
        all.push((root, component, extra, reference));
    }
    Ok(all)
}

fn native_component(request: &SbomRequest<'_>, native: &NativeComponent) -> (Component, Extra) {
    let purl = native.purl();
    let mut component = Component::new(
        Classification::Library,
        &native.name,
        &native.version,
        Some(purl.clone()),
    );
    component.scope = Some(Scope::Required);
    component.purl = purl.parse::<Purl>().ok();
    component.cpe = native.cpe.as_ref().map(|name| {
        let version = native.version.replace('-', "\\-");
        Cpe::new(&format!("cpe:2.3:a:{name}:{version}:*:*:*:*:*:*:*"))
    });
    component.licenses = Some(Licenses(vec![LicenseChoice::expression(&native.licence)]));
    let mut list = properties(&Form::Sources, Some(&native.licence));
    list.push(Property::new("native:crate", &native.crate_id.to_string()));
    component.properties = Some(Properties(list));
    let carrier = request
        .graph
        .packages()
        .iter()
        .find(|package| package.id == native.crate_id);
    let carrier_purl = carrier
        .map(|package| super::identity::purl(request, package))
        .unwrap_or_default();
    let sums = request
        .lock
        .find(&native.crate_id)
        .find_map(|package| package.checksum);
    component.external_references = Some(ExternalReferences(vec![
        link(
            ExternalReferenceType::Distribution,
            &carrier_purl,
            hashes(sums, None),
        ),
        link(ExternalReferenceType::Website, &native.website, None),
    ]));
    let extra = Extra {
        manufacturer: Some(
            json!({ "name": format!("The authors of {}", native.name), "url": [native.website] }),
        ),
        declared: Some(native.licence.clone()),
        references: vec![source_distribution(
            &carrier_purl,
            hashes(sums, None).as_ref(),
        )],
        identity: Some(json!([{
            "field": "version",
            "confidence": 1,
            "methods": [{
                "technique": "source-code-analysis",
                "confidence": 1,
                "value": format!("{} sha256:{}", native.read_from, native.read_from_sha256),
            }],
        }])),
    };
    (component, extra)
}

/// The standard library, which is linked into every Rust binary and stands in no lock file.
fn std_component(version: &str) -> (Component, Extra, String) {
    const LICENCE: &str = "MIT OR Apache-2.0";
    const REPOSITORY: &str = "https://github.com/rust-lang/rust";
    let reference = format!("pkg:generic/{STD}@{version}");
    let mut component = Component::new(
        Classification::Library,
        STD,
        version,
        Some(reference.clone()),
    );
    component.scope = Some(Scope::Required);
    component.purl = reference.parse::<Purl>().ok();
    component.licenses = Some(Licenses(vec![LicenseChoice::expression(LICENCE)]));
    component.properties = Some(Properties(properties(&Form::Sources, Some(LICENCE))));
    component.external_references = Some(ExternalReferences(vec![link(
        ExternalReferenceType::Vcs,
        REPOSITORY,
        None,
    )]));
    let extra = Extra {
        manufacturer: Some(json!({ "name": "The Rust Project", "url": ["https://rust-lang.org"] })),
        declared: Some(LICENCE.to_owned()),
        references: vec![source_distribution(
            &format!("{REPOSITORY}/tree/{version}"),
            None,
        )],
        identity: Some(json!([{
            "field": "version",
            "confidence": 1,
            "methods": [{ "technique": "binary-analysis", "confidence": 1, "value": "rustc version string" }],
        }])),
    };
    (component, extra, reference)
}

/// Libraries that the binary names and no crate's sources told: one witness a library.
fn only_in_binary<'a>(request: &SbomRequest<'a>) -> Vec<&'a FoundInBinary> {
    let mut named = BTreeSet::new();
    request
        .artifact
        .witnesses
        .iter()
        .filter(|witness| witness.name != STD)
        .filter(|witness| {
            request
                .native
                .components
                .iter()
                .all(|c| c.name != witness.name)
        })
        .filter(|witness| named.insert((&witness.name, &witness.version)))
        .collect()
}

fn witnessed_component(witness: &FoundInBinary) -> (Component, Extra, String) {
    let version = witness.version.as_deref();
    let at = version
        .map(|version| format!("@{version}"))
        .unwrap_or_default();
    let reference = format!("pkg:generic/{}{at}", witness.name);
    let mut component = Component::new(
        Classification::Library,
        &witness.name,
        version.unwrap_or_default(),
        Some(reference.clone()),
    );
    if version.is_none() {
        component.version = None;
    }
    component.scope = Some(Scope::Required);
    component.purl = reference.parse::<Purl>().ok();
    let known = library(&witness.name);
    let licence = known.map(|library| library.licence);
    component.licenses = licence.map(|text| Licenses(vec![LicenseChoice::expression(text)]));
    component.properties = Some(Properties(properties(&Form::Sources, licence)));
    let field = if version.is_some() { "version" } else { "name" };
    let extra = Extra {
        manufacturer: known.map(|library| {
            json!({ "name": format!("The authors of {}", witness.name), "url": [library.website] })
        }),
        declared: licence.map(str::to_owned),
        references: Vec::new(),
        identity: Some(json!([{
            "field": field,
            "confidence": 1,
            "methods": [{ "technique": "binary-analysis", "confidence": 1, "value": witness.text }],
        }])),
    };
    (component, extra, reference)
}

/// A library in another version than the binary names is a contradiction.
fn check_witnesses(request: &SbomRequest<'_>, native: &NativeComponent) -> Result<(), WriteError> {
    let other = request
        .artifact
        .witnesses
        .iter()
        .filter(|witness| witness.name == native.name)
        .find_map(|witness| {
            witness
                .version
                .as_ref()
                .filter(|version| **version != native.version)
        });
    match other {
        Some(binary) => Err(WriteError::NativeContradiction {
            name: native.name.clone(),
            binary: binary.clone(),
            sources: native.version.clone(),
        }),
        None => Ok(()),
    }
}
