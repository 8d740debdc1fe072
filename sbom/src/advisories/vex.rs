//! The ignores as a VEX document (CycloneDX 1.6): which advisory, which component of which SBOM, what
//! is stated, why, until when, and by whom. An SBOM itself contains no vulnerabilities.

use serde_json::{Value, json};
use time::{Date, OffsetDateTime};

use super::ignore::{Analysis, Ignore, Justification};
use super::report::{Decision, Report};
use crate::digest::Sha256Digest;
use crate::model::json as strict;

/// Name of the property that carries the last day on which a statement counts.
const EXPIRES: &str = "vex:expires";
/// Name of the property that carries who decided.
const DECIDED_BY: &str = "vex:decided-by";

/// One SBOM that the VEX speaks about.
#[derive(Debug, Clone, Copy)]
pub struct SbomLink<'a> {
    /// `serialNumber`, as `urn:uuid:…`.
    pub serial_number: &'a str,
    /// Components that the SBOM lists, as package name, version and `bom-ref`.
    pub components: &'a [(String, String, String)],
}

/// Writes the VEX document of a report: one vulnerability for every ignore that met a finding.
///
/// `issued` is the time that the document bears; the same arguments give the same bytes.
#[must_use]
pub fn write(report: &Report, sboms: &[SbomLink<'_>], issued: OffsetDateTime) -> Vec<u8> {
    let issued = issued
        .replace_nanosecond(0)
        .unwrap_or(issued)
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap_or_default();
    let mut vulnerabilities = Vec::new();
    for ignore in &report.ignores {
        let findings = report.findings.iter().filter(|judged| {
            matches!(
                judged.decision,
                Decision::Ignored | Decision::IgnoreExpired | Decision::Informs
            ) && (judged.finding.id == ignore.id()
                || judged.finding.aliases.iter().any(|a| a == ignore.id()))
        });
        for judged in findings {
            vulnerabilities.push(vulnerability(&judged.finding, ignore, sboms, &issued));
        }
    }
    let mut document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": { "timestamp": issued },
        "vulnerabilities": vulnerabilities,
    });
    let serial = crate::write::serial_number(&strict::to_bytes(&document));
    document["serialNumber"] = Value::String(serial);
    strict::to_bytes(&document)
}

fn vulnerability(
    finding: &super::Finding,
    ignore: &Ignore,
    sboms: &[SbomLink<'_>],
    issued: &str,
) -> Value {
    let affects: Vec<Value> = sboms
        .iter()
        .flat_map(|sbom| {
            let uuid = sbom.serial_number.trim_start_matches("urn:uuid:");
            sbom.components
                .iter()
                .filter(|(name, version, _)| {
                    *name == finding.package && *version == finding.version
                })
                .map(move |(_, _, reference)| {
                    // BOM-Link (`urn:cdx`, ECMA-424): what follows `#` is percent-encoded.
                    json!({ "ref": format!("urn:cdx:{uuid}/1#{}", encode(reference)) })
                })
        })
        .collect();
    let mut analysis = json!({
        "state": ignore.analysis().as_str(),
        "detail": ignore.reason(),
        "lastUpdated": issued,
    });
    if let Some(justification) = ignore.justification() {
        analysis["justification"] = Value::String(justification.as_str().to_owned());
    }
    if ignore.analysis() == Analysis::Exploitable {
        analysis["response"] = json!(["will_not_fix"]);
    }
    let key = format!(
        "{}/{}/{}@{}",
        ignore.id(),
        finding.id,
        finding.package,
        finding.version
    );
    let mut value = json!({
        "bom-ref": format!("vex-{}", &Sha256Digest::of(key.as_bytes()).to_string()[..16]),
        "id": finding.id,
        "source": { "name": "RustSec" },
        "description": finding.title,
        "analysis": analysis,
        "affects": affects,
        "properties": [
            { "name": DECIDED_BY, "value": ignore.decided_by() },
            { "name": EXPIRES, "value": super::date::text(ignore.expires()) },
        ],
    });
    if let Some(url) = &finding.url {
        value["source"]["url"] = Value::String(url.clone());
    }
    if !finding.aliases.is_empty() {
        value["references"] = finding
            .aliases
            .iter()
            .map(|alias| json!({ "id": alias, "source": { "name": authority(alias) } }))
            .collect();
    }
    value
}

fn authority(alias: &str) -> &'static str {
    match alias.split('-').next() {
        Some("CVE") => "NVD",
        Some("GHSA") => "GitHub",
        _ => "other",
    }
}

fn encode(reference: &str) -> String {
    reference
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// One statement of a VEX document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Statement {
    /// Identifier of the advisory.
    pub id: String,
    /// What is stated, in the word of CycloneDX; `None` when nothing is.
    pub state: Option<String>,
    /// Justification, in the word of CycloneDX.
    pub justification: Option<String>,
    /// The reason.
    pub detail: Option<String>,
    /// What the statement is about, as references.
    pub affects: Vec<String>,
    /// Last day on which it counts, where the document says so.
    pub expires: Option<Date>,
    /// Who decided, where the document says so.
    pub decided_by: Option<String>,
}

