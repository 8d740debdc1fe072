//! The part of a CycloneDX document that is held against the binary.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::leak::{self, LeakedPath};
use super::{MAX_NESTING, ReadError};

/// A CycloneDX document as it claims to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadSbom {
    /// Version of CycloneDX, such as `1.6`.
    pub spec_version: String,
    /// `serialNumber` and `version`, where there is a number.
    pub serial_number: Option<String>,
    /// `metadata.timestamp`, as written.
    pub timestamp: Option<String>,
    /// What the document is about: `metadata.component`.
    pub subject: Option<ReadComponent>,
    /// All components, nested ones too; without the subject, tools and formulation.
    pub components: Vec<ReadComponent>,
    /// Direct dependencies by `bom-ref`.
    pub dependencies: BTreeMap<String, BTreeSet<String>>,
    /// Dependencies that name a reference that no component has.
    pub dangling: BTreeSet<String>,
    /// Host paths anywhere in the document.
    pub leaked_paths: Vec<LeakedPath>,
    /// Whether the document contains vulnerabilities, which belong into a VEX of their own.
    pub has_vulnerabilities: bool,
}

/// One component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadComponent {
    /// `bom-ref`, by which dependencies name it.
    pub reference: Option<String>,
    /// `type`, such as `library`.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Version, empty where there is none.
    pub version: String,
    /// Package URL.
    pub purl: Option<String>,
    /// Scope; `None` means `required` by the specification, but was not written.
    pub scope: Option<Scope>,
    /// Digests by algorithm (`SHA-256`), from `hashes` and from references of the type `distribution`.
    pub hashes: BTreeMap<String, BTreeSet<String>>,
    /// Licence identifiers, names and expressions.
    pub licences: Vec<String>,
}

impl ReadComponent {
    /// Whether it is a crate: its package URL is of the type `cargo`.
    #[must_use]
    pub fn is_crate(&self) -> bool {
        self.purl
            .as_deref()
            .is_some_and(|purl| purl.starts_with("pkg:cargo/"))
    }
}

/// Whether a component is part of what is shipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Needed at run time.
    Required,
    /// May be missing at run time.
    Optional,
    /// Only used while building or testing.
    Excluded,
}

pub(super) fn from_json(value: Value, version: String) -> Result<ReadSbom, ReadError> {
    let leaked_paths = leak::find(&value);
    let has_vulnerabilities = value
        .get("vulnerabilities")
        .and_then(Value::as_array)
        .is_some_and(|list| !list.is_empty());
    let raw: RawBom = serde_json::from_value(value).map_err(ReadError::Shape)?;
    let metadata = raw.metadata.unwrap_or_default();
    let mut components = Vec::new();
    let mut subject = None;
    if let Some(raw_subject) = metadata.component {
        let mut inner = Vec::new();
        flatten(vec![raw_subject], 0, &mut inner)?;
        let mut inner = inner.into_iter();
        subject = inner.next();
        components.extend(inner);
    }
    flatten(raw.components, 0, &mut components)?;
    let mut references = BTreeSet::new();
    for component in subject.iter().chain(&components) {
        if let Some(reference) = &component.reference
            && !references.insert(reference.clone())
        {
            return Err(ReadError::DuplicateReference {
                reference: reference.clone(),
            });
        }
    }
    let mut dependencies: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut dangling = BTreeSet::new();
    for dependency in raw.dependencies {
        for reference in dependency.depends_on.iter().chain([&dependency.reference]) {
            if !references.contains(reference) {
                dangling.insert(reference.clone());
            }
        }
        dependencies
            .entry(dependency.reference)
            .or_default()
            .extend(dependency.depends_on);
    }
    Ok(ReadSbom {
        spec_version: version,
        serial_number: raw.serial_number,
        timestamp: metadata.timestamp,
        subject,
        components,
        dependencies,
        dangling,
        leaked_paths,
        has_vulnerabilities,
    })
}

fn flatten(
    list: Vec<RawComponent>,
    depth: usize,
    out: &mut Vec<ReadComponent>,
) -> Result<(), ReadError> {
    if depth > MAX_NESTING {
        return Err(ReadError::Nesting);
    }
    for raw in list {
        let mut hashes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let distributed = raw
            .external_references
            .into_iter()
            .filter(|reference| reference.kind == "distribution")
            .flat_map(|reference| reference.hashes);
        for hash in raw.hashes.into_iter().chain(distributed) {
            hashes
                .entry(hash.alg)
                .or_default()
                .insert(hash.content.to_ascii_lowercase());
        }
        let licences = raw
            .licenses
            .into_iter()
            .filter_map(|choice| {
                choice
                    .expression
                    .or(choice.license.and_then(|l| l.id.or(l.name)))
            })
            .collect();
        out.push(ReadComponent {
            reference: raw.reference,
            kind: raw.kind,
            name: raw.name,
            version: raw.version.unwrap_or_default(),
            purl: raw.purl,
            scope: raw.scope,
            hashes,
            licences,
        });
        flatten(raw.components, depth + 1, out)?;
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBom {
    serial_number: Option<String>,
    metadata: Option<RawMetadata>,
    #[serde(default)]
    components: Vec<RawComponent>,
    #[serde(default)]
    dependencies: Vec<RawDependency>,
}

#[derive(Deserialize, Default)]
struct RawMetadata {
    timestamp: Option<String>,
    component: Option<RawComponent>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawComponent {
    #[serde(rename = "bom-ref")]
    reference: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    name: String,
    version: Option<String>,
    purl: Option<String>,
    scope: Option<Scope>,
    #[serde(default)]
    hashes: Vec<RawHash>,
    #[serde(default)]
    licenses: Vec<RawLicence>,
    #[serde(default)]
    external_references: Vec<RawReference>,
    #[serde(default)]
    components: Vec<RawComponent>,
}

#[derive(Deserialize)]
struct RawHash {
    alg: String,
    content: String,
}

#[derive(Deserialize)]
struct RawLicence {
    expression: Option<String>,
    license: Option<RawNamedLicence>,
}

#[derive(Deserialize)]
struct RawNamedLicence {
    id: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
struct RawReference {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    hashes: Vec<RawHash>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDependency {
    #[serde(rename = "ref")]
    reference: String,
    #[serde(default)]
    depends_on: BTreeSet<String>,
}
