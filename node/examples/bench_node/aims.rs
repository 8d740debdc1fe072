//! What is to be reached, held against what was measured.

use crate::drive::Row;
use crate::table;

/// How many times the stores of `ai-memory`, at this many connections.
const STORES: (f64, usize) = (8.0, 64);
/// How many times the searches of `ai-memory` over a store in which every memory matches.
const SEARCHES: f64 = 50.0;
/// The 99th percentile of reading one memory, in microseconds.
const READ_P99_US: u64 = 1000;
/// The most memory, in KiB.
const MEMORY_KIB: u64 = 100 * 1024;

/// One line an aim; an aim whose measurement is missing says so.
pub(crate) fn judge(rows: &[Row]) -> String {
    let own = |row: &&Row| row.server == "memory-node";
    let times = |begins: &str, connections: Option<usize>| {
        let of = |node: bool| {
            rows.iter()
                .filter(|row| own(row) == node && row.what.starts_with(begins))
                .filter(|row| connections.is_none_or(|count| row.connections == count))
                .map(|row| row.per_second)
                .reduce(f64::max)
        };
        Some(of(true)? / of(false)?)
    };
    let mut lines = vec![
        ratio(
            &format!("stores at {} connections", STORES.1),
            STORES.0,
            times("store", Some(STORES.1)),
        ),
        ratio(
            "searches, all match, each at its best number of connections",
            SEARCHES,
            times("search, all of ", None),
        ),
    ];
    for row in rows.iter().filter(own) {
        if row.what.starts_with("read one memory") {
            let said = format!(
                "{} at {} connection(s): 99th percentile {}, aim {}",
                row.what,
                row.connections,
                table::time(row.p99_us),
                table::time(READ_P99_US)
            );
            lines.push(line(&said, row.p99_us < READ_P99_US));
        }
    }
    if let Some(most) = rows.iter().filter(own).map(|row| row.peak_kib).max() {
        let said = format!(
            "memory of `memory-node` at its highest: {:.0} MiB, aim {:.0} MiB",
            table::mebibytes(most),
            table::mebibytes(MEMORY_KIB)
        );
        lines.push(line(&said, most < MEMORY_KIB));
    }
    lines.concat()
}

fn ratio(what: &str, aim: f64, times: Option<f64>) -> String {
    match times {
        Some(times) => line(
            &format!("{what}: {times:.1} times those of `ai-memory`, aim {aim:.0}"),
            times >= aim,
        ),
        None => format!("- {what}: not measured against `ai-memory`\n"),
    }
}

fn line(said: &str, reached: bool) -> String {
    let verdict = if reached { "reached" } else { "**missed**" };
    format!("- {said}: {verdict}\n")
}
