//! Reads what the auditor was given: once, whole, and without believing any of it.

pub mod advisory_db;
pub mod advisory_origin;
pub mod archive;
pub mod bundle;
pub mod policy;
