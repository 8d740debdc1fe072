//! `/livez`, `/readyz` and `/api/v1/health`: open to everyone, telling little.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::ApiState;

/// How the node is.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`, or `degraded` when writes do not get through.
    pub status: &'static str,
    /// The program's version.
    pub version: &'static str,
    /// Always `encrypted`: this node opens nothing else.
    pub storage: &'static str,
    /// One line for each thing that is not well; empty: all is.
    pub problems: Vec<String>,
    /// What works, but not as somebody wanted it: a list of peers that cannot be read, so that the
    /// one before it is in force. Empty: nothing.
    pub warnings: Vec<String>,
}

async fn examine(state: &ApiState) -> Health {
    let mut problems = Vec::new();
    if let Some(failure) = state.store.health().failure() {
        problems.push(format!("the last commit failed: {failure}"));
    }
    if let Err(error) = state.store.read(|read| read.token_digest()).await {
        problems.push(format!("reading fails: {error}"));
    }
    Health {
        status: if problems.is_empty() {
            "ok"
        } else {
            "degraded"
        },
        version: env!("CARGO_PKG_VERSION"),
        storage: "encrypted",
        problems,
        warnings: state
            .federation
            .as_ref()
            .map(|hub| hub.trust.problems())
            .unwrap_or_default(),
    }
}

/// Says that the process runs.
#[utoipa::path(get, path = "/livez", tag = "health",
    responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn livez() -> &'static str {
    "ok\n"
}

/// Says whether reads and writes get through: 503 when they do not.
#[utoipa::path(get, path = "/readyz", tag = "health",
    responses((status = 200, body = Health), (status = 503, body = Health)))]
pub async fn readyz(State(state): State<ApiState>) -> Response {
    let health = examine(&state).await;
    let status = if health.problems.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(health)).into_response()
}

/// Says how the node is, always with 200.
#[utoipa::path(get, path = "/api/v1/health", tag = "health",
    responses((status = 200, body = Health)))]
pub async fn health(State(state): State<ApiState>) -> Json<Health> {
    Json(examine(&state).await)
}
