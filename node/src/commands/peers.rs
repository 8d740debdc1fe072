//! `peers` and `quarantine …`: how the federation is.

use hyper::Method;
use serde_json::Value;

use super::memories::{Verb, ask};
use super::output::text_of;
use crate::cli::{Common, QuarantineCommand};
use crate::client::encode;
use crate::exit::Failure;

/// Shows the peers.
///
/// # Errors
/// When the node cannot be reached.
pub fn run(common: &Common) -> Result<(), Failure> {
    ask(common, &Verb::new(Method::GET, "/api/v1/peers", show_peers))
}

/// Runs one command on the quarantine.
///
/// # Errors
/// When the node cannot be reached or refuses.
pub fn quarantine(common: &Common, command: QuarantineCommand) -> Result<(), Failure> {
    const PATH: &str = "/api/v1/quarantine";
    let verb = match command {
        QuarantineCommand::List => Verb::new(Method::GET, PATH, show_quarantine),
        QuarantineCommand::Accept { digest } => {
            let path = format!("{PATH}/{}/accept", encode(&digest));
            Verb::new(Method::POST, path, |_| "it is taken in".to_owned())
        }
        QuarantineCommand::Drop { digest } => {
            let path = format!("{PATH}/{}", encode(&digest));
            Verb::new(Method::DELETE, path, |_| {
                "it is forgotten, and not fetched again".to_owned()
            })
        }
    };
    ask(common, &verb)
}

fn show_peers(answer: &Value) -> String {
    if text_of(answer, "federation") == "off" {
        return format!(
            "federation off, {} versions\n`memory-node serve --federation-listen HOST:PORT` turns it on; how each peer is, a running node says",
            text_of(answer, "versions")
        );
    }
    let mut out = format!(
        "federation {}, {} versions, digest {}\n",
        text_of(answer, "federation"),
        text_of(answer, "versions"),
        text_of(answer, "digest")
    );
    for problem in rows(answer, "problems") {
        out.push_str(&format!(
            "problem: {}\n",
            problem.as_str().unwrap_or_default()
        ));
    }
    for peer in rows(answer, "peers") {
        let equal = match peer.get("digest_equal").and_then(Value::as_bool) {
            Some(true) => "equal",
            Some(false) => "differs",
            None => "not compared",
        };
        out.push_str(&format!(
            "\n{}  {}\n  {}\n  address       {}\n  last contact  {}\n  lag           {} versions\n  digest        {equal}\n",
            text_of(peer, "name"),
            text_of(peer, "state"),
            text_of(peer, "fingerprint"),
            text_of(peer, "address"),
            text_of(peer, "last_contact"),
            text_of(peer, "lag_versions"),
        ));
        let error = text_of(peer, "last_error");
        if !error.is_empty() {
            out.push_str(&format!("  error         {error}\n"));
        }
        if peer.get("rolled_back").and_then(Value::as_bool) == Some(true) {
            out.push_str(
                "  warning       its log has become shorter: an old database was put back\n",
            );
        }
        let held = peer.get("quarantine").and_then(Value::as_object);
        for (reason, count) in held.into_iter().flatten() {
            out.push_str(&format!("  quarantine    {count} {reason}\n"));
        }
    }
    out
}

fn show_quarantine(answer: &Value) -> String {
    rows(answer, "quarantine")
        .map(|row| {
            format!(
                "{}  {:17}  {}  {}\n",
                text_of(row, "digest"),
                text_of(row, "reason"),
                text_of(row, "at"),
                text_of(row, "detail")
            )
        })
        .collect()
}

fn rows<'a>(answer: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    answer
        .get(field)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}
