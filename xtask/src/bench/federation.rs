//! The node's federation: its own program measures, the table goes into the document.

use std::process::ExitCode;

use super::{cargo, document};
use crate::outcome::HOLDS;
use crate::talk;

/// Measures and writes the table into the document.
pub(super) fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    cargo()
        .args(["build", "--locked", "--release", "--package", "node"])
        .run()?;
    let table = talk::step("two nodes over loopback TLS", || {
        cargo()
            .args(["run", "--locked", "--release", "--package", "node"])
            .args(["--example", "bench_federation", "--"])
            .args(arguments)
            .read()
    })?;
    let table = String::from_utf8(table)?;
    let text = format!(
        "{}. Both nodes share the cores; where no processes are named, they are two in one. A \
         repair's bytes are all that passed the wire between two processes: TLS, HTTP, comparing, and \
         the versions themselves.\n\n{table}",
        document::machine()?
    );
    document::put("bench federation", "Federation", &text)?;
    talk::answer(&text)?;
    Ok(ExitCode::from(HOLDS))
}
