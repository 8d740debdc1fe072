//! The document in the models of `cyclonedx-bom` (CycloneDX 1.5), and beside it, by reference, what
//! only 1.6 can say.

use std::collections::{BTreeMap, BTreeSet};

use cyclonedx_bom::external_models::date_time::DateTime;
use cyclonedx_bom::external_models::normalized_string::NormalizedString;
use cyclonedx_bom::external_models::uri::{Purl, Uri};
use cyclonedx_bom::models::bom::{Bom, BomReference, SpecVersion};
use cyclonedx_bom::models::component::{Classification, Component, Components, Cpe, Scope};
use cyclonedx_bom::models::composition::{AggregateType, Composition, Compositions};
use cyclonedx_bom::models::dependency::{Dependencies, Dependency};
use cyclonedx_bom::models::external_reference::{
    ExternalReference, ExternalReferenceType, ExternalReferences,
};
use cyclonedx_bom::models::formulation::Formula;
use cyclonedx_bom::models::hash::{Hash, HashAlgorithm, HashValue, Hashes};
use cyclonedx_bom::models::license::{LicenseChoice, Licenses};
use cyclonedx_bom::models::lifecycle::{Lifecycle, Lifecycles, Phase};
use cyclonedx_bom::models::metadata::Metadata;
use cyclonedx_bom::models::property::{Properties, Property};
use cyclonedx_bom::models::tool::Tools;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};
use time::format_description::well_known::Rfc3339;

use super::bsi_properties::{Form, properties};
use super::creator;
use super::request::{SbomRequest, WriteError};
use crate::digest::Sha256Digest;
use crate::model::manifest::Manifest;
use crate::model::package::{Kind, Package, Source};
use crate::native::{FoundInBinary, NativeComponent, library};
use crate::source::pinned_inputs::{DigestOf, PinnedInput};

/// What CycloneDX 1.6 adds to one component.
#[derive(Default)]
pub(super) struct Extra {
    /// `manufacturer`: who made it.
    pub(super) manufacturer: Option<Value>,
    /// The licence as its authors declare it.
    pub(super) declared: Option<String>,
    /// References of types that 1.5 does not have.
    pub(super) references: Vec<Value>,
    /// `evidence.identity`.
    pub(super) identity: Option<Value>,
}

/// The document in the models of 1.5, and the additions by `bom-ref`.
pub(super) struct Built {
    pub(super) bom: Bom,
    pub(super) extras: BTreeMap<String, Extra>,
}

/// Name of the component that stands for the standard library.
const STD: &str = "rust-std";

pub(super) fn build(request: &SbomRequest<'_>) -> Result<Built, WriteError> {
    let mut extras = BTreeMap::new();
    let references = references(request);
    let mut components = Vec::new();
    let mut dependencies = Vec::new();
    let mut native_of: BTreeMap<&crate::model::package::PackageId, Vec<String>> = BTreeMap::new();
    for native in &request.native.components {
        check_witnesses(request, native)?;
        let (component, extra) = native_component(request, native);
        native_of
            .entry(&native.crate_id)
            .or_default()
            .push(native.purl());
        extras.insert(native.purl(), extra);
        dependencies.push(Dependency {
            dependency_ref: native.purl(),
            dependencies: Vec::new(),
        });
        components.push(component);
    }
    for witness in only_in_binary(request) {
        let (component, extra, reference) = witnessed_component(witness);
        dependencies.push(Dependency {
            dependency_ref: reference.clone(),
            dependencies: Vec::new(),
        });
        native_of
            .entry(&request.graph.root().id)
            .or_default()
            .push(reference.clone());
        extras.insert(reference, extra);
        components.push(component);
    }
    let std = request
        .artifact
        .witnesses
        .iter()
        .find_map(|w| w.version.as_ref().filter(|_| w.name == STD));
    if let Some(version) = std {
        let (component, extra, reference) = std_component(version);
        dependencies.push(Dependency {
            dependency_ref: reference.clone(),
            dependencies: Vec::new(),
        });
        native_of
            .entry(&request.graph.root().id)
            .or_default()
            .push(reference.clone());
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

/// The `bom-ref` of each package: its package URL, with a number where two sources share one.
fn references(request: &SbomRequest<'_>) -> Vec<String> {
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
fn purl(request: &SbomRequest<'_>, package: &Package) -> String {
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
fn locked<'a>(request: &'a SbomRequest<'_>, package: &'a Package) -> Option<&'a Package> {
    request
        .lock
        .find(&package.id)
        .find(|other| other.source.kind() == package.source.kind())
}

fn crate_component(
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
        .map(|package| self::purl(request, package))
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

fn metadata(request: &SbomRequest<'_>, subject: Option<Component>) -> Result<Metadata, WriteError> {
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
fn formulation(inputs: &[PinnedInput]) -> Option<Vec<Formula>> {
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

fn link(kind: ExternalReferenceType, url: &str, hashes: Option<Hashes>) -> ExternalReference {
    ExternalReference {
        external_reference_type: kind,
        url: Uri::new(url).into(),
        comment: None,
        hashes,
    }
}

fn source_distribution(url: &str, hashes: Option<&Hashes>) -> Value {
    let mut value = json!({ "type": "source-distribution", "url": url });
    if let Some(Hashes(list)) = hashes {
        value["hashes"] = list
            .iter()
            .map(|hash| json!({ "alg": hash.alg.to_string(), "content": hash.content.0 }))
            .collect();
    }
    value
}

fn hashes(sha256: Option<Sha256Digest>, sha512: Option<&str>) -> Option<Hashes> {
    let list: Vec<Hash> = [
        sha256.map(|sum| (HashAlgorithm::SHA_256, sum.to_string())),
        sha512.map(|sum| (HashAlgorithm::SHA_512, sum.to_owned())),
    ]
    .into_iter()
    .flatten()
    .map(|(alg, content)| Hash {
        alg,
        content: HashValue(content),
    })
    .collect();
    (!list.is_empty()).then_some(Hashes(list))
}
