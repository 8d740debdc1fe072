//! The checks, one file each; the table is in [`crate::check`].

pub(crate) mod advisories;
pub(crate) mod manifest;
pub(crate) mod provenance;
pub(crate) mod rebuild;
pub(crate) mod sbom;
pub(crate) mod tag;
