//! The verbs on memories and links: each is one request of the API.

use std::io::Read as _;

use hyper::Method;
use serde_json::{Map, Value, json};

use super::output::{self, link_line, memory_line, memory_page, text_of};
use super::reach;
use crate::cli::{Command, Common, FilterArgs, LinkArgs, StoreArgs, UpdateArgs};
use crate::client::encode;
use crate::exit::{Failure, NO_VERDICT, REFUTED};

/// One request, and how its answer is shown to people.
pub(super) struct Verb {
    method: Method,
    path: String,
    body: Option<Value>,
    headers: Vec<(&'static str, String)>,
    show: fn(&Value) -> String,
}

impl Verb {
    pub(super) fn new(method: Method, path: impl Into<String>, show: fn(&Value) -> String) -> Self {
        Self {
            method,
            path: path.into(),
            body: None,
            headers: Vec::new(),
            show,
        }
    }

    pub(super) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }
}

/// Runs one of the verbs.
///
/// # Errors
/// When the node cannot be reached, or refuses.
pub fn run(common: &Common, command: Command) -> Result<(), Failure> {
    ask(common, &verb_of(command)?)
}

/// Sends one request and shows its answer.
pub(super) fn ask(common: &Common, verb: &Verb) -> Result<(), Failure> {
    let document = reach::runtime()?.block_on(async {
        let reached = reach::node(common).await?;
        let answer = reached
            .node
            .ask(
                verb.method.clone(),
                &verb.path,
                verb.body.as_ref(),
                &verb.headers,
            )
            .await;
        let closed = tokio::task::spawn_blocking(move || reached.close()).await;
        closed.map_err(|error| Failure::no_verdict("close", error))?;
        let answer = answer?;
        if (200..300).contains(&answer.status) {
            Ok(answer.body)
        } else {
            Err(refused(&answer.body, answer.status))
        }
    })?;
    output::answer(common.json, &(verb.show)(&document), document)
}

/// A problem document as a failure: 4xx is a refutation, 5xx and access no verdict.
pub(super) fn refused(body: &Value, status: u16) -> Failure {
    let detail = text_of(body, "detail");
    let what = if detail.is_empty() {
        format!("the node answered with status {status}")
    } else {
        detail
    };
    let exit = match status {
        404 | 409 | 412 => REFUTED,
        _ => NO_VERDICT,
    };
    let code = text_of(body, "code");
    Failure {
        exit,
        ..Failure::refuted(
            if code.is_empty() {
                "refused".to_owned()
            } else {
                code
            },
            what,
        )
    }
}

fn verb_of(command: Command) -> Result<Verb, Failure> {
    let verb = match command {
        Command::Store(args) => store(args)?,
        Command::Get { id } => Verb::new(Method::GET, memory_path(&id), memory_page),
        Command::List(filter) => Verb::new(
            Method::GET,
            format!("/api/v1/memories?{}", query(&filter, None)),
            show_list,
        ),
        Command::Search {
            query: words,
            filter,
        } => {
            let path = format!("/api/v1/search?{}", query(&filter, Some(&words)));
            Verb::new(Method::GET, path, show_list)
        }
        Command::Recall {
            context,
            namespace,
            limit,
            budget_tokens,
        } => {
            let mut body = json!({ "context": text_or_stdin(context)?, "limit": limit });
            put(&mut body, "namespace", namespace);
            put(&mut body, "budget_tokens", budget_tokens);
            Verb::new(Method::POST, "/api/v1/recall", show_list).body(body)
        }
        Command::Update(args) => update(args)?,
        Command::Delete { id, if_match } => {
            let mut verb = Verb::new(Method::DELETE, memory_path(&id), |answer| {
                format!("deleted {}", text_of(answer, "id"))
            });
            verb.headers
                .extend(if_match.map(|tag| ("if-match", format!("\"{tag}\""))));
            verb
        }
        Command::Promote { id } => Verb::new(
            Method::POST,
            format!("{}/promote", memory_path(&id)),
            |answer| {
                format!(
                    "promoted {} to {}",
                    text_of(answer, "id"),
                    text_of(answer, "tier")
                )
            },
        ),
        Command::Link(args) => Verb::new(Method::POST, "/api/v1/links", |answer| {
            format!("linked {}", link_line(answer))
        })
        .body(link_body(&args)),
        Command::Unlink(args) => {
            let path = format!(
                "/api/v1/links?source_id={}&target_id={}&relation={}",
                encode(&args.source),
                encode(&args.target),
                encode(&args.relation)
            );
            Verb::new(Method::DELETE, path, |_| "unlinked".to_owned())
        }
        Command::Links { id } => Verb::new(
            Method::GET,
            format!("/api/v1/links/{}", encode(&id)),
            |answer| lines(answer, "links", link_line),
        ),
        Command::Forget {
            namespace,
            pattern,
            tier,
        } => {
            let mut pairs = Vec::new();
            pairs.extend(namespace.map(|value| format!("namespace={}", encode(&value))));
            pairs.extend(pattern.map(|value| format!("pattern={}", encode(&value))));
            pairs.extend(tier.map(|tier| format!("tier={}", tier.as_str())));
            Verb::new(
                Method::POST,
                format!("/api/v1/forget?{}", pairs.join("&")),
                show_deleted,
            )
        }
        Command::Gc => Verb::new(Method::POST, "/api/v1/gc", show_deleted),
        Command::Stats => Verb::new(Method::GET, "/api/v1/stats", |answer| {
            [
                "total",
                "links_count",
                "expiring_soon",
                "versions",
                "db_size_bytes",
            ]
            .iter()
            .map(|field| format!("{field:14} {}\n", text_of(answer, field)))
            .collect()
        }),
        Command::Namespaces => Verb::new(Method::GET, "/api/v1/namespaces", |answer| {
            lines(answer, "namespaces", |row| {
                format!("{:8}  {}", text_of(row, "count"), text_of(row, "namespace"))
            })
        }),
        other => {
            return Err(Failure::no_verdict(
                "command",
                format!("{other:?} is not a request"),
            ));
        }
    };
    Ok(verb)
}

