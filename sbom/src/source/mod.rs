//! Where an inventory comes from: the lock file, the binary itself, and the list of pinned inputs.

pub mod cargo_lock;
pub mod dep_v0;
pub mod pinned_inputs;
