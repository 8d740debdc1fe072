//! `/metrics` in Prometheus's text format 0.0.4, and the counting of requests.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::ApiState;
use super::problem::Problem;
use crate::federation::status;
use crate::webhook::counters::DeliveryCounters;

/// Upper bounds of the latency buckets, in microseconds.
const BUCKETS_US: [u64; 8] = [
    250, 1_000, 2_500, 10_000, 50_000, 250_000, 1_000_000, 5_000_000,
];

/// Requests, counted by class of status and by time taken.
#[derive(Debug, Default)]
pub struct Counters {
    by_class: [AtomicU64; 5],
    by_time: [AtomicU64; BUCKETS_US.len()],
    total: AtomicU64,
    total_us: AtomicU64,
    /// What the webhooks' dispatcher counts.
    pub webhooks: Arc<DeliveryCounters>,
}

/// Counts every request with its status and the time until its head was ready.
pub async fn count(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let response = next.run(request).await;
    let taken_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let counters = &state.counters;
    let class = usize::from(response.status().as_u16() / 100).saturating_sub(1);
    if let Some(counter) = counters.by_class.get(class) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
    for (bound, counter) in BUCKETS_US.iter().zip(&counters.by_time) {
        if taken_us <= *bound {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
    counters.total.fetch_add(1, Ordering::Relaxed);
    counters.total_us.fetch_add(taken_us, Ordering::Relaxed);
    response
}

/// Everything that is counted, for Prometheus.
///
/// # Errors
/// When the database cannot be read.
#[utoipa::path(get, path = "/metrics", tag = "health",
    responses((status = 200, body = String, content_type = "text/plain"), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn metrics(State(state): State<ApiState>) -> Result<Response, Problem> {
    let stats = state.store.read(|read| read.stats()).await?;
    let mut out = String::new();
    requests(&mut out, &state.counters);
    attempts(&mut out, &state.counters.webhooks);
    let health = state.store.health();
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let outbox = state.store.read(|read| read.outbox_counts()).await?;
    let facts: [(&str, &str, &str, u64); 16] = [
        (
            "memory_node_webhook_subscriptions",
            "gauge",
            "Subscriptions.",
            unsigned(outbox.subscriptions),
        ),
        (
            "memory_node_webhook_pending",
            "gauge",
            "Announcements that wait.",
            unsigned(outbox.pending),
        ),
        (
            "memory_node_webhook_delivered",
            "gauge",
            "Delivered within the last week.",
            unsigned(outbox.delivered),
        ),
        (
            "memory_node_webhook_dead",
            "gauge",
            "Announcements that were given up.",
            unsigned(outbox.dead),
        ),
        (
            "memory_node_webhook_under_way",
            "gauge",
            "Announcements that are being delivered.",
            unsigned(outbox.under_way),
        ),
        (
            "memory_node_webhook_oldest_pending_seconds",
            "gauge",
            "How long the oldest announcement that waits has waited.",
            unsigned(outbox.oldest_pending_s),
        ),
        (
            "memory_node_webhook_given_up_total",
            "counter",
            "Announcements that were given up since the node began.",
            state.counters.webhooks.dead(),
        ),
        (
            "memory_node_memories",
            "gauge",
            "Memories that have not expired.",
            unsigned(stats.total),
        ),
        (
            "memory_node_links",
            "gauge",
            "Links.",
            unsigned(stats.links_count),
        ),
        (
            "memory_node_versions",
            "gauge",
            "Signed versions in the log.",
            unsigned(stats.versions),
        ),
        (
            "memory_node_database_bytes",
            "gauge",
            "Bytes of the database.",
            stats.db_size_bytes,
        ),
        (
            "memory_node_commits_total",
            "counter",
            "Commits on the disk.",
            load(&health.commits),
        ),
        (
            "memory_node_commands_total",
            "counter",
            "Writes in them.",
            load(&health.commands),
        ),
        (
            "memory_node_commit_failures_total",
            "counter",
            "Commits that failed.",
            load(&health.failed_commits),
        ),
        (
            "memory_node_writes_waiting",
            "gauge",
            "Writes that are in the queue or in the running commit.",
            load(&health.waiting),
        ),
        (
            "memory_node_ready",
            "gauge",
            "1: writes get through.",
            u64::from(health.failure().is_none()),
        ),
    ];
    for (name, kind, help, value) in facts {
        write!(
            out,
            "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n"
        )
        .map_err(unwritable)?;
    }
    if let Some(hub) = &state.federation {
        federation(&mut out, &hub.counters, &hub.view().await?);
    }
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], out).into_response())
}

