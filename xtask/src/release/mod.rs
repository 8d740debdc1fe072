//! A release, from a signed tag to a verified bundle: one step is one file, in this order.

use std::process::ExitCode;

use crate::cli::ReleaseArgs;

/// Runs every step of a release.
pub(crate) fn run(args: &ReleaseArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("`{args:?}`")
}
