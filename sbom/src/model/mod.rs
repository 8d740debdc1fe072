//! What the formats have in common: packages, and strict JSON.

pub mod json;
pub mod manifest;
pub mod package;
