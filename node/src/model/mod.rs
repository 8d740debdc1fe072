//! The memory model: what a memory and a link are, and what they may not be.

pub mod limits;
pub mod link;
pub mod memory;

pub use link::{Link, LinkBody, NewLink, Relation};
pub use memory::{
    CreateMemory, Memory, MemoryBody, MemoryDraft, MemoryId, MemoryPatch, Namespace, Tier,
    UpdateMemory,
};

/// A field that a caller filled in wrongly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {why}")]
pub struct InvalidInput {
    /// The field's name as it stands in the JSON document.
    pub field: &'static str,
    /// What is wrong with it, in words that follow the field's name.
    pub why: String,
}

impl InvalidInput {
    /// `field` is wrong because of `why`.
    pub fn new(field: &'static str, why: impl Into<String>) -> Self {
        Self {
            field,
            why: why.into(),
        }
    }
}
