//! A version: one signed, immutable write.
//!
//! The payload is canonical JSON (RFC 8785) over the fields of [`Payload`]; what is signed is the
//! DSSE PAE of it; the version's id is SHA-256 of that PAE. The content stands beside the payload,
//! bound by a salted hash, so that it can be erased while the fact that it was there stays provable.
//!
//! Canonical form without a canonicaliser: the fields stand here in the order that RFC 8785 sorts
//! them, all keys are ASCII, all numbers are integers below 2^53, and `serde_json` escapes strings
//! as RFC 8785 3.2.2.2 wants it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::keys::{AuthorKey, AuthorSecret, BadSignature, NotAKey};
use super::pae;

/// The media type that the PAE binds.
pub const MEDIA_TYPE: &str = "application/vnd.hallmark.version.v1+json";

/// What a version is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A memory.
    Memory,
    /// A link between two memories.
    Link,
}

/// What a version does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// Makes it, or replaces what was there.
    Put,
    /// Takes it away: a tombstone.
    Delete,
}

/// The signed part. Field order is the canonical one; do not reorder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payload {
    /// Ed25519 public key, 64 hex digits.
    pub author: String,
    /// SHA-256 (hex) over salt and body; empty for a tombstone.
    pub content_sha256: String,
    /// Hybrid logical clock: 12 hex digits of milliseconds, `-`, 4 hex digits of counter.
    pub hlc: String,
    /// The memory's or the link's UUID.
    pub id: String,
    /// What it is about.
    pub kind: Kind,
    /// Small facts that are no content, such as why something was deleted.
    pub meta: BTreeMap<String, String>,
    /// The namespace.
    pub ns: String,
    /// What it does.
    pub op: Op,
    /// Version ids (hex) that this one replaces; empty for the first.
    pub parents: Vec<String>,
    /// Version id (hex) of the author's version before this one; empty for its first.
    pub prev: String,
    /// The author's own count, from 1.
    pub seq: u64,
}

/// SHA-256 of a version's PAE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionId(pub [u8; 32]);

impl std::fmt::Display for VersionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// A payload with its signature, as it is stored and relayed.
#[derive(Clone, Debug)]
pub struct SignedVersion {
    /// The canonical JSON, byte for byte.
    pub payload: Vec<u8>,
    /// Ed25519 over the PAE of the payload.
    pub signature: [u8; 64],
    /// SHA-256 of the PAE.
    pub id: VersionId,
}

/// A version whose signature was checked; only [`verify`] makes one.
#[derive(Clone, Debug)]
pub struct VerifiedVersion {
    payload: Payload,
    author: AuthorKey,
    id: VersionId,
}

impl VerifiedVersion {
    /// The signed fields.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// Who signed.
    #[must_use]
    pub fn author(&self) -> AuthorKey {
        self.author
    }

    /// SHA-256 of the PAE.
    #[must_use]
    pub fn id(&self) -> VersionId {
        self.id
    }
}

