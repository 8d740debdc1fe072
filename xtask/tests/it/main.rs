//! What the release engineer sees: the real command, real git, real GnuPG, real builds.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod advisory_gate;
mod fixture;
mod preflight;
mod second_workspace;
mod tag_gate;
