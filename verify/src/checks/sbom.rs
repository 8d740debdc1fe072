//! Check `sbom`: the SBOMs, the binaries and Cargo.lock at the tag name the same packages.
//!
//! What is in a binary is read from the binary itself (`.dep-v0` data, version strings of C
//! libraries); the SBOM and the lock file are held against it, and each difference is named.

use ::sbom::digest::Sha256Digest;
use ::sbom::read::{ReadComponent, ReadSbom};
use ::sbom::reconcile::{reconcile, reconcile_artifact};
use ::sbom::source::cargo_lock::{self, LockGraph};
use ::sbom::source::dep_v0;
use ::sbom::write::Artifact;

use crate::case::Case;
use crate::check::{Evidence, Outcome, with_causes};
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
    let seen = every_binary(case, lock.as_ref());
    if seen.is_empty() {
        evidence.problem("there is no binary in the bundle");
    }
    for binary in seen {
        evidence.append(binary);
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
        .map_err(|error| format!("`Cargo.lock` at the tag: {}", with_causes(&error)))
}

/// What was seen of each binary, in the order of their names. Each is looked at on a core of its own:
/// counting its SHA-512 is most of the work of a whole assay.
fn every_binary(case: &Case<'_>, lock: Option<&LockGraph>) -> Vec<Evidence> {
    let bundle = case.bundle();
    std::thread::scope(|scope| {
        let running: Vec<_> = bundle
            .binaries()
            .filter_map(|(name, file)| {
                let bytes = file.bytes.as_ref()?;
                let document = bundle.bytes(&sbom_path(name));
                Some(scope.spawn(move || one(name, file.digest, bytes, document, lock)))
            })
            .collect();
        let ended = running.into_iter().map(|thread| thread.join());
        ended
            .map(|seen| seen.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

fn one(
    name: &str,
    sha256: Sha256Digest,
    binary: &[u8],
    document: Option<&[u8]>,
    lock: Option<&LockGraph>,
) -> Evidence {
    let mut evidence = Evidence::default();
    let path = sbom_path(name);
    let graph = match dep_v0::read(binary) {
        Ok(graph) => graph,
        Err(error) => {
            let why = with_causes(&error);
            evidence.problem(format!("`bin/{name}` does not say what is in it: {why}"));
            return evidence;
        }
    };
    let Some(document) = document else {
        evidence.problem(format!("`{path}` is missing"));
        return evidence;
    };
    let sbom = match ::sbom::read::parse(document) {
        Ok(sbom) => sbom,
        Err(error) => {
            evidence.problem(format!("`{path}`: {}", with_causes(&error)));
            return evidence;
        }
    };
    let found = reconcile(&graph, Some(&sbom), lock);
    let artifact = Artifact::with_sha256(name, binary, sha256);
    let of_the_file = reconcile_artifact(&artifact, &[], &sbom);
    for difference in found.differences.iter().chain(&of_the_file) {
        evidence.problem(format!("{name}: {difference}"));
    }
    evidence.fact(
        name,
        format!(
            "{} packages in the binary, {} of them agree with SBOM and lock file",
            found.in_binary, found.compared
        ),
    );
    if let Some(words) = libraries(&artifact, &sbom) {
        evidence.fact(name, format!("libraries that are no crates: {words}"));
    }
    evidence
}

/// Which libraries of an SBOM that are no crates the binary itself names, and of which the SBOM is
/// the only witness; `None` where there are none. What the binary names and the SBOM has not is a
/// difference, and stands elsewhere.
pub(crate) fn libraries(artifact: &Artifact, sbom: &ReadSbom) -> Option<String> {
    let (seen, unseen): (Vec<_>, Vec<_>) = sbom
        .components
        .iter()
        .filter(|component| !component.is_crate())
        .partition(|component| {
            let mut witnesses = artifact.witnesses.iter();
            witnesses.any(|witness| witness.name == component.name)
        });
    let list = |components: &[&ReadComponent]| -> String {
        let each: Vec<String> = components
            .iter()
            .map(|component| format!("{} {}", component.name, component.version))
            .collect();
        each.join(", ")
    };
    let said = [
        (seen, "named in the binary too"),
        (unseen, "named in the SBOM alone"),
    ];
    let words: Vec<String> = said
        .iter()
        .filter(|(components, _)| !components.is_empty())
        .map(|(components, who)| format!("{} ({who})", list(components)))
        .collect();
    (!words.is_empty()).then(|| words.join(", "))
}
