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
    /// Check a signed tag of a git repository or git bundle, without git and gpg.
    ///
    /// Example: verify tag . v0.1.0 --keyring maintainers.asc
    Tag(TagArgs),
    /// Check a detached OpenPGP signature over a file.
    ///
    /// Example: verify signature SHA256SUMS SHA256SUMS.asc --keyring maintainers.asc
    Signature(SignatureArgs),
    /// Read a policy and say what it asks for.
    #[command(subcommand)]
    Policy(PolicyCommand),
}

/// What can be done with a policy.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Explain it in words, and refuse what is misspelt.
    Check(PolicyCheckArgs),
}

/// What `verify policy check` takes.
#[derive(Debug, Args)]
pub struct PolicyCheckArgs {
    /// The policy.
    pub policy: PathBuf,
    /// The keyring that goes with it: every key that the policy names must be there.
    #[arg(long, value_name = "FILE")]
    pub keyring: Option<PathBuf>,
    /// Print the answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What `verify tag` takes.
#[derive(Debug, Args)]
pub struct TagArgs {
    /// A git repository (work tree, `.git` or bare), or a git bundle.
    pub repository: PathBuf,
    /// The tag's name, without `refs/tags/`.
    pub tag: TagName,
    /// OpenPGP certificates that you trust.
    #[arg(long, value_name = "FILE")]
    pub keyring: Option<PathBuf>,
    /// SSH keys that you trust, as ssh-keygen(1) describes the file.
    #[arg(long, value_name = "FILE")]
    pub allowed_signers: Option<PathBuf>,
    /// Which of the keys may sign tags, and what else is taken.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// The commit that the tag must be of.
    #[arg(long, value_name = "ID")]
    pub commit: Option<String>,
    /// Print the answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What `verify signature` takes.
#[derive(Debug, Args)]
pub struct SignatureArgs {
    /// The file.
    pub file: PathBuf,
    /// Its detached signature, armored or binary.
    pub signature: PathBuf,
    /// OpenPGP certificates that you trust.
    #[arg(long, value_name = "FILE")]
    pub keyring: PathBuf,
    /// Which of the keys may sign releases, and what else is taken.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Print the answer as JSON.
    #[arg(long)]
    pub json: bool,
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
