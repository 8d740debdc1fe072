//! A crate as a component: scope, digests, licence, creator, addresses.

use cyclonedx_bom::external_models::normalized_string::NormalizedString;
use cyclonedx_bom::external_models::uri::Purl;
use cyclonedx_bom::models::component::{Classification, Component, Scope};
use cyclonedx_bom::models::external_reference::{ExternalReferenceType, ExternalReferences};
use cyclonedx_bom::models::hash::Hashes;
use cyclonedx_bom::models::license::{LicenseChoice, Licenses};
use cyclonedx_bom::models::property::{Properties, Property};
use serde_json::json;
use sha2::{Digest as _, Sha512};

use super::identity::{locked, purl};
use super::parts::{hashes, link, source_distribution};
use super::{Extra, Form, SbomRequest, WriteError, creator, properties};
use crate::digest::Sha256Digest;
use crate::model::manifest::Manifest;
use crate::model::package::{Kind, Package, Source};

pub(super) fn crate_component(
    request: &SbomRequest<'_>,
    package: &Package,
    reference: &str,
) -> Result<(Component, Extra), WriteError> {
    let in_lock = locked(request, package).ok_or_else(|| WriteError::NotInLock {
        package: package.id.clone(),
    })?;
    let manifest = Manifest::of(package, request.files).unwrap_or_default();
    let licence = manifest.licence.clone().or_else(|| {
        let name: String = reference_name(package);
        manifest
            .licence_file
            .as_ref()
            .map(|_| format!("LicenseRef-{name}"))
    });
    let purl = purl(request, package);
    let mut extra = Extra {
        declared: licence.clone(),
        ..Extra::default()
    };
    let version = package.version().to_string();
    let (classification, name) = if package.root {
        (Classification::Application, request.artifact.name.as_str())
    } else {
        (Classification::Library, package.name())
    };
    let mut component = Component::new(classification, name, &version, Some(reference.to_owned()));
    let mut links = Vec::new();
    let form = if package.root {
        let artifact = request.artifact;
        let hashes = hashes(Some(artifact.sha256), Some(&artifact.sha512));
        let url = request.distribution_url.unwrap_or(&artifact.name);
        links.push(link(
            ExternalReferenceType::Distribution,
            url,
            hashes.clone(),
        ));
        component.hashes = hashes;
        Form::Program {
            filename: &artifact.name,
        }
    } else if matches!(package.source, Source::CratesIo | Source::Registry(_)) {
        let (hashes, packed) = crate_hashes(request, in_lock)?;
        links.push(link(
            ExternalReferenceType::Distribution,
            &purl,
            hashes.clone(),
        ));
        extra
            .references
            .push(source_distribution(&purl, hashes.as_ref()));
        component.hashes = hashes;
        match packed {
            true => Form::Crate {
                filename: format!("{}-{version}.crate", package.name()),
            },
            false => Form::Sources,
        }
    } else {
        Form::Sources
    };
    match (&package.source, request.source.url) {
        (Source::Local, Some(url)) => {
            links.push(link(ExternalReferenceType::Vcs, url, None));
            extra.references.push(source_distribution(
                &format!("{url}#{}", request.source.commit),
                None,
            ));
        }
        _ => {
            if let Some(url) = &manifest.repository {
                links.push(link(ExternalReferenceType::Vcs, url, None));
            }
        }
    }
    if let Some(url) = &manifest.homepage {
        links.push(link(ExternalReferenceType::Website, url, None));
    }
    if let (true, Some(url)) = (package.root, request.security_txt) {
        extra
            .references
            .push(json!({ "type": "rfc-9116", "url": url }));
    }
    let supplier = creator::of_party(&request.supplier);
    extra.manufacturer = match package.source {
        Source::Local => supplier,
        _ => creator::of_crate(package.name(), &manifest),
    };
    component.scope = Some(match package.kind {
        Some(Kind::Build) => Scope::Excluded,
        Some(Kind::Runtime) | None => Scope::Required,
    });
    component.description = manifest
        .description
        .as_deref()
        .map(|text| NormalizedString::new(text.trim()));
    component.purl = purl.parse::<Purl>().ok();
    component.licenses = licence
        .as_deref()
        .map(|l| Licenses(vec![LicenseChoice::expression(l)]));
    let mut list = properties(&form, licence.as_deref());
    if package.root {
        list.push(Property::new(
            "artifact:size_bytes",
            &request.artifact.size_bytes.to_string(),
        ));
    }
    component.properties = Some(Properties(list));
    component.external_references = (!links.is_empty()).then_some(ExternalReferences(links));
    Ok((component, extra))
}

fn reference_name(package: &Package) -> String {
    // SPDX 2.3, annex D: letters, digits, `-` and `.`.
    format!("{}-{}", package.name(), package.version())
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '.' {
                c
            } else {
                '-'
            }
        })
        .collect()
}

/// The digests of a crate, and whether its packed file is at hand.
fn crate_hashes(
    request: &SbomRequest<'_>,
    package: &Package,
) -> Result<(Option<Hashes>, bool), WriteError> {
    let expected = match package.checksum {
        Some(checksum) => checksum,
        None if request.lock.is_from_binary() => return Ok((None, false)),
        None => {
            return Err(WriteError::NoChecksum {
                package: package.id.clone(),
            });
        }
    };
    let packed = (request.files)(&format!("{}-{}.crate", package.name(), package.version()));
    let Some(bytes) = packed else {
        return Ok((hashes(Some(expected), None), false));
    };
    let found = Sha256Digest::of(&bytes);
    if found != expected {
        return Err(WriteError::WrongCrate {
            package: package.id.to_string(),
            found,
            expected,
        });
    }
    let sha512 = hex::encode(Sha512::digest(&bytes));
    Ok((hashes(Some(expected), Some(&sha512)), true))
}
