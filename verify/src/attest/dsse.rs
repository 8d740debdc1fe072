//! DSSE envelopes, one a line: what exactly was signed, and by which keys allegedly.
//!
//! Dead Simple Signing Envelope 1.0.2 (`envelope.md`, `protocol.md` of secure-systems-lab/dsse).
//! Reading an envelope verifies nothing: it gives the signed bytes ([`Envelope::pae`]) and the
//! signatures over them to whoever does.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde::{Deserialize, Serialize};

/// `payloadType` of an in-toto statement (in-toto attestation framework, `spec/v1/envelope.md`).
pub const IN_TOTO_PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// One payload with the signatures over it. Nothing in it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    payload_type: String,
    payload: Vec<u8>,
    signatures: Vec<Signature>,
}

/// One signature of an [`Envelope`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Which key allegedly made it; for OpenPGP the fingerprint in upper-case hexadecimal digits.
    /// A hint only; empty where the envelope has none.
    pub keyid: String,
    /// The signature itself; for OpenPGP the packets of a binary detached signature over the PAE.
    pub sig: Vec<u8>,
}

/// Why a text is not a list of envelopes.
#[derive(Debug, thiserror::Error)]
pub enum DsseError {
    /// No envelope at all.
    #[error("there is no envelope in it")]
    Empty,
    /// Not UTF-8.
    #[error("line {line} is not UTF-8")]
    NotText {
        /// Number of the line, from 1.
        line: usize,
    },
    /// Not JSON, or not the fields of an envelope.
    #[error("line {line} is no DSSE envelope")]
    Syntax {
        /// Number of the line, from 1.
        line: usize,
        /// What the JSON reader met.
        source: serde_json::Error,
    },
    /// A field that must be base64 is something else.
    #[error("`{field}` in line {line} is not base64")]
    Base64 {
        /// Number of the line, from 1.
        line: usize,
        /// Which field.
        field: &'static str,
    },
    /// An envelope that nobody signed: DSSE wants at least one signature.
    #[error("the envelope in line {line} carries no signature")]
    Unsigned {
        /// Number of the line, from 1.
        line: usize,
    },
}

impl Envelope {
    /// An envelope with these signatures.
    #[must_use]
    pub fn new(payload_type: &str, payload: Vec<u8>, signatures: Vec<Signature>) -> Self {
        Self {
            payload_type: payload_type.to_owned(),
            payload,
            signatures,
        }
    }

    /// What the payload is, such as [`IN_TOTO_PAYLOAD_TYPE`].
    #[must_use]
    pub fn payload_type(&self) -> &str {
        &self.payload_type
    }

    /// The payload, as it was signed.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The signatures, in the envelope's order; never empty in an envelope that was read.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// The bytes over which every signature is made.
    #[must_use]
    pub fn pae(&self) -> Vec<u8> {
        pae(&self.payload_type, &self.payload)
    }

    /// The envelope as one line of JSON, line feed included.
    #[must_use]
    pub fn to_line(&self) -> String {
        let raw = RawEnvelope {
            payload: STANDARD.encode(&self.payload),
            payload_type: self.payload_type.clone(),
            signatures: self
                .signatures
                .iter()
                .map(|signature| RawSignature {
                    keyid: signature.keyid.clone(),
                    sig: STANDARD.encode(&signature.sig),
                })
                .collect(),
        };
        let mut line = serde_json::to_string(&raw).expect("an envelope of texts is always JSON");
        line.push('\n');
        line
    }

    fn read_line(line: usize, text: &str) -> Result<Self, DsseError> {
        let raw: RawEnvelope =
            serde_json::from_str(text).map_err(|source| DsseError::Syntax { line, source })?;
        let payload = bytes(line, "payload", &raw.payload)?;
        if raw.signatures.is_empty() {
            return Err(DsseError::Unsigned { line });
        }
        let signatures = raw
            .signatures
            .into_iter()
            .map(|signature| {
                Ok(Signature {
                    sig: bytes(line, "sig", &signature.sig)?,
                    keyid: signature.keyid,
                })
            })
            .collect::<Result<_, DsseError>>()?;
        Ok(Self {
            payload_type: raw.payload_type,
            payload,
            signatures,
        })
    }
}

