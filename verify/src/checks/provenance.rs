//! Check `provenance`: a release key states that the binaries were built from this tag and these
//! inputs.
//!
//! The statement's signature, subjects, tag, commit, packages, target and inputs are each held
//! against what the bundle and the verified tag say. It does not say that the statement is true:
//! that is what the rebuild is for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ::sbom::digest::Sha256Digest;
use ::sbom::model::json;

use crate::attest::dsse::{self, Envelope, IN_TOTO_PAYLOAD_TYPE};
use crate::attest::provenance::{Builder, Input, Provenance, SECOND_BUILD};
use crate::attest::statement::Statement;
use crate::case::Case;
use crate::check::{Evidence, Outcome, with_causes};
use crate::git::Repository;
use crate::load::bundle::{INPUTS, PROVENANCE, binary_path};
use crate::load::policy::Role;
use crate::plan::ReleasePlan;
use crate::rebuild::binary::breaches;
use crate::rebuild::pins::Pins;
use crate::trust::keyring::Fingerprint;
use crate::trust::openpgp::verify_packets_canonical;
use crate::trust::tag::VerifiedTag;

/// The largest file of statements that is read, in bytes.
const MAX_PROVENANCE_BYTES: usize = 4 << 20;

pub(crate) fn run(case: &Case<'_>) -> Outcome {
    let mut evidence = Evidence::default();
    let Some(bytes) = case.bundle().bytes(PROVENANCE) else {
        return evidence.failed(format!("`{PROVENANCE}` is missing"));
    };
    if bytes.len() > MAX_PROVENANCE_BYTES {
        return evidence.failed(format!(
            "`{PROVENANCE}` is larger than {MAX_PROVENANCE_BYTES} bytes"
        ));
    }
    let envelopes = match dsse::read_lines(bytes) {
        Ok(envelopes) => envelopes,
        Err(error) => {
            return evidence.failed(format!("`{PROVENANCE}`: {}", with_causes(&error)));
        }
    };
    let mut stated = 0;
    for (index, envelope) in envelopes.iter().enumerate() {
        match read(envelope) {
            Ok((statement, provenance)) => {
                stated += 1;
                let signers = signers(case, envelope, &mut evidence);
                judge(case, &statement, &provenance, &signers, &mut evidence);
            }
            Err(why) => evidence.problem(format!("statement {}: {why}", index + 1)),
        }
    }
    if stated == 0 {
        evidence.problem(format!("`{PROVENANCE}` holds no provenance"));
    }
    // What does not hold is false whatever the tag; what holds is only as good as the tag.
    if !evidence.problems.is_empty() {
        return evidence.judged();
    }
    match case.verified_source() {
        Err(_) => evidence.undecided("there is no verified tag to hold it against"),
        Ok(_) => evidence.judged(),
    }
}

fn read(envelope: &Envelope) -> Result<(Statement, Provenance), String> {
    if envelope.payload_type() != IN_TOTO_PAYLOAD_TYPE {
        return Err(format!(
            "its payload is `{}`, not an in-toto statement",
            envelope.payload_type()
        ));
    }
    // A name that stands twice would be read in two ways by two readers.
    json::parse(envelope.payload()).map_err(|error| error.to_string())?;
    let statement = Statement::read(envelope.payload()).map_err(|error| error.to_string())?;
    let provenance = Provenance::read(&statement).map_err(|error| error.to_string())?;
    Ok((statement, provenance))
}

