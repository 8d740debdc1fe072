//! Tests of what `sbom` promises, through its public door.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "a skipped test says why")]

mod advisories;
mod advisories_like_cargo_audit;
mod advisory_database_refused;
mod bsi_fields;
mod hostile_binaries;
mod hostile_documents;
mod native_code;
mod official_schema;
mod random_graphs;
mod read_versions;
mod real_binary;
mod reconcile_corpus;
mod support;
mod vex;
mod whole_workspace;
mod write_sbom;
