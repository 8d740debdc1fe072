//! `verify rebuild`: does the source at the signed tag give the shipped binaries?

use std::time::SystemTime;

use super::Answer;
use crate::case::{RebuildOptions, Request};
use crate::check::CheckId;
use crate::cli::RebuildArgs;
use crate::load::bundle::LoadedBundle;
use crate::output::human::Colour;
use crate::output::{human, json};
use crate::rebuild::{Engine, default_cache, progress::Standard};
use crate::report::assay_of;

/// Runs the command: the checks `tag` and `rebuild`, both required.
///
/// # Errors
/// When an input cannot be read: there is no verdict then.
pub fn run(args: &RebuildArgs, now: SystemTime) -> anyhow::Result<Answer> {
    let cache = args.cache.clone().unwrap_or_else(default_cache);
    let progress = Standard::new();
    let options = RebuildOptions {
        engine: args.engine.unwrap_or_else(Engine::preferred),
        cache: &cache,
        progress: &progress,
        out: args.out.as_deref(),
    };
    let request = Request {
        bundle: LoadedBundle::read(&args.bundle)?,
        keyring: super::keyring(&args.keyring)?,
        policy: super::policy(args.policy.as_deref())?,
        now,
        expected_tag: args.tag.clone(),
        advisory_db: None,
        rebuild: Some(options),
    };
    let report = assay_of(request, &[CheckId::Tag, CheckId::Rebuild]);
    let text = if args.json {
        json::render(&report)?
    } else {
        human::render(&report, Colour::of_stdout())
    };
    Ok(Answer {
        text,
        verdict: report.verdict,
    })
}
