//! `webhook …`: subscriptions and their deliveries.

use std::io::Read as _;

use hyper::Method;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::memories::{Verb, ask};
use super::output::{self, text_of};
use crate::cli::{Common, WebhookCommand};
use crate::client::encode;
use crate::clock::{Clock as _, SystemClock};
use crate::exit::Failure;
use crate::passphrase::{self, Source};
use crate::webhook::sign::{self, DeliveryRefusal, Profile};

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
                let id = text_of(row, "id");
                format!("{id}  {}  {}", state_of(row), text_of(row, "url"))
            })
        }),
        WebhookCommand::Show { id } => {
            let path = format!("{PATH}/{}", encode(&id));
            Verb::new(Method::GET, path, show)
        }
        WebhookCommand::Remove { id } => {
            let path = format!("{PATH}/{}", encode(&id));
            Verb::new(Method::DELETE, path, |_| "ended".to_owned())
        }
        WebhookCommand::Pause { id } => post(&id, "pause", |_| "paused".to_owned()),
        WebhookCommand::Resume { id } => post(&id, "resume", |_| "resumed".to_owned()),
        WebhookCommand::Rotate {
            id,
            secret_file,
            overlap_s,
        } => {
            let secret = secret_file.map(secret_of).transpose()?;
            post(&id, "rotate", show_made).body(json!({
                "overlap_s": overlap_s, "secret": secret,
            }))
        }
        WebhookCommand::Test { id } => post(&id, "test", |answer| {
            format!(
                "{} is queued as {}",
                text_of(answer, "event_id"),
                text_of(answer, "seq")
            )
        }),
        WebhookCommand::Deliveries {
            id,
            state,
            before,
            limit,
        } => {
            let state = state
                .map(|state| format!("&state={state}"))
                .unwrap_or_default();
            let before = before
                .map(|seq| format!("&before_seq={seq}"))
                .unwrap_or_default();
            let path = format!(
                "{PATH}/{}/deliveries?limit={limit}{state}{before}",
                encode(&id)
            );
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
            seq,
            from,
            to,
            delivered_too,
        } => {
            let (from, to) = (seq.or(from), seq.or(to));
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
            webhook_id,
            window_s,
            profile,
        } => {
            let secret = secret_of(secret_file)?;
            let profile = Profile::from_name(&profile).unwrap_or(Profile::Standard);
            return verify(common, |body, now| match &webhook_id {
                None => sign::verify(&secret, profile, &signature, timestamp, body, now, window_s),
                Some(id) => {
                    sign::verify_standard(&secret, id, &signature, timestamp, body, now, window_s)
                }
            });
        }
    };
    ask(common, &verb)
}

fn verify(
    common: &Common,
    check: impl Fn(&[u8], i64) -> Result<(), DeliveryRefusal>,
) -> Result<(), Failure> {
    let mut body = Vec::new();
    std::io::stdin()
        .lock()
        .take(1 << 24)
        .read_to_end(&mut body)
        .map_err(|error| Failure::no_verdict("stdin", "stdin cannot be read").because(error))?;
    check(&body, SystemClock.now().as_secs()).map_err(|refusal| {
        let hint = match refusal {
            DeliveryRefusal::Mismatch => {
                "check that the body is exactly what came, byte for byte, and that it is this subscription's secret; receivers written for ai-memory need `--profile legacy-sha256`"
            }
            DeliveryRefusal::OutsideWindow(_) => {
                "set the receiver's clock, or check an old delivery with `--window-s`"
            }
            DeliveryRefusal::Malformed => {
                "give the whole value of `X-AI-Memory-Signature`, or name `--webhook-id` for Standard Webhooks"
            }
            DeliveryRefusal::MalformedStandard => "give the whole value of `webhook-signature`",
        };
        Failure::refuted("delivery_refused", "the delivery does not verify")
            .because(refusal)
            .hint(hint)
    })?;
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

fn state_of(row: &Value) -> &'static str {
    if row.get("active") == Some(&json!(true)) {
        "active"
    } else {
        "paused"
    }
}

fn or_any(filter: String) -> String {
    if filter.is_empty() {
        "any".to_owned()
    } else {
        filter
    }
}

fn show(answer: &Value) -> String {
    let events: Vec<&str> = answer
        .get("events")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let events = if events.is_empty() {
        "all".to_owned()
    } else {
        events.join(", ")
    };
    format!(
        "id         {}\nurl        {}\nstate      {}\nevents     {events}\nnamespace  {}\nagent      {}\nprofile    {}\nsecret     SHA-256 begins with {}",
        text_of(answer, "id"),
        text_of(answer, "url"),
        state_of(answer),
        or_any(text_of(answer, "namespace_filter")),
        or_any(text_of(answer, "agent_filter")),
        text_of(answer, "profile"),
        text_of(answer, "secret_hash"),
    )
}

fn rows(answer: &Value, field: &str, line: fn(&Value) -> String) -> String {
    let rows = answer.get(field).and_then(Value::as_array);
    rows.into_iter()
        .flatten()
        .map(|row| line(row) + "\n")
        .collect()
}
