//! `verify attest`: rebuild, and sign what came out.
//!
//! The statement says what this machine got, whether or not it is what was shipped: a quorum can
//! only find a conflict that somebody states.

use std::collections::BTreeMap;
use std::time::SystemTime;

use anyhow::Context as _;

use super::Answer;
use super::answer::SingleReport;
use crate::attest::dsse::{Envelope, IN_TOTO_PAYLOAD_TYPE, Signature, pae};
use crate::attest::provenance::{Builder, Input, Provenance};
use crate::attest::statement::Statement;
use crate::case::{Case, RebuildOptions, Request};
use crate::checks::rebuild::{build_of, compare};
use crate::cli::AttestArgs;
use crate::load::bundle::{LoadedBundle, binary_path};
use crate::rebuild::{BuildOutput, Engine, default_cache, progress::Standard};
use crate::trust::sign::{MAX_KEY_BYTES, SigningKey};
use crate::trust::tag::VerifiedTag;

/// Runs the command.
///
/// # Errors
/// When an input cannot be read or the build did not come to its end: nothing is signed then.
pub fn run(args: &AttestArgs, now: SystemTime) -> anyhow::Result<Answer> {
    let shown = args.key.display();
    let mut key = SigningKey::from_bytes(&super::read(&args.key, MAX_KEY_BYTES as u64)?, now)
        .with_context(|| format!("`{shown}` cannot be used"))?;
    let cache = args.cache.clone().unwrap_or_else(default_cache);
    let progress = Standard::new();
    let options = RebuildOptions {
        engine: args.engine.unwrap_or_else(Engine::preferred),
        cache: &cache,
        progress: &progress,
        out: None,
    };
    let case = Case::open(Request {
        bundle: LoadedBundle::read(&args.bundle)?,
        keyring: super::keyring(&args.keyring)?,
        policy: super::policy(args.policy.as_deref())?,
        now,
        expected_tag: args.tag.clone(),
        advisory_db: None,
        rebuild: Some(options),
    });
    let tag = case
        .tag()
        .map_err(|why| anyhow::anyhow!("nothing is signed without a verified tag: {why}"))?;
    let scratch = tempfile::Builder::new()
        .prefix("verify-attest-")
        .tempdir()?;
    let output = match build_of(&case, &options, scratch.path()) {
        Ok(output) => output,
        Err(outcome) => anyhow::bail!(
            "nothing is signed: {}",
            outcome.reason().unwrap_or("there is no build")
        ),
    };
    let statement = statement(&case, tag, &output, &key)?;
    let line = sealed(&statement, &mut key, now)?;
    std::fs::write(&args.out, line)
        .with_context(|| format!("`{}` cannot be written", args.out.display()))?;
    let outcome = compare(case.bundle(), &output);
    let subject = format!("{} -> {}", args.bundle.display(), args.out.display());
    SingleReport::<()>::new("attest", subject, outcome, None).answer(
        "the rebuild gave the shipped bytes; the statement is signed",
        args.json,
    )
}

fn statement(
    case: &Case<'_>,
    tag: &VerifiedTag,
    output: &BuildOutput,
    key: &SigningKey,
) -> anyhow::Result<Statement> {
    let (repository, _) = case.verified_source().map_err(|outcome| {
        anyhow::anyhow!("{}", outcome.reason().unwrap_or("there is no source"))
    })?;
    let plan = Case::plan(repository, tag).map_err(anyhow::Error::msg)?;
    let provenance = Provenance {
        tag: tag.name().to_string(),
        tag_object: tag.id(),
        commit: tag.commit(),
        packages: plan.packages().into_iter().map(str::to_owned).collect(),
        engine: output.engine.name().to_owned(),
        source_date_epoch: repository.commit(tag.commit())?.time_s,
        target: plan.target().triple().to_owned(),
        inputs: output.pins.listed().iter().map(Input::from).collect(),
        builder: Builder::workstation(key.certificate().as_str()),
        byproducts: BTreeMap::new(),
    };
    let subjects = output
        .binaries
        .iter()
        .map(|(name, built)| (binary_path(name), built.digest))
        .collect();
    Ok(provenance.statement(subjects)?)
}

/// The envelope of a statement, signed, as one line.
pub(super) fn sealed(
    statement: &Statement,
    key: &mut SigningKey,
    at: SystemTime,
) -> anyhow::Result<String> {
    let payload = statement.to_bytes();
    let sig = key.sign(&pae(IN_TOTO_PAYLOAD_TYPE, &payload), at)?;
    let signature = Signature {
        keyid: key.certificate().to_string(),
        sig,
    };
    Ok(Envelope::new(IN_TOTO_PAYLOAD_TYPE, payload, vec![signature]).to_line())
}
