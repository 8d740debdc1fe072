//! A release, from a signed tag to a verified bundle: one step is one file, in this order.
//!
//! The steps are joined by types, so that none can be left out: `TagName` → `SignedTag` →
//! `CleanCheckout` → `AdvisoryReport` → `Build` → `Sboms` → `SignedStatement` → `Bundle` →
//! `Passed` → `Published`. Each holds the one before it, and only its own step can make it.
//! Everything before publishing is written below `target/release-out/`. Nothing here knows one
//! project: names and limits come from `release.toml`.

mod advisories;
pub(crate) mod advisory_db;
mod attestation_key;
mod build;
mod bundle;
mod checkout;
mod gnupg;
mod plan;
mod preflight;
mod problem;
mod provenance;
mod publish;
mod recheck;
mod sbom;
mod source_bundle;
mod tag;

use std::process::ExitCode;
use std::time::SystemTime;

use verify::trust::tag::TagName;

use crate::cli::{GateArgs, ReleaseArgs};
use crate::outcome::HOLDS;
use crate::talk;

/// Runs every step of a release of the workspace that the current folder lies in.
pub(crate) fn run(args: &ReleaseArgs) -> anyhow::Result<ExitCode> {
    let plan = plan::Plan::here()?;
    let now = SystemTime::now();
    let ready = talk::step("preflight and tag gate", || {
        preflight::check(&plan, args, now)
    })?;
    let preflight::Ready {
        tag,
        engines,
        mut signer,
        attestation_key,
        advisories: origin,
    } = ready;
    talk::say(&format!(
        "    tag `{}` is signed by {} ({}), say sequoia and GnuPG",
        tag.verified().name(),
        tag.verified().signature().certificate(),
        tag.verified().signature().holder().escape_debug(),
    ));
    let checkout = talk::step("checkout", || checkout::make(&plan, tag))?;
    let report = talk::step("advisories", || {
        advisories::gate(&plan, checkout, origin, now)
    })?;
    let terms = report.terms().clone();
    let build = build::twice(&plan, report, engines, args)?;
    let sboms = talk::step("SBOMs", || sbom::write(build))?;
    let statement = talk::step("provenance", || {
        provenance::sign(&plan, sboms, &mut signer, attestation_key.as_ref())
    })?;
    let bundle = talk::step("bundle", || {
        bundle::assemble(&plan, &statement, &mut signer)
    })?;
    bundle::say_differences(&bundle);
    let passed = talk::step("verify release", || {
        // The signatures are younger than the moment at which the release began.
        recheck::verify(&plan, bundle, terms, SystemTime::now())
    })?;
    talk::answer(&format!("released: {}", passed.bundle().folder().display()))?;
    if let Some(shelf) = &args.publish {
        let published = talk::step("publish", || publish::publish(&passed, shelf))?;
        talk::answer(&format!("published: {}", published.folder.display()))?;
    }
    Ok(ExitCode::from(HOLDS))
}

/// Runs the gate alone, with the judgement of both engines; nothing is written.
pub(crate) fn gate(args: &GateArgs) -> anyhow::Result<ExitCode> {
    let plan = plan::Plan::here()?;
    let name: TagName = args.tag.parse()?;
    match tag::gate(&plan, &name, SystemTime::now())? {
        Ok(tag) => {
            let signature = tag.verified().signature();
            talk::answer(&format!(
                "tag `{name}` of {} may be released: it is signed by {} ({})",
                tag.verified().commit(),
                signature.certificate(),
                signature.holder().escape_debug()
            ))?;
            Ok(ExitCode::from(HOLDS))
        }
        Err(problems) => Err(problem::into_error(&refused(&name), &problems)),
    }
}

/// The first line of every refusal.
fn refused(tag: &TagName) -> String {
    format!("tag `{tag}` is not released")
}
