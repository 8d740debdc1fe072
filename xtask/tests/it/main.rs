//! What the release engineer sees: the real command, real git, real GnuPG, real builds.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;
mod second_workspace;
mod tag_gate;
