//! The node's federation: its own program measures, the table goes into the document.

use std::process::ExitCode;

use super::{cargo, document};
use crate::outcome::HOLDS;
use crate::talk;

/// Measures and writes the table into the document.
pub(super) fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let table = talk::step("two nodes over loopback TLS", || {
        cargo()
            .args(["run", "--locked", "--release", "--package", "node"])
            .args(["--example", "bench_federation", "--"])
            .args(arguments)
            .read()
    })?;
    let table = String::from_utf8(table)?;
    let text = format!(
        "{}. Two nodes in one process, so both share the cores.\n\n{table}",
        document::machine()?
    );
    document::put("bench federation", "Federation", &text)?;
    talk::answer(&text)?;
    Ok(ExitCode::from(HOLDS))
}
