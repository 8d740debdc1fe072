//! The auditor's side: the release bundle's formats, the checks over it, and the rebuild.

pub mod attest;
pub mod case;
pub mod check;
mod checks;
pub mod cli;
pub mod commands;
pub mod exit;
pub mod git;
pub mod inventory;
pub mod load;
pub mod manifest;
pub mod output;
pub mod plan;
pub mod quorum;
pub mod rebuild;
pub mod report;
pub mod trust;
pub mod verdict;