fn store(args: StoreArgs) -> Result<Verb, Failure> {
    let mut body = json!({
        "title": args.title,
        "content": text_or_stdin(args.content)?,
        "tags": args.tags,
        "source": args.source,
    });
    put(&mut body, "namespace", args.namespace);
    put(
        &mut body,
        "tier",
        args.tier.map(crate::cli::TierArg::as_str),
    );
    put(&mut body, "priority", args.priority);
    put(&mut body, "confidence", args.confidence);
    put(&mut body, "ttl_secs", args.ttl_s);
    put(&mut body, "agent_id", args.agent_id);
    put(
        &mut body,
        "metadata",
        args.metadata.as_deref().map(json_object).transpose()?,
    );
    let mut verb = Verb::new(Method::POST, "/api/v1/memories", |answer| {
        text_of(answer, "id")
    });
    verb.headers
        .extend(args.idempotency_key.map(|key| ("idempotency-key", key)));
    Ok(verb.body(body))
}

fn update(args: UpdateArgs) -> Result<Verb, Failure> {
    let mut body = Value::Object(Map::new());
    put(&mut body, "title", args.title);
    put(
        &mut body,
        "content",
        args.content.map(text_or_stdin).transpose()?,
    );
    put(&mut body, "namespace", args.namespace);
    put(
        &mut body,
        "tier",
        args.tier.map(crate::cli::TierArg::as_str),
    );
    put(&mut body, "tags", args.tags);
    put(&mut body, "priority", args.priority);
    put(&mut body, "confidence", args.confidence);
    put(
        &mut body,
        "metadata",
        args.metadata.as_deref().map(json_object).transpose()?,
    );
    let mut verb = Verb::new(Method::PUT, memory_path(&args.id), memory_page).body(body);
    verb.headers
        .extend(args.if_match.map(|tag| ("if-match", format!("\"{tag}\""))));
    Ok(verb)
}

fn put(body: &mut Value, field: &str, value: Option<impl serde::Serialize>) {
    if let (Some(map), Some(value)) = (body.as_object_mut(), value) {
        map.insert(field.to_owned(), json!(value));
    }
}

fn link_body(args: &LinkArgs) -> Value {
    json!({ "source_id": args.source, "target_id": args.target, "relation": args.relation })
}

fn memory_path(id: &str) -> String {
    format!("/api/v1/memories/{}", encode(id))
}

fn query(filter: &FilterArgs, words: Option<&str>) -> String {
    let mut pairs = vec![format!("limit={}", filter.limit)];
    let mut add = |name: &str, value: Option<String>| {
        pairs.extend(value.map(|value| format!("{name}={}", encode(&value))));
    };
    add("q", words.map(str::to_owned));
    add("namespace", filter.namespace.clone());
    add("tier", filter.tier.map(|tier| tier.as_str().to_owned()));
    add(
        "tags",
        (!filter.tags.is_empty()).then(|| filter.tags.join(",")),
    );
    add(
        "min_priority",
        filter.min_priority.map(|priority| priority.to_string()),
    );
    add("since", filter.since.clone());
    add("until", filter.until.clone());
    add("agent_id", filter.agent_id.clone());
    add("cursor", filter.cursor.clone());
    pairs.join("&")
}

fn text_or_stdin(text: String) -> Result<String, Failure> {
    if text != "-" {
        return Ok(text);
    }
    let mut read = String::new();
    std::io::stdin()
        .lock()
        .take(1 << 20)
        .read_to_string(&mut read)
        .map_err(|error| {
            Failure::no_verdict("stdin", "stdin cannot be read as text").because(error)
        })?;
    Ok(read)
}

fn json_object(text: &str) -> Result<Value, Failure> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        Failure::no_verdict("metadata", "`--metadata` is not JSON").because(error)
    })?;
    if value.is_object() {
        return Ok(value);
    }
    Err(Failure::no_verdict(
        "metadata",
        "`--metadata` is not a JSON object",
    ))
}

fn lines(answer: &Value, field: &str, line: fn(&Value) -> String) -> String {
    let rows = answer.get(field).and_then(Value::as_array);
    rows.into_iter()
        .flatten()
        .map(|row| line(row) + "\n")
        .collect()
}

fn show_list(answer: &Value) -> String {
    let mut out = lines(answer, "memories", memory_line);
    let next = text_of(answer, "next_cursor");
    if !next.is_empty() {
        out.push_str(&format!("… more with --cursor {next}\n"));
    }
    out
}

fn show_deleted(answer: &Value) -> String {
    format!("deleted {}", text_of(answer, "deleted"))
}
