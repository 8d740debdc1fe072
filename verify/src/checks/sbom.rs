//! Check `sbom`: the SBOMs, the binaries and Cargo.lock at the tag name the same packages.
//!
//! What is in a binary is read from the binary itself (`.dep-v0` data, version strings of C
//! libraries); the SBOM and the lock file are held against it, and each difference is named.

use ::sbom::reconcile::{reconcile, reconcile_artifact};
use ::sbom::source::cargo_lock::{self, LockGraph};
use ::sbom::source::dep_v0;
use ::sbom::write::Artifact;

use crate::case::Case;
use crate::check::{Evidence, Outcome};
use crate::load::bundle::sbom_path;

pub(crate) fn run(case: &Case<'_>) -> Outcome {
    let mut evidence = Evidence::default();
    let lock = match lock_at_tag(case) {
        Ok(lock) => lock,
        Err(why) => {
            evidence.problem(why);
            None
        }
    };
    let mut looked_at = 0;
    for (name, file) in case.bundle().binaries() {
        let Some(bytes) = &file.bytes else { continue };
        looked_at += 1;
        one(case, name, bytes, lock.as_ref(), &mut evidence);
    }
    if looked_at == 0 {
        evidence.problem("there is no binary in the bundle");
    }
    if evidence.problems.is_empty() && lock.is_none() {
        return evidence.undecided(
            "there is no verified tag whose Cargo.lock could be held against the SBOMs",
        );
    }
    evidence.judged()
}

/// `None` where there is no verified tag.
fn lock_at_tag(case: &Case<'_>) -> Result<Option<LockGraph>, String> {
    let Ok((repository, tag)) = case.verified_source() else {
        return Ok(None);
    };
    let bytes = repository
        .read_file(tag.commit(), "Cargo.lock")
        .map_err(|error| error.to_string())?
        .ok_or("there is no `Cargo.lock` at the tag")?;
    let text = String::from_utf8(bytes).map_err(|_| "`Cargo.lock` at the tag is not text")?;
    cargo_lock::parse(&text)
        .map(Some)
        .map_err(|error| format!("`Cargo.lock` at the tag: {error}"))
}

fn one(
    case: &Case<'_>,
    name: &str,
    binary: &[u8],
    lock: Option<&LockGraph>,
    evidence: &mut Evidence,
) {
    let path = sbom_path(name);
    let graph = match dep_v0::read(binary) {
        Ok(graph) => graph,
        Err(error) => {
            evidence.problem(format!("`bin/{name}` does not say what is in it: {error}"));
            return;
        }
    };
    let Some(document) = case.bundle().bytes(&path) else {
        evidence.problem(format!("`{path}` is missing"));
        return;
    };
    let sbom = match ::sbom::read::parse(document) {
        Ok(sbom) => sbom,
        Err(error) => {
            evidence.problem(format!("`{path}`: {error}"));
            return;
        }
    };
    let found = reconcile(&graph, Some(&sbom), lock);
    for difference in found.differences.iter().chain(&reconcile_artifact(
        &Artifact::new(name, binary),
        &[],
        &sbom,
    )) {
        evidence.problem(format!("{name}: {difference}"));
    }
    evidence.fact(
        name,
        format!(
            "{} packages in the binary, {} of them agree with SBOM and lock file",
            found.in_binary, found.compared
        ),
    );
}