/// Why a version is not to be believed.
#[derive(Debug, thiserror::Error)]
pub enum VersionRefusal {
    /// The payload is not the JSON of a version.
    #[error("the payload is not a version: {0}")]
    Malformed(serde_json::Error),
    /// The payload is valid JSON but not in canonical form.
    #[error("the payload is not in canonical form (RFC 8785)")]
    NotCanonical,
    /// The author's key cannot be one.
    #[error("the author is {0}")]
    Author(#[from] NotAKey),
    /// The signature is not the author's.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// The content is not the one that was signed.
    #[error("the content's salted SHA-256 is not the one that was signed")]
    Content,
}

/// SHA-256 over `salt` and `body`, as the payload carries it.
#[must_use]
pub fn content_digest(salt: &[u8; 16], body: &[u8]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(salt);
    hasher.update(body);
    hex::encode(hasher.finalize())
}

/// Signs `payload` with `secret`; the payload's `author` must be that key.
///
/// # Errors
/// When the payload cannot be written as JSON, which no payload of this type can bring about.
pub fn sign(payload: &Payload, secret: &AuthorSecret) -> Result<SignedVersion, serde_json::Error> {
    let payload = serde_json::to_vec(payload)?;
    let pae = pae::encode(MEDIA_TYPE, &payload);
    let signature = secret.sign(&pae);
    Ok(SignedVersion {
        payload,
        signature,
        id: VersionId(Sha256::digest(&pae).into()),
    })
}

/// Checks the form, the author's key and the signature; and the content where it still is there.
///
/// # Errors
/// The first thing that does not hold.
pub fn verify(
    payload: &[u8],
    signature: &[u8; 64],
    content: Option<(&[u8; 16], &[u8])>,
) -> Result<VerifiedVersion, VersionRefusal> {
    let parsed: Payload = serde_json::from_slice(payload).map_err(VersionRefusal::Malformed)?;
    let canonical = serde_json::to_vec(&parsed).map_err(VersionRefusal::Malformed)?;
    if canonical != payload {
        return Err(VersionRefusal::NotCanonical);
    }
    let author: AuthorKey = parsed.author.parse()?;
    let pae = pae::encode(MEDIA_TYPE, payload);
    author.verify(&pae, signature)?;
    if let Some((salt, body)) = content
        && content_digest(salt, body) != parsed.content_sha256
    {
        return Err(VersionRefusal::Content);
    }
    Ok(VerifiedVersion {
        payload: parsed,
        author,
        id: VersionId(Sha256::digest(&pae).into()),
    })
}

/// The log's root after one more version: SHA-256 over a fixed prefix, the root before and the id.
#[must_use]
pub fn next_root(root: &[u8; 32], id: &VersionId) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(b"hallmark-log-v1\0");
    hasher.update(root);
    hasher.update(id.0);
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(secret: &AuthorSecret) -> Payload {
        Payload {
            author: secret.public().to_string(),
            content_sha256: content_digest(&[7; 16], b"body"),
            hlc: "0199abcdef01-0000".to_owned(),
            id: "01990000-0000-7000-8000-000000000000".to_owned(),
            kind: Kind::Memory,
            meta: BTreeMap::new(),
            ns: "global \u{1}\"\u{e9}".to_owned(),
            op: Op::Put,
            parents: Vec::new(),
            prev: String::new(),
            seq: 1,
        }
    }

    #[test]
    fn a_good_version_verifies_and_keeps_its_id() {
        let secret = AuthorSecret::from_seed(&[1; 32]);
        let signed = sign(&payload(&secret), &secret).unwrap();
        let verified = verify(
            &signed.payload,
            &signed.signature,
            Some((&[7; 16], b"body")),
        )
        .unwrap();
        assert_eq!(verified.id(), signed.id);
        assert_eq!(verified.author(), secret.public());
    }

    #[test]
    fn any_flipped_bit_of_payload_or_signature_is_refused() {
        let secret = AuthorSecret::from_seed(&[1; 32]);
        let signed = sign(&payload(&secret), &secret).unwrap();
        for at in 0..signed.payload.len() {
            let mut changed = signed.payload.clone();
            changed[at] ^= 1;
            assert!(
                verify(&changed, &signed.signature, None).is_err(),
                "payload byte {at}"
            );
        }
        for at in 0..64 {
            let mut changed = signed.signature;
            changed[at] ^= 1;
            assert!(
                verify(&signed.payload, &changed, None).is_err(),
                "signature byte {at}"
            );
        }
    }

    #[test]
    fn other_content_and_other_spelling_are_refused() {
        let secret = AuthorSecret::from_seed(&[1; 32]);
        let signed = sign(&payload(&secret), &secret).unwrap();
        let other = verify(
            &signed.payload,
            &signed.signature,
            Some((&[7; 16], b"bodY")),
        );
        assert!(matches!(other, Err(VersionRefusal::Content)));
        let spaced = [b" ".as_slice(), &signed.payload].concat();
        let pae = pae::encode(MEDIA_TYPE, &spaced);
        let refused = verify(&spaced, &secret.sign(&pae), None);
        assert!(matches!(refused, Err(VersionRefusal::NotCanonical)));
    }
}
