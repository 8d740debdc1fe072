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
    /// Check a detached signature over a file: OpenPGP, or SSH with `--allowed-signers`.
    ///
    /// Example: verify signature SHA256SUMS SHA256SUMS.asc --keyring maintainers.asc
    Signature(SignatureArgs),
    /// Hold an SBOM against the binary that it is about; list or write what is in the binary.
    ///
    /// Example: verify sbom bin/memory-node sbom/memory-node.cdx.json
    Sbom(SbomArgs),
    /// Ask the RustSec advisory database about a binary, a Cargo.lock or a bundle.
    ///
    /// Example: verify advisories Cargo.lock --db advisory-db
    Advisories(AdvisoriesArgs),
    /// Compare two binaries section by section, and name the likely cause of a difference.
    ///
    /// Example: verify diff bin/memory-node rebuilt
    Diff(DiffArgs),
    /// Build a bundle's source and compare: the checks `tag` and `rebuild` of `verify release`.
    ///
    /// Example: verify rebuild hallmark-0.1.0-x86_64-linux --keyring maintainers.asc
    Rebuild(RebuildArgs),
    /// Build a bundle's source and sign what came out, for others to count.
    ///
    /// Example: verify attest hallmark-0.1.0-x86_64-linux --keyring maintainers.asc --key rebuilder.asc --out a.jsonl
    Attest(AttestArgs),
    /// Count the independent rebuilders who got the shipped bytes.
    ///
    /// Example: verify quorum hallmark-0.1.0-x86_64-linux a.jsonl b.jsonl --keyring all.asc --threshold 2
    Quorum(QuorumArgs),
    /// Read a policy and say what it asks for.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Print a shell's completions for this program.
    ///
    /// Example: verify completions bash
    Completions(CompletionsArgs),
    /// Write the man pages into a folder.
    ///
    /// Example: verify man man
    Man(ManArgs),
}

/// What `verify completions` takes.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Which shell.
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// What `verify man` takes.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The folder; it must exist.
    pub folder: PathBuf,
}

/// What can be done with a policy.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Explain it in words, and refuse what is misspelt.
    ///
    /// Example: verify policy check policy.toml --keyring maintainers.asc
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
    /// Its detached signature: OpenPGP, armored or binary, or SSH as `ssh-keygen -Y sign` writes it.
    pub signature: PathBuf,
    /// OpenPGP certificates that you trust.
    #[arg(long, value_name = "FILE")]
    pub keyring: Option<PathBuf>,
    /// SSH keys that you trust, as ssh-keygen(1) describes the file.
    #[arg(long, value_name = "FILE")]
    pub allowed_signers: Option<PathBuf>,
    /// What an SSH signature must have been made for (`-n` of `ssh-keygen -Y sign`).
    #[arg(long, value_name = "NAME", default_value = "file")]
    pub namespace: String,
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
    /// The bundle's folder, or its `.tar.zst`.
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
    /// Bring that folder up to date first; without one, a folder in this user's cache.
    #[arg(long)]
    pub fetch_advisories: bool,
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
    /// Also write the report as one self-contained page.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// What `verify sbom` takes.
