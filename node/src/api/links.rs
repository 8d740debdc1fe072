//! `/links` and `/links/{id}`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::extract::{ApiId, ApiJson, ApiQuery};
use super::problem::Problem;
use crate::model::{Link, MemoryId, NewLink, Relation};

/// Whose links are shown.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LinksQuery {
    /// The memory whose links are shown.
    pub memory_id: MemoryId,
}

/// Which link is taken away.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LinkQuery {
    /// The memory that the link starts at.
    pub source_id: MemoryId,
    /// The memory that the link points to.
    pub target_id: MemoryId,
    /// `related_to` when absent.
    #[serde(default)]
    #[param(inline)]
    pub relation: Option<Relation>,
}

/// The links of a memory.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Links {
    /// From it and to it, oldest first.
    pub links: Vec<Link>,
    /// How many.
    pub count: usize,
}

/// Answer to a link.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Linked {
    /// Always true.
    pub linked: bool,
    /// Whether the link is new; false: it was there before.
    pub created: bool,
    /// The memory that the link starts at.
    pub source_id: MemoryId,
    /// The memory that the link points to.
    pub target_id: MemoryId,
    /// What the source is to the target.
    pub relation: Relation,
}

/// Answer to taking a link away.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Unlinked {
    /// Always true: what was not there is a 404.
    pub deleted: bool,
}

/// Shows the links of a memory.
///
/// # Errors
/// When the database cannot be read.
#[utoipa::path(get, path = "/api/v1/links", tag = "links", params(LinksQuery),
    responses((status = 200, body = Links), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn list(
    State(state): State<ApiState>,
    ApiQuery(query): ApiQuery<LinksQuery>,
) -> Result<Json<Links>, Problem> {
    of(&state, query.memory_id).await
}

/// Shows the links of the memory in the path.
///
/// # Errors
/// When the database cannot be read.
#[utoipa::path(get, path = "/api/v1/links/{id}", tag = "links", params(("id" = MemoryId, Path)),
    responses((status = 200, body = Links), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn of_memory(
    State(state): State<ApiState>,
    ApiId(id): ApiId,
) -> Result<Json<Links>, Problem> {
    of(&state, id).await
}

async fn of(state: &ApiState, id: MemoryId) -> Result<Json<Links>, Problem> {
    let links = state.store.read(move |read| read.links_of(id)).await?;
    Ok(Json(Links {
        count: links.len(),
        links,
    }))
}

/// Links two memories; doing so twice is doing it once.
///
/// # Errors
/// When one of them is not there, when both are one, or when the write did not reach the disk.
#[utoipa::path(post, path = "/api/v1/links", tag = "links", request_body = NewLink,
    responses((status = 201, body = Linked), (status = 200, body = Linked, description = "it was there before"), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn create(
    State(state): State<ApiState>,
    body: ApiJson<NewLink>,
) -> Result<Response, Problem> {
    let link = body.value;
    let wanted = link.clone();
    let created = state
        .store
        .write(move |write| write.create_link(&wanted))
        .await?;
    let status = if created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let answer = Linked {
        linked: true,
        created,
        source_id: link.source_id,
        target_id: link.target_id,
        relation: link.relation,
    };
    Ok((status, Json(answer)).into_response())
}

/// Takes a link away; which one stands in the query, or in a JSON body like that of the POST.
///
/// # Errors
/// When there is no such link or the write did not reach the disk.
#[utoipa::path(delete, path = "/api/v1/links", tag = "links", params(LinkQuery),
    responses((status = 200, body = Unlinked), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn delete(
    State(state): State<ApiState>,
    uri: Uri,
    body: Bytes,
) -> Result<Json<Unlinked>, Problem> {
    let link = if uri.query().is_none() && !body.is_empty() {
        serde_json::from_slice(&body)
            .map_err(|error| Problem::bad_request("invalid_json", error.to_string()))?
    } else {
        let query = axum::extract::Query::<LinkQuery>::try_from_uri(&uri)
            .map_err(|rejection| Problem::bad_request("invalid_query", rejection.body_text()))?;
        NewLink {
            source_id: query.source_id,
            target_id: query.target_id,
            relation: query.relation.unwrap_or_default(),
        }
    };
    if state
        .store
        .write(move |write| write.delete_link(&link))
        .await?
    {
        return Ok(Json(Unlinked { deleted: true }));
    }
    Err(Problem::new(
        StatusCode::NOT_FOUND,
        "not_found",
        "there is no such link",
    ))
}
