//! Many memories at once: `/memories/bulk`, `/forget`, `/gc`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::extract::{AgentId, ApiJson, ApiQuery};
use super::memories::ListQuery;
use super::problem::Problem;
use crate::model::{CreateMemory, InvalidInput, MemoryDraft, MemoryId, Tier, limits};
use crate::store::{FtsQuery, Match, Page};

/// Why one memory of a batch was not stored.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BulkError {
    /// Its place in the request, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub error: String,
}

/// Answer to a batch.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BulkCreated {
    /// How many were stored.
    pub created: usize,
    /// Their ids, in the order of the request.
    pub ids: Vec<MemoryId>,
    /// Those that were refused.
    pub errors: Vec<BulkError>,
}

/// What is to be forgotten: at least one of the three.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ForgetQuery {
    /// Exactly this namespace.
    #[param(min_length = 1, max_length = 128)]
    pub namespace: Option<String>,
    /// What a search with these words finds.
    #[param(max_length = 1024)]
    pub pattern: Option<String>,
    /// Exactly this tier.
    #[param(inline)]
    pub tier: Option<Tier>,
}

/// Answer to `/forget` and `/gc`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DeletedCount {
    /// How many memories were deleted.
    pub deleted: usize,
}

/// Deletions in one command, so that others are not kept waiting.
const AT_ONCE: usize = 200;

/// Stores up to 1000 memories in one commit; those that are wrong are named, the others stand.
///
/// # Errors
/// When there are too many or the write did not reach the disk.
#[utoipa::path(post, path = "/api/v1/memories/bulk", tag = "memories", request_body = Vec<CreateMemory>,
    responses((status = 201, body = BulkCreated), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn create(
    State(state): State<ApiState>,
    AgentId(agent): AgentId,
    body: ApiJson<Vec<serde_json::Value>>,
) -> Result<Response, Problem> {
    if body.value.len() > limits::BATCH {
        let why = format!("are more than {}", limits::BATCH);
        return Err(InvalidInput::new("memories", why).into());
    }
    let now = state.store.clock().now();
    let mut drafts = Vec::new();
    let mut errors = Vec::new();
    for (index, raw) in body.value.into_iter().enumerate() {
        let draft = serde_json::from_value::<CreateMemory>(raw)
            .map_err(|error| error.to_string())
            .and_then(|raw| {
                MemoryDraft::check(raw, &agent, now).map_err(|error| error.to_string())
            });
        match draft {
            Ok(draft) => drafts.push(draft),
            Err(error) => errors.push(BulkError { index, error }),
        }
    }
    let ids: Vec<MemoryId> = state
        .store
        .write(move |write| {
            drafts
                .iter()
                .map(|draft| Ok(write.create_memory(draft)?.id))
                .collect()
        })
        .await?;
    let answer = BulkCreated {
        created: ids.len(),
        ids,
        errors,
    };
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// Deletes all memories of a namespace, of a tier, or that a search finds.
///
/// # Errors
/// When nothing is named or a write did not reach the disk.
#[utoipa::path(post, path = "/api/v1/forget", tag = "memories", params(ForgetQuery),
    responses((status = 200, body = DeletedCount), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn forget(
    State(state): State<ApiState>,
    ApiQuery(query): ApiQuery<ForgetQuery>,
) -> Result<Json<DeletedCount>, Problem> {
    let filter = ListQuery {
        namespace: query.namespace,
        tier: query.tier,
        ..ListQuery::default()
    }
    .filter()?;
    let words = match query.pattern.as_deref() {
        None => None,
        Some(pattern) => Some(
            FtsQuery::parse(pattern, Match::All)
                .ok_or_else(|| InvalidInput::new("pattern", "holds no word"))?,
        ),
    };
    if filter.is_empty() && words.is_none() {
        return Err(Problem::bad_request(
            "nothing_named",
            "name a `namespace`, a `pattern` or a `tier`: nobody forgets everything by accident",
        ));
    }
    let mut deleted = 0;
    loop {
        let (filter, words) = (filter.clone(), words.clone());
        let now_gone = state
            .store
            .write(move |write| {
                let read = write.read();
                let found = match &words {
                    Some(words) => read.search(words, &filter, AT_ONCE)?.memories,
                    None => read.list(
                        &filter,
                        &Page {
                            limit: AT_ONCE,
                            offset: 0,
                            after: None,
                        },
                    )?,
                };
                for placed in &found {
                    write.delete_memory(placed.memory.id, None, "forgotten")?;
                }
                Ok(found.len())
            })
            .await?;
        deleted += now_gone;
        if now_gone < AT_ONCE {
            return Ok(Json(DeletedCount { deleted }));
        }
    }
}

/// Deletes what has expired, now instead of within a minute.
///
/// # Errors
/// When a write did not reach the disk.
#[utoipa::path(post, path = "/api/v1/gc", tag = "memories",
    responses((status = 200, body = DeletedCount), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn collect_expired(State(state): State<ApiState>) -> Result<Json<DeletedCount>, Problem> {
    let deleted = delete_expired(&state.store).await?;
    Ok(Json(DeletedCount { deleted }))
}

/// Deletes what has expired; returns how many memories that were.
///
/// # Errors
/// When a write did not reach the disk.
pub async fn delete_expired(
    store: &crate::store::Store,
) -> Result<usize, crate::store::StoreError> {
    let mut deleted = 0;
    loop {
        let now_gone = store
            .write(|write| {
                let ids = write.expired(AT_ONCE)?;
                for id in &ids {
                    write.delete_memory(*id, None, "expired")?;
                }
                Ok(ids.len())
            })
            .await?;
        deleted += now_gone;
        if now_gone < AT_ONCE {
            return Ok(deleted);
        }
    }
}
