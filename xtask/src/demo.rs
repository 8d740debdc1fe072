//! A whole release and its verification with a throw-away key, in a scratch clone.

use std::process::ExitCode;

use crate::cli::DemoArgs;

/// Runs the demonstration.
pub(crate) fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("`{args:?}` is not there yet")
}
