//! Exchanging signed versions with peers that are pinned to each other.

pub mod allowlist;
pub mod dialer;
pub mod hub;
pub mod identity;
pub mod intake;
pub mod listener;
pub mod protocol;
pub mod reconcile;
mod repair;
pub mod serve;
pub mod set;
pub mod status;
pub mod sync;
pub mod tls;
pub mod trust;
