//! `/peers`, `/quarantine` and a memory's signed versions.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::ApiState;
use super::extract::ApiId;
use super::problem::Problem;
use crate::federation::status::PeersView;
use crate::identity::admit::{self, WireVersion};
use crate::model::MemoryId;
use crate::store::{Held, StoreError};

/// What came from peers and was not taken in.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Quarantine {
    /// Newest first, at most a thousand.
    pub quarantine: Vec<Held>,
    /// How many of them.
    pub count: usize,
}

/// What became of a version in quarantine.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Decided {
    /// Its name there.
    pub digest: String,
    /// `accepted` or `dropped`.
    pub decision: &'static str,
}

/// The signed versions of a memory or a link.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Versions {
    /// Oldest first, as they came here.
    pub versions: Vec<WireVersion>,
    /// Those among them that are concurrent with the one that is shown.
    pub siblings: Vec<WireVersion>,
}

/// Rows of one listing.
const ROWS: usize = 1000;

/// How each peer is.
///
/// # Errors
/// When the database cannot be read.
#[utoipa::path(get, path = "/api/v1/peers", tag = "federation",
    responses((status = 200, body = PeersView), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn peers(State(state): State<ApiState>) -> Result<Json<PeersView>, Problem> {
    if let Some(hub) = &state.federation {
        return Ok(Json(hub.view().await?));
    }
    let stats = state.store.read(|read| read.stats()).await?;
    Ok(Json(PeersView {
        federation: "off",
        fingerprint: None,
        versions: u64::try_from(stats.versions).unwrap_or(0),
        digest: None,
        problems: Vec::new(),
        peers: Vec::new(),
    }))
}

/// What came from peers and was not taken in, newest first.
///
/// # Errors
/// When the database cannot be read.
#[utoipa::path(get, path = "/api/v1/quarantine", tag = "federation",
    responses((status = 200, body = Quarantine), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn quarantine(State(state): State<ApiState>) -> Result<Json<Quarantine>, Problem> {
    let quarantine = state.store.read(|read| read.quarantine(ROWS)).await?;
    Ok(Json(Quarantine {
        count: quarantine.len(),
        quarantine,
    }))
}

/// Takes a genuine version in, against this node's rules. A forged one cannot be accepted.
///
/// # Errors
/// When there is none of this name, its signature or content does not fit, or the write fails.
#[utoipa::path(post, path = "/api/v1/quarantine/{digest}/accept", tag = "federation",
    params(("digest" = String, Path, min_length = 64, max_length = 64, pattern = "^[0-9a-f]{64}$")),
    responses((status = 200, body = Decided), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn accept(
    State(state): State<ApiState>,
    Path(digest): Path<String>,
) -> Result<Json<Decided>, Problem> {
    let name = digest_of(&digest)?;
    let refused = state
        .store
        .write(move |write| {
            let wire = write.take_out(&name)?;
            let admitted = match admit::admit_despite(wire) {
                Ok(admitted) => admitted,
                // Rolled back with this error: it stays where it is.
                Err(refused) => {
                    return Err(StoreError::NotGenuine {
                        digest: hex::encode(name),
                        why: refused.detail,
                    });
                }
            };
            write.ingest(std::slice::from_ref(&admitted))?;
            write.record("version.accepted", [("digest", hex::encode(name))])
        })
        .await;
    refused?;
    Ok(Json(Decided {
        digest,
        decision: "accepted",
    }))
}

/// Forgets what is held under this name; it is not fetched again.
///
/// # Errors
/// When there is none of this name, or the write fails.
#[utoipa::path(delete, path = "/api/v1/quarantine/{digest}", tag = "federation",
    params(("digest" = String, Path, min_length = 64, max_length = 64, pattern = "^[0-9a-f]{64}$")),
    responses((status = 200, body = Decided), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn drop_held(
    State(state): State<ApiState>,
    Path(digest): Path<String>,
) -> Result<Json<Decided>, Problem> {
    let name = digest_of(&digest)?;
    state
        .store
        .write(move |write| {
            write.drop_held(&name)?;
            write.record("version.dropped", [("digest", hex::encode(name))])
        })
        .await?;
    Ok(Json(Decided {
        digest,
        decision: "dropped",
    }))
}

/// The signed versions of a memory or a link, its concurrent edits apart.
///
/// # Errors
/// When nothing of this name was ever here, or the database cannot be read.
#[utoipa::path(get, path = "/api/v1/memories/{id}/versions", tag = "federation",
    params(("id" = MemoryId, Path)),
    responses((status = 200, body = Versions), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn versions(
    State(state): State<ApiState>,
    ApiId(id): ApiId,
) -> Result<Json<Versions>, Problem> {
    let (versions, siblings) = state
        .store
        .read(move |read| Ok((read.versions_of(id)?, read.siblings_of(id)?)))
        .await?;
    if versions.is_empty() {
        return Err(StoreError::NotFound {
            what: "memory",
            id: id.to_string(),
        }
        .into());
    }
    Ok(Json(Versions { versions, siblings }))
}

fn digest_of(text: &str) -> Result<[u8; 32], Problem> {
    let mut digest = [0_u8; 32];
    hex::decode_to_slice(text, &mut digest).map_err(|_| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid_field",
            "`digest` is not 64 hex digits, as `quarantine list` shows them",
        )
    })?;
    Ok(digest)
}
