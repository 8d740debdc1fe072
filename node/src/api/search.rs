//! `/search` and `/recall`.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::extract::{ApiJson, ApiQuery};
use super::memories::{ListQuery, checked_limit};
use super::problem::Problem;
use crate::model::{InvalidInput, Memory, MemoryId, Tier, limits};
use crate::store::{Filter, Found, FtsQuery, Match, Ranking, StoreError};

/// What is searched for.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SearchQuery {
    /// Words that must all be there, `"phrases"` and `prefix*`.
    #[param(max_length = 1024)]
    pub q: String,
    /// At most this many; 20 when absent.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<i64>,
    /// Exactly this namespace.
    #[param(min_length = 1, max_length = 128)]
    pub namespace: Option<String>,
    /// Exactly this tier.
    #[param(inline)]
    pub tier: Option<Tier>,
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
    /// Taken for the sake of clients that send it: every holder of the token sees everything.
    pub as_agent: Option<String>,
}

/// What is to be recalled: query of the GET, body of the POST.
#[derive(Clone, Debug, Deserialize, Serialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct RecallRequest {
    /// Prose; memories that hold any of its words are ranked by how many and how rare they are.
    #[param(max_length = 16384)]
    #[schema(max_length = 16384)]
    pub context: String,
    /// Exactly this namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(min_length = 1, max_length = 128)]
    #[schema(min_length = 1, max_length = 128)]
    pub namespace: Option<String>,
    /// At most this many; 10 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 1000)]
    #[schema(minimum = 1, maximum = 1000)]
    pub limit: Option<i64>,
    /// Carries all of these tags, put apart by commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<String>,
    /// Made at this moment or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(format = DateTime)]
    #[schema(format = DateTime)]
    pub since: Option<String>,
    /// Made at this moment or earlier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(format = DateTime)]
    #[schema(format = DateTime)]
    pub until: Option<String>,
    /// Taken for the sake of clients that send it: every holder of the token sees everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_agent: Option<String>,
    /// Stop before this many tokens, at four bytes a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1)]
    #[schema(minimum = 1)]
    pub budget_tokens: Option<i64>,
}

/// What was found.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SearchResults {
    /// Best first.
    pub results: Vec<Memory>,
    /// The same once more, under the name that older clients read.
    pub memories: Vec<Memory>,
    /// How many are shown.
    pub count: usize,
    /// What was searched for.
    pub query: String,
    /// In which order they are.
    pub ranking: Ranking,
}

/// What was recalled.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Recalled {
    /// Best first.
    pub memories: Vec<Memory>,
    /// How many are shown.
    pub count: usize,
    /// Tokens that they are about, at four bytes a token.
    pub tokens_used: i64,
    /// In which order they are.
    pub ranking: Ranking,
}

const BYTES_PER_TOKEN: usize = 4;

/// Searches titles, contents and tags.
///
/// # Errors
/// When a parameter is wrong or the database cannot be read.
#[utoipa::path(get, path = "/api/v1/search", tag = "search", params(SearchQuery),
    responses((status = 200, body = SearchResults), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn search(
    State(state): State<ApiState>,
    ApiQuery(query): ApiQuery<SearchQuery>,
) -> Result<Json<SearchResults>, Problem> {
    let limit = checked_limit(query.limit, 20)?;
    if query.q.chars().count() > limits::QUERY_CHARS {
        let why = format!("has more than {} characters", limits::QUERY_CHARS);
        return Err(InvalidInput::new("q", why).into());
    }
    let filter = ListQuery {
        namespace: query.namespace,
        tier: query.tier,
        min_priority: query.min_priority,
        since: query.since,
        until: query.until,
        tags: query.tags,
        agent_id: query.agent_id,
        ..ListQuery::default()
    }
    .filter()?;
    let (memories, ranking) = find(&state, &query.q, Match::All, filter, limit).await?;
    Ok(Json(SearchResults {
        results: memories.clone(),
        count: memories.len(),
        memories,
        query: query.q,
        ranking,
    }))
}

/// Recalls what has to do with a context, and counts the access.
///
/// # Errors
/// When a parameter is wrong or the database cannot be read.
#[utoipa::path(get, path = "/api/v1/recall", tag = "search", params(RecallRequest),
    responses((status = 200, body = Recalled), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn recall(
    State(state): State<ApiState>,
    ApiQuery(request): ApiQuery<RecallRequest>,
) -> Result<Json<Recalled>, Problem> {
    recall_by(&state, request).await.map(Json)
}

/// Recalls what has to do with a context that may be long, and counts the access.
///
/// # Errors
/// When a field is wrong or the database cannot be read.
#[utoipa::path(post, path = "/api/v1/recall", tag = "search", request_body = RecallRequest,
    responses((status = 200, body = Recalled), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn recall_post(
    State(state): State<ApiState>,
    body: ApiJson<RecallRequest>,
) -> Result<Json<Recalled>, Problem> {
    recall_by(&state, body.value).await.map(Json)
}

async fn recall_by(state: &ApiState, request: RecallRequest) -> Result<Recalled, Problem> {
    let limit = checked_limit(request.limit, 10)?;
    if request.context.chars().count() > limits::CONTEXT_CHARS {
        let why = format!("has more than {} characters", limits::CONTEXT_CHARS);
        return Err(InvalidInput::new("context", why).into());
    }
    let budget = match request.budget_tokens {
        None => None,
        Some(tokens) => Some(
            usize::try_from(tokens)
                .ok()
                .filter(|tokens| *tokens > 0)
                .ok_or_else(|| InvalidInput::new("budget_tokens", "is not positive"))?,
        ),
    };
    let filter = ListQuery {
        namespace: request.namespace,
        since: request.since,
        until: request.until,
        tags: request.tags,
        ..ListQuery::default()
    }
    .filter()?;
    let (found, ranking) = find(state, &request.context, Match::Any, filter, limit).await?;
    let (memories, tokens_used) = within_budget(found, budget);
    let ids: Vec<MemoryId> = memories.iter().map(|memory| memory.id).collect();
    if !ids.is_empty() {
        // The count is a by-product: a full queue or disk must not keep the memories back.
        let counted = state.store.write(move |write| write.touch(&ids)).await;
        if let Err(error) = counted {
            tracing::warn!(%error, "the recall was not counted");
        }
    }
    Ok(Recalled {
        count: memories.len(),
        memories,
        tokens_used,
        ranking,
    })
}

fn within_budget(found: Vec<Memory>, budget: Option<usize>) -> (Vec<Memory>, i64) {
    let mut used = 0_usize;
    let mut taken = Vec::new();
    for memory in found {
        let tokens = (memory.title.len() + memory.content.len()).div_ceil(BYTES_PER_TOKEN);
        if budget.is_some_and(|budget| used + tokens > budget) {
            break;
        }
        used += tokens;
        taken.push(memory);
    }
    (taken, i64::try_from(used).unwrap_or(i64::MAX))
}

async fn find(
    state: &ApiState,
    text: &str,
    how: Match,
    filter: Filter,
    limit: usize,
) -> Result<(Vec<Memory>, Ranking), StoreError> {
    // A query without a word in it finds nothing; it is no mistake.
    let Some(query) = FtsQuery::parse(text, how) else {
        return Ok((Vec::new(), Ranking::Bm25));
    };
    let Found { memories, ranking } = state
        .store
        .read(move |read| read.search(&query, &filter, limit))
        .await?;
    Ok((
        memories.into_iter().map(|placed| placed.memory).collect(),
        ranking,
    ))
}
