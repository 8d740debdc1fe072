//! MCP's tools for webhooks: whatever an operator can do over the API.

use hyper::Method;
use rmcp::model::JsonObject;
use serde_json::{Value, json};

use super::{Ask, ToolEntry, id, limit, object};
use crate::client::encode;
use crate::webhook::event::EVENTS;

const PATH: &str = "/api/v1/subscriptions";

pub(super) const TOOLS: [ToolEntry; 9] = [
    ToolEntry {
        name: "memory_subscribe",
        description: "Announce changes to a URL by signed webhooks. The secret is shown once.",
        schema: || {
            object(
                json!({
                    "url": {"type": "string", "description": "https only"},
                    "events": {
                        "type": "array", "items": {"enum": EVENTS}, "description": "all if absent",
                    },
                    "namespace_filter": {"type": "string"}, "agent_filter": {"type": "string"},
                    "secret": secret(),
                    "profile": {"enum": ["standard", "legacy-sha256"]},
                }),
                &["url"],
            )
        },
        ask: |args| Ok(Ask::post(PATH, Value::Object(args))),
    },
    ToolEntry {
        name: "memory_subscriptions",
        description: "List the webhooks, without their secrets.",
        schema: || object(json!({}), &[]),
        ask: |args| Ok(Ask::get(PATH, &args)),
    },
    ToolEntry {
        name: "memory_unsubscribe",
        description: "End a webhook, and everything that is queued for it.",
        schema: one,
        ask: |mut args| {
            Ok(Ask {
                method: Method::DELETE,
                path: path(&mut args, "")?,
                body: None,
            })
        },
    },
    ToolEntry {
        name: "memory_subscription_pause",
        description: "Stop deliveries of a webhook; announcements queue up meanwhile.",
        schema: one,
        ask: |args| post(args, "/pause"),
    },
    ToolEntry {
        name: "memory_subscription_resume",
        description: "Go on with deliveries of a webhook.",
        schema: one,
        ask: |args| post(args, "/resume"),
    },
    ToolEntry {
        name: "memory_subscription_rotate",
        description: "Change a webhook's secret; for a while both sign. The new one is shown once.",
        schema: || {
            object(
                json!({
                    "id": id(), "secret": secret(),
                    "overlap_s": {"type": "integer", "minimum": 0, "maximum": 2_592_000},
                }),
                &["id"],
            )
        },
        ask: |args| post(args, "/rotate"),
    },
    ToolEntry {
        name: "memory_subscription_test",
        description: "Send a webhook an announcement that only says that it is a test.",
        schema: one,
        ask: |args| post(args, "/test"),
    },
    ToolEntry {
        name: "memory_deliveries",
        description: "List a webhook's deliveries, newest first, each with its last error.",
        schema: || {
            object(
                json!({
                    "id": id(), "state": {"enum": ["pending", "delivered", "dead"]},
                    "before_seq": {"type": "integer"}, "limit": limit(),
                }),
                &["id"],
            )
        },
        ask: |mut args| {
            let path = path(&mut args, "/deliveries")?;
            Ok(Ask::get(&path, &args))
        },
    },
    ToolEntry {
        name: "memory_replay",
        description: "Send again what a webhook's receiver never took: all that is dead, or a range.",
        schema: || {
            object(
                json!({
                    "id": id(), "from_seq": {"type": "integer"}, "to_seq": {"type": "integer"},
                    "delivered_too": {"type": "boolean"},
                }),
                &["id"],
            )
        },
        ask: |args| post(args, "/replay"),
    },
];

fn one() -> Value {
    object(json!({"id": id()}), &["id"])
}

fn secret() -> Value {
    json!({"type": "string", "description": "made if absent"})
}

fn path(args: &mut JsonObject, what: &str) -> Result<String, String> {
    match args.remove("id") {
        Some(Value::String(id)) => Ok(format!("{PATH}/{}{what}", encode(&id))),
        _ => Err("`id` is missing".to_owned()),
    }
}

fn post(mut args: JsonObject, what: &str) -> Result<Ask, String> {
    let path = path(&mut args, what)?;
    Ok(Ask::post(&path, Value::Object(args)))
}
