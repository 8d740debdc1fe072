//! `/stats` and `/namespaces`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::ApiState;
use super::problem::Problem;

/// Memories of one tier.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TierCount {
    /// `short`, `mid` or `long`.
    pub tier: String,
    /// Memories.
    pub count: i64,
}

/// Memories of one namespace.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct NamespaceCount {
    /// The namespace.
    pub namespace: String,
    /// Memories.
    pub count: i64,
}

/// The store in numbers.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StatsView {
    /// Memories that have not expired.
    pub total: i64,
    /// Of each tier.
    pub by_tier: Vec<TierCount>,
    /// Of each namespace.
    pub by_namespace: Vec<NamespaceCount>,
    /// Memories that end within an hour.
    pub expiring_soon: i64,
    /// Links.
    pub links_count: i64,
    /// Signed versions in the log.
    pub versions: i64,
    /// Bytes of the database.
    pub db_size_bytes: u64,
}

/// Every namespace.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Namespaces {
    /// By name.
    pub namespaces: Vec<NamespaceCount>,
    /// How many.
    pub count: usize,
}

/// Counts memories, links and bytes.
///
/// # Errors
/// When the database cannot be read.
#[utoipa::path(get, path = "/api/v1/stats", tag = "overview",
    responses((status = 200, body = StatsView), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn stats(State(state): State<ApiState>) -> Result<Json<StatsView>, Problem> {
    let stats = state.store.read(|read| read.stats()).await?;
    Ok(Json(StatsView {
        total: stats.total,
        by_tier: stats
            .by_tier
            .into_iter()
            .map(|of| TierCount {
                tier: of.name,
                count: of.count,
            })
            .collect(),
        by_namespace: stats
            .by_namespace
            .into_iter()
            .map(namespace_count)
            .collect(),
        expiring_soon: stats.expiring_soon,
        links_count: stats.links_count,
        versions: stats.versions,
        db_size_bytes: stats.db_size_bytes,
    }))
}

/// Lists the namespaces.
///
/// # Errors
/// When the database cannot be read.
#[utoipa::path(get, path = "/api/v1/namespaces", tag = "overview",
    responses((status = 200, body = Namespaces), (status = "default", body = Problem, content_type = "application/problem+json")))]
pub async fn namespaces(State(state): State<ApiState>) -> Result<Json<Namespaces>, Problem> {
    let namespaces = state.store.read(|read| read.namespaces()).await?;
    let namespaces: Vec<_> = namespaces.into_iter().map(namespace_count).collect();
    Ok(Json(Namespaces {
        count: namespaces.len(),
        namespaces,
    }))
}

fn namespace_count(of: crate::store::CountOf) -> NamespaceCount {
    NamespaceCount {
        namespace: of.name,
        count: of.count,
    }
}