/// The authorised certificates whose signatures over the envelope count.
fn signers(case: &Case<'_>, envelope: &Envelope, evidence: &mut Evidence) -> BTreeSet<Fingerprint> {
    let request = case.request();
    let rules = request.policy.signature_rules(request.now);
    let authorised = request.policy.authorised(Role::Provenance);
    let pae = envelope.pae();
    let mut signers = BTreeSet::new();
    let mut unseen = 0;
    for signature in envelope.signatures() {
        // Other kinds of keys (`--attestation-key`) are for other tools; here OpenPGP counts.
        if signature.keyid.parse::<Fingerprint>().is_err() {
            evidence.fact(
                "not looked at",
                format!("a signature by the key `{}`", signature.keyid),
            );
            continue;
        }
        let verified = verify_packets_canonical(&pae, &signature.sig, &request.keyring, &rules);
        match verified {
            Ok(verified) => {
                for verified in verified {
                    let certificate = verified.certificate();
                    if authorised.holds(certificate) {
                        evidence.fact("signed by", format!("{certificate} {}", verified.holder()));
                        signers.insert(certificate.clone());
                        evidence.signature(PROVENANCE, &verified);
                    } else {
                        evidence.problem(format!(
                            "the key `{certificate}` is not authorised to sign provenance"
                        ));
                    }
                }
            }
            Err(refusal) if refusal.could_not_look() => {
                evidence.unseen(format!("the statement's signature: {refusal}"));
                unseen += 1;
            }
            Err(refusal) => evidence.problem(format!("the statement's signature: {refusal}")),
        }
    }
    let threshold = request.policy.threshold(Role::Provenance);
    if signers.len() + unseen < threshold {
        evidence.problem(format!(
            "{} of {threshold} required keys signed the provenance",
            signers.len()
        ));
    }
    signers
}

fn judge(
    case: &Case<'_>,
    statement: &Statement,
    provenance: &Provenance,
    signers: &BTreeSet<Fingerprint>,
    evidence: &mut Evidence,
) {
    subjects(case, statement, evidence);
    builder(&provenance.builder, signers, evidence);
    byproducts(case, provenance, evidence);
    let inputs = inputs(case, provenance, evidence);
    if let Ok((repository, tag)) = case.verified_source() {
        against_tag(case, provenance, (repository, tag), inputs, evidence);
    }
    evidence.fact("built by", provenance.builder.id());
    evidence.fact("engine", &provenance.engine);
    evidence.fact("inputs", provenance.inputs.len());
}

/// What the build left besides: documents that are in the bundle, and the binaries of a second
/// build (`second-build/<engine>/<binary>`), which must be the shipped ones.
fn byproducts(case: &Case<'_>, provenance: &Provenance, evidence: &mut Evidence) {
    for (name, digest) in &provenance.byproducts {
        let second = name
            .strip_prefix(SECOND_BUILD)
            .map(|rest| rest.split_once('/'));
        let file = match second {
            Some(Some((_, binary))) => binary_path(binary),
            Some(None) => String::new(),
            None => name.clone(),
        };
        match case.bundle().file(&file) {
            Some(file) if file.digest == *digest => {}
            Some(_) if second.is_some() => evidence.problem(format!(
                "the second build `{name}` gave other bytes than are shipped"
            )),
            Some(_) => evidence.problem(format!(
                "the byproduct `{name}` is another file in the bundle"
            )),
            None => evidence.problem(format!(
                "the provenance's byproduct `{name}` is not in the bundle"
            )),
        }
    }
}

fn subjects(case: &Case<'_>, statement: &Statement, evidence: &mut Evidence) {
    let shipped: BTreeMap<String, Sha256Digest> = case
        .bundle()
        .binaries()
        .map(|(name, file)| (binary_path(name), file.digest))
        .collect();
    for (path, digest) in &shipped {
        match statement.subjects().get(path) {
            None => evidence.problem(format!("the provenance does not speak of `{path}`")),
            Some(stated) if stated != digest => {
                evidence.problem(format!(
                    "the provenance speaks of another `{path}`: {stated}, not {digest}"
                ));
            }
            Some(_) => {}
        }
    }
    for path in statement
        .subjects()
        .keys()
        .filter(|path| !shipped.contains_key(*path))
    {
        evidence.problem(format!(
            "the provenance speaks of `{path}`, which is not in the bundle"
        ));
    }
}

fn builder(builder: &Builder, signers: &BTreeSet<Fingerprint>, evidence: &mut Evidence) {
    if builder.claimed_level() == Some(1) {
        let own = signers
            .iter()
            .any(|signer| *builder == Builder::workstation(signer.as_str()));
        if !signers.is_empty() && !own {
            evidence.problem(format!(
                "the builder `{}` did not sign its own statement",
                builder.id()
            ));
        }
        evidence.fact(
            "SLSA",
            "Build L1: a workstation; what it states is proven only by a rebuild",
        );
    } else {
        evidence.warn(format!(
            "the builder `{}` is not one that is known here",
            builder.id()
        ));
    }
}

