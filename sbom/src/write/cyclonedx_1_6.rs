//! The lift from CycloneDX 1.5 to 1.6: what the models cannot say is added to the JSON, the serial
//! number is counted, and the result is read back and held against the binary before it is given out.

use serde_json::{Map, Value, json};

use super::creator;
use super::cyclonedx_1_5::{self, Built, Extra};
use super::request::{SbomRequest, SourceRepository, WriteError};
use crate::model::json as strict;
use crate::model::manifest::Manifest;
use crate::read;
use crate::reconcile::{self, Difference};

/// Writes the SBOM of one binary as CycloneDX 1.6 JSON.
///
/// # Errors
/// When the request contradicts itself: a package that the lock file does not have, a C library in
/// another version than the binary names, a packed crate with another checksum.
pub fn cyclonedx_1_6(request: &SbomRequest<'_>) -> Result<Vec<u8>, WriteError> {
    let supplier = creator::of_party(&request.supplier);
    if supplier.is_none() && !request.supplier.is_unknown() {
        return Err(WriteError::NoContact {
            name: request.supplier.name.to_owned(),
        });
    }
    let repository = match request.source.url {
        Some(url) => Some(url.to_owned()),
        None => Manifest::of(request.graph.root(), request.files).and_then(|own| own.repository),
    };
    let source = SourceRepository {
        url: repository.as_deref(),
        ..request.source
    };
    let request = &SbomRequest { source, ..*request };
    let Built { bom, mut extras } = cyclonedx_1_5::build(request)?;
    let mut json = Vec::new();
    bom.output_as_json_v1_5(&mut json)
        .map_err(WriteError::Model)?;
    let mut document: Value = serde_json::from_slice(&json).expect("the models write JSON");
    document["$schema"] = json!("http://cyclonedx.org/schema/bom-1.6.schema.json");
    document["specVersion"] = json!("1.6");
    if let Some(supplier) = supplier {
        document["metadata"]["manufacturer"] = supplier.clone();
        document["metadata"]["supplier"] = supplier;
    }
    if let Some(subject) = document.pointer_mut("/metadata/component") {
        add(subject, &mut extras);
    }
    if let Some(list) = document.get_mut("components").and_then(Value::as_array_mut) {
        list.iter_mut()
            .for_each(|component| add(component, &mut extras));
    }
    let serial = super::serial_number(&strict::to_bytes(&document));
    document["serialNumber"] = Value::String(serial);
    let bytes = strict::to_bytes(&document);
    check(request, &bytes)?;
    Ok(bytes)
}

/// Adds to a component what 1.6 can say about it.
fn add(component: &mut Value, extras: &mut std::collections::BTreeMap<String, Extra>) {
    let extra = component
        .get("bom-ref")
        .and_then(Value::as_str)
        .and_then(|reference| extras.remove(reference))
        .unwrap_or_default();
    // BSI TR-03183-2 v2.1.0: the licence under which it is passed on is "concluded". The array holds
    // one expression only, so the licence that its authors declare stands in the evidence.
    if let Some(licence) = component.pointer_mut("/licenses/0") {
        licence["acknowledgement"] = json!("concluded");
    }
    let mut evidence = Map::new();
    if let Some(declared) = extra.declared {
        evidence.insert(
            "licenses".into(),
            json!([{ "expression": declared, "acknowledgement": "declared" }]),
        );
    }
    if let Some(identity) = extra.identity {
        evidence.insert("identity".into(), identity);
    }
    if !evidence.is_empty() {
        component["evidence"] = Value::Object(evidence);
    }
    if let Some(manufacturer) = extra.manufacturer {
        component["manufacturer"] = manufacturer;
    }
    if !extra.references.is_empty() {
        let list = component
            .as_object_mut()
            .expect("a component is an object")
            .entry("externalReferences")
            .or_insert_with(|| json!([]));
        if let Value::Array(list) = list {
            list.extend(extra.references);
        }
    }
}

/// Reads the document back and holds it against the binary, the lock file and the C code.
fn check(request: &SbomRequest<'_>, bytes: &[u8]) -> Result<(), WriteError> {
    let read = read::parse(bytes).map_err(|error| WriteError::ReadBack {
        first: error.to_string(),
    })?;
    let outcome = reconcile::reconcile(request.graph, Some(&read), Some(request.lock));
    let more = reconcile::reconcile_artifact(request.artifact, &request.native.components, &read);
    let mut all = outcome.differences.iter().chain(&more);
    // Where there is no lock file there are no checksums, and that is known.
    let known = |d: &Difference| {
        request.lock.is_from_binary() && matches!(d, Difference::HashMissing { .. })
    };
    match all.find(|difference| !known(difference)) {
        Some(first) => Err(WriteError::ReadBack {
            first: first.to_string(),
        }),
        None => Ok(()),
    }
}
