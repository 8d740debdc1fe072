//! `/memories` and `/memories/{id}`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::extract::{AgentId, ApiId, ApiJson, ApiQuery, if_match, none_match};
use super::problem::Problem;
use super::{cursor, idempotency};
use crate::model::{
    CreateMemory, InvalidInput, Link, Memory, MemoryDraft, MemoryId, MemoryPatch, Tier,
    UpdateMemory, limits,
};
use crate::store::{Filter, Page, Stored};

/// The filters that listing, search and recall share.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Exactly this namespace.
    #[param(min_length = 1, max_length = 128)]
    pub namespace: Option<String>,
    /// Exactly this tier.
    #[param(inline)]
    pub tier: Option<Tier>,
    /// At most this many; 50 when absent.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<i64>,
    /// Leave out this many of the newest.
    #[param(minimum = 0, maximum = 1000000)]
    pub offset: Option<i64>,
    /// Go on where the answer with this `next_cursor` ended.
    pub cursor: Option<String>,
    /// This priority or a higher one.
    #[param(minimum = 1, maximum = 10)]
    pub min_priority: Option<i64>,
    /// Made at this moment or later.
    #[param(format = DateTime)]
    pub since: Option<String>,
    /// Made at this moment or earlier.
    #[param(format = DateTime)]
    pub until: Option<String>,
    /// Carries all of these tags, put apart by commas.
    pub tags: Option<String>,
    /// Stored by this agent.
    pub agent_id: Option<String>,
}

impl ListQuery {
    /// The checked filter.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn filter(&self) -> Result<Filter, InvalidInput> {
        let moment = |field: &'static str, text: &Option<String>| {
            text.as_deref()
                .map(|text| {
                    text.parse().map_err(|e: crate::clock::NotATime| {
                        InvalidInput::new(field, format!("is wrong: {e}"))
                    })
                })
                .transpose()
        };
        if let Some(priority) = self.min_priority
            && !(1..=10).contains(&priority)
        {
            return Err(InvalidInput::new("min_priority", "is not between 1 and 10"));
        }
        let namespace = self
            .namespace
            .as_deref()
            .map(str::parse::<crate::model::Namespace>)
            .transpose()?;
        let tags = split_tags(self.tags.as_deref());
        if tags.len() > limits::TAGS {
            return Err(InvalidInput::new(
                "tags",
                format!("are more than {}", limits::TAGS),
            ));
        }
        Ok(Filter {
            namespace: namespace.map(|namespace| namespace.as_str().to_owned()),
            tier: self.tier,
            min_priority: self.min_priority,
            since: moment("since", &self.since)?,
            until: moment("until", &self.until)?,
            tags,
            agent_id: self.agent_id.clone(),
        })
    }

    fn page(&self) -> Result<Page, InvalidInput> {
        let offset = self.offset.unwrap_or(0);
        if !(0..=1_000_000).contains(&offset) {
            return Err(InvalidInput::new("offset", "is not between 0 and 1000000"));
        }
        Ok(Page {
            limit: checked_limit(self.limit, 50)?,
            offset: usize::try_from(offset).unwrap_or(0),
            after: self.cursor.as_deref().map(cursor::decode).transpose()?,
        })
    }
}

/// The tags of a comma-separated list.
#[must_use]
pub fn split_tags(text: Option<&str>) -> Vec<String> {
    text.unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|tag| !tag.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A limit of rows: 1 to 1000.
///
/// # Errors
/// When it is not.
pub fn checked_limit(limit: Option<i64>, default: usize) -> Result<usize, InvalidInput> {
    let Some(limit) = limit else {
        return Ok(default);
    };
    usize::try_from(limit)
        .ok()
        .filter(|limit| (1..=limits::PAGE_ROWS).contains(limit))
        .ok_or_else(|| {
            InvalidInput::new(
                "limit",
                format!("is not between 1 and {}", limits::PAGE_ROWS),
            )
        })
}

/// Answer to a store.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Created {
    /// The new memory's name.
    pub id: MemoryId,
    /// How long it is kept.
    pub tier: Tier,
    /// Where it went.
    pub namespace: String,
    /// Its title.
    pub title: String,
    /// Who stored it.
    pub agent_id: String,
    /// SHA-256 (64 hex digits) of its signed version.
    pub version_id: String,
}

