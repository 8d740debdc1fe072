//! The command line: its words and their help, and nothing that acts.
//!
//! The build script reads this very file for shell completions and man pages, so it must not use
//! anything but `clap` and the standard library.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// The reference node for AI memories.
///
/// Memories are encrypted at rest (SQLCipher), each write is a signed version, and agents reach
/// them over a local HTTP API or MCP. Exit codes: 0 it was done and holds, 1 something was checked
/// and is false, 2 no verdict.
#[derive(Debug, Parser)]
#[command(name = "memory-node", version, about, max_term_width = 100)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub common: Common,
    /// What is to be done.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, Args)]
pub struct Common {
    /// Where database, head and token are [default: $STATE_DIRECTORY, else ~/.local/share/memory-node]
    #[arg(long, global = true, value_name = "DIR", env = "MEMORY_NODE_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Answer with one JSON document on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// Take the passphrase from this file, which only its owner may read
    #[arg(long, global = true, value_name = "FILE", help_heading = "Passphrase")]
    pub passphrase_file: Option<PathBuf>,
    /// Take the passphrase from this open descriptor
    #[arg(long, global = true, value_name = "N", help_heading = "Passphrase")]
    pub passphrase_fd: Option<u32>,
    /// Take the passphrase from the output of this command
    #[arg(
        long,
        global = true,
        value_name = "COMMAND",
        help_heading = "Passphrase"
    )]
    pub passphrase_command: Option<String>,
    /// Take a database that is behind its signed head, and begin a new epoch
    #[arg(long, global = true, help_heading = "Passphrase")]
    pub accept_rollback: bool,
    /// Talk to the node that listens here: `127.0.0.1:PORT` or `unix:PATH`
    #[arg(
        long,
        global = true,
        value_name = "ADDRESS",
        help_heading = "Running node"
    )]
    pub connect: Option<String>,
    /// Take the token from this file [default: `token` in the data directory]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help_heading = "Running node"
    )]
    pub token_file: Option<PathBuf>,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a new encrypted database, its signed head and a token
    Init,
    /// Run the node: the local API and MCP
    Serve(Serve),
    /// Store a memory
    Store(StoreArgs),
    /// Show a memory with its links
    Get {
        /// The memory's id
        id: String,
    },
    /// List memories, newest first
    List(FilterArgs),
    /// Search titles, contents and tags
    Search {
        /// Words that must all be there, "phrases" and prefix*
        query: String,
        /// Narrows the search down
        #[command(flatten)]
        filter: FilterArgs,
    },
    /// Recall what has to do with a context
    Recall {
        /// Prose, or `-` for stdin
        context: String,
        /// Exactly this namespace
        #[arg(long)]
        namespace: Option<String>,
        /// At most this many
        #[arg(long, default_value_t = 10)]
        limit: u32,
        /// Stop before this many tokens
        #[arg(long)]
        budget_tokens: Option<u32>,
    },
    /// Change a memory: what is not named stays
    Update(UpdateArgs),
    /// Delete a memory: its texts are erased, a signed tombstone stays
    Delete {
        /// The memory's id
        id: String,
        /// Only if this is its current version
        #[arg(long, value_name = "VERSION")]
        if_match: Option<String>,
    },
    /// Keep a memory for ever
    Promote {
        /// The memory's id
        id: String,
    },
    /// Link two memories
    Link(LinkArgs),
    /// Take a link away
    Unlink(LinkArgs),
    /// Show the links of a memory
    Links {
        /// The memory's id
        id: String,
    },
    /// Delete many: a namespace, a tier, or what a search finds
    Forget {
        /// Exactly this namespace
        #[arg(long)]
        namespace: Option<String>,
        /// What a search with these words finds
        #[arg(long)]
        pattern: Option<String>,
        /// Exactly this tier
        #[arg(long)]
        tier: Option<TierArg>,
    },
    /// Delete what has expired
    Gc,
    /// Show the store in numbers
    Stats,
    /// List the namespaces
    Namespaces,
    /// Write every memory to a file, sealed
    Export(ExportArgs),
    /// Take in the memories of an export
    Import(ImportArgs),
    /// Check, copy, restore and re-key the database
    Db {
        /// What is to be done with it.
        #[command(subcommand)]
        command: DbCommand,
    },
    /// Announce changes to other programs by signed webhooks
    Webhook {
        /// What is to be done with them.
        #[command(subcommand)]
        command: WebhookCommand,
    },
    /// Show who this node is: its fingerprint, as openssl prints it, and its author key
    Id(IdArgs),
    /// Say whose signed memories are taken in
    Author {
        /// What is to be done with them.
        #[command(subcommand)]
        command: AuthorCommand,
    },
    /// Show the peers: state, last contact, lag, whether both have the same, what is in quarantine
    Peers,
    /// Decide about versions that were not taken in
    Quarantine {
        /// What is to be done with them.
        #[command(subcommand)]
        command: QuarantineCommand,
    },
    /// Check the signatures of every memory in a plaintext export
    VerifyExport {
        /// The export
        file: PathBuf,
        /// Only these authors are believed: an authors file
        #[arg(long, value_name = "FILE")]
        authors_file: Option<PathBuf>,
    },
    /// Make a new token; the old one is worth nothing from then on
    Token,
    /// Say what is wrong and what to do about it
    Doctor,
    /// Speak MCP on stdin and stdout for a running node
    Mcp,
    /// Print the OpenAPI document
    Openapi,
    /// Print the completions of a shell
    Completions {
        /// Which shell
        shell: ShellArg,
    },
    /// Write the man pages into a folder
    Man {
        /// The folder; it is made if it is not there
        dir: PathBuf,
    },
}

