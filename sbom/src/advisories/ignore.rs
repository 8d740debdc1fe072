//! The decision to release in spite of an advisory: why, until when, and who decided. An ignore
//! without one of the three is not readable, and one that has expired does not count.

use serde::{Deserialize, Serialize};
use time::Date;

/// One accepted advisory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, try_from = "RawIgnore", into = "RawIgnore")]
pub struct Ignore {
    id: String,
    reason: String,
    expires: Date,
    decided_by: String,
    analysis: Analysis,
    justification: Option<Justification>,
}

/// What is stated about the advisory: the states of CycloneDX's impact analysis that an ignore may
/// claim.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Analysis {
    /// Known and being looked into; accepted until the expiry. What an ignore says when it says
    /// nothing.
    #[default]
    InTriage,
    /// The product is affected, and that is accepted until the expiry.
    Exploitable,
    /// The product is not affected; the justification says why.
    NotAffected,
    /// The advisory does not fit the component.
    FalsePositive,
}

impl Analysis {
    /// The word of CycloneDX.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InTriage => "in_triage",
            Self::Exploitable => "exploitable",
            Self::NotAffected => "not_affected",
            Self::FalsePositive => "false_positive",
        }
    }
}

/// Why a product is not affected (CycloneDX 1.6, `impactAnalysisJustification`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Justification {
    /// The code is not in the product.
    CodeNotPresent,
    /// The code is never run.
    CodeNotReachable,
    /// A configuration that is not used would be needed.
    RequiresConfiguration,
    /// A dependency that is not there would be needed.
    RequiresDependency,
    /// An environment that is not there would be needed.
    RequiresEnvironment,
    /// The compiler's options prevent it.
    ProtectedByCompiler,
    /// Prevented at run time.
    ProtectedAtRuntime,
    /// Prevented at the perimeter.
    ProtectedAtPerimeter,
    /// Prevented by another control.
    ProtectedByMitigatingControl,
}

impl Justification {
    /// The word of CycloneDX.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CodeNotPresent => "code_not_present",
            Self::CodeNotReachable => "code_not_reachable",
            Self::RequiresConfiguration => "requires_configuration",
            Self::RequiresDependency => "requires_dependency",
            Self::RequiresEnvironment => "requires_environment",
            Self::ProtectedByCompiler => "protected_by_compiler",
            Self::ProtectedAtRuntime => "protected_at_runtime",
            Self::ProtectedAtPerimeter => "protected_at_perimeter",
            Self::ProtectedByMitigatingControl => "protected_by_mitigating_control",
        }
    }
}

/// Why an ignore is not readable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IgnoreError {
    /// A field that may not be empty.
    #[error("the ignore of `{id}` has an empty `{field}`")]
    Empty {
        /// Identifier, which may be what is empty.
        id: String,
        /// The field.
        field: &'static str,
    },
    /// `expires` is no date.
    #[error("the ignore of `{id}` expires on `{text}`, which is not a date of the form YYYY-MM-DD")]
    Expiry {
        /// Identifier.
        id: String,
        /// What stands there.
        text: String,
    },
    /// `not_affected` says nothing without a justification.
    #[error("the ignore of `{id}` says `not_affected` without a `justification`")]
    Unjustified {
        /// Identifier.
        id: String,
    },
}

impl Ignore {
    /// An ignore with its three necessary parts. `expires` is the last day on which it counts.
    ///
    /// # Errors
    /// When one of the texts is empty.
    pub fn new(
        id: &str,
        reason: &str,
        expires: Date,
        decided_by: &str,
    ) -> Result<Self, IgnoreError> {
        for (field, text) in [("id", id), ("reason", reason), ("decided_by", decided_by)] {
            if text.trim().is_empty() {
                return Err(IgnoreError::Empty {
                    id: id.to_owned(),
                    field,
                });
            }
        }
        Ok(Self {
            id: id.to_owned(),
            reason: reason.to_owned(),
            expires,
            decided_by: decided_by.to_owned(),
            analysis: Analysis::default(),
            justification: None,
        })
    }

    /// The same ignore with a statement about the product.
    ///
    /// # Errors
    /// When `not_affected` stands without a justification.
    pub fn with_analysis(
        self,
        analysis: Analysis,
        justification: Option<Justification>,
    ) -> Result<Self, IgnoreError> {
        if analysis == Analysis::NotAffected && justification.is_none() {
            return Err(IgnoreError::Unjustified { id: self.id });
        }
        Ok(Self {
            analysis,
            justification,
            ..self
        })
    }

    /// Identifier of the advisory, or one of its aliases.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Why the advisory is accepted.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Last day on which the ignore counts.
    #[must_use]
    pub fn expires(&self) -> Date {
        self.expires
    }

    /// Who decided.
    #[must_use]
    pub fn decided_by(&self) -> &str {
        &self.decided_by
    }

    /// What is stated about the product.
    #[must_use]
    pub fn analysis(&self) -> Analysis {
        self.analysis
    }

    /// Why the product is not affected, where that is stated.
    #[must_use]
    pub fn justification(&self) -> Option<Justification> {
        self.justification
    }

    /// Whether the ignore no longer counts on `today`.
    #[must_use]
    pub fn has_expired(&self, today: Date) -> bool {
        today > self.expires
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawIgnore {
    id: String,
    reason: String,
    expires: String,
    decided_by: String,
    #[serde(default, skip_serializing_if = "is_in_triage")]
    analysis: Analysis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    justification: Option<Justification>,
}

fn is_in_triage(analysis: &Analysis) -> bool {
    *analysis == Analysis::InTriage
}

impl TryFrom<RawIgnore> for Ignore {
    type Error = IgnoreError;

    fn try_from(raw: RawIgnore) -> Result<Self, IgnoreError> {
        let Some(expires) = super::date::parse(&raw.expires) else {
            return Err(IgnoreError::Expiry {
                id: raw.id,
                text: raw.expires,
            });
        };
        Self::new(&raw.id, &raw.reason, expires, &raw.decided_by)?
            .with_analysis(raw.analysis, raw.justification)
    }
}

impl From<Ignore> for RawIgnore {
    fn from(ignore: Ignore) -> Self {
        Self {
            id: ignore.id,
            reason: ignore.reason,
            expires: super::date::text(ignore.expires),
            decided_by: ignore.decided_by,
            analysis: ignore.analysis,
            justification: ignore.justification,
        }
    }
}
