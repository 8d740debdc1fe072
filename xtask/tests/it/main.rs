//! What the release engineer sees: the real command, real git, real GnuPG, real builds.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "a test that was skipped says so")]

mod advisory_gate;
mod ecosystem;
mod fixture;
mod flake;
mod peers;
mod preflight;
mod rebuild_answers;
mod rebuilder_network;
mod remote_builder;
mod second_workspace;
mod tag_gate;
