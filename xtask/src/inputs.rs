//! The pinned inputs of the hermetic build, from the engineer's side.

use std::process::ExitCode;

use crate::cli::InputsArgs;

/// Runs one command on the pinned inputs.
pub(crate) fn run(args: &InputsArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("`{:?}` is not there yet", args.command)
}
