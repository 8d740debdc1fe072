//! What is measured, in which order: stores into an empty store, searches in a small one that
//! matches everywhere, reads and searches in a large one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde_json::Value;

use crate::Args;
use crate::drive::{Connection, Row, drive};
use crate::server::Server;
use crate::words::{self, IN_ALL, IN_SOME, Texts};

/// A part of the measurement.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Stores at 1, 8 and 64 connections.
    Stores,
    /// Searches over a store in which every memory matches.
    Small,
    /// Reads and searches in the large store.
    Large,
}

/// Memories in one batch while a store is filled.
const BATCH: u64 = 500;
/// Ids of each batch that are read later.
const SAMPLED: usize = 20;

/// Everything that was asked for, each part on a server of its own.
pub(crate) async fn all(
    start: &dyn Fn() -> Server,
    args: &Args,
    memories: u64,
    texts: &Arc<Texts>,
) -> Vec<Row> {
    let duration = Duration::from_secs(args.seconds);
    let mut rows = Vec::new();
    if args.parts.contains(&Part::Stores) {
        let server = start();
        for (round, &connections) in (1..).zip(&args.connections) {
            let requests = words::stores(&server, texts, round);
            rows.push(drive(&server, "store", connections, duration, requests).await);
        }
    }
    if args.parts.contains(&Part::Small) {
        let server = start();
        fill(&server, args.matching, args.matching, texts).await;
        let what = format!("search, all of {} match", words(args.matching));
        for connections in [1, 8] {
            let requests = words::search(&server, IN_ALL);
            rows.push(drive(&server, &what, connections, duration, requests).await);
        }
    }
    if args.parts.contains(&Part::Large) {
        let server = start();
        let ids = fill(&server, memories, args.matching, texts).await;
        rows.extend(in_large(&server, args, memories, ids).await);
    }
    rows
}

async fn in_large(server: &Server, args: &Args, memories: u64, ids: Vec<String>) -> Vec<Row> {
    let duration = Duration::from_secs(args.seconds);
    let among = format!("among {}", words(memories));
    let mut rows = Vec::new();
    let reads = words::reads(server, ids);
    let what = format!("read one memory {among}");
    for connections in [1, 8] {
        rows.push(drive(server, &what, connections, duration, reads.clone()).await);
    }
    let some = format!("search, {} match {among}", words(args.matching));
    let rare = format!("search, 1 in {} matches {among}", words::WORDS / 40);
    let every = format!("search, all match {among}");
    for (what, requests) in [
        (rare, words::searches_for_one_word(server)),
        (some, words::search(server, IN_SOME)),
        (every, words::search(server, IN_ALL)),
    ] {
        rows.push(drive(server, &what, 8, duration, requests).await);
    }
    rows
}

/// Fills the store by batches, the marked memories evenly among the others; returns some ids.
async fn fill(server: &Server, memories: u64, marked: u64, texts: &Texts) -> Vec<String> {
    let mut connection = Connection::open(&server.address).await;
    let mut ids = Vec::new();
    let started = Instant::now();
    let every = (memories / marked.max(1)).max(1);
    for start in (0..memories).step_by(usize::try_from(BATCH).unwrap()) {
        let batch: Vec<String> = (start..(start + BATCH).min(memories))
            .map(|n| texts.memory((1 << 50) + n, n % every == 0 && n / every < marked))
            .collect();
        let body = format!("[{}]", batch.join(","));
        let request = words::post(&server.headers, "/api/v1/memories/bulk", &body);
        let (status, answer) = connection.ask(&request).await;
        let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
        assert!(status < 300, "{status}: {answer}");
        let named = answer["ids"].as_array().into_iter().flatten();
        let sampled = named.filter_map(Value::as_str).map(str::to_owned);
        ids.extend(sampled.take(SAMPLED));
        if (start + BATCH).is_multiple_of(100_000) {
            eprintln!(
                "{}: {} memories after {:.1} s",
                server.name,
                start + BATCH,
                started.elapsed().as_secs_f64()
            );
        }
    }
    eprintln!(
        "{}: filled in {:.1} s, peak {} KiB",
        server.name,
        started.elapsed().as_secs_f64(),
        server.peak_kib()
    );
    if ids.is_empty() {
        let request = words::get(&server.headers, "/api/v1/memories?limit=1000");
        let (_, answer) = connection.ask(&request).await;
        let answer: Value = serde_json::from_slice(answer).unwrap();
        let rows = answer["memories"].as_array().unwrap().iter();
        ids.extend(rows.filter_map(|row| row["id"].as_str().map(str::to_owned)));
    }
    ids
}

/// A number with its thousands apart.
fn words(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