/// How long a memory is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TierArg {
    /// Six hours
    Short,
    /// Seven days
    Mid,
    /// For ever
    Long,
}

impl TierArg {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Mid => "mid",
            Self::Long => "long",
        }
    }
}

/// The shells that there are completions for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ShellArg {
    /// GNU Bash
    Bash,
    /// Z shell
    Zsh,
    /// fish
    Fish,
}

/// What a link is between.
#[derive(Clone, Debug, Args)]
pub struct LinkArgs {
    /// The memory that the link starts at
    pub source: String,
    /// The memory that the link points to
    pub target: String,
    /// What the source is to the target
    #[arg(long, default_value = "related_to", value_parser = ["related_to", "supersedes", "contradicts", "derived_from"])]
    pub relation: String,
}

/// How peers are to call this node.
#[derive(Clone, Debug, Args)]
pub struct IdArgs {
    /// The name for the lines of the peers' files
    #[arg(long)]
    pub name: Option<String>,
    /// Where peers dial this node; without it they wait to be dialled
    #[arg(long, value_name = "HOST:PORT")]
    pub address: Option<String>,
}

/// How the node runs.
#[derive(Clone, Debug, Args)]
pub struct Serve {
    /// Listen here: `127.0.0.1:PORT`, `[::1]:PORT` or `unix:PATH`; may be given more than once
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9077")]
    pub listen: Vec<String>,
    /// Let pages of this origin talk to the node; may be given more than once
    #[arg(long, value_name = "ORIGIN")]
    pub allow_origin: Vec<String>,
    /// Let webhooks go to this network, such as 10.1.0.0/16; may be given more than once
    #[arg(long, value_name = "NETWORK")]
    pub webhook_allow_network: Vec<String>,
    /// Certificate authorities (PEM) that webhooks believe besides the system's
    #[arg(long, value_name = "FILE")]
    pub webhook_ca_file: Option<PathBuf>,
    /// Let pinned peers in here, such as 0.0.0.0:9078; turns the federation on
    #[arg(long, value_name = "ADDRESS", help_heading = "Federation")]
    pub federation_listen: Option<String>,
    /// The allowlist [default: `peers` in the data directory]; turns the federation on
    #[arg(long, value_name = "FILE", help_heading = "Federation")]
    pub peers_file: Option<PathBuf>,
    /// Whose versions are taken in [default: `authors` in the data directory]
    #[arg(long, value_name = "FILE", help_heading = "Federation")]
    pub authors_file: Option<PathBuf>,
    /// Seconds before each further attempt of a failed delivery [default: 5,300,1800,7200,18000,36000,50400,72000,86400]
    #[arg(long, value_name = "SECONDS,…")]
    pub webhook_retry_s: Option<String>,
    /// Seconds that open requests are given when the node stops
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub drain_timeout_s: u64,
}

/// A new memory.
#[derive(Clone, Debug, Args)]
pub struct StoreArgs {
    /// One line
    #[arg(long)]
    pub title: String,
    /// The text itself, or `-` for stdin
    #[arg(long)]
    pub content: String,
    /// Where it goes
    #[arg(long)]
    pub namespace: Option<String>,
    /// How long it is kept
    #[arg(long)]
    pub tier: Option<TierArg>,
    /// A tag; may be given more than once
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// 1 to 10
    #[arg(long)]
    pub priority: Option<i64>,
    /// 0 to 1
    #[arg(long)]
    pub confidence: Option<f64>,
    /// Where it came from
    #[arg(long, default_value = "cli")]
    pub source: String,
    /// Seconds until it ends
    #[arg(long, value_name = "SECONDS")]
    pub ttl_s: Option<i64>,
    /// A JSON object
    #[arg(long, value_name = "JSON")]
    pub metadata: Option<String>,
    /// Who stores it
    #[arg(long)]
    pub agent_id: Option<String>,
    /// Do this once, however often it is repeated with the same key
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
}

