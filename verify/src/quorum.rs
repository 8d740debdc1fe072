//! Answers: who rebuilt this release, and did they get the same bytes?
//!
//! Each rebuilder's signed provenance is held against the shipped binaries, and the result is a
//! table of signers and artifacts. Agreement, conflict and a gap in coverage are three different
//! things and are reported apart. The releaser's own statement is no rebuild.

use std::collections::{BTreeMap, BTreeSet};

use sbom::digest::Sha256Digest;
use sbom::model::json;
use serde::Serialize;

use crate::attest::dsse::{self, Envelope};
use crate::attest::provenance::Provenance;
use crate::attest::statement::Statement;
use crate::case::Case;
use crate::check::{Evidence, Outcome};
use crate::load::bundle::{PROVENANCE, binary_path};
use crate::load::policy::Role;
use crate::trust::keyring::Fingerprint;
use crate::trust::openpgp::{SignatureRefusal, verify_detached};
use crate::trust::tag::VerifiedTag;
use crate::trust::threshold::{Voice, independent};

/// What one signer says about one artifact.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "says", rename_all = "kebab-case")]
pub enum Cell {
    /// It got the shipped bytes.
    Ok,
    /// It got other bytes.
    Mismatch {
        /// What is shipped.
        shipped: Sha256Digest,
        /// What it got.
        rebuilt: Sha256Digest,
    },
    /// It says nothing about this artifact.
    Missing,
    /// Its key is not in the keyring, or may not sign rebuilds.
    NoKey,
    /// Its key has expired.
    Expired,
    /// Its key is revoked.
    Revoked,
    /// The signature or the statement does not hold.
    Bad {
        /// Why.
        reason: String,
    },
}

impl Cell {
    /// The word that stands in the table.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Mismatch { .. } => "MISMATCH",
            Self::Missing => "MISSING",
            Self::NoKey => "NO KEY",
            Self::Expired => "EXPIRED",
            Self::Revoked => "REVOKED",
            Self::Bad { .. } => "BAD",
        }
    }
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mismatch { shipped, rebuilt } => {
                write!(f, "{} −{shipped} +{rebuilt}", self.word())
            }
            Self::Bad { reason } => write!(f, "{}: {reason}", self.word()),
            _ => f.write_str(self.word()),
        }
    }
}

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The certificate, or what the envelope says of its key.
    pub signer: String,
    /// The file that it came from; text from outside.
    pub file: String,
    /// The builder that the statement names; empty where it could not be read.
    pub builder: String,
    /// Who runs it, by the policy; the certificate itself where the policy does not say.
    pub operator: String,
    /// What it says, by artifact.
    pub artifacts: BTreeMap<String, Cell>,
}

/// The table and what it adds up to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Quorum {
    /// How many independent rebuilders are needed.
    pub threshold: usize,
    /// One row a signature.
    pub rows: Vec<Row>,
    /// How many independent rebuilders got the shipped bytes, by artifact (counted up to the
    /// threshold).
    pub agreeing: BTreeMap<String, usize>,
}

impl Quorum {
    /// Holds these files of attestations (name, bytes) against the release.
    ///
    /// # Errors
    /// When a file is no list of envelopes.
    pub fn count(
        case: &Case<'_>,
        tag: &VerifiedTag,
        files: &[(String, Vec<u8>)],
        threshold: usize,
    ) -> Result<Self, String> {
        let shipped: BTreeMap<String, Sha256Digest> = case
            .bundle()
            .binaries()
            .map(|(name, file)| (binary_path(name), file.digest))
            .collect();
        let own = release_signers(case, tag);
        let mut rows = Vec::new();
        for (file, bytes) in files {
            let envelopes =
                dsse::read_lines(bytes).map_err(|error| format!("`{file}`: {error}"))?;
            for envelope in &envelopes {
                rows.extend(rows_of(case, tag, envelope, file, &shipped, &own));
            }
        }
        let agreeing = shipped
            .keys()
            .map(|artifact| {
                let voices: BTreeSet<Voice> = rows
                    .iter()
                    .filter(|row| row.artifacts.get(artifact) == Some(&Cell::Ok))
                    .map(Row::voice)
                    .collect();
                (artifact.clone(), independent(&voices, threshold))
            })
            .collect();
        Ok(Self {
            threshold,
            rows,
            agreeing,
        })
    }

    /// Agreement is a pass, a conflict a fail, and a gap in coverage no verdict.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let mut evidence = Evidence::default();
        for row in &self.rows {
            for (artifact, cell) in &row.artifacts {
                if matches!(cell, Cell::Mismatch { .. }) {
                    evidence.problem(format!(
                        "conflict: the rebuilder `{}` says {artifact}: {cell}",
                        row.signer
                    ));
                }
            }
        }
        for (artifact, count) in &self.agreeing {
            evidence.fact(
                "agreement",
                format!(
                    "{artifact}: {count} of {} independent rebuilders",
                    self.threshold
                ),
            );
        }
        let gaps: Vec<&str> = self
            .agreeing
            .iter()
            .filter(|(_, count)| **count < self.threshold)
            .map(|(artifact, _)| artifact.as_str())
            .collect();
        if evidence.problems.is_empty() && (!gaps.is_empty() || self.agreeing.is_empty()) {
            return evidence.undecided(format!(
                "not covered by {} independent rebuilders: {}",
                self.threshold,
                gaps.join(", ")
            ));
        }
        evidence.judged()
    }
}

