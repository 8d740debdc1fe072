//! `verify advisories`: which known advisories stand against a binary, a lock file or a bundle?

use std::path::Path;
use std::time::SystemTime;

use anyhow::Context as _;
use sbom::advisories::{
    Decision, FindingKind, Ignore, Judged, Report, Rules, Target as Platform, vex,
};
use sbom::model::package::Package;
use sbom::source::{cargo_lock, dep_v0};
use time::OffsetDateTime;

use super::Answer;
use super::answer::SingleReport;
use crate::check::Evidence;
use crate::checks::advisories::accepted;
use crate::cli::AdvisoriesArgs;
use crate::load::bundle::{ADVISORIES, LoadedBundle};
use crate::load::{advisory_db, advisory_origin, archive};

/// The largest binary or lock file, in bytes.
const MAX_TARGET_BYTES: u64 = 2 << 30;

/// The largest VEX document, in bytes.
const MAX_VEX_BYTES: u64 = 64 << 20;

type Inventory = (String, Vec<Package>);

/// What is in the target, and what a bundle says was known when it was released.
struct Target {
    inventories: Vec<Inventory>,
    at_release: Option<Report>,
}

/// Runs the command.
///
/// # Errors
/// When an input cannot be read: there is no verdict then.
pub fn run(args: &AdvisoriesArgs, now: SystemTime) -> anyhow::Result<Answer> {
    let Target {
        inventories,
        at_release,
    } = read_target(&args.target)?;
    let policy = super::policy(args.policy.as_deref())?;
    let folder = super::advisory_db(args.db.as_deref(), args.fetch, &policy, now)?.context(
        "no advisory database; pass `--db DIR`, set `$HALLMARK_ADVISORY_DB`, or `--fetch`",
    )?;
    let origin = advisory_origin::fetched(&folder);
    let names = inventories
        .iter()
        .flat_map(|(_, packages)| packages.iter().map(Package::name));
    let database = advisory_db::load(&folder, names)?;
    let today = OffsetDateTime::from(now).date();
    let mut evidence = Evidence::default();
    evidence.fact(
        "known",
        format!(
            "{} advisories, the newest of {}",
            database.count(),
            database.newest()
        ),
    );
    if let Some(origin) = &origin {
        let commit = origin.commit.as_deref().unwrap_or("of no named commit");
        evidence.fact(
            "fetched",
            format!("{commit}, at {} from {}", origin.fetched_at, origin.origin),
        );
    }
    let fit = advisory_db::fit(&database, policy.advisories(), today);
    let mut ignores: Vec<Ignore> = policy.advisories().ignores.clone();
    if let Some(path) = &args.vex {
        let statements = vex::parse(&super::read(path, MAX_VEX_BYTES)?)
            .with_context(|| format!("`{}` cannot be read", path.display()))?;
        ignores.extend(statements.iter().filter_map(vex::Statement::to_ignore));
    }
    let platform: Option<Platform> = args.platform.as_deref().map(str::parse).transpose()?;
    let rules = Rules {
        today,
        stops_at: &[FindingKind::Vulnerability],
        ignores: &ignores,
        target: platform,
    };
    let lists = inventories
        .iter()
        .map(|(name, packages)| (name.as_str(), packages.as_slice()));
    let identity = (origin.and_then(|origin| origin.commit), None);
    let report = Report::new(&database, identity, now.into(), lists, &rules)?;
    if let Some(at_release) = &at_release {
        let database = &at_release.database;
        evidence.fact(
            "known at release",
            format!(
                "{} advisories, the newest of {}, as the bundle says; its own ignores do not count here, for no signature was looked at",
                database.count, database.newest
            ),
        );
    }
    for judged in &report.findings {
        one(judged, &report, at_release.as_ref(), &mut evidence);
    }
    let outcome = match fit {
        Err(why) if evidence.problems.is_empty() => evidence.undecided(why),
        Err(why) => {
            evidence.warn(why);
            evidence.judged()
        }
        Ok(warning) => {
            warning.into_iter().for_each(|words| evidence.warn(words));
            evidence.judged()
        }
    };
    SingleReport::new(
        "advisories",
        args.target.display().to_string(),
        outcome,
        Some(report),
    )
    .answer(
        "no known vulnerability that nobody accepted stands against the packages",
        args.json,
    )
}

fn one(judged: &Judged, now: &Report, at_release: Option<&Report>, evidence: &mut Evidence) {
    let finding = &judged.finding;
    let severity = finding
        .severity
        .as_deref()
        .map(|severity| format!(", {severity}"))
        .unwrap_or_default();
    let repair = if finding.patched.is_empty() {
        String::from("no repaired version is known")
    } else {
        format!("repaired in {}", finding.patched.join(" or "))
    };
    let mut words = format!(
        "{} ({}{severity}) in {} {}: {}; {repair}",
        finding.id, finding.kind, finding.package, finding.version, finding.title
    );
    if !finding.affected.functions.is_empty() {
        words.push_str(&format!(
            "; in the functions {}",
            finding.affected.functions.join(", ")
        ));
    }
    if let Some(report) = at_release {
        words.push_str(if report.knew(finding) {
            "; known at release"
        } else {
            "; became known after the release"
        });
    }
    match judged.decision {
        Decision::Stops => evidence.problem(words),
        Decision::IgnoreExpired => {
            evidence.problem(format!("{words}; the decision to accept it has expired"))
        }
        Decision::Ignored => {
            let why = accepted(&now.ignores, judged).unwrap_or_default();
            evidence.warn(format!("{words}; {why}"));
        }
        Decision::Informs => evidence.warn(words),
        Decision::Withdrawn => evidence.fact("withdrawn", words),
    }
}

/// What is in the target: a bundle's binaries, one binary, or a lock file.
fn read_target(target: &Path) -> anyhow::Result<Target> {
    let packed = target
        .as_os_str()
        .as_encoded_bytes()
        .ends_with(archive::SUFFIX.as_bytes());
    if target.is_dir() || packed {
        let bundle = LoadedBundle::read(target)?;
        let read = |(name, file): (&str, &crate::load::bundle::LoadedFile)| {
            let bytes = file.bytes.as_deref().unwrap_or_default();
            let graph = dep_v0::read(bytes)
                .with_context(|| format!("`bin/{name}` does not say what is in it"))?;
            Ok((format!("bin/{name}"), graph.packages().to_vec()))
        };
        let inventories: Vec<Inventory> =
            bundle.binaries().map(read).collect::<anyhow::Result<_>>()?;
        anyhow::ensure!(
            !inventories.is_empty(),
            "`{}` is no release bundle: it has no `bin/`",
            target.display()
        );
        let at_release = bundle
            .bytes(ADVISORIES)
            .map(Report::parse)
            .transpose()
            .with_context(|| format!("`{ADVISORIES}` of the bundle cannot be read"))?;
        return Ok(Target {
            inventories,
            at_release,
        });
    }
    let single = |graph: &[Package], name: String| Target {
        inventories: vec![(name, graph.to_vec())],
        at_release: None,
    };
    let bytes = super::read(target, MAX_TARGET_BYTES)?;
    let name = target
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let shown = target.display();
    if name.ends_with(".lock") {
        let text = String::from_utf8(bytes).with_context(|| format!("`{shown}` is not text"))?;
        let graph =
            cargo_lock::parse(&text).with_context(|| format!("`{shown}` cannot be read"))?;
        return Ok(single(graph.packages(), name));
    }
    let graph =
        dep_v0::read(&bytes).with_context(|| format!("`{shown}` does not say what is in it"))?;
    Ok(single(graph.packages(), name))
}
