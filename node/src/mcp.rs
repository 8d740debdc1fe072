//! MCP: tools, each one request of the API.
//!
//! Over stdio this is a bridge: it talks to the running node and never opens the database. Over
//! HTTP the node itself serves it at `/mcp`, behind the same token, `Host` and `Origin` checks.

mod webhooks;

use std::sync::Arc;

use hyper::Method;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
    JsonObject, ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, ServerHandler, ServiceExt as _};
use serde_json::{Map, Value, json};

use crate::client::{Node, encode};

/// The tools over one way to the node.
#[derive(Clone)]
pub struct MemoryTools {
    node: Node,
}

/// What a tool asks the API.
struct Ask {
    method: Method,
    path: String,
    body: Option<Value>,
}

/// One tool: its name, what it is for, its arguments as JSON Schema, and its request.
struct ToolEntry {
    name: &'static str,
    description: &'static str,
    schema: fn() -> Value,
    ask: fn(JsonObject) -> Result<Ask, String>,
}

const TOOLS: [ToolEntry; 9] = [
    ToolEntry {
        name: "memory_store",
        description: "Store a memory: something worth knowing in a later conversation.",
        schema: store_schema,
        ask: |args| Ok(Ask::post("/api/v1/memories", Value::Object(args))),
    },
    ToolEntry {
        name: "memory_recall",
        description: "Recall memories that have to do with a context; any of its words may match.",
        schema: || {
            object(
                json!({
                    "context": {"type": "string", "description": "prose"},
                    "namespace": {"type": "string"}, "limit": limit(),
                    "tags": {"type": "string", "description": "all of these, put apart by commas"},
                    "budget_tokens": {"type": "integer", "minimum": 1},
                }),
                &["context"],
            )
        },
        ask: |args| Ok(Ask::post("/api/v1/recall", Value::Object(args))),
    },
    ToolEntry {
        name: "memory_search",
        description: "Search titles, contents and tags; all words must match.",
        schema: || {
            let mut fields = filter_fields();
            put(
                &mut fields,
                "q",
                json!({"type": "string", "description": "words, \"phrases\", prefix*"}),
            );
            object(fields, &["q"])
        },
        ask: |args| Ok(Ask::get("/api/v1/search", &args)),
    },
    ToolEntry {
        name: "memory_list",
        description: "List memories, newest first.",
        schema: || {
            let mut fields = filter_fields();
            put(
                &mut fields,
                "cursor",
                json!({"type": "string", "description": "an answer's next_cursor"}),
            );
            object(fields, &[])
        },
        ask: |args| Ok(Ask::get("/api/v1/memories", &args)),
    },
    ToolEntry {
        name: "memory_get",
        description: "Show one memory in full, with its links.",
        schema: || object(json!({"id": id()}), &["id"]),
        ask: |mut args| {
            Ok(Ask {
                method: Method::GET,
                path: memory_path(&mut args)?,
                body: None,
            })
        },
    },
    ToolEntry {
        name: "memory_update",
        description: "Change a memory; what is not named stays as it is.",
        schema: || {
            object(
                json!({
                    "id": id(), "title": {"type": "string"}, "content": {"type": "string"},
                    "tier": tier(), "namespace": {"type": "string"}, "tags": tags(),
                    "priority": priority(), "confidence": confidence(),
                    "metadata": {"type": "object"},
                }),
                &["id"],
            )
        },
        ask: |mut args| {
            let path = memory_path(&mut args)?;
            Ok(Ask {
                method: Method::PUT,
                path,
                body: Some(Value::Object(args)),
            })
        },
    },
    ToolEntry {
        name: "memory_delete",
        description: "Delete a memory for good.",
        schema: || object(json!({"id": id()}), &["id"]),
        ask: |mut args| {
            Ok(Ask {
                method: Method::DELETE,
                path: memory_path(&mut args)?,
                body: None,
            })
        },
    },
    ToolEntry {
        name: "memory_link",
        description: "Link two memories.",
        schema: || {
            object(
                json!({
                    "source_id": id(), "target_id": id(),
                    "relation": {"enum": ["related_to", "supersedes", "contradicts", "derived_from"]},
                }),
                &["source_id", "target_id"],
            )
        },
        ask: |args| Ok(Ask::post("/api/v1/links", Value::Object(args))),
    },
    ToolEntry {
        name: "memory_export",
        description: "Export every memory and every link as one JSON document.",
        schema: || object(json!({}), &[]),
        ask: |args| Ok(Ask::get("/api/v1/export", &args)),
    },
];

fn all_tools() -> impl Iterator<Item = &'static ToolEntry> {
    TOOLS.iter().chain(&webhooks::TOOLS)
}

