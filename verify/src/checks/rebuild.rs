//! Check `rebuild`: a build from the source gives the same binaries, bit for bit.
//!
//! It builds the commit of the verified tag with the pinned inputs and compares. Where bytes
//! differ it names the sections that do. It takes minutes, so it runs only when asked for.

use std::path::Path;

use crate::case::{Case, RebuildOptions};
use crate::check::{Evidence, Outcome, TableTitle};
use crate::git::Repository;
use crate::load::bundle::{BIN_DIR, LoadedBundle};
use crate::rebuild::compare::Comparison;
use crate::rebuild::{self, BuildOutput, BuildRequest, RebuildError};
use crate::trust::tag::VerifiedTag;

pub(crate) fn run(case: &Case<'_>) -> Outcome {
    let evidence = Evidence::default();
    let Some(options) = &case.request().rebuild else {
        return evidence.undecided("it was not asked for; pass `--rebuild`");
    };
    let scratch = match tempfile::Builder::new().prefix("verify-rebuild-").tempdir() {
        Ok(scratch) => scratch,
        Err(error) => return evidence.undecided(format!("no scratch folder can be made: {error}")),
    };
    let output = match build_of(case, options, scratch.path()) {
        Ok(output) => output,
        Err(outcome) => return *outcome,
    };
    match options.out.map(|folder| keep(&output, folder)) {
        Some(Err(error)) => evidence.undecided(format!("what was built cannot be kept: {error}")),
        Some(Ok(())) | None => compare(case.bundle(), &output),
    }
}

/// Copies what was built to `bin/<name>` in a folder of the auditor's. Nothing that stands there is
/// overwritten: who reads it must know from which build it is.
fn keep(output: &BuildOutput, folder: &Path) -> std::io::Result<()> {
    let bin = folder.join(BIN_DIR);
    std::fs::create_dir_all(folder)?;
    std::fs::create_dir(&bin)
        .map_err(|error| std::io::Error::other(format!("`{}`: {error}", bin.display())))?;
    for (name, built) in &output.binaries {
        std::fs::copy(&built.path, bin.join(name))?;
    }
    Ok(())
}

