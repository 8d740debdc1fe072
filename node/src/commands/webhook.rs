//! `webhook …`: subscriptions and their deliveries.

use std::io::Read as _;

use hyper::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::memories::{Verb, ask, encode};
use super::output::{self, text_of};
use crate::cli::{Common, WebhookCommand};
use crate::clock::{Clock as _, SystemClock};
use crate::exit::Failure;
use crate::passphrase::{self, Source};
use crate::webhook::sign::{self, Profile};

const PATH: &str = "/api/v1/subscriptions";

/// Runs one of them.
///
/// # Errors
/// When the node cannot be reached or refuses, or a delivery does not verify.
pub fn run(common: &Common, command: WebhookCommand) -> Result<(), Failure> {
    let post = |id: &str, what: &str, show| {
        Verb::new(Method::POST, format!("{PATH}/{}/{what}", encode(id)), show)
    };
    let verb = match command {
        WebhookCommand::Add {
            url,
            events,
            namespace,
            agent_id,
            secret_file,
            profile,
        } => {
            let secret = secret_file.map(secret_of).transpose()?;
            Verb::new(Method::POST, PATH, show_made).body(json!({
                "url": url, "events": events, "namespace_filter": namespace,
                "agent_filter": agent_id, "secret": secret, "profile": profile,
            }))
        }
        WebhookCommand::List => Verb::new(Method::GET, PATH, |answer| {
            rows(answer, "subscriptions", |row| {
                let state = if row.get("active") == Some(&json!(true)) {
                    "active"
                } else {
                    "paused"
                };
                format!("{}  {state}  {}", text_of(row, "id"), text_of(row, "url"))
            })
        }),
        WebhookCommand::Remove { id } => {
            let path = format!("{PATH}/{}", encode(&id));
            Verb::new(Method::DELETE, path, |_| "ended".to_owned())
        }
        WebhookCommand::Pause { id } => post(&id, "pause", |_| "paused".to_owned()),
        WebhookCommand::Resume { id } => post(&id, "resume", |_| "resumed".to_owned()),
        WebhookCommand::Rotate { id, overlap_s } => {
            post(&id, "rotate", show_made).body(json!({ "overlap_s": overlap_s }))
        }
        WebhookCommand::Test { id } => post(&id, "test", |_| "a test is queued".to_owned()),
        WebhookCommand::Deliveries { id, state } => {
            let state = state
                .map(|state| format!("?state={state}"))
                .unwrap_or_default();
            let path = format!("{PATH}/{}/deliveries{state}", encode(&id));
            Verb::new(Method::GET, path, |answer| {
                rows(answer, "deliveries", |row| {
                    format!(
                        "{:>8}  {:9}  {:16}  {} attempts  {}",
                        text_of(row, "seq"),
                        text_of(row, "state"),
                        text_of(row, "event"),
                        text_of(row, "attempts"),
                        text_of(row, "last_error")
                    )
                })
            })
        }
        WebhookCommand::Replay {
            id,
            from,
            to,
            delivered_too,
        } => {
            let body = json!({ "from_seq": from, "to_seq": to, "delivered_too": delivered_too });
            post(&id, "replay", |answer| {
                format!("{} are sent again", text_of(answer, "replayed"))
            })
            .body(body)
        }
        WebhookCommand::Verify {
            secret_file,
            timestamp,
            signature,
            window_s,
            profile,
        } => {
            return verify(
                common,
                secret_file,
                timestamp,
                &signature,
                window_s,
                &profile,
            );
        }
    };
    ask(common, &verb)
}

fn verify(
    common: &Common,
    secret_file: std::path::PathBuf,
    timestamp: i64,
    signature: &str,
    window_s: i64,
    profile: &str,
) -> Result<(), Failure> {
    let secret = secret_of(secret_file)?;
    let mut body = Vec::new();
    std::io::stdin()
        .lock()
        .take(1 << 24)
        .read_to_end(&mut body)
        .map_err(|error| Failure::no_verdict("stdin", "stdin cannot be read").because(error))?;
    let profile = Profile::from_name(profile).unwrap_or(Profile::Standard);
    let now = SystemClock.now().as_secs();
    sign::verify(&secret, profile, signature, timestamp, &body, now, window_s).map_err(
        |refusal| {
            Failure::refuted("delivery_refused", "the delivery does not verify").because(refusal)
        },
    )?;
    output::answer(
        common.json,
        "the delivery verifies",
        json!({ "verifies": true }),
    )
}

fn secret_of(file: std::path::PathBuf) -> Result<String, Failure> {
    let secret = passphrase::read(&Source::File(file))?.into_secret();
    Ok(secret.expose_secret().to_owned())
}

fn show_made(answer: &Value) -> String {
    format!(
        "id      {}\nurl     {}\nsecret  {}\n\nthe secret is not shown again",
        text_of(answer, "id"),
        text_of(answer, "url"),
        text_of(answer, "secret")
    )
}

fn rows(answer: &Value, field: &str, line: fn(&Value) -> String) -> String {
    let rows = answer.get(field).and_then(Value::as_array);
    rows.into_iter()
        .flatten()
        .map(|row| line(row) + "\n")
        .collect()
}
