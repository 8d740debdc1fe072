//! `verify release`: a bundle in, one roster and one verdict out.

use std::time::SystemTime;

use anyhow::Context as _;

use super::Answer;
use crate::case::{RebuildOptions, Request};
use crate::check::CheckId;
use crate::cli::ReleaseArgs;
use crate::inventory;
use crate::load::bundle::LoadedBundle;
use crate::output::human::Colour;
use crate::output::{html, human, json};
use crate::rebuild::{Engine, default_cache, progress::Standard};
use crate::report::assay;

/// Runs the command.
///
/// # Errors
/// When an input cannot be read: there is no verdict then.
pub fn run(args: &ReleaseArgs, now: SystemTime) -> anyhow::Result<Answer> {
    let keyring = super::keyring(&args.keyring)?;
    let mut policy = super::policy(args.policy.as_deref())?;
    if args.rebuild {
        policy = policy.requiring(CheckId::Rebuild);
    }
    let advisory_db = super::advisory_db(
        args.advisory_db.as_deref(),
        args.fetch_advisories,
        &policy,
        now,
    )?;
    let bundle = LoadedBundle::read(&args.bundle)?;
    let inventories = args.html.as_ref().map(|_| inventory::of_bundle(&bundle));
    let cache = args.cache.clone().unwrap_or_else(default_cache);
    let progress = Standard::new();
    let rebuild = args.rebuild.then(|| RebuildOptions {
        engine: args.engine.unwrap_or_else(Engine::preferred),
        cache: &cache,
        progress: &progress,
        out: None,
    });
    let report = assay(Request {
        bundle,
        keyring,
        policy,
        now,
        expected_tag: args.tag.clone(),
        advisory_db,
        rebuild,
    });
    if let (Some(path), Some(inventories)) = (&args.html, &inventories) {
        std::fs::write(path, html::render(&report, inventories))
            .with_context(|| format!("`{}` cannot be written", path.display()))?;
    }
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