impl From<Stored> for Created {
    fn from(stored: Stored) -> Self {
        Self {
            id: stored.id,
            tier: stored.body.tier,
            namespace: stored.namespace,
            title: stored.body.title,
            agent_id: stored.body.agent_id,
            version_id: stored.version_id,
        }
    }
}

/// A page of memories.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MemoryPage {
    /// Newest first.
    pub memories: Vec<Memory>,
    /// How many are on this page.
    pub count: usize,
    /// Where the next page begins; null: this is the last one.
    pub next_cursor: Option<String>,
}

/// A memory with its links.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MemoryWithLinks {
    /// The memory's fields, once more at the top.
    #[serde(flatten)]
    pub fields: Memory,
    /// The memory.
    pub memory: Memory,
    /// Links from it and to it.
    pub links: Vec<Link>,
}

/// Answer to a deletion.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Deleted {
    /// Always true: what was not there is a 404.
    pub deleted: bool,
    /// What was deleted.
    pub id: MemoryId,
    /// SHA-256 (64 hex digits) of the signed tombstone.
    pub version_id: String,
}

/// Answer to a promotion.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Promoted {
    /// Always true.
    pub promoted: bool,
    /// What was promoted.
    pub id: MemoryId,
    /// Always `long`.
    pub tier: Tier,
}

