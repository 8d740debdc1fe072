//! SLSA verification summaries: what a verifier found, in a form that others can rely on.
//!
//! SLSA 1.1, `verification_summary/v1`. `SLSA_BUILD_REPRODUCED` is this verifier's own track
//! level and means that a quorum of independent rebuilders got the shipped bytes.

use std::collections::BTreeMap;

use sbom::digest::Sha256Digest;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::statement::{Statement, StatementError};
use crate::load::bundle::{LoadedBundle, MANIFEST, binary_path};

/// `predicateType` of a verification summary.
pub const PREDICATE_TYPE: &str = "https://slsa.dev/verification_summary/v1";

/// What a passed verification showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// There is provenance.
    BuildL1,
    /// Independent rebuilders got the same bytes.
    BuildReproduced,
}

impl Level {
    /// The level as the specification writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BuildL1 => "SLSA_BUILD_LEVEL_1",
            Self::BuildReproduced => "SLSA_BUILD_REPRODUCED",
        }
    }
}

/// What a verifier found about one release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Who verified: the `verifier.id`, a URI.
    pub verifier: String,
    /// When.
    pub verified_at: OffsetDateTime,
    /// What was verified, as a URI.
    pub resource: String,
    /// Whether it passed.
    pub passed: bool,
    /// What was shown; empty where it did not pass.
    pub levels: Vec<Level>,
}

impl Summary {
    /// The statement about the binaries of this bundle.
    ///
    /// # Errors
    /// When the bundle has no binary.
    pub fn statement(&self, bundle: &LoadedBundle) -> Result<Statement, StatementError> {
        let subjects: BTreeMap<String, Sha256Digest> = bundle
            .binaries()
            .map(|(name, file)| (binary_path(name), file.digest))
            .collect();
        let levels: Vec<&str> = self.levels.iter().map(|level| level.as_str()).collect();
        let inputs: Vec<_> = bundle
            .file(MANIFEST)
            .map(|file| json!({ "uri": MANIFEST, "digest": { "sha256": file.digest.to_string() } }))
            .into_iter()
            .collect();
        let predicate = json!({
            "verifier": { "id": self.verifier, "version": { "verify": env!("CARGO_PKG_VERSION") } },
            "timeVerified": self.verified_at.format(&Rfc3339).unwrap_or_default(),
            "resourceUri": self.resource,
            "policy": { "uri": "urn:hallmark:policy:quorum" },
            "inputAttestations": inputs,
            "verificationResult": if self.passed { "PASSED" } else { "FAILED" },
            "verifiedLevels": levels,
            "slsaVersion": "1.1",
        });
        Statement::new(subjects, PREDICATE_TYPE, predicate)
    }
}
