//! The command line of `verify`. A wrong one ends with exit code 2: it is no verdict.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::rebuild::Engine;
use crate::trust::tag::TagName;

/// Checks releases: signatures, provenance, contents, and that the source gives the same bytes.
#[derive(Debug, Parser)]
#[command(
    name = "verify",
    version,
    after_help = "Exit codes: 0 all that was asked holds; 1 something is false; 2 no verdict."
)]
pub struct Cli {
    /// What to check.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be checked.
#[derive(Debug, Subcommand)]
#[non_exhaustive]
pub enum Command {
    /// Check a release bundle: one roster, one verdict.
    ///
    /// Example: verify release hallmark-0.1.0-x86_64-linux --keyring maintainers.asc
    Release(ReleaseArgs),
}

/// What `verify release` takes.
#[derive(Debug, Args)]
pub struct ReleaseArgs {
    /// The bundle's folder.
    pub bundle: PathBuf,
    /// OpenPGP certificates that you trust (`gpg --armor --export FINGERPRINT`).
    #[arg(long, value_name = "FILE")]
    pub keyring: PathBuf,
    /// What you ask for; without it every check but the rebuild is required.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// The tag that you expect; without it the report says which tag it is.
    #[arg(long, value_name = "TAG")]
    pub tag: Option<TagName>,
    /// The folder of the RustSec advisory database; also `$HALLMARK_ADVISORY_DB`.
    #[arg(long, value_name = "DIR")]
    pub advisory_db: Option<PathBuf>,
    /// Build from the source and compare; takes minutes, and is required once asked for.
    #[arg(long)]
    pub rebuild: bool,
    /// What runs the build; Nix where it is installed, else namespaces.
    #[arg(long, value_enum, requires = "rebuild")]
    pub engine: Option<Engine>,
    /// Folder that keeps inputs and compiled dependencies between builds.
    #[arg(long, value_name = "DIR", requires = "rebuild")]
    pub cache: Option<PathBuf>,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}
