//! Whom the auditor trusts and what follows from it: keys, signatures, tags, thresholds.

pub mod allowed_signers;
pub mod armor;
mod canonical;
pub mod keyring;
pub mod openpgp;
mod refusal;
pub mod sign;
pub mod ssh;
pub mod tag;
mod tag_name;
mod tag_object;
mod tag_refusal;
pub mod threshold;
