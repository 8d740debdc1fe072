//! What the document says of itself and of the build.

use cyclonedx_bom::external_models::date_time::DateTime;
use cyclonedx_bom::external_models::uri::Purl;
use cyclonedx_bom::models::bom::BomReference;
use cyclonedx_bom::models::component::{Classification, Component, Components};
use cyclonedx_bom::models::external_reference::{ExternalReferenceType, ExternalReferences};
use cyclonedx_bom::models::formulation::Formula;
use cyclonedx_bom::models::lifecycle::{Lifecycle, Lifecycles, Phase};
use cyclonedx_bom::models::metadata::Metadata;
use cyclonedx_bom::models::property::{Properties, Property};
use cyclonedx_bom::models::tool::Tools;
use time::format_description::well_known::Rfc3339;

use super::parts::{hashes, link};
use super::{SbomRequest, WriteError};
use crate::source::pinned_inputs::{DigestOf, PinnedInput};

pub(super) fn metadata(
    request: &SbomRequest<'_>,
    subject: Option<Component>,
) -> Result<Metadata, WriteError> {
    let seconds = request.commit_time_s;
    let timestamp = time::OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .and_then(|text| DateTime::try_from(text).ok())
        .ok_or(WriteError::Time { seconds })?;
    let tool = Component::new(
        Classification::Application,
        request.tool.name,
        request.tool.version,
        None,
    );
    Ok(Metadata {
        timestamp: Some(timestamp),
        tools: Some(Tools::Object {
            services: None,
            components: Some(Components(vec![tool])),
        }),
        authors: None,
        component: subject,
        manufacture: None,
        supplier: None,
        licenses: None,
        properties: None,
        lifecycles: Some(Lifecycles(vec![Lifecycle::Phase(Phase::Build)])),
    })
}

/// What the build was made with, as a formula of the pinned inputs.
pub(super) fn formulation(inputs: &[PinnedInput]) -> Option<Vec<Formula>> {
    if inputs.is_empty() {
        return None;
    }
    let mut sorted: Vec<&PinnedInput> = inputs.iter().collect();
    sorted.sort();
    sorted.dedup();
    let components = sorted
        .into_iter()
        .map(|input| {
            let reference = format!("input:{}@{}:{}", input.name, input.version, input.sha256);
            let mut component = Component::new(
                Classification::File,
                &input.name,
                &input.version,
                Some(reference),
            );
            component.purl = input
                .purl
                .as_ref()
                .and_then(|purl| purl.parse::<Purl>().ok());
            let sum = match input.digest_of {
                DigestOf::File => {
                    component.hashes = hashes(Some(input.sha256), None);
                    component.hashes.clone()
                }
                DigestOf::Nar => {
                    let property = Property::new("nix:nar-sha256", &input.sha256.to_string());
                    component.properties = Some(Properties(vec![property]));
                    None
                }
            };
            component.external_references = input.url.as_ref().map(|url| {
                ExternalReferences(vec![link(ExternalReferenceType::Distribution, url, sum)])
            });
            component
        })
        .collect();
    Some(vec![Formula {
        bom_ref: Some(BomReference::new("formulation")),
        components: Some(Components(components)),
        services: None,
        workflows: None,
        properties: None,
    }])
}
