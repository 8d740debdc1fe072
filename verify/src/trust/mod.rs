//! Whom the auditor trusts and what follows from it: keys, signatures, tags, thresholds.

pub mod armor;
pub mod keyring;
pub mod openpgp;
pub mod sign;
pub mod ssh;
pub mod tag;
pub mod threshold;
