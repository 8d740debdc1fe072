//! `verify-export`: every memory of a plaintext export, held against its signed version.
//!
//! Nothing is asked but the file: no node, no passphrase. What the author signed must be what the
//! export shows, field by field.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::output;
use crate::cli::Common;
use crate::exit::Failure;
use crate::identity::admit::{self, AdmittedVersion, Subject, WireVersion};
use crate::identity::authors::Authors;
use crate::model::{Link, Memory};

#[derive(Deserialize)]
struct Export {
    memories: Vec<Value>,
    #[serde(default)]
    links: Vec<Link>,
    #[serde(default)]
    versions: Vec<WireVersion>,
}

/// Checks the file.
///
/// # Errors
/// With exit code 1 when a memory is not what its author signed; with 2 when the file is no export.
pub fn run(common: &Common, file: &Path, authors_file: Option<&Path>) -> Result<(), Failure> {
    let unreadable = |path: &Path, error: std::io::Error| {
        Failure::no_verdict("io", format!("cannot read `{}`", path.display())).because(error)
    };
    let bytes = std::fs::read(file).map_err(|error| unreadable(file, error))?;
    if crate::seal::is_sealed(&bytes) {
        return Err(
            Failure::no_verdict("sealed", format!("`{}` is sealed", file.display()))
                .hint("open it with age first, or export with `--plaintext`"),
        );
    }
    let export: Export = serde_json::from_slice(&bytes).map_err(|error| {
        Failure::no_verdict(
            "not_an_export",
            format!("`{}` is no export", file.display()),
        )
        .because(error)
    })?;
    let authors = match authors_file {
        None => None,
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, error))?;
            let authors = Authors::parse(&text).map_err(|error| {
                Failure::no_verdict(
                    "authors_file",
                    format!("`{}` is no authors file", path.display()),
                )
                .because(error)
            })?;
            Some(authors)
        }
    };
    let report = check(export, authors.as_ref());
    let document = json!({
        "ok": report.findings.is_empty(), "memories": report.memories, "links": report.links,
        "authors": report.authors, "findings": report.findings,
    });
    let mut text = format!(
        "{} memories and {} links are what their authors signed\n",
        report.memories, report.links
    );
    for (author, count) in &report.authors {
        let name = author
            .parse()
            .ok()
            .and_then(|key| authors.as_ref()?.get(&key).map(|found| found.name.clone()));
        let name = name.unwrap_or_default();
        text.push_str(&format!("  {count:>8}  ed25519:{author}  {name}\n"));
    }
    if report.findings.is_empty() && report.memories + report.links == 0 {
        // Nothing that was checked is no proof of anything.
        return Err(Failure::no_verdict(
            "nothing_checked",
            format!("`{}` holds no memory", file.display()),
        ));
    }
    output::answer(common.json, &text, document)?;
    if report.findings.is_empty() {
        return Ok(());
    }
    let what = format!("`{}` is not what its authors signed", file.display());
    let failure = Failure::refuted("export_refuted", what);
    Err(report
        .findings
        .iter()
        .take(100)
        .fold(failure, |failure, finding| failure.because(finding)))
}

#[derive(Default)]
struct Report {
    memories: usize,
    links: usize,
    authors: BTreeMap<String, usize>,
    findings: Vec<String>,
}

fn check(export: Export, authors: Option<&Authors>) -> Report {
    let mut report = Report::default();
    let mut by_id: BTreeMap<String, AdmittedVersion> = BTreeMap::new();
    let mut by_signature: BTreeMap<String, String> = BTreeMap::new();
    for wire in export.versions {
        let signature = wire.signature.clone();
        match admit::admit_despite(wire) {
            Ok(version) => {
                let id = version.verified().id().to_string();
                by_signature.insert(signature, id.clone());
                by_id.insert(id, version);
            }
            Err(refused) => report.findings.push(format!(
                "version `{}`: {}",
                refused.version_id(),
                refused.detail
            )),
        }
    }
    for shown in export.memories {
        let name = output::text_of(&shown, "id");
        let version = by_id.get(&output::text_of(&shown, "version_id"));
        match memory_of(&shown, version, authors) {
            Ok(author) => {
                report.memories += 1;
                *report.authors.entry(author).or_default() += 1;
            }
            Err(why) => report.findings.push(format!("memory `{name}`: {why}")),
        }
    }
    for link in export.links {
        let id = by_signature.get(&link.signature);
        let version = id.and_then(|id| by_id.get(id));
        match link_of(&link, version, authors) {
            Ok(author) => {
                report.links += 1;
                *report.authors.entry(author).or_default() += 1;
            }
            Err(why) => report.findings.push(format!(
                "link `{}` {} `{}`: {why}",
                link.source_id,
                link.relation.as_str(),
                link.target_id
            )),
        }
    }
    report
}

/// The author, who must be one that is believed.
fn author_of(version: &AdmittedVersion, authors: Option<&Authors>) -> Result<String, String> {
    let key = version.verified().author();
    if let Some(authors) = authors {
        let now = crate::clock::Clock::now(&crate::clock::SystemClock);
        authors
            .judge(version.verified(), version.hlc().ms, now)
            .map_err(|unwelcome| unwelcome.to_string())?;
    }
    Ok(key.to_string())
}

fn memory_of(
    shown: &Value,
    version: Option<&AdmittedVersion>,
    authors: Option<&Authors>,
) -> Result<String, String> {
    let version = version.ok_or("its signed version is not in the export")?;
    let Subject::Memory(body) = version.subject() else {
        return Err("its version speaks of something else".to_owned());
    };
    let payload = version.verified().payload();
    let signed = Memory::of_body(version.object(), payload.ns.clone(), (**body).clone());
    let signed = serde_json::to_value(&signed).map_err(|e| e.to_string())?;
    let fields = shown.as_object().ok_or("it is no object")?;
    for (field, value) in fields {
        let same = match field.as_str() {
            // What the node counts by itself, and the name of the version.
            "access_count" | "last_accessed_at" | "version_id" => true,
            "metadata" => same_metadata(value, &signed),
            _ => signed.get(field) == Some(value),
        };
        if !same {
            return Err(format!("`{field}` is not what was signed"));
        }
    }
    author_of(version, authors)
}

/// The node shows the agent in the metadata too.
fn same_metadata(shown: &Value, signed: &Value) -> bool {
    let mut expected = signed.get("metadata").cloned().unwrap_or_default();
    if let (Some(map), Some(agent)) = (expected.as_object_mut(), signed.get("agent_id")) {
        map.entry("agent_id").or_insert_with(|| agent.clone());
    }
    *shown == expected
}

fn link_of(
    link: &Link,
    version: Option<&AdmittedVersion>,
    authors: Option<&Authors>,
) -> Result<String, String> {
    let version = version.ok_or("its signed version is not in the export")?;
    let Subject::Link(signed) = version.subject() else {
        return Err("its version speaks of something else".to_owned());
    };
    let same = signed.source_id == link.source_id
        && signed.target_id == link.target_id
        && signed.relation == link.relation
        && signed.created_at == link.created_at
        && version.verified().author().to_string() == link.observed_by;
    if !same {
        return Err("it is not what was signed".to_owned());
    }
    author_of(version, authors)
}
