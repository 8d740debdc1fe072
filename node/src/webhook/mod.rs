//! Webhooks: who is told, how it is signed, where it may go, when it is tried again.

pub mod backoff;
pub mod dispatcher;
pub mod sign;
pub mod target;