/// Builds the verified tag's commit under `scratch`.
///
/// # Errors
/// The outcome of the check where there is no build.
pub(crate) fn build_of(
    case: &Case<'_>,
    options: &RebuildOptions<'_>,
    scratch: &Path,
) -> Result<BuildOutput, Box<Outcome>> {
    let (repository, tag) = case.verified_source()?;
    build(repository, tag, options, scratch).map_err(|why| {
        Box::new(match why {
            Stopped::Source(why) => Evidence::default().failed(why),
            Stopped::Scratch(why) => Evidence::default().undecided(why),
            Stopped::Build(error) => stopped(&error),
        })
    })
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
    scratch: &Path,
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

/// Holds what was built against what is shipped.
pub(crate) fn compare(bundle: &LoadedBundle, output: &BuildOutput) -> Outcome {
    let mut evidence = Evidence::default();
    evidence.fact("engine", output.engine.name());
    if output.dependencies_reused {
        evidence.fact(
            "dependencies",
            "compiled before, kept in this machine's cache",
        );
    }
    evidence.fact("time", format!("{:.0} s", output.duration.as_secs_f64()));
    for (name, file) in bundle.binaries() {
        let Some(built) = output.binaries.get(name) else {
            evidence.problem(format!("the source does not build `bin/{name}`"));
            continue;
        };
        let same = built.digest == file.digest;
        let cells = [
            ("binary", name.to_owned()),
            ("shipped", file.digest.to_string()),
            ("rebuilt", built.digest.to_string()),
            (
                "result",
                if same { "the same bytes" } else { "differs" }.to_owned(),
            ),
        ];
        evidence.row(TableTitle::Rebuilt, cells);
        if same {
            evidence.fact(
                &format!("bin/{name}"),
                format!("shipped and rebuilt: {}", file.digest),
            );
            continue;
        }
        let how = match (std::fs::read(&built.path), &file.bytes) {
            (Ok(rebuilt), Some(shipped)) => {
                let compared = rebuild::compare::compare(shipped, &rebuilt);
                differences(name, &compared, &mut evidence);
                compared.to_string()
            }
            _ => String::from("the bytes cannot be compared"),
        };
        evidence.problem(format!(
            "`bin/{name}` differs: shipped {}, rebuilt {}; {how}",
            file.digest, built.digest
        ));
    }
    for name in output
        .binaries
        .keys()
        .filter(|name| !bundle.binaries().any(|(shipped, _)| shipped == *name))
    {
        evidence.problem(format!(
            "the source builds `{name}`, which is not in the bundle"
        ));
    }
    evidence.judged()
}

/// Each section that differs, as a row.
fn differences(binary: &str, compared: &Comparison, evidence: &mut Evidence) {
    let size = |bytes: Option<u64>| bytes.map_or_else(|| String::from("none"), |b| b.to_string());
    let causes: Vec<String> = compared.causes.iter().map(ToString::to_string).collect();
    for section in &compared.sections {
        let cells = [
            ("binary", binary.to_owned()),
            ("section", section.name.clone()),
            ("shipped bytes", size(section.left_size_bytes)),
            ("rebuilt bytes", size(section.right_size_bytes)),
            ("first at", format!("{:#x}", section.first_difference)),
            ("differing bytes", section.differing_bytes.to_string()),
            ("likely cause", causes.join("; ")),
        ];
        evidence.row(TableTitle::Differences, cells);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use ::sbom::digest::Sha256Digest;

    use super::*;
    use crate::rebuild::inputs::Trees;
    use crate::rebuild::pins::{CargoAuditable, Crates, DebianRoot, Pins, RustToolchain};
    use crate::rebuild::{BuiltBinary, Engine};

    /// A build that gave these bytes as the binary `name`.
    fn built(folder: &Path, name: &str, bytes: &[u8]) -> BuildOutput {
        let path = folder.join("rebuilt");
        std::fs::write(&path, bytes).unwrap();
        let digest = Sha256Digest::of(bytes);
        let tree = || folder.to_owned();
        BuildOutput {
            engine: Engine::Namespaces,
            binaries: BTreeMap::from([(name.to_owned(), BuiltBinary { path, digest })]),
            trees: Trees {
                root: tree(),
                rust: tree(),
                auditable: tree(),
                crates: tree(),
            },
            pins: Pins {
                version: 1,
                root: DebianRoot {
                    nar_sha256: digest,
                    suite: String::new(),
                    snapshot: String::new(),
                    packages: Vec::new(),
                },
                rust: RustToolchain {
                    nar_sha256: digest,
                    version: String::new(),
                    host: String::new(),
                    components: Vec::new(),
                },
                cargo_auditable: CargoAuditable {
                    nar_sha256: digest,
                    version: String::new(),
                    sha256: digest,
                },
                crates: Crates {
                    nar_sha256: digest,
                    cargo_lock_sha256: digest,
                },
            },
            dependencies_reused: false,
            duration: Duration::from_secs(1),
        }
    }

    /// What the check says when `shipped` is in the bundle and the build gave `rebuilt`.
    fn judged(shipped: &[u8], name: &str, rebuilt: &[u8]) -> Outcome {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("bundle");
        std::fs::create_dir_all(root.join("bin")).unwrap();
        std::fs::write(root.join("bin/tool"), shipped).unwrap();
        let bundle = LoadedBundle::read(&root).unwrap();
        compare(&bundle, &built(folder.path(), name, rebuilt))
    }

    #[test]
    fn same_bytes_pass_and_one_changed_byte_fails_with_the_name_of_its_section() {
        // This test program itself is an executable with sections.
        let shipped = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(matches!(
            judged(&shipped, "tool", &shipped),
            Outcome::Pass { .. }
        ));
        let place = shipped.len() / 3;
        let mut other = shipped.clone();
        other[place] ^= 1;
        let Outcome::Fail { reason, .. } = judged(&other, "tool", &shipped) else {
            panic!("a changed byte passed");
        };
        assert!(
            reason.contains("`bin/tool` differs") && reason.contains("1 bytes differ"),
            "{reason}"
        );
    }

    #[test]
    fn what_was_built_is_kept_once_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let output = built(folder.path(), "tool", b"rebuilt");
        keep(&output, &out).unwrap();
        assert_eq!(std::fs::read(out.join("bin/tool")).unwrap(), b"rebuilt");
        let refused = keep(&built(folder.path(), "tool", b"another"), &out);
        assert!(refused.is_err());
        assert_eq!(std::fs::read(out.join("bin/tool")).unwrap(), b"rebuilt");
    }

    #[test]
    fn binary_that_the_source_does_not_build_fail() {
        let outcome = judged(b"x", "other", b"x");
        let said = outcome.evidence().problems.join("\n");
        assert!(
            said.contains("does not build `bin/tool`") && said.contains("builds `other`"),
            "{said}"
        );
    }
}
