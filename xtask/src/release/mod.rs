//! A release, from a signed tag to a verified bundle: one step is one file, in this order.
//!
//! The steps are joined by types, so that none can be left out: `TagName` → `SignedTag` →
//! `CleanCheckout` → `AdvisoryReport` → `Build` → `Sboms` → `Signed statement` → `Bundle` →
//! `Passed` → `Published`. Everything before publishing is written below `target/release-out/`.
//! Nothing here knows one project: names and limits come from `release.toml`.

mod checkout;
mod gnupg;
mod plan;
mod preflight;
mod problem;
mod source_bundle;
mod tag;

use std::process::ExitCode;
use std::time::SystemTime;

use verify::trust::tag::TagName;

use crate::cli::ReleaseArgs;
use crate::talk;

/// Runs every step of a release.
pub(crate) fn run(args: &ReleaseArgs) -> anyhow::Result<ExitCode> {
    let plan = plan::Plan::here()?;
    let now = SystemTime::now();
    let ready = talk::step("preflight and tag gate", || {
        preflight::check(&plan, args, now)
    })?;
    let checkout = talk::step("checkout", || checkout::make(&plan, ready.tag))?;
    anyhow::bail!("{checkout:?}")
}

/// The first line of every refusal.
fn refused(tag: &TagName) -> String {
    format!("tag `{tag}` is not released")
}
