//! The store under power cuts: the node is killed at random points, what was not synced is taken
//! back, and nothing that was acknowledged may be gone. A control that ignores syncs must lose some.

use std::fs;
use std::process::ExitCode;

use anyhow::Context as _;

use super::{cargo, code, document, forget};
use crate::cli::SoakArgs;
use crate::talk;
use crate::tidy;

/// Runs the tests of a power cut, made long, and writes their figures into the document.
pub(super) fn soak(args: &SoakArgs) -> anyhow::Result<ExitCode> {
    // Other points in time in each run; `--seed` repeats one.
    let seed = args.seed.unwrap_or_else(std::process::id);
    let folder = tidy::workspace_root().join("target");
    let tables = [
        folder.join("soak-store.md"),
        folder.join("soak-store-control.md"),
    ];
    tables.iter().try_for_each(|table| forget(table))?;
    let [table, control] = &tables;
    let status = cargo()
        .args(["test", "--locked", "--release", "--package", "node"])
        .args(["--test", "it", "power_cut", "--", "--nocapture"])
        .env("HALLMARK_KILLS", args.kills.to_string())
        .env("HALLMARK_SEED", seed.to_string())
        .env("HALLMARK_TABLE", table)
        .env("HALLMARK_CONTROL_TABLE", control)
        .status()?;
    if status.success() {
        let mut text = format!(
            "{}. Seed {seed}: `cargo xtask soak --kills {} --seed {seed}`.\n\n| | |\n|---|---:|\n",
            document::machine()?,
            args.kills
        );
        for table in &tables {
            text += &fs::read_to_string(table)
                .with_context(|| format!("reading the measured table `{}`", table.display()))?;
        }
        document::put("soak", "Power cuts", &text)?;
        talk::answer(&text)?;
    }
    Ok(code(status))
}
