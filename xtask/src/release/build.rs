//! Step 4: the hermetic build, twice. In: an [`AdvisoryReport`]. Out: a [`Build`].
//!
//! The engine that was asked for makes what is shipped, the other one makes it again. Not one byte
//! may differ, and the binaries must keep within the limits of `release.toml`.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use verify::rebuild::progress::Standard;
use verify::rebuild::{self, BuildOutput, BuildRequest, Engine, RebuildError, Variation};
use verify::rebuild::{binary, compare};

use super::advisories::AdvisoryReport;
use super::checkout;
use super::plan::Plan;
use super::preflight::Engines;
use crate::cli::ReleaseArgs;
use crate::outcome::{Refused, Undecided};
use crate::talk;

/// Binaries that two builds made alike. Only [`twice`] makes one.
#[derive(Debug)]
pub(crate) struct Build {
    report: AdvisoryReport,
    first: BuildOutput,
    second: BuildOutput,
}

impl Build {
    /// The step before.
    pub(crate) fn report(&self) -> &AdvisoryReport {
        &self.report
    }

    /// The build that is shipped.
    pub(crate) fn first(&self) -> &BuildOutput {
        &self.first
    }

    /// The build that agrees with it.
    pub(crate) fn second(&self) -> &BuildOutput {
        &self.second
    }
}

/// One of the builds that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    First,
    Second,
    Varied,
}

impl Which {
    fn word(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Second => "second",
            Self::Varied => "varied",
        }
    }
}

/// Builds with both engines, and under varied conditions where that was asked for, and compares.
pub(crate) fn twice(
    plan: &Plan,
    report: AdvisoryReport,
    engines: Engines,
    args: &ReleaseArgs,
) -> anyhow::Result<Build> {
    let builders = args.builders.as_deref();
    let first = one(plan, &report, engines.first, Which::First, builders)?;
    let second = one(plan, &report, engines.second, Which::Second, builders)?;
    let mut others = vec![&second];
    let varied;
    if args.vary {
        // Only this engine can change the root's surroundings.
        varied = one(plan, &report, Engine::Namespaces, Which::Varied, None)?;
        others.push(&varied);
    }
    side_by_side(&first, &others)?;
    for other in others {
        alike(&first, other)?;
    }
    within_limits(plan, &first)?;
    Ok(Build {
        report,
        first,
        second,
    })
}

fn one(
    plan: &Plan,
    report: &AdvisoryReport,
    engine: Engine,
    which: Which,
    builders: Option<&str>,
) -> anyhow::Result<BuildOutput> {
    let tag = report.checkout().tag();
    let out = plan
        .out(tag.verified().name())
        .join(format!("build-{}", which.word()));
    checkout::clear(&out)?;
    let cache = rebuild::default_cache();
    let request = BuildRequest {
        source: report.checkout().source(),
        plan: &plan.release,
        source_date_epoch: tag.commit().time_s,
        out: &out,
        cache: &cache,
        reuse_dependencies: which != Which::Varied,
        // A further build proves something only if it is made.
        fresh: which != Which::First,
        variation: (which == Which::Varied).then(Variation::unlike_the_usual),
        nix_builders: builders.filter(|_| engine == Engine::Nix),
    };
    talk::step(
        &format!("{} build, engine {}", which.word(), engine.name()),
        || {
            rebuild::build(&request, engine, &Standard::new())
                .map_err(|error| undecided(engine, error))
        },
    )
}

fn undecided(engine: Engine, error: RebuildError) -> anyhow::Error {
    let hints = error.hint().into_iter().collect();
    let error = anyhow::Error::new(error);
    let because = error.chain().map(ToString::to_string).collect();
    Undecided::new(
        format!("the engine `{}` made no build", engine.name()),
        because,
        hints,
    )
    .into()
}

/// Digests of all builds, one binary a line.
fn side_by_side(first: &BuildOutput, others: &[&BuildOutput]) -> anyhow::Result<()> {
    let title = |build: &BuildOutput| format!("{:<64}", format!("engine {}", build.engine.name()));
    let mut heading = format!("{:<20} {}", "binary", title(first));
    for other in others {
        heading.push_str(&format!(" {}", title(other)));
    }
    talk::answer(heading.trim_end())?;
    for (name, binary) in &first.binaries {
        let mut line = format!("{name:<20} {}", binary.digest);
        for other in others {
            let digest = other
                .binaries
                .get(name)
                .map(|binary| binary.digest.to_string());
            line.push_str(&format!(" {:<64}", digest.as_deref().unwrap_or("missing")));
        }
        talk::answer(line.trim_end())?;
    }
    Ok(())
}

/// Refuses a pair of builds that differ, with the sections that do.
fn alike(first: &BuildOutput, second: &BuildOutput) -> anyhow::Result<()> {
    let mut because = Vec::new();
    for (name, binary) in &first.binaries {
        let Some(other) = second.binaries.get(name) else {
            because.push(format!("the other build made no `{name}`"));
            continue;
        };
        if binary.digest == other.digest {
            continue;
        }
        let read = |path: &PathBuf| {
            fs::read(path).with_context(|| format!("reading `{}`", path.display()))
        };
        let compared = compare::compare(&read(&binary.path)?, &read(&other.path)?);
        because.push(format!("`{name}` differs: {compared}"));
        because.push(format!(
            "the two stand at `{}` and `{}`",
            binary.path.display(),
            other.path.display()
        ));
    }
    if because.is_empty() {
        return Ok(());
    }
    Err(
        Refused::for_all("two builds of one commit are not the same", because)
            .hint("look for the cause with `verify diff` on the two files")
            .into(),
    )
}

/// Refuses binaries that need more of a system than `release.toml` allows.
fn within_limits(plan: &Plan, first: &BuildOutput) -> anyhow::Result<()> {
    let mut because = Vec::new();
    for (name, binary) in &first.binaries {
        let bytes = fs::read(&binary.path)
            .with_context(|| format!("reading `{}`", binary.path.display()))?;
        let broken = binary::breaches(&bytes, plan.release.limits())
            .with_context(|| format!("reading what `{name}` needs of a system"))?;
        because.extend(broken.into_iter().map(|limit| format!("`{name}`: {limit}")));
    }
    if because.is_empty() {
        return Ok(());
    }
    Err(
        Refused::for_all("the binaries need more than release.toml allows", because)
            .hint("remove the cause, or widen `[limits]` in release.toml")
            .into(),
    )
}