impl Ask {
    fn get(path: &str, args: &JsonObject) -> Self {
        let pairs: Vec<String> = args
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| format!("{}={}", encode(name), encode(&plain(value))))
            .collect();
        Self {
            method: Method::GET,
            path: format!("{path}?{}", pairs.join("&")),
            body: None,
        }
    }

    fn post(path: &str, body: Value) -> Self {
        Self {
            method: Method::POST,
            path: path.to_owned(),
            body: Some(body),
        }
    }
}

impl MemoryTools {
    /// The tools over `node`.
    #[must_use]
    pub fn new(node: Node) -> Self {
        Self { node }
    }
}

impl ServerHandler for MemoryTools {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("memory-node", env!("CARGO_PKG_VERSION")))
            .with_instructions(
                "Memories that outlive a conversation. Recall before you answer; store what is worth knowing later.",
            )
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = all_tools().map(|tool| {
            let schema = match (tool.schema)() {
                Value::Object(map) => map,
                _ => Map::new(),
            };
            Tool::new(tool.name, tool.description, Arc::new(schema))
        });
        Ok(ListToolsResult::with_all_items(tools.collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let tool = all_tools()
            .find(|tool| tool.name == request.name)
            .ok_or_else(|| {
                ErrorData::invalid_params(format!("there is no tool `{}`", request.name), None)
            })?;
        let ask = (tool.ask)(request.arguments.unwrap_or_default())
            .map_err(|why| ErrorData::invalid_params(why, None))?;
        let answer = self
            .node
            .ask(ask.method, &ask.path, ask.body.as_ref(), &[])
            .await
            .map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
        let result = match answer.body {
            // A refusal is an answer that the model should read, not a failure of the protocol.
            body if answer.status >= 400 => {
                CallToolResult::error(vec![ContentBlock::text(body.to_string())])
            }
            Value::Object(map) => CallToolResult::structured(Value::Object(map)),
            other => CallToolResult::success(vec![ContentBlock::text(other.to_string())]),
        };
        Ok(result.into())
    }
}

/// The service that the node serves at `/mcp`: no sessions, JSON answers.
///
/// `Host` and `Origin` were checked before a request comes here, together with the token.
pub fn http_service(node: Node) -> StreamableHttpService<MemoryTools, NeverSessionManager> {
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .disable_allowed_hosts();
    StreamableHttpService::new(
        move || Ok(MemoryTools::new(node.clone())),
        Arc::new(NeverSessionManager::default()),
        config,
    )
}

/// Speaks MCP on stdin and stdout until stdin ends.
///
/// # Errors
/// When the client does not speak MCP, or the pipe breaks.
pub async fn over_stdio(node: Node) -> Result<(), String> {
    let service = MemoryTools::new(node)
        .serve(rmcp::transport::stdio())
        .await
        .map_err(|error| error.to_string())?;
    service
        .waiting()
        .await
        .map(drop)
        .map_err(|error| error.to_string())
}

fn memory_path(args: &mut JsonObject) -> Result<String, String> {
    match args.remove("id") {
        Some(Value::String(id)) => Ok(format!("/api/v1/memories/{}", encode(&id))),
        _ => Err("`id` is missing".to_owned()),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn object(properties: Value, required: &[&str]) -> Value {
    json!({
        "type": "object", "properties": properties, "required": required,
        "additionalProperties": false,
    })
}

fn put(fields: &mut Value, name: &str, schema: Value) {
    if let Some(map) = fields.as_object_mut() {
        map.insert(name.to_owned(), schema);
    }
}

fn id() -> Value {
    json!({"type": "string", "format": "uuid"})
}

fn tier() -> Value {
    json!({"enum": ["short", "mid", "long"], "description": "kept for 6 hours, 7 days, for ever"})
}

fn tags() -> Value {
    json!({"type": "array", "items": {"type": "string"}, "maxItems": 50})
}

fn priority() -> Value {
    json!({"type": "integer", "minimum": 1, "maximum": 10})
}

fn confidence() -> Value {
    json!({"type": "number", "minimum": 0, "maximum": 1})
}

fn limit() -> Value {
    json!({"type": "integer", "minimum": 1, "maximum": 1000})
}

fn store_schema() -> Value {
    object(
        json!({
            "title": {"type": "string", "maxLength": 512},
            "content": {"type": "string", "description": "at most 64 KiB"},
            "tier": tier(), "namespace": {"type": "string"}, "tags": tags(),
            "priority": priority(), "confidence": confidence(), "source": {"type": "string"},
            "ttl_secs": {"type": "integer", "minimum": 1}, "expires_at": {"type": "string"},
            "metadata": {"type": "object"}, "agent_id": {"type": "string"},
            "scope": {"type": "string"},
        }),
        &["title", "content"],
    )
}

fn filter_fields() -> Value {
    json!({
        "namespace": {"type": "string"}, "tier": tier(), "limit": limit(),
        "min_priority": priority(), "since": {"type": "string"}, "until": {"type": "string"},
        "tags": {"type": "string", "description": "all of these, put apart by commas"},
        "agent_id": {"type": "string"},
    })
}
