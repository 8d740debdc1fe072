//! The HTTP API under `/api/v1`: routes only. Each file below holds the handlers of one subject.

pub mod access;
pub mod bulk;
pub mod cursor;
pub mod extract;
pub mod federation;
pub mod health;
pub mod idempotency;
pub mod links;
pub mod memories;
pub mod metrics;
pub mod openapi;
pub mod overview;
pub mod problem;
pub mod search;
pub mod subscriptions;
pub mod transfer;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{delete, get, post};

use crate::api::access::Access;
use crate::api::metrics::Counters;
use crate::client::Node;
use crate::federation::hub::Hub;
use crate::model::limits;
use crate::store::Store;
use crate::webhook::target::TargetPolicy;

/// What every handler may use.
#[derive(Clone)]
pub struct ApiState {
    /// The open database.
    pub store: Store,
    /// Who may come in.
    pub access: Arc<Access>,
    /// What was asked for, counted.
    pub counters: Arc<Counters>,
    /// The federation; `None`: it is off.
    pub federation: Option<Arc<Hub>>,
    /// Where webhooks may go.
    pub webhook_targets: Arc<TargetPolicy>,
}

/// The whole API over an open store.
pub fn router(state: ApiState) -> Router {
    let single = Router::new()
        .route("/memories", get(memories::list).post(memories::create))
        .route(
            "/memories/{id}",
            get(memories::get)
                .put(memories::update)
                .delete(memories::delete),
        )
        .route("/memories/{id}/promote", post(memories::promote))
        .route("/search", get(search::search))
        .route("/recall", get(search::recall).post(search::recall_post))
        .route(
            "/links",
            get(links::list).post(links::create).delete(links::delete),
        )
        .route("/links/{id}", get(links::of_memory))
        .route(
            "/subscriptions",
            get(subscriptions::list).post(subscriptions::create),
        )
        .route(
            "/subscriptions/{id}",
            get(subscriptions::get).delete(subscriptions::delete),
        )
        .route("/subscriptions/{id}/pause", post(subscriptions::pause))
        .route("/subscriptions/{id}/resume", post(subscriptions::resume))
        .route("/subscriptions/{id}/rotate", post(subscriptions::rotate))
        .route("/subscriptions/{id}/test", post(subscriptions::test))
        .route(
            "/subscriptions/{id}/deliveries",
            get(subscriptions::deliveries),
        )
        .route("/subscriptions/{id}/replay", post(subscriptions::replay))
        .route("/memories/{id}/versions", get(federation::versions))
        .route("/peers", get(federation::peers))
        .route("/quarantine", get(federation::quarantine))
        .route("/quarantine/{digest}/accept", post(federation::accept))
        .route("/quarantine/{digest}", delete(federation::drop_held))
        .route("/stats", get(overview::stats))
        .route("/namespaces", get(overview::namespaces))
        .route("/forget", post(bulk::forget))
        .route("/gc", post(bulk::collect_expired))
        .route("/export", get(transfer::export))
        .route("/health", get(health::health))
        .route("/metrics", get(metrics::metrics))
        .layer(DefaultBodyLimit::max(limits::BODY_BYTES));
    let many = Router::new()
        .route("/memories/bulk", post(bulk::create))
        .route("/import", post(transfer::import))
        .layer(DefaultBodyLimit::max(limits::BULK_BODY_BYTES));
    let api = Router::new()
        .nest("/api/v1", single.merge(many))
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::no_such_method);
    // MCP's tools ask this very API, without a socket in between.
    let tools = crate::mcp::http_service(Node::Here(api.clone().with_state(state.clone())));
    api.nest_service("/mcp", tools)
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::metrics))
        .route("/openapi.json", get(openapi::document))
        .route("/docs", get(openapi::page))
        .layer(middleware::from_fn_with_state(state.clone(), access::guard))
        .layer(middleware::from_fn_with_state(
            state.clone(),
            metrics::count,
        ))
        .with_state(state)
}