impl Row {
    fn voice(&self) -> Voice {
        Voice {
            key: self.signer.clone(),
            builder: self.builder.clone(),
            operator: self.operator.clone(),
        }
    }
}

/// The certificates of those who made the release: they signed its provenance, its list of checksums
/// or its tag.
fn release_signers(case: &Case<'_>, tag: &VerifiedTag) -> BTreeSet<Fingerprint> {
    let envelopes = case
        .bundle()
        .bytes(PROVENANCE)
        .and_then(|bytes| dsse::read_lines(bytes).ok())
        .unwrap_or_default();
    let request = case.request();
    let rules = request.policy.signature_rules(request.now);
    envelopes
        .iter()
        .flat_map(|envelope| {
            let pae = envelope.pae();
            let verified = |signature: &dsse::Signature| {
                verify_detached(&pae, &signature.sig, &request.keyring, &rules).ok()
            };
            envelope
                .signatures()
                .iter()
                .filter_map(verified)
                .collect::<Vec<_>>()
        })
        .chain(
            case.release_signatures()
                .and_then(|verified| verified.as_ref().ok())
                .into_iter()
                .flatten()
                .cloned(),
        )
        .map(|verified| verified.certificate().clone())
        .chain([tag.signature().certificate().clone()])
        .collect()
}

fn rows_of(
    case: &Case<'_>,
    tag: &VerifiedTag,
    envelope: &Envelope,
    file: &str,
    shipped: &BTreeMap<String, Sha256Digest>,
    own: &BTreeSet<Fingerprint>,
) -> Vec<Row> {
    let stated = json::parse(envelope.payload())
        .map_err(|error| error.to_string())
        .and_then(|_| Statement::read(envelope.payload()).map_err(|error| error.to_string()))
        .and_then(|statement| {
            let provenance = Provenance::read(&statement).map_err(|error| error.to_string())?;
            Ok((statement, provenance))
        });
    let pae = envelope.pae();
    let row = |signature: &dsse::Signature| {
        let judged = judge(case, &pae, signature, own);
        let signer = judged
            .as_ref()
            .map_or_else(|_| signature.keyid.clone(), ToString::to_string);
        let operator = judged
            .as_ref()
            .ok()
            .and_then(|key| case.policy().operator(key))
            .unwrap_or(&signer)
            .to_owned();
        let builder = stated
            .as_ref()
            .map(|(_, p)| p.builder.id().to_owned())
            .unwrap_or_default();
        let artifacts = shipped
            .iter()
            .map(|(artifact, digest)| {
                let cell = match (&judged, &stated) {
                    (Err(cell), _) => cell.clone(),
                    (Ok(_), Err(reason)) => Cell::Bad {
                        reason: reason.clone(),
                    },
                    (Ok(_), Ok((statement, provenance))) => {
                        says(statement, provenance, tag, artifact, *digest)
                    }
                };
                (artifact.clone(), cell)
            })
            .collect();
        Row {
            signer,
            file: file.to_owned(),
            builder,
            operator,
            artifacts,
        }
    };
    envelope.signatures().iter().map(row).collect()
}

fn judge(
    case: &Case<'_>,
    pae: &[u8],
    signature: &dsse::Signature,
    own: &BTreeSet<Fingerprint>,
) -> Result<Fingerprint, Cell> {
    let request = case.request();
    // Expired and revoked keys never count here, whatever a policy takes elsewhere.
    let rules = crate::trust::openpgp::SignatureRules::strict(request.now);
    let verified =
        verify_detached(pae, &signature.sig, &request.keyring, &rules).map_err(|refusal| {
            match refusal {
                SignatureRefusal::UnknownKey { .. } => Cell::NoKey,
                SignatureRefusal::KeyExpired { .. } | SignatureRefusal::KeyExpiredSince { .. } => {
                    Cell::Expired
                }
                SignatureRefusal::KeyRevokedAtSigning { .. }
                | SignatureRefusal::KeyRevokedSince { .. } => Cell::Revoked,
                other => Cell::Bad {
                    reason: other.to_string(),
                },
            }
        })?;
    let certificate = verified.certificate();
    if !request.policy.authorised(Role::Rebuild).holds(certificate) {
        return Err(Cell::NoKey);
    }
    if own.contains(certificate) {
        return Err(Cell::Bad {
            reason: String::from("it is the releaser's own key, which is no independent rebuilder"),
        });
    }
    Ok(certificate.clone())
}

fn says(
    statement: &Statement,
    provenance: &Provenance,
    tag: &VerifiedTag,
    artifact: &str,
    shipped: Sha256Digest,
) -> Cell {
    if provenance.commit != tag.commit() || provenance.tag != tag.name().as_str() {
        return Cell::Bad {
            reason: format!(
                "it is about the tag `{}` at `{}`",
                provenance.tag, provenance.commit
            ),
        };
    }
    match statement.subjects().get(artifact) {
        None => Cell::Missing,
        Some(rebuilt) if *rebuilt == shipped => Cell::Ok,
        Some(rebuilt) => Cell::Mismatch {
            shipped,
            rebuilt: *rebuilt,
        },
    }
}
