//! `verify quorum`: do enough independent rebuilders say that they got the shipped bytes?

use std::path::Path;
use std::time::SystemTime;

use anyhow::Context as _;

use super::Answer;
use super::answer::SingleReport;
use crate::attest::vsa::{Level, Summary};
use crate::case::{Case, Request};
use crate::check::{CheckId, Evidence, Outcome};
use crate::cli::QuorumArgs;
use crate::load::bundle::LoadedBundle;
use crate::load::policy::Role;
use crate::output::quorum::table;
use crate::quorum::Quorum;
use crate::report::report_of;
use crate::trust::sign::{MAX_KEY_BYTES, SigningKey};
use crate::trust::threshold::MAX_THRESHOLD;
use crate::verdict::Verdict;

/// The largest file of attestations, in bytes.
const MAX_ATTESTATIONS_BYTES: u64 = 4 << 20;

/// The most files of attestations.
const MAX_FILES: usize = 1000;

/// Runs the command: the checks `manifest` and `tag`, then the count.
///
/// # Errors
/// When an input cannot be read: there is no verdict then.
pub fn run(args: &QuorumArgs, now: SystemTime) -> anyhow::Result<Answer> {
    let policy = super::policy(args.policy.as_deref())?;
    let threshold = args
        .threshold
        .unwrap_or_else(|| policy.threshold(Role::Rebuild));
    anyhow::ensure!(
        (1..=MAX_THRESHOLD).contains(&threshold),
        "the threshold must be from 1 to {MAX_THRESHOLD}"
    );
    anyhow::ensure!(
        args.attestations.len() <= MAX_FILES,
        "more than {MAX_FILES} files are not read"
    );
    let files: Vec<(String, Vec<u8>)> = args
        .attestations
        .iter()
        .map(|path| {
            Ok((
                path.display().to_string(),
                super::read(path, MAX_ATTESTATIONS_BYTES)?,
            ))
        })
        .collect::<anyhow::Result<_>>()?;
    let case = Case::open(Request {
        bundle: LoadedBundle::read(&args.bundle)?,
        keyring: super::keyring(&args.keyring)?,
        policy,
        now,
        expected_tag: None,
        advisory_db: None,
        rebuild: None,
    });
    let before = report_of(&case, &[CheckId::Manifest, CheckId::Tag]);
    let (outcome, quorum) = match case.tag() {
        Ok(tag) if before.verdict == Verdict::Pass => {
            let quorum =
                Quorum::count(&case, tag, &files, threshold).map_err(anyhow::Error::msg)?;
            (quorum.outcome(), Some(quorum))
        }
        _ => (refused(&before.findings), None),
    };
    if let (Some(out), Some(key)) = (&args.vsa, &args.key) {
        write_summary(&case, &outcome, out, key, now)?;
    }
    let table = quorum.as_ref().map(table).unwrap_or_default();
    let mut answer = SingleReport::new("quorum", before.bundle, outcome, quorum).answer(
        "enough independent rebuilders got the shipped bytes",
        args.json,
    )?;
    if !args.json {
        answer.text.push_str(&table);
    }
    Ok(answer)
}

fn refused(findings: &[crate::verdict::Finding]) -> Outcome {
    let mut evidence = Evidence::default();
    for finding in findings {
        let words = |reason: &str| format!("{}: {reason}", finding.check);
        match &finding.outcome {
            Outcome::Pass { .. } => {}
            Outcome::Fail { reason, .. } => evidence.problem(words(reason)),
            Outcome::Undecided { reason, .. } => evidence.unseen(words(reason)),
        }
    }
    evidence.judged()
}

/// Writes the signed summary; `SLSA_BUILD_REPRODUCED` stands in it only after a pass.
fn write_summary(
    case: &Case<'_>,
    outcome: &Outcome,
    out: &Path,
    key: &Path,
    now: SystemTime,
) -> anyhow::Result<()> {
    let shown = key.display();
    let mut key = SigningKey::from_bytes(&super::read(key, MAX_KEY_BYTES as u64)?, now)
        .with_context(|| format!("`{shown}` cannot be used"))?;
    let passed = matches!(outcome, Outcome::Pass { .. });
    let summary = Summary {
        verifier: format!(
            "urn:hallmark:verifier:openpgp:{}",
            key.certificate().as_str().to_ascii_lowercase()
        ),
        verified_at: now.into(),
        resource: format!(
            "urn:hallmark:release:{}",
            crate::report::bundle_name(case.bundle())
        ),
        passed,
        levels: if passed {
            vec![Level::BuildL1, Level::BuildReproduced]
        } else {
            Vec::new()
        },
    };
    let statement = summary.statement(case.bundle())?;
    let line = super::attest::sealed(&statement, &mut key, now)?;
    std::fs::write(out, line).with_context(|| format!("`{}` cannot be written", out.display()))
}
