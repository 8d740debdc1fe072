//! Webhooks: how fast they are delivered, and whether any is lost when the node is killed.
//!
//! Both programs are the node's own (a test made long, an example); they write their tables, and
//! this puts them into the document.

use std::fs;
use std::process::ExitCode;

use anyhow::Context as _;

use super::{cargo, code, document, forget};
use crate::talk;
use crate::tidy;

/// Announcements of the long proof, and how often the node is killed meanwhile.
const EVENTS: &str = "10000";
const KILLS: &str = "50";

/// Kills the node fifty times during ten thousand announcements.
pub(super) fn soak() -> anyhow::Result<ExitCode> {
    let table = tidy::workspace_root().join("target/soak-webhooks.md");
    forget(&table)?;
    let status = cargo()
        .args(["test", "--locked", "--package", "node", "--test", "it"])
        .args(["webhook_kills", "--", "--nocapture"])
        .env("HALLMARK_WEBHOOK_EVENTS", EVENTS)
        .env("HALLMARK_WEBHOOK_KILLS", KILLS)
        .env("HALLMARK_TABLE", &table)
        .status()?;
    if status.success() {
        put(&table, "soak webhooks", "Webhooks of a node that is killed")?;
    }
    Ok(code(status))
}

/// Deliveries a second, the added latency of a store, memory with a long queue.
pub(super) fn measure(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let table = tidy::workspace_root().join("target/bench-webhooks.md");
    forget(&table)?;
    cargo()
        .args(["build", "--locked", "--release", "--package", "node"])
        .args(["--bins", "--example", "bench_webhooks"])
        .run()?;
    let status = cargo()
        .args(["run", "--locked", "--release", "--package", "node"])
        .args(["--example", "bench_webhooks", "--"])
        .args(["--node", "target/release/memory-node", "--table"])
        .arg(&table)
        .args(arguments)
        .status()?;
    if status.success() {
        put(&table, "bench webhooks", "Webhooks")?;
    }
    Ok(code(status))
}

fn put(table: &std::path::Path, task: &str, heading: &str) -> anyhow::Result<()> {
    let rows = fs::read_to_string(table)
        .with_context(|| format!("reading the measured table `{}`", table.display()))?;
    let text = format!("{}.\n\n{rows}", document::machine()?);
    document::put(task, heading, &text)?;
    talk::answer(&text)?;
    Ok(())
}