/// One sample for each peer; names of peers have no character that Prometheus would want escaped.
fn federation(out: &mut String, counters: &status::Counters, view: &status::PeersView) {
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let mut family = |name: &str, kind: &str, help: &str, samples: Vec<(String, u64)>| {
        out.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        for (labels, value) in samples {
            out.push_str(&format!("{name}{labels} {value}\n"));
        }
    };
    let handshakes = [
        ("accepted", &counters.accepted),
        ("refused", &counters.refused),
        ("crowded", &counters.crowded),
        ("cut", &counters.cut),
    ];
    family(
        "memory_node_federation_connections_total",
        "counter",
        "Connections by what became of them.",
        handshakes
            .map(|(end, counter)| (format!("{{end=\"{end}\"}}"), load(counter)))
            .to_vec(),
    );
    family(
        "memory_node_federation_lists_ok",
        "gauge",
        "1: allowlist and authors file are what is in force.",
        vec![(String::new(), u64::from(view.problems.is_empty()))],
    );
    type Fact = fn(&status::PeerView) -> u64;
    let facts: [(&str, &str, &str, Fact); 6] = [
        (
            "connected",
            "gauge",
            "1: the last exchange went well.",
            |peer| u64::from(peer.state == "connected"),
        ),
        (
            "equal",
            "gauge",
            "1: both have the same versions.",
            |peer| u64::from(peer.digest_equal == Some(true)),
        ),
        (
            "lag_versions",
            "gauge",
            "Versions that were not read yet.",
            |peer| peer.lag_versions,
        ),
        (
            "quarantined",
            "gauge",
            "Its versions in quarantine.",
            |peer| peer.quarantine.values().sum(),
        ),
        (
            "received_bytes_total",
            "counter",
            "Bytes of its messages.",
            |peer| peer.bytes_in,
        ),
        (
            "sent_bytes_total",
            "counter",
            "Bytes of messages to it.",
            |peer| peer.bytes_out,
        ),
    ];
    for (name, kind, help, fact) in facts {
        let samples = view.peers.iter();
        family(
            &format!("memory_node_federation_peer_{name}"),
            kind,
            help,
            samples
                .map(|peer| (format!("{{peer=\"{}\"}}", peer.name), fact(peer)))
                .collect(),
        );
    }
}

fn requests(out: &mut String, counters: &Counters) {
    const NAME: &str = "memory_node_http_request_seconds";
    out.push_str("# HELP memory_node_http_requests_total Requests by class of status.\n");
    out.push_str("# TYPE memory_node_http_requests_total counter\n");
    for (class, counter) in counters.by_class.iter().enumerate() {
        let value = counter.load(Ordering::Relaxed);
        out.push_str(&format!(
            "memory_node_http_requests_total{{class=\"{}xx\"}} {value}\n",
            class + 1
        ));
    }
    out.push_str(&format!(
        "# HELP {NAME} Time until the answer's head.\n# TYPE {NAME} histogram\n"
    ));
    for (bound, counter) in BUCKETS_US.iter().zip(&counters.by_time) {
        let value = counter.load(Ordering::Relaxed);
        out.push_str(&format!(
            "{NAME}_bucket{{le=\"{}\"}} {value}\n",
            seconds(*bound)
        ));
    }
    let total = counters.total.load(Ordering::Relaxed);
    out.push_str(&format!("{NAME}_bucket{{le=\"+Inf\"}} {total}\n"));
    out.push_str(&format!(
        "{NAME}_sum {}\n{NAME}_count {total}\n",
        seconds(counters.total_us.load(Ordering::Relaxed))
    ));
}

fn attempts(out: &mut String, counters: &DeliveryCounters) {
    const NAME: &str = "memory_node_webhook_attempts_total";
    out.push_str(&format!(
        "# HELP {NAME} Attempts to deliver since the node began.\n# TYPE {NAME} counter\n"
    ));
    for (outcome, value) in [
        ("delivered", counters.delivered()),
        ("failed", counters.failed()),
    ] {
        out.push_str(&format!("{NAME}{{outcome=\"{outcome}\"}} {value}\n"));
    }
}

fn seconds(us: u64) -> String {
    format!("{}.{:06}", us / 1_000_000, us % 1_000_000)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn unwritable(_: std::fmt::Error) -> Problem {
    Problem::new(
        axum::http::StatusCode::INTERNAL_SERVER_ERROR,
        "unwritable",
        "the metrics could not be written",
    )
}
