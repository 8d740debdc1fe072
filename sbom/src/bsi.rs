//! The data fields of BSI TR-03183-2 v2.1.0 (2025-08-20) in a CycloneDX document: which of them are
//! missing, by component. Fields that the guideline asks for only where they exist are told apart
//! from those that it always asks for.

use serde::Serialize;
use serde_json::Value;

/// A field that is missing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Gap {
    /// Section of the guideline.
    pub section: &'static str,
    /// The field, in the guideline's words.
    pub field: &'static str,
    /// Name and version of the component; empty for the document itself.
    pub component: String,
    /// Whether the guideline asks for it always (`required`) or where it exists (`additional`).
    pub required: bool,
}

impl std::fmt::Display for Gap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let of = if self.component.is_empty() {
            "the SBOM"
        } else {
            &self.component
        };
        write!(
            f,
            "{}: `{}` of `{of}` is missing (section {})",
            level(self.required),
            self.field,
            self.section
        )
    }
}

fn level(required: bool) -> &'static str {
    if required { "required" } else { "additional" }
}

/// Lists the fields that a document lacks; none for one that meets the guideline in full.
#[must_use]
pub fn gaps(document: &Value) -> Vec<Gap> {
    let mut out = Vec::new();
    let mut gap = |section, field, required| {
        out.push(Gap {
            section,
            field,
            component: String::new(),
            required,
        });
    };
    let version = document
        .get("specVersion")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if !matches!(version, "1.6" | "1.7") {
        gap("4", "CycloneDX 1.6 or higher", true);
    }
    if document
        .get("vulnerabilities")
        .and_then(Value::as_array)
        .is_some_and(|list| !list.is_empty())
    {
        gap("3.1", "no vulnerabilities in the SBOM", true);
    }
    if !document
        .pointer("/metadata/manufacturer")
        .is_some_and(has_address)
    {
        gap("5.2.1", "creator of the SBOM", true);
    }
    if text(document, "/metadata/timestamp").is_none() {
        gap("5.2.1", "timestamp", true);
    }
    if text(document, "/serialNumber").is_none() {
        gap("5.2.3", "SBOM-URI", false);
    }
    let described: Vec<&str> = items(document, "/dependencies")
        .filter_map(|d| d.get("ref")?.as_str())
        .collect();
    let complete: Vec<&str> = items(document, "/compositions")
        .filter(|c| c.get("aggregate").is_some())
        .flat_map(|c| items(c, "/dependencies").chain(items(c, "/assemblies")))
        .filter_map(Value::as_str)
        .collect();
    let subject = document.pointer("/metadata/component");
    if subject.is_none() {
        gap("5.2.2", "primary component", true);
    }
    for component in subject.into_iter().chain(items(document, "/components")) {
        one(component, &described, &complete, &mut out);
    }
    out.sort();
    out
}

fn one(component: &Value, described: &[&str], complete: &[&str], out: &mut Vec<Gap>) {
    let name = text(component, "/name");
    let version = text(component, "/version");
    let label = format!(
        "{} {}",
        name.unwrap_or_default(),
        version.unwrap_or_default()
    );
    let mut need = |present: bool, section, field, required| {
        if !present {
            out.push(Gap {
                section,
                field,
                component: label.clone(),
                required,
            });
        }
    };
    let property = |wanted: &str| {
        items(component, "/properties")
            .find(|p| text(p, "/name") == Some(wanted))
            .and_then(|p| text(p, "/value"))
    };
    let reference = text(component, "/bom-ref").unwrap_or_default();
    let links = |kind: &'static str| {
        items(component, "/externalReferences").filter(move |r| text(r, "/type") == Some(kind))
    };
    let executable = property("bsi:component:executable");
    let archive = property("bsi:component:archive");
    // A component that is no file of its own has neither a file name nor a hash (section 3.2.1).
    let logical = archive == Some("no archive") && executable == Some("non-executable");
    need(
        component.get("manufacturer").is_some_and(has_address),
        "5.2.2",
        "component creator",
        true,
    );
    need(name.is_some(), "5.2.2", "component name", true);
    need(version.is_some(), "5.2.2", "component version", true);
    need(
        logical || property("bsi:component:filename").is_some(),
        "5.2.2",
        "filename",
        true,
    );
    need(
        described.contains(&reference),
        "5.2.2",
        "dependencies",
        true,
    );
    need(
        complete.contains(&reference),
        "5.2.2",
        "completeness of the dependencies",
        true,
    );
    need(
        licensed(component, "/licenses", "concluded"),
        "5.2.2",
        "distribution licences",
        true,
    );
    let hashed = |algorithm: &str| {
        links("distribution")
            .any(|r| items(r, "/hashes").any(|h| text(h, "/alg") == Some(algorithm)))
    };
    need(
        logical || hashed("SHA-512"),
        "5.2.2",
        "SHA-512 of the deployable component",
        true,
    );
    need(
        matches!(executable, Some("executable" | "non-executable")),
        "5.2.2",
        "executable property",
        true,
    );
    need(
        matches!(archive, Some("archive" | "no archive")),
        "5.2.2",
        "archive property",
        true,
    );
    let structured = property("bsi:component:structured");
    need(
        matches!(structured, Some("structured" | "unstructured")),
        "5.2.2",
        "structured property",
        true,
    );
    need(
        links("source-distribution").next().is_some() || links("vcs").next().is_some(),
        "5.2.4",
        "source code URI",
        false,
    );
    need(
        logical || links("distribution").next().is_some(),
        "5.2.4",
        "URI of the deployable form",
        false,
    );
    let identified = ["/purl", "/cpe", "/swid"]
        .iter()
        .any(|place| component.pointer(place).is_some());
    need(identified, "5.2.4", "other unique identifiers", false);
    let declared = licensed(component, "/evidence/licenses", "declared")
        || licensed(component, "/licenses", "declared");
    need(declared, "5.2.4", "original licences", false);
}

fn licensed(component: &Value, place: &str, acknowledgement: &str) -> bool {
    items(component, place).any(|choice| {
        let inner = choice.get("license").unwrap_or(choice);
        text(inner, "/acknowledgement") == Some(acknowledgement)
            && (text(choice, "/expression").is_some() || text(inner, "/id").is_some())
    })
}

/// Whether an organisation has an e-mail address or one on the web.
fn has_address(party: &Value) -> bool {
    items(party, "/contact").any(|contact| text(contact, "/email").is_some())
        || items(party, "/url").any(|url| url.as_str().is_some_and(|url| !url.is_empty()))
}

fn text<'a>(value: &'a Value, place: &str) -> Option<&'a str> {
    value
        .pointer(place)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

fn items<'a>(value: &'a Value, place: &str) -> impl Iterator<Item = &'a Value> {
    value
        .pointer(place)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}