/// Why a VEX document is not read.
#[derive(Debug, thiserror::Error)]
pub enum VexError {
    /// Not JSON, or a name twice.
    #[error("the VEX document is not readable JSON")]
    Json(#[source] strict::JsonError),
    /// Not CycloneDX 1.4 to 1.7.
    #[error("the VEX document is not CycloneDX 1.4 to 1.7")]
    NotCycloneDx,
    /// A vulnerability without an identifier.
    #[error("vulnerability {place} of the VEX document has no `id`")]
    Unnamed {
        /// Place in the list, from 0.
        place: usize,
    },
    /// An expiry that is no date.
    #[error(
        "the statement on `{id}` expires on `{text}`, which is not a date of the form YYYY-MM-DD"
    )]
    Expiry {
        /// Identifier.
        id: String,
        /// What stands there.
        text: String,
    },
}

/// What a VEX document states and the report does not decide, or the reverse: one line each, none
/// where the two say the same about the same components.
///
/// # Errors
/// Never for what [`write`] can write; the type says it, so that nothing is passed over.
pub fn disagreements(
    report: &Report,
    sboms: &[SbomLink<'_>],
    stated: &[Statement],
) -> Result<Vec<String>, VexError> {
    let mut decided = parse(&write(report, sboms, OffsetDateTime::UNIX_EPOCH))?;
    let mut lines = Vec::new();
    for statement in stated {
        match decided.iter().position(|one| one == statement) {
            Some(place) => {
                decided.swap_remove(place);
            }
            None => lines.push(format!(
                "the VEX states of `{}` what the report does not decide",
                statement.id
            )),
        }
    }
    decided.sort();
    lines.extend(decided.iter().map(|statement| {
        format!(
            "the VEX does not state what the report decides about `{}`",
            statement.id
        )
    }));
    Ok(lines)
}

/// Reads the statements of a VEX document, ours or another's.
///
/// # Errors
/// When it is not one, or a statement is not understood.
pub fn parse(bytes: &[u8]) -> Result<Vec<Statement>, VexError> {
    let value = strict::parse(bytes).map_err(VexError::Json)?;
    let version = value.get("specVersion").and_then(Value::as_str);
    if value.get("bomFormat").and_then(Value::as_str) != Some("CycloneDX")
        || !matches!(version, Some("1.4" | "1.5" | "1.6" | "1.7"))
    {
        return Err(VexError::NotCycloneDx);
    }
    let list = match value.get("vulnerabilities") {
        None => &[],
        Some(Value::Array(list)) => list.as_slice(),
        Some(_) => return Err(VexError::NotCycloneDx),
    };
    list.iter()
        .enumerate()
        .map(|(place, value)| statement(place, value))
        .collect()
}

fn statement(place: usize, value: &Value) -> Result<Statement, VexError> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let id = text(value.get("id")).ok_or(VexError::Unnamed { place })?;
    let property = |wanted: &str| {
        let list = value
            .get("properties")
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default();
        list.iter()
            .find(|p| p.get("name").and_then(Value::as_str) == Some(wanted))
            .and_then(|p| text(p.get("value")))
    };
    let expires = match property(EXPIRES) {
        None => None,
        Some(day) => match super::date::parse(&day) {
            Some(date) => Some(date),
            None => return Err(VexError::Expiry { id, text: day }),
        },
    };
    let affects = value
        .get("affects")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    Ok(Statement {
        state: text(value.pointer("/analysis/state")),
        justification: text(value.pointer("/analysis/justification")),
        detail: text(value.pointer("/analysis/detail")),
        affects: affects
            .iter()
            .filter_map(|target| text(target.get("ref")))
            .collect(),
        expires,
        decided_by: property(DECIDED_BY),
        id,
    })
}

impl Statement {
    /// The ignore that this statement amounts to; `None` where it has a state that an ignore cannot
    /// claim, or lacks the reason, the expiry or the decider.
    #[must_use]
    pub fn to_ignore(&self) -> Option<Ignore> {
        let analysis = match self.state.as_deref()? {
            "in_triage" => Analysis::InTriage,
            "exploitable" => Analysis::Exploitable,
            "not_affected" => Analysis::NotAffected,
            "false_positive" => Analysis::FalsePositive,
            _ => return None,
        };
        let justification: Option<Justification> = match &self.justification {
            None => None,
            Some(word) => Some(serde_json::from_value(Value::String(word.clone())).ok()?),
        };
        Ignore::new(
            &self.id,
            self.detail.as_deref()?,
            self.expires?,
            self.decided_by.as_deref()?,
        )
        .and_then(|ignore| ignore.with_analysis(analysis, justification))
        .ok()
    }
}
