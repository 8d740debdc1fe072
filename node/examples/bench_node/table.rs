//! The rows as JSON lines, and as the table of the documents.

use serde_json::json;

use crate::drive::Row;

/// Prints one measurement as one line of JSON.
pub(crate) fn say(row: &Row) {
    println!(
        "{}",
        json!({
            "server": row.server, "what": row.what, "connections": row.connections,
            "per_second": row.per_second.round(), "p50_us": row.p50_us, "p95_us": row.p95_us,
            "p99_us": row.p99_us, "refused": row.refused, "cpu_us": row.cpu_us.round(),
            "syncs_per_request": row.syncs_per_request, "peak_kib": row.peak_kib,
        })
    );
}

/// One line a measurement; where two servers did the same, the second line says the ratio.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut table =
        "| what | connections | server | a second | p50 | p95 | p99 | syncs | CPU | memory |\n\
                     |---|---:|---|---:|---:|---:|---:|---:|---:|---:|\n"
            .to_owned();
    let mut shown: Vec<(&str, usize)> = Vec::new();
    for row in rows {
        let key = (row.what.as_str(), row.connections);
        if shown.contains(&key) {
            continue;
        }
        shown.push(key);
        let same = rows
            .iter()
            .filter(|other| (other.what.as_str(), other.connections) == key);
        let first = row.per_second;
        for (place, row) in same.enumerate() {
            let ratio = if place == 0 {
                String::new()
            } else {
                format!(" (1/{:.1})", first / row.per_second)
            };
            table.push_str(&line(row, &ratio));
        }
    }
    table
}

fn line(row: &Row, ratio: &str) -> String {
    let refused = match row.refused {
        0 => String::new(),
        count => format!(", {count} refused"),
    };
    let syncs = row
        .syncs_per_request
        .map_or("not counted".to_owned(), |syncs| format!("{syncs:.3}"));
    format!(
        "| {} | {} | `{}` | {:.0}{ratio}{refused} | {} | {} | {} | {syncs} | {:.0} µs | {:.0} MiB |\n",
        row.what,
        row.connections,
        row.server,
        row.per_second,
        time(row.p50_us),
        time(row.p95_us),
        time(row.p99_us),
        row.cpu_us,
        mebibytes(row.peak_kib),
    )
}

/// Milliseconds, with two places where they are few.
pub(crate) fn time(us: u64) -> String {
    if us < 10_000 {
        format!("{}.{:02} ms", us / 1000, us % 1000 / 10)
    } else {
        format!("{} ms", us / 1000)
    }
}

/// KiB as MiB.
#[expect(clippy::cast_precision_loss, reason = "shown in whole mebibytes")]
pub(crate) fn mebibytes(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
