//! The auditor's side: the release bundle's formats, the checks over it, and the rebuild.

pub mod attest;
pub mod git;
pub mod load;
pub mod manifest;
pub mod plan;
pub mod rebuild;
pub mod trust;