/// The bytes of `inputs.json`, if its pins are those that the provenance names.
fn inputs<'a>(
    case: &'a Case<'_>,
    provenance: &Provenance,
    evidence: &mut Evidence,
) -> Option<&'a [u8]> {
    let Some(bytes) = case.bundle().bytes(INPUTS) else {
        evidence.problem(format!("`{INPUTS}` is missing"));
        return None;
    };
    let pins = match std::str::from_utf8(bytes) {
        Ok(text) => Pins::parse(text, Path::new(INPUTS)).map_err(|error| error.to_string()),
        Err(_) => Err(format!("`{INPUTS}` is not text")),
    };
    let pins = match pins {
        Ok(pins) => pins,
        Err(why) => {
            evidence.problem(why);
            return None;
        }
    };
    let pinned: Vec<Input> = pins.listed().iter().map(Input::from).collect();
    for input in pinned
        .iter()
        .filter(|input| !provenance.inputs.contains(input))
    {
        evidence.problem(format!(
            "the pinned input `{}` is not among the provenance's dependencies",
            input.name
        ));
    }
    for input in provenance
        .inputs
        .iter()
        .filter(|input| !pinned.contains(input))
    {
        evidence.problem(format!(
            "the provenance's dependency `{}` is not pinned in `{INPUTS}`",
            input.name
        ));
    }
    Some(bytes)
}

fn against_tag(
    case: &Case<'_>,
    provenance: &Provenance,
    (repository, tag): (&Repository, &VerifiedTag),
    inputs: Option<&[u8]>,
    evidence: &mut Evidence,
) {
    let mut same = |what: &str, stated: &dyn std::fmt::Display, found: &dyn std::fmt::Display| {
        if stated.to_string() != found.to_string() {
            evidence.problem(format!(
                "the provenance states the {what} `{stated}`; the verified tag has `{found}`"
            ));
        }
    };
    same("tag", &provenance.tag, tag.name());
    same("tag object", &provenance.tag_object, &tag.id());
    same("commit", &provenance.commit, &tag.commit());
    match repository.commit(tag.commit()) {
        Ok(commit) => same("build time", &provenance.source_date_epoch, &commit.time_s),
        Err(error) => evidence.problem(error),
    }
    let plan = match Case::plan(repository, tag) {
        Ok(plan) => plan,
        Err(why) => {
            evidence.problem(format!("the release plan at the tag: {why}"));
            return;
        }
    };
    let mut same = |what: &str, stated: String, found: String| {
        if stated != found {
            evidence.problem(format!(
                "the provenance states the {what} `{stated}`; the plan at the tag has `{found}`"
            ));
        }
    };
    same(
        "target",
        provenance.target.clone(),
        plan.target().triple().to_owned(),
    );
    same(
        "packages",
        provenance.packages.join(" "),
        plan.packages().join(" "),
    );
    shipped(case, &plan, evidence);
    match repository.read_file(tag.commit(), &plan.build().inputs) {
        Ok(at_tag) if inputs.is_some() && at_tag.as_deref() != inputs => {
            evidence.problem(format!(
                "`{INPUTS}` is not the file `{}` at the tag",
                plan.build().inputs
            ));
        }
        Ok(_) => {}
        Err(error) => evidence.problem(error),
    }
}

/// The binaries are those of the plan, and need no more of the system than it allows.
fn shipped(case: &Case<'_>, plan: &ReleasePlan, evidence: &mut Evidence) {
    let planned: BTreeSet<&str> = plan
        .binaries()
        .iter()
        .map(|binary| binary.name.as_str())
        .collect();
    let bundle = case.bundle();
    for name in planned
        .iter()
        .filter(|name| bundle.file(&binary_path(name)).is_none())
    {
        evidence.problem(format!(
            "the plan at the tag releases `{name}`, which is not in the bundle"
        ));
    }
    for (name, file) in bundle.binaries() {
        if !planned.contains(name) {
            evidence.problem(format!(
                "`bin/{name}` is not among the binaries of the plan at the tag"
            ));
        }
        match file
            .bytes
            .as_deref()
            .map(|bytes| breaches(bytes, plan.limits()))
        {
            Some(Ok(breaches)) => breaches
                .iter()
                .for_each(|breach| evidence.problem(format!("`bin/{name}`: {breach}"))),
            Some(Err(error)) => evidence.problem(format!("`bin/{name}`: {}", with_causes(&error))),
            None => {}
        }
    }
}
