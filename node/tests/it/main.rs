//! The node through its public door: the real binary, real SQLCipher files, real sockets.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should panic where it stands"
)]
#![expect(clippy::print_stdout, reason = "a test that was skipped says so")]

mod access;
mod api_memories;
mod api_search;
mod at_rest;
mod authority;
mod authors;
mod commit_groups;
mod convergence;
mod db_copies;
mod ed25519_vectors;
mod failing_disk;
mod federation_repair;
mod federation_resumption;
mod federation_sync;
mod federation_tls;
mod federation_versions;
mod first_steps;
mod hard_times;
mod lossy_net;
mod migrations;
mod npmtools;
mod openapi;
mod other_programs;
mod peers;
mod power_cut;
mod preload;
mod pytools;
mod receiver;
#[expect(unreachable_pub, reason = "it is shown as others would write it")]
mod receiver_recipe;
mod refusals;
mod relay;
mod sealed_export;
mod service;
mod support;
mod three_nodes;
mod transcript;
mod two_nodes_of_the_docs;
mod under_systemd;
mod verify_export;
mod webhook_kills;
mod webhook_operator;
mod webhook_outages;
mod webhook_peers;
mod webhook_receivers;
mod webhook_secrets;
mod webhook_targets;
mod webhooks;
