//! A directed, typed link between two memories.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::MemoryId;
use crate::clock::Timestamp;

/// What the source is to the target.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema, Default,
)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// The two have to do with each other.
    #[default]
    RelatedTo,
    /// The source replaces the target.
    Supersedes,
    /// The source says the opposite of the target.
    Contradicts,
    /// The source was made out of the target.
    DerivedFrom,
}

impl Relation {
    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RelatedTo => "related_to",
            Self::Supersedes => "supersedes",
            Self::Contradicts => "contradicts",
            Self::DerivedFrom => "derived_from",
        }
    }

    /// The relation of this name; `None` for any other text.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::RelatedTo,
            Self::Supersedes,
            Self::Contradicts,
            Self::DerivedFrom,
        ]
        .into_iter()
        .find(|relation| relation.as_str() == name)
    }
}

/// Body of `POST /api/v1/links` and, with the relation, of `DELETE /api/v1/links`.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLink {
    /// The memory that the link starts at.
    pub source_id: MemoryId,
    /// The memory that the link points to.
    pub target_id: MemoryId,
    /// `related_to` when absent.
    #[serde(default)]
    pub relation: Relation,
}

/// What a link's version signs. Field order is the canonical one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkBody {
    /// When the link was made.
    pub created_at: Timestamp,
    /// What the source is to the target.
    pub relation: Relation,
    /// The memory that the link starts at.
    pub source_id: MemoryId,
    /// The memory that the link points to.
    pub target_id: MemoryId,
}

/// A link as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Link {
    /// The memory that the link starts at.
    pub source_id: MemoryId,
    /// The memory that the link points to.
    pub target_id: MemoryId,
    /// What the source is to the target.
    pub relation: Relation,
    /// When the link was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// The Ed25519 public key (64 hex digits) of the node that made the link.
    pub observed_by: String,
    /// Ed25519 signature (128 hex digits) over the link's version, by `observed_by`.
    pub signature: String,
}
