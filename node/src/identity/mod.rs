//! Who made a memory, provably: signed versions, the node's key, the signed head.

pub mod admit;
pub mod authors;
pub mod entropy;
pub mod head;
pub mod hlc;
pub mod keys;
pub mod pae;
pub mod resolve;
pub mod rotation;
pub mod transcript;
pub mod version;