/// Pre-authentication encoding (`protocol.md`, "Signature Definition"): the bytes that are signed.
#[must_use]
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    )
    .into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// Reads a file of envelopes, one a line; empty lines are not allowed, a last line feed is.
///
/// # Errors
/// A [`DsseError`] that names the first line that is no envelope.
pub fn read_lines(file: &[u8]) -> Result<Vec<Envelope>, DsseError> {
    let file = file.strip_suffix(b"\n").unwrap_or(file);
    if file.is_empty() {
        return Err(DsseError::Empty);
    }
    file.split(|byte| *byte == b'\n')
        .enumerate()
        .map(|(index, bytes)| {
            let line = index + 1;
            let text = std::str::from_utf8(bytes).map_err(|_| DsseError::NotText { line })?;
            Envelope::read_line(line, text)
        })
        .collect()
}

/// `protocol.md`: producers use standard or URL-safe base64, readers accept both.
fn bytes(line: usize, field: &'static str, text: &str) -> Result<Vec<u8>, DsseError> {
    STANDARD
        .decode(text)
        .or_else(|_| URL_SAFE.decode(text))
        .map_err(|_| DsseError::Base64 { line, field })
}

/// Fields besides these are ignored, as `envelope.md` wants it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawEnvelope {
    payload: String,
    payload_type: String,
    signatures: Vec<RawSignature>,
}

#[derive(Serialize, Deserialize)]
struct RawSignature {
    #[serde(default)]
    keyid: String,
    sig: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vector of `protocol.md`.
    #[test]
    fn pae_is_that_of_the_specification() {
        assert_eq!(
            pae("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    fn envelope() -> Envelope {
        let signature = Signature {
            keyid: "AB12".to_owned(),
            sig: vec![0xfb, 0xff, 0x00],
        };
        Envelope::new(IN_TOTO_PAYLOAD_TYPE, b"{\"a\":1}".to_vec(), vec![signature])
    }

    #[test]
    fn what_is_written_is_read_back() {
        let file = envelope().to_line() + &envelope().to_line();
        let read = read_lines(file.as_bytes()).unwrap();
        assert_eq!(read, [envelope(), envelope()]);
    }

    #[test]
    fn url_safe_base64_and_unknown_fields_are_read() {
        let line = r#"{"payload":"-_8=","payloadType":"t","signatures":[{"sig":"-_8A","extra":1}],"more":2}"#;
        let read = read_lines(line.as_bytes()).unwrap();
        assert_eq!(read[0].payload(), [0xfb, 0xff]);
        assert_eq!(read[0].signatures()[0].keyid, "");
    }

    #[test]
    fn what_is_no_envelope_is_refused_with_its_line() {
        let good = envelope().to_line();
        let file = |second: &str| format!("{good}{second}");
        let refused = |second: &str| read_lines(file(second).as_bytes()).unwrap_err();
        assert!(matches!(refused("{}\n"), DsseError::Syntax { line: 2, .. }));
        assert!(matches!(refused("\n"), DsseError::Syntax { line: 2, .. }));
        assert!(matches!(
            refused(r#"{"payload":"*","payloadType":"t","signatures":[{"sig":""}]}"#),
            DsseError::Base64 {
                line: 2,
                field: "payload"
            }
        ));
        assert!(matches!(
            refused(r#"{"payload":"","payloadType":"t","signatures":[]}"#),
            DsseError::Unsigned { line: 2 }
        ));
        assert!(matches!(
            refused(r#"{"payload":"","payload":"","payloadType":"t","signatures":[{"sig":""}]}"#),
            DsseError::Syntax { line: 2, .. }
        ));
        assert!(matches!(read_lines(b""), Err(DsseError::Empty)));
        assert!(matches!(
            read_lines(b"\xff"),
            Err(DsseError::NotText { line: 1 })
        ));
    }
}
