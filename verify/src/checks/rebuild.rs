//! Check `rebuild`: a build from the source gives the same binaries, bit for bit.
//!
//! It builds the commit of the verified tag with the pinned inputs and compares. Where bytes
//! differ it names the sections that do. It takes minutes, so it runs only when asked for.

use crate::case::{Case, RebuildOptions};
use crate::check::{Evidence, Outcome};
use crate::git::Repository;
use crate::rebuild::{self, BuildOutput, BuildRequest, RebuildError};
use crate::trust::tag::VerifiedTag;

pub(crate) fn run(case: &Case<'_>) -> Outcome {
    let evidence = Evidence::default();
    let Some(options) = &case.request().rebuild else {
        return evidence.undecided("it was not asked for; pass `--rebuild`");
    };
    let (repository, tag) = match case.verified_source() {
        Ok(source) => source,
        Err(outcome) => return outcome,
    };
    let scratch = match tempfile::Builder::new().prefix("verify-rebuild-").tempdir() {
        Ok(scratch) => scratch,
        Err(error) => return evidence.undecided(format!("no scratch folder can be made: {error}")),
    };
    match build(repository, tag, options, scratch.path()) {
        Ok(output) => compare(case, &output),
        Err(Stopped::Source(why)) => evidence.failed(why),
        Err(Stopped::Scratch(why)) => evidence.undecided(why),
        Err(Stopped::Build(error)) => stopped(&error),
    }
}

enum Stopped {
    /// The source is not one that can be built.
    Source(String),
    /// It cannot be laid out here.
    Scratch(String),
    /// The build did not come to its end.
    Build(RebuildError),
}

fn build(
    repository: &Repository,
    tag: &VerifiedTag,
    options: &RebuildOptions<'_>,
    scratch: &std::path::Path,
) -> Result<BuildOutput, Stopped> {
    let plan = Case::plan(repository, tag)
        .map_err(|why| Stopped::Source(format!("the release plan at the tag: {why}")))?;
    let commit = repository
        .commit(tag.commit())
        .map_err(|error| Stopped::Source(error.to_string()))?;
    let (source, out) = (scratch.join("source"), scratch.join("out"));
    repository
        .check_out(tag.commit(), &source)
        .map_err(|error| match error {
            crate::git::GitError::Io { .. } => {
                Stopped::Scratch(format!("the source cannot be laid out: {error}"))
            }
            other => Stopped::Source(other.to_string()),
        })?;
    let request = BuildRequest {
        source: &source,
        plan: &plan,
        source_date_epoch: commit.time_s,
        out: &out,
        cache: options.cache,
        reuse_dependencies: true,
        fresh: true,
        variation: None,
        nix_builders: None,
    };
    rebuild::build(&request, options.engine, options.progress).map_err(Stopped::Build)
}

/// A build that did not come to its end proves nothing either way.
fn stopped(error: &RebuildError) -> Outcome {
    let mut evidence = Evidence::default();
    if let Some(hint) = error.hint() {
        evidence.fact("what to do", hint);
    }
    let mut chain = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        chain = format!("{chain}: {cause}");
        source = cause.source();
    }
    evidence.undecided(chain)
}

fn compare(case: &Case<'_>, output: &BuildOutput) -> Outcome {
    let mut evidence = Evidence::default();
    evidence.fact("engine", output.engine.name());
    if output.dependencies_reused {
        evidence.fact(
            "dependencies",
            "compiled before, kept in this machine's cache",
        );
    }
    evidence.fact("time", format!("{:.0} s", output.duration.as_secs_f64()));
    for (name, file) in case.bundle().binaries() {
        let Some(built) = output.binaries.get(name) else {
            evidence.problem(format!("the source does not build `bin/{name}`"));
            continue;
        };
        if built.digest == file.digest {
            evidence.fact(
                &format!("bin/{name}"),
                format!("shipped and rebuilt: {}", file.digest),
            );
            continue;
        }
        let how = match (std::fs::read(&built.path), &file.bytes) {
            (Ok(rebuilt), Some(shipped)) => {
                rebuild::compare::compare(shipped, &rebuilt).to_string()
            }
            _ => String::from("the bytes cannot be compared"),
        };
        evidence.problem(format!(
            "`bin/{name}` differs: shipped {}, rebuilt {}; {how}",
            file.digest, built.digest
        ));
    }
    for name in output.binaries.keys().filter(|name| {
        !case
            .bundle()
            .binaries()
            .any(|(shipped, _)| shipped == *name)
    }) {
        evidence.problem(format!(
            "the source builds `{name}`, which is not in the bundle"
        ));
    }
    evidence.judged()
}
