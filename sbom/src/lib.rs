//! What is inside an artifact: the dependency inventory from `Cargo.lock` and from the binary itself,
//! CycloneDX documents, and the match against the advisory database.
//!
//! This crate does no input or output, reads no clock and no environment: same bytes in, same bytes out.

pub mod advisories;
pub mod bsi;
pub mod digest;
pub mod model;
pub mod native;
pub mod read;
pub mod reconcile;
pub mod source;
pub mod write;
