//! How fast the node stores, reads and searches over HTTP, and the same for `ai-memory`.
//!
//! `cargo xtask bench node -- [--ai-memory PATH] [--memories N] [--seconds S]` builds all of it,
//! runs it and writes the table into docs/benchmarks.md.
//!
//! Each server is started on a scratch folder and driven over loopback; one JSON line a measurement
//! goes to stdout. Client and server share the machine's cores: so do both candidates.
#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot go on should panic"
)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measuring program"
)]

mod aims;
mod drive;
mod measure;
mod server;
mod table;
mod words;

use std::path::PathBuf;

use clap::Parser;

use crate::server::{Server, SyncCounter};
use crate::words::Texts;

#[derive(Parser)]
struct Args {
    /// The binary `memory-node`.
    #[arg(long)]
    node: PathBuf,
    /// The binary `ai-memory`, to compare with.
    #[arg(long)]
    ai_memory: Option<PathBuf>,
    /// Memories in the large store.
    #[arg(long, default_value_t = 1_000_000)]
    memories: u64,
    /// Memories in the large store of `ai-memory`, where filling it takes too long.
    #[arg(long)]
    other_memories: Option<u64>,
    /// Memories that match the search for a frequent word.
    #[arg(long, default_value_t = 15_000)]
    matching: u64,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Connections that store at once, one measurement each.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 64])]
    connections: Vec<usize>,
    /// Only these parts.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["stores", "small", "large"])]
    parts: Vec<measure::Part>,
    /// Where to write the table, in Markdown.
    #[arg(long)]
    table: Option<PathBuf>,
}

fn main() {
    let args = Args::parse();
    // One thread drives all connections: the servers need the cores more than the client does.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (counter, texts) = (SyncCounter::compile(), Texts::make());
    let mut rows = Vec::new();
    let node = || Server::node(&args.node, counter.as_ref());
    rows.extend(runtime.block_on(measure::all(&node, &args, args.memories, &texts)));
    if let Some(binary) = &args.ai_memory {
        let other = || Server::ai_memory(binary, counter.as_ref());
        let memories = args.other_memories.unwrap_or(args.memories);
        rows.extend(runtime.block_on(measure::all(&other, &args, memories, &texts)));
    }
    let table = format!("{}\n{}", table::markdown(&rows), aims::judge(&rows));
    println!("{table}");
    if let Some(path) = &args.table {
        std::fs::write(path, table).unwrap();
    }
}