/// A change.
#[derive(Clone, Debug, Args)]
pub struct UpdateArgs {
    /// The memory's id
    pub id: String,
    /// One line
    #[arg(long)]
    pub title: Option<String>,
    /// The text itself, or `-` for stdin
    #[arg(long)]
    pub content: Option<String>,
    /// Where it goes
    #[arg(long)]
    pub namespace: Option<String>,
    /// How long it is kept
    #[arg(long)]
    pub tier: Option<TierArg>,
    /// A tag; all tags are replaced
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Option<Vec<String>>,
    /// 1 to 10
    #[arg(long)]
    pub priority: Option<i64>,
    /// 0 to 1
    #[arg(long)]
    pub confidence: Option<f64>,
    /// A JSON object that replaces the metadata
    #[arg(long, value_name = "JSON")]
    pub metadata: Option<String>,
    /// Only if this is its current version
    #[arg(long, value_name = "VERSION")]
    pub if_match: Option<String>,
}

/// Which memories are shown.
#[derive(Clone, Debug, Args)]
pub struct FilterArgs {
    /// Exactly this namespace
    #[arg(long)]
    pub namespace: Option<String>,
    /// Exactly this tier
    #[arg(long)]
    pub tier: Option<TierArg>,
    /// A tag it carries; may be given more than once
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// This priority or a higher one
    #[arg(long)]
    pub min_priority: Option<i64>,
    /// Made at this moment (RFC 3339) or later
    #[arg(long)]
    pub since: Option<String>,
    /// Made at this moment (RFC 3339) or earlier
    #[arg(long)]
    pub until: Option<String>,
    /// Stored by this agent
    #[arg(long)]
    pub agent_id: Option<String>,
    /// At most this many
    #[arg(long, default_value_t = 20)]
    pub limit: u32,
    /// Go on where an earlier listing ended
    #[arg(long)]
    pub cursor: Option<String>,
}

/// How an export is written.
#[derive(Clone, Debug, Args)]
pub struct ExportArgs {
    /// The file; it must not be there yet
    pub file: PathBuf,
    /// Seal it to this age recipient (`age1…`); may be given more than once
    #[arg(long, value_name = "RECIPIENT", group = "seal")]
    pub recipient: Vec<String>,
    /// Seal it to the passphrase in this file
    #[arg(long, value_name = "FILE", group = "seal")]
    pub seal_passphrase_file: Option<PathBuf>,
    /// Do not seal it: whoever reads the file reads every memory
    #[arg(long, group = "seal")]
    pub plaintext: bool,
}

/// How an export is read.
#[derive(Clone, Debug, Args)]
pub struct ImportArgs {
    /// The file
    pub file: PathBuf,
    /// Open it with this age identity file
    #[arg(long, value_name = "FILE", group = "open")]
    pub identity_file: Option<PathBuf>,
    /// Open it with the passphrase in this file
    #[arg(long, value_name = "FILE", group = "open")]
    pub seal_passphrase_file: Option<PathBuf>,
}

/// What is to be done with the database.
#[derive(Clone, Debug, Subcommand)]
pub enum DbCommand {
    /// Check every page, every row, the index, the chain and every signature
    Check,
    /// Write a checked copy, encrypted with the same passphrase
    Backup {
        /// The file; it must not be there yet
        file: PathBuf,
    },
    /// Put a backup in the place of the database; the old one is kept beside it
    Restore {
        /// The backup
        file: PathBuf,
    },
    /// Encrypt the database anew, with another passphrase
    Rekey {
        /// Take the new passphrase from this file
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: PathBuf,
    },
    /// Make an encrypted database of a plaintext SQLite database, which is left as it is
    Encrypt {
        /// The plaintext database
        file: PathBuf,
    },
}

