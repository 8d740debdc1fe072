//! Check `manifest`: the files are exactly those that a release key signed.
//!
//! The signature over `SHA256SUMS` is checked first, then each file against the list and the list
//! against the files: one that is missing, one that is too many and one that is other are each
//! named. It does not say that the files are any good.

use std::collections::BTreeSet;

use crate::case::Case;
use crate::check::{Evidence, Outcome, with_causes};
use crate::load::bundle::{MANIFEST, MANIFEST_SIGNATURE, REQUIRED, UNLISTED, sbom_path};
use crate::load::policy::Role;
use crate::manifest::Manifest;
use crate::trust::openpgp::{Instant, SignatureRefusal};

pub(crate) fn run(case: &Case<'_>) -> Outcome {
    let mut evidence = Evidence::default();
    let Some(bytes) = case.bundle().bytes(MANIFEST) else {
        return evidence.failed(format!("`{MANIFEST}` is missing"));
    };
    signature(case, &mut evidence);
    match Manifest::parse(bytes) {
        Ok(manifest) => files(case, &manifest, &mut evidence),
        Err(error) => evidence.problem(format!("`{MANIFEST}`: {}", with_causes(&error))),
    }
    evidence.judged()
}

fn signature(case: &Case<'_>, evidence: &mut Evidence) {
    let verified = match case.release_signatures() {
        None => {
            evidence.problem(format!("`{MANIFEST_SIGNATURE}` is missing"));
            return;
        }
        Some(Err(refusal)) if refusal.could_not_look() => {
            evidence.unseen(format!("`{MANIFEST_SIGNATURE}`: {refusal}"));
            return;
        }
        Some(Err(refusal)) => {
            evidence.problem(format!("`{MANIFEST_SIGNATURE}`: {refusal}"));
            return;
        }
        Some(Ok(verified)) => verified,
    };
    let request = case.request();
    let authorised = request.policy.authorised(Role::Release);
    let mut keys = BTreeSet::new();
    for signature in verified {
        let certificate = signature.certificate();
        if authorised.holds(certificate) {
            keys.insert(certificate.clone());
            evidence.signature(MANIFEST, signature);
            let at = Instant(signature.made());
            evidence.fact(
                "signed by",
                format!("{certificate} {} at {at}", signature.holder()),
            );
        } else {
            let what = String::from("releases");
            let refusal = SignatureRefusal::KeyNotAuthorised {
                certificate: certificate.clone(),
                what,
            };
            evidence.problem(format!("`{MANIFEST_SIGNATURE}`: {refusal}"));
        }
    }
    let threshold = request.policy.threshold(Role::Release);
    if keys.len() < threshold {
        evidence.problem(format!(
            "{} of {threshold} required release keys signed `{MANIFEST}`",
            keys.len()
        ));
    }
}

fn files(case: &Case<'_>, manifest: &Manifest, evidence: &mut Evidence) {
    let bundle = case.bundle();
    for (path, listed) in manifest.files() {
        match bundle.files().get(path) {
            _ if UNLISTED.contains(&path.as_str()) => {
                evidence.problem(format!("`{path}` lists itself"))
            }
            None => evidence.problem(format!("`{path}` is missing")),
            Some(file) if file.digest != *listed => {
                evidence.problem(format!(
                    "`{path}` is {}, not {listed} as listed",
                    file.digest
                ));
            }
            Some(_) => {}
        }
    }
    let unlisted = bundle
        .files()
        .keys()
        .filter(|path| !manifest.files().contains_key(path) && !UNLISTED.contains(&path.as_str()));
    for path in unlisted {
        evidence.problem(format!("`{path}` is in the bundle and not in `{MANIFEST}`"));
    }
    for stray in bundle.strays() {
        evidence.problem(format!("`{stray}` does not belong into a bundle"));
    }
    // A list can be complete in itself and still leave out what every release has.
    for required in REQUIRED {
        let listed = manifest
            .files()
            .keys()
            .any(|path| path.as_str() == required);
        if required != MANIFEST && !listed {
            evidence.problem(format!("`{required}` is not in `{MANIFEST}`"));
        }
    }
    let binaries: Vec<&str> = bundle.binaries().map(|(name, _)| name).collect();
    if binaries.is_empty() {
        evidence.problem("there is no binary in the bundle");
    }
    for binary in binaries
        .iter()
        .filter(|binary| bundle.file(&sbom_path(binary)).is_none())
    {
        evidence.problem(format!(
            "`{}` is missing: the binary `{binary}` has no SBOM",
            sbom_path(binary)
        ));
    }
    evidence.fact("files", manifest.files().len());
    for (name, file) in bundle.binaries() {
        evidence.fact(&format!("bin/{name}"), file.digest);
    }
}
