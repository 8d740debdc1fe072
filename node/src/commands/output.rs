//! Writing the answer to stdout: text for people, or one JSON document.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::exit::{Failure, escape};

/// Writes text, or a document with `"version": 1` put into it.
///
/// # Errors
/// When stdout cannot be written: then the answer was not given.
pub fn answer(as_json: bool, text: &str, document: Value) -> Result<(), Failure> {
    let mut out = String::new();
    if as_json {
        let mut document = document;
        match document.as_object_mut() {
            Some(map) => {
                map.entry("version").or_insert(json!(1));
            }
            None => document = json!({ "version": 1, "answer": document }),
        }
        out.push_str(&document.to_string());
    } else {
        out.push_str(&escape(text));
    }
    if !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
    raw(out.as_bytes())
}

/// Writes bytes as they are.
///
/// # Errors
/// When stdout cannot be written.
pub fn raw(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(|error| {
            Failure::no_verdict("output", "the answer could not be written").because(error)
        })
}

/// A field of a document as text; empty when it is not there.
#[must_use]
pub fn text_of(document: &Value, field: &str) -> String {
    match document.get(field) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// One line for a memory in a listing.
#[must_use]
pub fn memory_line(memory: &Value) -> String {
    format!(
        "{}  {:5}  {:16}  {}",
        text_of(memory, "id"),
        text_of(memory, "tier"),
        text_of(memory, "namespace"),
        text_of(memory, "title").replace('\n', " ")
    )
}

/// A memory in full.
#[must_use]
pub fn memory_page(memory: &Value) -> String {
    let mut out = String::new();
    for field in [
        "id",
        "title",
        "namespace",
        "tier",
        "priority",
        "confidence",
        "source",
        "agent_id",
        "created_at",
        "updated_at",
        "expires_at",
        "access_count",
        "version_id",
    ] {
        let value = text_of(memory, field);
        if !value.is_empty() {
            out.push_str(&format!("{field:14} {value}\n"));
        }
    }
    if let Some(tags) = memory
        .get("tags")
        .and_then(Value::as_array)
        .filter(|tags| !tags.is_empty())
    {
        let tags: Vec<&str> = tags.iter().filter_map(Value::as_str).collect();
        out.push_str(&format!("{:14} {}\n", "tags", tags.join(", ")));
    }
    for link in memory
        .get("links")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        out.push_str(&format!("{:14} {}\n", "link", link_line(link)));
    }
    out.push('\n');
    out.push_str(&text_of(memory, "content"));
    out
}

/// One line for a link.
#[must_use]
pub fn link_line(link: &Value) -> String {
    format!(
        "{} {} {}",
        text_of(link, "source_id"),
        text_of(link, "relation"),
        text_of(link, "target_id")
    )
}
