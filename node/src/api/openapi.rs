//! The OpenAPI 3.1 document, made out of the handlers, and a page for reading it offline.

use axum::Json;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};

use super::{
    bulk, federation, health, links, memories, metrics, overview, search, subscriptions, transfer,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "memory-node",
        description = "Memories of AI agents: encrypted at rest, each one provable to its author."
    ),
    paths(
        memories::list, memories::create, memories::get, memories::update, memories::delete,
        memories::promote, bulk::create, bulk::forget, bulk::collect_expired,
        search::search, search::recall, search::recall_post,
        links::list, links::of_memory, links::create, links::delete,
        overview::stats, overview::namespaces, transfer::export, transfer::import,
        subscriptions::create, subscriptions::list, subscriptions::get, subscriptions::delete,
        subscriptions::pause,
        subscriptions::resume, subscriptions::rotate, subscriptions::test,
        subscriptions::deliveries, subscriptions::replay,
        federation::peers, federation::quarantine, federation::accept, federation::drop_held,
        federation::versions,
        health::livez, health::readyz, health::health, metrics::metrics,
    ),
    security(("token" = [])),
    modifiers(&TokenScheme),
)]
struct Document;

struct TokenScheme;

impl utoipa::Modify for TokenScheme {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_with(Default::default);
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme("token", scheme);
    }
}

/// The document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// `GET /openapi.json`.
pub async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(openapi())
}

/// `GET /docs`: one page that needs no network.
pub async fn page() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'",
        ),
    ];
    (headers, include_str!("docs.html")).into_response()
}