/// Lists memories, newest first.
///
/// # Errors
/// When a parameter is wrong or the database cannot be read.
#[utoipa::path(get, path = "/api/v1/memories", tag = "memories", params(ListQuery),
    responses((status = 200, body = MemoryPage), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn list(
    State(state): State<ApiState>,
    ApiQuery(query): ApiQuery<ListQuery>,
) -> Result<Json<MemoryPage>, Problem> {
    let (filter, page) = (query.filter()?, query.page()?);
    let limit = page.limit;
    let placed = state
        .store
        .read(move |read| read.list(&filter, &page))
        .await?;
    let next_cursor = (placed.len() == limit)
        .then(|| placed.last().map(|last| cursor::encode(last.place)))
        .flatten();
    let memories: Vec<Memory> = placed.into_iter().map(|placed| placed.memory).collect();
    Ok(Json(MemoryPage {
        count: memories.len(),
        memories,
        next_cursor,
    }))
}

/// Stores a memory. A title overwrites nothing: every store makes a memory of its own.
///
/// # Errors
/// When a field is wrong or the write did not reach the disk.
#[utoipa::path(post, path = "/api/v1/memories", tag = "memories", request_body = CreateMemory,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 128 characters: the same request with the same key is done once and answered the same for 24 hours")),
    responses((status = 201, body = Created, headers(("etag" = String))), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn create(
    State(state): State<ApiState>,
    AgentId(agent): AgentId,
    headers: HeaderMap,
    body: ApiJson<CreateMemory>,
) -> Result<Response, Problem> {
    let draft = MemoryDraft::check(body.value, &agent, state.store.clock().now())?;
    let key = idempotency::key_of(&headers, "POST /memories", &body.bytes)?;
    let (created, replayed) = match key {
        None => (state.store.create_memory(draft).await?.into(), false),
        Some(key) => {
            state
                .store
                .write(move |write| {
                    write.once(Some(&key), |write| {
                        write.create_memory(&draft).map(Created::from)
                    })
                })
                .await?
        }
    };
    let tag = etag(&created.version_id);
    let mut response = (StatusCode::CREATED, Json(created)).into_response();
    response.headers_mut().insert(header::ETAG, tag);
    if replayed {
        response
            .headers_mut()
            .insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Shows a memory: its fields, the same once more under `memory`, and its links.
///
/// # Errors
/// When there is none or the database cannot be read.
#[utoipa::path(get, path = "/api/v1/memories/{id}", tag = "memories",
    params(("id" = MemoryId, Path), ("If-None-Match" = Option<String>, Header)),
    responses((status = 200, body = MemoryWithLinks, headers(("etag" = String))), (status = 304, description = "it has not changed"), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn get(
    State(state): State<ApiState>,
    ApiId(id): ApiId,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (memory, links) = state
        .store
        .read(move |read| {
            let memory = read
                .memory(id)?
                .ok_or_else(|| crate::store::StoreError::NotFound {
                    what: "memory",
                    id: id.to_string(),
                })?;
            Ok((memory, read.links_of(id)?))
        })
        .await?;
    let tag = etag(&memory.version_id);
    let mut response = if none_match(&headers, &memory.version_id) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Json(MemoryWithLinks {
            fields: memory.clone(),
            memory,
            links,
        })
        .into_response()
    };
    response.headers_mut().insert(header::ETAG, tag);
    Ok(response)
}

/// Changes a memory; with `If-Match`, only the version that the caller knows.
///
/// # Errors
/// When there is none, it has changed, a field is wrong, or the write did not reach the disk.
#[utoipa::path(put, path = "/api/v1/memories/{id}", tag = "memories", request_body = UpdateMemory,
    params(("id" = MemoryId, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = MemoryWithLinks, headers(("etag" = String))), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn update(
    State(state): State<ApiState>,
    ApiId(id): ApiId,
    headers: HeaderMap,
    body: ApiJson<UpdateMemory>,
) -> Result<Response, Problem> {
    let patch = MemoryPatch::check(body.value)?;
    let expected = if_match(&headers)?;
    let (memory, links) = state
        .store
        .write(move |write| {
            write.update_memory(id, patch, expected.as_deref())?;
            let read = write.read();
            let memory = read.memory_even_expired(id)?;
            Ok((memory, read.links_of(id)?))
        })
        .await?;
    let tag = etag(&memory.version_id);
    let mut response = Json(MemoryWithLinks {
        fields: memory.clone(),
        memory,
        links,
    })
    .into_response();
    response.headers_mut().insert(header::ETAG, tag);
    Ok(response)
}

/// Deletes a memory: its texts are erased, a signed tombstone stays.
///
/// # Errors
/// When there is none, it has changed, or the write did not reach the disk.
#[utoipa::path(delete, path = "/api/v1/memories/{id}", tag = "memories",
    params(("id" = MemoryId, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, body = Deleted), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn delete(
    State(state): State<ApiState>,
    ApiId(id): ApiId,
    headers: HeaderMap,
) -> Result<Json<Deleted>, Problem> {
    let expected = if_match(&headers)?;
    let stored = state
        .store
        .write(move |write| write.delete_memory(id, expected.as_deref(), "deleted"))
        .await?;
    Ok(Json(Deleted {
        deleted: true,
        id,
        version_id: stored.version_id,
    }))
}

/// Keeps a memory for ever: its tier becomes `long`.
///
/// # Errors
/// When there is none or the write did not reach the disk.
#[utoipa::path(post, path = "/api/v1/memories/{id}/promote", tag = "memories",
    params(("id" = MemoryId, Path)),
    responses((status = 200, body = Promoted), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn promote(
    State(state): State<ApiState>,
    ApiId(id): ApiId,
) -> Result<Json<Promoted>, Problem> {
    state
        .store
        .write(move |write| write.promote_memory(id))
        .await?;
    Ok(Json(Promoted {
        promoted: true,
        id,
        tier: Tier::Long,
    }))
}

fn etag(version_id: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version_id}\""))
        .unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}
