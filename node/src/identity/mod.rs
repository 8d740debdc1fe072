//! Who made a memory, provably: signed versions, the node's key, the signed head.

pub mod entropy;
pub mod head;
pub mod keys;
pub mod pae;
pub mod version;
