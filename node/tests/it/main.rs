//! The node through its public door: the real binary, real SQLCipher files, real sockets.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should panic where it stands"
)]

mod access;
mod api_memories;
mod api_search;
mod at_rest;
mod db_copies;
mod first_steps;
mod other_programs;
mod pytools;
mod refusals;
mod sealed_export;
mod support;
