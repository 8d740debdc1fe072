//! The reference node for AI memories: encrypted at rest, attested, federated, with webhooks.
//!
//! The binary `memory-node` is a thin face of this library.

pub mod api;
pub mod cli;
pub mod client;
pub mod clock;
pub mod commands;
pub mod config;
pub mod exit;
pub mod federation;
pub mod hardening;
pub mod identity;
pub mod mcp;
pub mod model;
pub mod passphrase;
pub mod seal;
pub mod serve;
pub mod store;
pub mod webhook;