/// What is to be done with authors. All but `rotate` work on the authors file alone.
#[derive(Clone, Debug, Subcommand)]
pub enum AuthorCommand {
    /// Add an author; a running node sees it within a second
    New {
        /// How people call it
        name: String,
        /// Its key as its `memory-node id` shows it; without one, this node's own
        key: Option<String>,
        /// Only these namespaces; may be given more than once
        #[arg(long = "namespace", value_name = "NAMESPACE")]
        namespaces: Vec<String>,
        /// What it signed before this moment (RFC 3339) is not taken
        #[arg(long, value_name = "TIME")]
        not_before: Option<String>,
        /// What it signed after this moment (RFC 3339) is not taken
        #[arg(long, value_name = "TIME")]
        not_after: Option<String>,
        /// The file [default: `authors` in the data directory]
        #[arg(long, value_name = "FILE")]
        authors_file: Option<PathBuf>,
    },
    /// List the authors
    List {
        /// The file [default: `authors` in the data directory]
        #[arg(long, value_name = "FILE")]
        authors_file: Option<PathBuf>,
    },
    /// Give this node a new key; prints the record for everyone else's authors file
    Rotate,
    /// Take nothing more of an author, whatever time it claims
    Revoke {
        /// Its name
        name: String,
        /// The file [default: `authors` in the data directory]
        #[arg(long, value_name = "FILE")]
        authors_file: Option<PathBuf>,
    },
}

/// What is to be done with versions in quarantine.
#[derive(Clone, Debug, Subcommand)]
pub enum QuarantineCommand {
    /// List them with their reasons, newest first
    List,
    /// Take one in against this node's rules; a forged one cannot be accepted
    Accept {
        /// Its name in the list
        digest: String,
    },
    /// Forget one; it is not fetched again
    Drop {
        /// Its name in the list
        digest: String,
    },
}

/// What is to be done with webhooks.
#[derive(Clone, Debug, Subcommand)]
pub enum WebhookCommand {
    /// Subscribe a URL; the secret is shown once
    Add {
        /// https, to a public address
        url: String,
        /// Only this event; may be given more than once [default: all]
        #[arg(long = "event", value_name = "EVENT")]
        events: Vec<String>,
        /// Only this namespace
        #[arg(long)]
        namespace: Option<String>,
        /// Only memories of this agent
        #[arg(long)]
        agent_id: Option<String>,
        /// Take the secret from this file instead of making one
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
        /// How the header of ai-memory is keyed
        #[arg(long, value_parser = ["standard", "legacy-sha256"], default_value = "standard")]
        profile: String,
    },
    /// List subscriptions
    List,
    /// Show a subscription
    Show {
        /// The subscription's id
        id: String,
    },
    /// End a subscription
    Remove {
        /// The subscription's id
        id: String,
    },
    /// Stop deliveries; announcements queue up
    Pause {
        /// The subscription's id
        id: String,
    },
    /// Go on with deliveries
    Resume {
        /// The subscription's id
        id: String,
    },
    /// Change the secret; for a while both sign
    Rotate {
        /// The subscription's id
        id: String,
        /// Take the new secret from this file instead of making one
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
        /// Seconds that both secrets sign
        #[arg(long, value_name = "SECONDS", default_value_t = 86_400)]
        overlap_s: i64,
    },
    /// Send a test
    Test {
        /// The subscription's id
        id: String,
    },
    /// List deliveries, newest first
    Deliveries {
        /// The subscription's id
        id: String,
        /// Only these
        #[arg(long, value_parser = ["pending", "delivered", "dead"])]
        state: Option<String>,
        /// Only those before this place
        #[arg(long, value_name = "SEQ")]
        before: Option<i64>,
        /// At most this many
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Send again what is dead, and now what waits for its next attempt
    Replay {
        /// The subscription's id
        id: String,
        /// Only this one
        #[arg(long, value_name = "SEQ", conflicts_with_all = ["from", "to"])]
        seq: Option<i64>,
        /// From this place
        #[arg(long, value_name = "SEQ")]
        from: Option<i64>,
        /// To this place
        #[arg(long, value_name = "SEQ")]
        to: Option<i64>,
        /// Also what was delivered
        #[arg(long)]
        delivered_too: bool,
    },
    /// Check a delivery: the body on stdin, the headers as options
    Verify {
        /// The secret's file
        #[arg(long, value_name = "FILE")]
        secret_file: PathBuf,
        /// The value of `X-AI-Memory-Timestamp` or `webhook-timestamp`
        #[arg(long, value_name = "UNIX-SECONDS")]
        timestamp: i64,
        /// The value of `X-AI-Memory-Signature`, or that of `webhook-signature`
        #[arg(long)]
        signature: String,
        /// The value of `webhook-id`; with it, the signature is that of Standard Webhooks
        #[arg(long, value_name = "ID", conflicts_with = "profile")]
        webhook_id: Option<String>,
        /// Seconds that the timestamp may be away from now
        #[arg(long, value_name = "SECONDS", default_value_t = 300)]
        window_s: i64,
        /// How the header is keyed
        #[arg(long, value_parser = ["standard", "legacy-sha256"], default_value = "standard")]
        profile: String,
    },
}
