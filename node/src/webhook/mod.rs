//! Webhooks: who is told what, how it is signed, where it may go, when it is tried again.

pub mod backoff;
mod connection;
pub mod counters;
pub mod dispatcher;
pub mod event;
pub mod resolve;
pub mod sender;
pub mod sign;
pub mod target;
mod worker;
