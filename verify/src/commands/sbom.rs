//! `verify sbom`: what is in a binary, and does an SBOM say the same?

use std::path::Path;

use anyhow::Context as _;
use sbom::native::{from_crates, in_binary};
use sbom::reconcile::{Reconciliation, reconcile, reconcile_artifact};
use sbom::source::cargo_lock::{self, LockGraph};
use sbom::source::dep_v0::{self, DepGraph};
use sbom::write::{Artifact, Party, SbomRequest, SourceRepository, Tool, cyclonedx_1_6};

use super::Answer;
use super::answer::SingleReport;
use crate::check::Evidence;
use crate::checks::sbom::libraries;
use crate::cli::SbomArgs;
use crate::verdict::Verdict;

/// The largest binary, in bytes.
const MAX_BINARY_BYTES: u64 = 2 << 30;

/// The largest lock file, in bytes.
const MAX_LOCK_BYTES: u64 = 64 << 20;

/// Runs the command.
///
/// # Errors
/// When an input cannot be read: there is no verdict then.
pub fn run(args: &SbomArgs) -> anyhow::Result<Answer> {
    let bytes = super::read(&args.binary, MAX_BINARY_BYTES)?;
    let shown = args.binary.display().to_string();
    let graph =
        dep_v0::read(&bytes).with_context(|| format!("`{shown}` does not say what is in it"))?;
    let lock = args.lock.as_deref().map(read_lock).transpose()?;
    if args.emit {
        return emit(args, &bytes, &graph, lock.as_ref());
    }
    let mut evidence = Evidence::default();
    let sbom = match &args.sbom {
        None => None,
        Some(path) => {
            let document = super::read(path, sbom::read::MAX_BYTES as u64)?;
            Some(
                sbom::read::parse(&document)
                    .with_context(|| format!("`{}` cannot be read", path.display()))?,
            )
        }
    };
    let mut found: Reconciliation = reconcile(&graph, sbom.as_ref(), lock.as_ref());
    let mut native = None;
    if let Some(sbom) = &sbom {
        let artifact = Artifact::new(&shown, &bytes);
        found
            .differences
            .extend(reconcile_artifact(&artifact, &[], sbom));
        native = libraries(&artifact, sbom);
    }
    found
        .differences
        .iter()
        .for_each(|difference| evidence.problem(difference));
    evidence.fact("packages in the binary", found.in_binary);
    if sbom.is_some() || lock.is_some() {
        evidence.fact("of them in agreement", found.compared);
        native
            .iter()
            .for_each(|words| evidence.fact("libraries that are no crates", words));
    } else {
        evidence.warn("there was no SBOM and no lock file to hold it against");
        list(&graph, &bytes, &mut evidence);
    }
    let claim = match (&sbom, &lock) {
        (None, None) => "the binary says what is in it",
        (Some(_), None) => "the SBOM says what is in the binary",
        (None, Some(_)) => "the lock file names what is in the binary",
        (Some(_), Some(_)) => "SBOM, binary and lock file name the same packages",
    };
    SingleReport::new("sbom", shown, evidence.judged(), Some(found)).answer(claim, args.json)
}

fn read_lock(path: &Path) -> anyhow::Result<LockGraph> {
    let shown = path.display();
    let text = String::from_utf8(super::read(path, MAX_LOCK_BYTES)?)
        .with_context(|| format!("`{shown}` is not text"))?;
    cargo_lock::parse(&text).with_context(|| format!("`{shown}` cannot be read"))
}

fn list(graph: &DepGraph, bytes: &[u8], evidence: &mut Evidence) {
    for package in graph.packages() {
        let kind = match package.kind {
            Some(sbom::model::package::Kind::Build) => "for the build",
            _ => "linked in",
        };
        evidence.fact(kind, format!("{} ({})", package.id, package.source.kind()));
    }
    for library in in_binary(bytes) {
        let version = library
            .version
            .as_deref()
            .unwrap_or("of an unknown version");
        let (name, text) = (&library.name, &library.text);
        evidence.fact(
            "library",
            format!(
                "{name} {version}, by its text `{text}` at byte {}",
                library.offset
            ),
        );
    }
}

/// Writes an SBOM from the binary. What the binary cannot tell comes from the lock file and the
/// command line; what nobody tells is left out and never made up.
fn emit(
    args: &SbomArgs,
    bytes: &[u8],
    graph: &DepGraph,
    lock: Option<&LockGraph>,
) -> anyhow::Result<Answer> {
    let stand_in = LockGraph::from_binary(graph);
    let supplier = match &args.supplier {
        Some(name) => Party {
            name,
            email: args.supplier_email.as_deref(),
            url: args.supplier_url.as_deref(),
        },
        None => Party::UNKNOWN,
    };
    let name = args
        .binary
        .file_name()
        .and_then(|name| name.to_str())
        .context("the binary has no plain name")?;
    let folder = args.crates.clone();
    let files = move |path: &str| {
        let inside = path
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..");
        inside
            .then(|| std::fs::read(folder.as_ref()?.join(path)).ok())
            .flatten()
    };
    let native = from_crates(graph, &files);
    let document = cyclonedx_1_6(&SbomRequest {
        artifact: &Artifact::new(name, bytes),
        graph,
        lock: lock.unwrap_or(&stand_in),
        files: &files,
        native: &native,
        inputs: &[],
        source: SourceRepository {
            url: None,
            commit: args.commit.as_deref().unwrap_or_default(),
        },
        commit_time_s: args.commit_time_s,
        supplier,
        tool: Tool {
            name: "verify",
            version: env!("CARGO_PKG_VERSION"),
        },
        distribution_url: None,
        security_txt: None,
    })?;
    Ok(Answer {
        text: String::from_utf8(document)?,
        verdict: Verdict::Pass,
    })
}
