//! How long the hermetic build takes by each engine, held against a plain `cargo build --release
//! --locked` of the same commit on the same machine, one after the other.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use verify::git::Repository;
use verify::plan::{FILE_NAME, ReleasePlan};
use verify::rebuild::pins::Pins;
use verify::rebuild::progress::Standard;
use verify::rebuild::{self, BuildRequest, Engine, inputs};

use super::document;
use crate::bootstrap;
use crate::outcome::HOLDS;
use crate::shell;
use crate::talk;
use crate::tidy;

/// One measured build.
struct Row {
    what: String,
    time: Duration,
}

/// Measures and writes the table into the document.
pub(super) fn run() -> anyhow::Result<ExitCode> {
    let root = tidy::workspace_root();
    let work = root.join("target/bench-build");
    let source = work.join("source");
    remove(&work)?;
    let repository = Repository::open(&root)?;
    let head = repository
        .resolve("HEAD")?
        .context("there is no commit to build")?;
    let commit = repository.commit(head)?;
    repository.check_out(head, &source)?;
    let plan = ReleasePlan::parse(
        &fs::read_to_string(source.join(FILE_NAME)).context("reading the commit's release.toml")?,
    )?;

    let cache = rebuild::default_cache();
    let pins = Pins::of_source(&source, &plan)?;
    inputs::ensure(&pins, &source, &cache, &Standard::new())?;
    let mut rows = vec![plain(&plan, &source, &work.join("plain"))?];
    for (kept, words) in [
        (false, "dependencies compiled afresh"),
        (true, "dependencies kept"),
    ] {
        for engine in [Engine::Nix, Engine::Namespaces] {
            let out = work.join(format!("{}-{kept}", engine.name()));
            let request = BuildRequest {
                source: &source,
                plan: &plan,
                source_date_epoch: commit.time_s,
                out: &out,
                cache: &cache,
                reuse_dependencies: kept,
                fresh: true,
                variation: None,
                nix_builders: None,
            };
            let built = talk::step(&format!("engine {}, {words}", engine.name()), || {
                Ok(rebuild::build(&request, engine, &Standard::new())?)
            })?;
            let note = if kept == built.dependencies_reused {
                ""
            } else {
                " (first build: none were kept)"
            };
            rows.push(Row {
                what: format!("hermetic, engine `{}`, {words}{note}", engine.name()),
                time: built.duration,
            });
        }
    }
    let table = table(&rows, &head.to_string(), &document::machine()?);
    document::put("bench build", "The hermetic build", &table)?;
    talk::answer(&table)?;
    Ok(ExitCode::from(HOLDS))
}

/// The build that everybody knows, into an empty target folder.
fn plain(plan: &ReleasePlan, source: &Path, target: &Path) -> anyhow::Result<Row> {
    let cargo = || {
        shell::program(bootstrap::cargo())
            .folder(source)
            .env("CARGO_TARGET_DIR", target)
    };
    cargo().args(["fetch", "--locked"]).run()?;
    let packages = plan
        .packages()
        .into_iter()
        .flat_map(|name| ["--package", name]);
    let start = Instant::now();
    cargo()
        .args(["build", "--release", "--locked"])
        .args(packages)
        .run()?;
    let what = "plain `cargo build --release --locked`".to_owned();
    Ok(Row {
        what,
        time: start.elapsed(),
    })
}

fn table(rows: &[Row], commit: &str, machine: &str) -> String {
    let first = rows.first().map_or(0.0, |row| row.time.as_secs_f64());
    let mut text = format!(
        "Commit `{}`, {machine}. Inputs fetched beforehand; one run each, one after the other.\n\n\
         | build | time | against plain |\n|---|---:|---:|\n",
        &commit[..12]
    );
    for row in rows {
        let seconds = row.time.as_secs_f64();
        text.push_str(&format!(
            "| {} | {seconds:.0} s | {:.2} × |\n",
            row.what,
            seconds / first
        ));
    }
    text
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing `{}`", folder.display()))
        }
        _ => Ok(()),
    }
}
