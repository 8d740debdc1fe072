//! What somebody attests about a release: DSSE envelopes, in-toto statements, SLSA predicates.
//!
//! The release writes these types and the checks read them: what cannot be read back cannot be
//! written. Nothing here checks a signature or trusts a key; see [`crate::trust`].

pub mod dsse;
pub mod provenance;
pub mod statement;
pub mod vsa;
