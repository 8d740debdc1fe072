//! In-toto statements: which artifacts a predicate is about.
//!
//! In-toto Attestation Framework, `spec/v1/statement.md` and `spec/v1/resource_descriptor.md`.
//! A statement that was read is well-formed, no more: whether its digests are those of the files
//! is the checks' question.

use std::collections::BTreeMap;

use sbom::digest::Sha256Digest;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `_type` of a statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// A statement about at least one artifact; no artifact is named twice.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    subjects: BTreeMap<String, Sha256Digest>,
    predicate_type: String,
    predicate: Value,
}

/// Why a payload is not a statement.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// Not JSON, or a field is missing or of the wrong kind.
    #[error("it is no in-toto statement")]
    Syntax(#[from] serde_json::Error),
    /// Another version of statements, or something else altogether.
    #[error("its `_type` is `{0}`, not `{STATEMENT_TYPE}`")]
    OtherType(String),
    /// A statement about nothing.
    #[error("it has no subject")]
    NoSubject,
    /// A subject without the digest by which it could be recognised.
    #[error("its subject `{0}` has no SHA-256 digest in lower-case hexadecimal digits")]
    NoDigest(String),
    /// Two subjects of one name: a reader that keeps one would not see the other.
    #[error("it names the subject `{0}` twice")]
    DuplicateSubject(String),
}

impl Statement {
    /// A statement about these artifacts, by path in the bundle.
    ///
    /// # Errors
    /// [`StatementError::NoSubject`] where there is none.
    pub fn new(
        subjects: BTreeMap<String, Sha256Digest>,
        predicate_type: &str,
        predicate: Value,
    ) -> Result<Self, StatementError> {
        if subjects.is_empty() {
            return Err(StatementError::NoSubject);
        }
        Ok(Self {
            subjects,
            predicate_type: predicate_type.to_owned(),
            predicate,
        })
    }

    /// Reads the payload of an envelope.
    ///
    /// # Errors
    /// The first [`StatementError`] that is met.
    pub fn read(payload: &[u8]) -> Result<Self, StatementError> {
        let raw: RawStatement = serde_json::from_slice(payload)?;
        if raw.kind != STATEMENT_TYPE {
            return Err(StatementError::OtherType(raw.kind));
        }
        let mut subjects = BTreeMap::new();
        for subject in raw.subject {
            let digest = subject
                .digest
                .get("sha256")
                .and_then(|hex| hex.parse().ok())
                .ok_or_else(|| StatementError::NoDigest(subject.name.clone()))?;
            if subjects.insert(subject.name.clone(), digest).is_some() {
                return Err(StatementError::DuplicateSubject(subject.name));
            }
        }
        Self::new(subjects, &raw.predicate_type, raw.predicate)
    }

    /// The statement as JSON: same statement, same bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let raw = RawStatement {
            kind: STATEMENT_TYPE.to_owned(),
            subject: self
                .subjects
                .iter()
                .map(|(name, digest)| RawSubject {
                    name: name.clone(),
                    digest: BTreeMap::from([("sha256".to_owned(), digest.to_string())]),
                })
                .collect(),
            predicate_type: self.predicate_type.clone(),
            predicate: self.predicate.clone(),
        };
        serde_json::to_vec(&raw).expect("a statement of texts is always JSON")
    }

    /// The artifacts, by path in the bundle; never empty.
    #[must_use]
    pub fn subjects(&self) -> &BTreeMap<String, Sha256Digest> {
        &self.subjects
    }

    /// What is said about them: the URI of the predicate's specification.
    #[must_use]
    pub fn predicate_type(&self) -> &str {
        &self.predicate_type
    }

    /// The predicate, unread.
    #[must_use]
    pub fn predicate(&self) -> &Value {
        &self.predicate
    }
}

/// Fields besides these are ignored, as the framework's parsing rules want it.
#[derive(Serialize, Deserialize)]
struct RawStatement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<RawSubject>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: Value,
}

#[derive(Serialize, Deserialize)]
struct RawSubject {
    name: String,
    digest: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn statement() -> Statement {
        let subjects = BTreeMap::from([("bin/a".to_owned(), Sha256Digest::of(b"a"))]);
        Statement::new(subjects, "https://example.org/p", json!({"b": 1})).unwrap()
    }

    #[test]
    fn what_is_written_is_read_back() {
        assert_eq!(
            Statement::read(&statement().to_bytes()).unwrap(),
            statement()
        );
    }

    #[test]
    fn a_subject_named_twice_is_refused() {
        let mut raw: Value = serde_json::from_slice(&statement().to_bytes()).unwrap();
        let twice = raw["subject"][0].clone();
        raw["subject"].as_array_mut().unwrap().push(twice);
        let refused = Statement::read(raw.to_string().as_bytes()).unwrap_err();
        assert!(matches!(refused, StatementError::DuplicateSubject(name) if name == "bin/a"));
    }

    #[test]
    fn statements_about_nothing_or_of_another_kind_are_refused() {
        let raw: Value = serde_json::from_slice(&statement().to_bytes()).unwrap();
        let with = |key: &str, value: Value| {
            let mut raw = raw.clone();
            raw[key] = value;
            Statement::read(raw.to_string().as_bytes()).unwrap_err()
        };
        assert!(matches!(
            with("subject", json!([])),
            StatementError::NoSubject
        ));
        assert!(matches!(
            with("_type", json!("https://in-toto.io/Statement/v0.1")),
            StatementError::OtherType(_)
        ));
        let upper = Sha256Digest::of(b"a").to_string().to_uppercase();
        assert!(matches!(
            with("subject", json!([{"name": "x", "digest": {"sha256": upper}}])),
            StatementError::NoDigest(name) if name == "x"
        ));
        assert!(matches!(
            with("subject", json!("x")),
            StatementError::Syntax(_)
        ));
    }
}
