//! Behaviour of `verify`, seen from outside: real git, real gpg, a fixed clock.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on has failed"
)]
#![expect(
    clippy::print_stdout,
    reason = "a test that was skipped says so, and why"
)]

mod advisories;
mod advisories_command;
mod advisory_fetch;
mod archive;
mod cargo_audit;
mod checkout;
mod command_line;
mod contents;
mod corpus;
mod fixture;
mod help;
mod keyring;
mod manifest;
mod mutation;
mod openpgp_js;
mod page;
mod provenance;
mod quorum;
mod rebuild;
mod release_tag;
mod schemas;
mod signatures;
mod single_commands;
mod ssh;
mod tags;
