//! Why a signature does not count: one variant a reason, the same words in every program.

use std::time::SystemTime;

use super::keyring::Fingerprint;

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureRefusal {
    /// It cannot be read as OpenPGP signatures.
    #[error("it cannot be read as an OpenPGP signature: {why}")]
    Unreadable {
        /// What the parser said.
        why: String,
    },
    /// The bytes hold a packet that could be changed without notice.
    #[error("its bytes are not in the one accepted spelling: {why}")]
    NotCanonical {
        /// What is spelt otherwise.
        why: String,
    },
    /// Its mathematics are ones that this program does not have: nothing was checked.
    #[error("it was made with {what}, which this program cannot check")]
    Unsupported {
        /// Which algorithm or curve.
        what: String,
    },
    /// It is no signature over a document.
    #[error("it is of type {kind}, not a signature over a document")]
    NotOverADocument {
        /// The signature type.
        kind: String,
    },
    /// Its hash can be forged.
    #[error("it uses the weak hash {algorithm}")]
    WeakHash {
        /// The algorithm's name.
        algorithm: String,
    },
    /// No certificate in the keyring holds the key.
    #[error("it was made by the key `{issuer}`, which is not in the keyring")]
    UnknownKey {
        /// Fingerprint or key id as the signature names it; empty where it names none.
        issuer: String,
    },
    /// The signature is not one of this key over these bytes.
    #[error("the signature by `{certificate}` does not match the signed bytes")]
    Bad {
        /// The certificate that the signature names.
        certificate: Fingerprint,
    },
    /// The signature says it was made later than now.
    #[error("it claims to be made at {at}, which is in the future")]
    FromTheFuture {
        /// The claimed time.
        at: Instant,
    },
    /// The signature itself had an expiry that has passed.
    #[error("the signature itself expired at {at}")]
    SignatureExpired {
        /// When.
        at: Instant,
    },
    /// The key had expired before it signed.
    #[error("the key `{certificate}` had expired at {at}, before it signed at {signed}")]
    KeyExpired {
        /// The signer's certificate.
        certificate: Fingerprint,
        /// When it expired.
        at: Instant,
        /// When it signed.
        signed: Instant,
    },
    /// The key was in force when it signed and has expired since.
    #[error("the key `{certificate}` signed at {signed} and has expired since, at {at}")]
    KeyExpiredSince {
        /// The signer's certificate.
        certificate: Fingerprint,
        /// When it expired.
        at: Instant,
        /// When it signed.
        signed: Instant,
    },
    /// The key had been revoked before it signed.
    #[error("the key `{certificate}` was revoked at {at} ({reason}), before it signed at {signed}")]
    KeyRevokedAtSigning {
        /// The signer's certificate.
        certificate: Fingerprint,
        /// When it was revoked.
        at: Instant,
        /// When it signed.
        signed: Instant,
        /// Why, in the revoker's words.
        reason: String,
    },
    /// The key has been revoked since it signed.
    #[error("the key `{certificate}` signed at {signed} and was revoked since, at {at} ({reason})")]
    KeyRevokedSince {
        /// The signer's certificate.
        certificate: Fingerprint,
        /// When it was revoked.
        at: Instant,
        /// When it signed.
        signed: Instant,
        /// Why, in the revoker's words.
        reason: String,
    },
    /// The key may not make signatures.
    #[error("the key `{key}` is not a signing key")]
    KeyCannotSign {
        /// The key, possibly a subkey.
        key: Fingerprint,
    },
    /// The certificate does not bind the key in a way that can be accepted.
    #[error("the key `{certificate}` is not acceptable: {why}")]
    KeyUnacceptable {
        /// The signer's certificate.
        certificate: Fingerprint,
        /// What is wrong with it.
        why: String,
    },
    /// The key is in the keyring, but not among those that may do this.
    #[error("the key `{certificate}` is not authorised to sign {what}")]
    KeyNotAuthorised {
        /// The signer's certificate.
        certificate: Fingerprint,
        /// What it may not sign.
        what: String,
    },
}

impl SignatureRefusal {
    /// Whether the signature could not be looked at. All other refusals say that something is false.
    #[must_use]
    pub fn could_not_look(&self) -> bool {
        matches!(self, Self::Unsupported { .. })
    }
}

/// A moment, printed in UTC as RFC 3339, to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(pub SystemTime);

impl std::fmt::Display for Instant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let time = time::OffsetDateTime::from(self.0).truncate_to_second();
        let text = time.format(&time::format_description::well_known::Rfc3339);
        f.write_str(&text.unwrap_or_else(|_| String::from("an unprintable time")))
    }
}