#[derive(Debug, Args)]
pub struct SbomArgs {
    /// The binary; it must carry `.dep-v0` data, as cargo-auditable writes them.
    pub binary: PathBuf,
    /// The SBOM: CycloneDX 1.3 to 1.7 as JSON, to 1.5 as XML. Without it the content is listed.
    pub sbom: Option<PathBuf>,
    /// The Cargo.lock that the binary was built with.
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
    /// Write an SBOM (CycloneDX 1.6) from the binary to standard output.
    #[arg(long, conflicts_with_all = ["sbom", "json"])]
    pub emit: bool,
    /// For `--emit`: who supplies the binary.
    #[arg(long, value_name = "NAME", requires = "emit")]
    pub supplier: Option<String>,
    /// For `--emit`: how to reach the supplier.
    #[arg(long, value_name = "MAIL", requires = "emit")]
    pub supplier_email: Option<String>,
    /// For `--emit`: the supplier on the web.
    #[arg(long, value_name = "URL", requires = "emit")]
    pub supplier_url: Option<String>,
    /// For `--emit`: the commit that was built.
    #[arg(long, value_name = "ID", requires = "emit")]
    pub commit: Option<String>,
    /// For `--emit`: the commit's time in seconds since 1970, which the SBOM bears.
    #[arg(long, value_name = "SECONDS", requires = "emit", default_value_t = 0)]
    pub commit_time_s: i64,
    /// For `--emit`: the folder of the crates' sources (`cargo vendor`), for licences and C code.
    #[arg(long, value_name = "DIR", requires = "emit")]
    pub crates: Option<PathBuf>,
    /// Print the answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What `verify advisories` takes.
#[derive(Debug, Args)]
pub struct AdvisoriesArgs {
    /// A binary with `.dep-v0` data, a Cargo.lock, or a bundle (its folder or `.tar.zst`).
    pub target: PathBuf,
    /// The folder of the RustSec advisory database; also `$HALLMARK_ADVISORY_DB`.
    #[arg(long, value_name = "DIR")]
    pub db: Option<PathBuf>,
    /// Bring that folder up to date first; without one, a folder in this user's cache.
    #[arg(long)]
    pub fetch: bool,
    /// The limits of the database's age and size, and your ignores.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// A CycloneDX VEX document whose statements count as ignores while they run.
    #[arg(long, value_name = "FILE")]
    pub vex: Option<PathBuf>,
    /// Count only advisories for this target triple.
    #[arg(long, value_name = "TRIPLE")]
    pub platform: Option<String>,
    /// Print the answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What `verify diff` takes.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The first binary.
    pub left: PathBuf,
    /// The second binary.
    pub right: PathBuf,
    /// Print the answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What `verify rebuild` takes.
#[derive(Debug, Args)]
pub struct RebuildArgs {
    /// The bundle's folder, or its `.tar.zst`.
    pub bundle: PathBuf,
    /// OpenPGP certificates that you trust.
    #[arg(long, value_name = "FILE")]
    pub keyring: PathBuf,
    /// Which of the keys may sign tags, and what else is taken.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// The tag that you expect.
    #[arg(long, value_name = "TAG")]
    pub tag: Option<TagName>,
    /// What runs the build; Nix where it is installed, else namespaces.
    #[arg(long, value_enum)]
    pub engine: Option<Engine>,
    /// Folder that keeps inputs and compiled dependencies between builds.
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Folder that receives the binaries that were built, as `bin/NAME`, also where they differ.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print the answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What `verify attest` takes.
#[derive(Debug, Args)]
pub struct AttestArgs {
    /// The bundle's folder, or its `.tar.zst`.
    pub bundle: PathBuf,
    /// OpenPGP certificates that you trust for the tag.
    #[arg(long, value_name = "FILE")]
    pub keyring: PathBuf,
    /// The rebuilder's secret OpenPGP key, without a passphrase.
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// Where the signed statement goes.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Which of the keys may sign tags, and what else is taken.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// The tag that you expect.
    #[arg(long, value_name = "TAG")]
    pub tag: Option<TagName>,
    /// What runs the build; Nix where it is installed, else namespaces.
    #[arg(long, value_enum)]
    pub engine: Option<Engine>,
    /// Folder that keeps inputs and compiled dependencies between builds.
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Print the answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What `verify quorum` takes.
#[derive(Debug, Args)]
pub struct QuorumArgs {
    /// The bundle's folder, or its `.tar.zst`.
    pub bundle: PathBuf,
    /// The rebuilders' statements, as `verify attest` writes them.
    #[arg(required = true)]
    pub attestations: Vec<PathBuf>,
    /// OpenPGP certificates that you trust: of the release and of the rebuilders.
    #[arg(long, value_name = "FILE")]
    pub keyring: PathBuf,
    /// How many independent rebuilders must agree; without it, what the policy says, else 1.
    #[arg(long, value_name = "NUMBER")]
    pub threshold: Option<usize>,
    /// Which keys may sign rebuilds, and who runs them.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Write a signed SLSA verification summary.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub vsa: Option<PathBuf>,
    /// For `--vsa`: your secret OpenPGP key, without a passphrase.
    #[arg(long, value_name = "FILE", requires = "vsa")]
    pub key: Option<PathBuf>,
    /// Print the answer as JSON.
    #[arg(long)]
    pub json: bool,
}
