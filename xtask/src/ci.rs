//! All that must hold before a change is good: format, layout, lints, and every test.
//!
//! The cheap checks come first; each crate is compiled once for clippy and once for its tests. The
//! test runner's own closing lines are repeated at the end, so that nobody has to search for them;
//! tests that could not look are counted there as skipped.

mod tally;

use std::path::Path;
use std::process::ExitCode;

use self::tally::Tally;
use crate::bootstrap;
use crate::cli::TestArgs;
use crate::outcome::{HOLDS, Refused};
use crate::shell::{self, Program};
use crate::talk;
use crate::tidy;

/// Runs the checks and, unless only those are wanted, the tests.
pub(crate) fn run(args: &TestArgs) -> anyhow::Result<ExitCode> {
    bootstrap::install(bootstrap::FOR_TESTS)?;
    if !args.checks_only {
        bootstrap::install_for_proofs()?;
    }
    let root = tidy::workspace_root();
    let mut failed: Vec<String> = Vec::new();

    check(
        &mut failed,
        "format",
        "cargo fmt --all",
        &["fmt", "--all", "--check"],
    )?;
    if !talk::step("layout", || tidy::holds(&root))? {
        failed.push("layout".to_owned());
    }
    check(
        &mut failed,
        "lints of xtask without features",
        "cargo clippy --fix",
        &[
            "clippy",
            "--locked",
            "--package",
            "xtask",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
    )?;
    check(
        &mut failed,
        "lints",
        "cargo clippy --fix",
        &[
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--features",
            "xtask/engineer",
            "--",
            "-D",
            "warnings",
        ],
    )?;
    if !args.checks_only {
        tests(&mut failed, &root, &args.filter)?;
    }

    if failed.is_empty() {
        talk::answer("everything holds")?;
        return Ok(ExitCode::from(HOLDS));
    }
    Err(Refused::for_all(
        "the change is not good",
        failed
            .iter()
            .map(|name| format!("`{name}` failed, see above"))
            .collect(),
    )
    .hint("run one part alone: `cargo fmt --all`, `cargo xtask tidy`, `cargo test -p CRATE NAME`")
    .into())
}

fn check(
    failed: &mut Vec<String>,
    name: &str,
    repair: &str,
    arguments: &[&str],
) -> anyhow::Result<()> {
    let status = talk::step(name, || {
        cargo(&tidy::workspace_root()).args(arguments).status()
    })?;
    if !status.success() {
        failed.push(name.to_owned());
        talk::say(&format!("hint: `{repair}` repairs most of it"));
    }
    Ok(())
}

/// Every test of every crate; the runner's closing lines are gathered and repeated.
fn tests(failed: &mut Vec<String>, root: &Path, filter: &[String]) -> anyhow::Result<()> {
    let mut tally = Tally::default();
    let status = talk::step("tests", || {
        cargo(root)
            .args([
                "test",
                "--locked",
                "--workspace",
                "--features",
                "xtask/engineer",
            ])
            .args(["--no-fail-fast", "--", "--show-output"])
            .args(filter)
            .tee(|line| tally.read(line))
    })?;
    talk::answer("")?;
    for line in &tally.closing {
        talk::answer(line)?;
    }
    for (test, why) in &tally.skipped {
        talk::answer(&format!("{test}: {why}"))?;
    }
    talk::answer(&tally.sum())?;
    if !status.success() || tally.closing.is_empty() {
        failed.push("tests".to_owned());
    }
    Ok(())
}

fn cargo(root: &Path) -> Program {
    shell::program(bootstrap::cargo()).folder(root)
}
