//! Signs with an OpenPGP key from a file: what a rebuilder needs who has no gpg.
//!
//! The key must not be locked by a passphrase: this program never asks for one. Whoever can read
//! the file can sign with it; a rebuilder's key signs nothing else.

use std::time::SystemTime;

use openpgp::cert::CertParser;
use openpgp::crypto::KeyPair;
use openpgp::packet::signature::SignatureBuilder;
use openpgp::parse::Parse;
use openpgp::policy::StandardPolicy;
use openpgp::serialize::MarshalInto as _;
use openpgp::types::{HashAlgorithm, SignatureType};
use openpgp::{Cert, Packet};
use sequoia_openpgp as openpgp;

use super::keyring::{Fingerprint, Keyring};
use super::openpgp::Instant;

/// The largest key file that is read, in bytes.
pub const MAX_KEY_BYTES: usize = 1 << 20;

/// Why nothing is signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The file is no OpenPGP key.
    #[error("it is no OpenPGP key: {0}")]
    Unreadable(String),
    /// It is not exactly one key.
    #[error("the file holds {0} keys; one is expected")]
    NotOne(usize),
    /// It has no part that can sign now.
    #[error(
        "the key `{certificate}` has no secret part in it that may sign at {at} without a passphrase"
    )]
    CannotSign {
        /// The certificate.
        certificate: Fingerprint,
        /// When it should have signed.
        at: Instant,
    },
    /// The mathematics failed.
    #[error("the signature could not be made: {0}")]
    Failed(String),
}

/// A key that can sign now. Its secret part is never printed.
pub struct SigningKey {
    certificate: Fingerprint,
    public: Vec<u8>,
    pair: KeyPair,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

impl SigningKey {
    /// Reads a secret key, armored or binary, that may sign at this time.
    ///
    /// # Errors
    /// When there is none in it, or it is locked, expired or revoked.
    pub fn from_bytes(bytes: &[u8], now: SystemTime) -> Result<Self, SignError> {
        let unreadable = |error: openpgp::anyhow::Error| SignError::Unreadable(error.to_string());
        let certs: Vec<Cert> = CertParser::from_bytes(bytes)
            .and_then(Iterator::collect)
            .map_err(unreadable)?;
        let [cert] = certs.as_slice() else {
            return Err(SignError::NotOne(certs.len()));
        };
        let certificate = Fingerprint::of(&cert.fingerprint());
        let policy = StandardPolicy::at(now);
        let pair = cert
            .keys()
            .with_policy(&policy, now)
            .alive()
            .revoked(false)
            .for_signing()
            .unencrypted_secret()
            .next()
            .and_then(|key| key.key().clone().into_keypair().ok())
            .ok_or_else(|| SignError::CannotSign {
                certificate: certificate.clone(),
                at: Instant(now),
            })?;
        let public = cert
            .clone()
            .strip_secret_key_material()
            .to_vec()
            .map_err(unreadable)?;
        Ok(Self {
            certificate,
            public,
            pair,
        })
    }

    /// The fingerprint of its certificate.
    #[must_use]
    pub fn certificate(&self) -> &Fingerprint {
        &self.certificate
    }

    /// The keyring that holds its certificate and nothing else.
    ///
    /// # Errors
    /// When the certificate cannot be read back.
    pub fn keyring(&self) -> Result<Keyring, super::keyring::KeyringError> {
        Keyring::from_bytes(&self.public)
    }

    /// A detached signature, as binary packets.
    ///
    /// # Errors
    /// When the mathematics fail.
    pub fn sign(&mut self, bytes: &[u8], at: SystemTime) -> Result<Vec<u8>, SignError> {
        let failed = |error: openpgp::anyhow::Error| SignError::Failed(error.to_string());
        let signature = SignatureBuilder::new(SignatureType::Binary)
            .set_hash_algo(HashAlgorithm::SHA512)
            .set_signature_creation_time(at)
            .map_err(failed)?
            .sign_message(&mut self.pair, bytes)
            .map_err(failed)?;
        Packet::from(signature).to_vec().map_err(failed)
    }
}
