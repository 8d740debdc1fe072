//! Ed25519 keys of authors: signing with one, and naming one.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::Ed25519KeyPair;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use super::entropy::{NoEntropy, random};

/// A public key that is a valid curve point; 64 lower-case hex digits as text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AuthorKey(VerifyingKey);

/// The bytes are not an Ed25519 public key.
#[derive(Debug, thiserror::Error)]
#[error("not an Ed25519 public key: 64 hex digits of a point on the curve are needed")]
pub struct NotAKey;

/// The signature is not this author's over these bytes.
#[derive(Debug, thiserror::Error)]
#[error("the Ed25519 signature does not fit")]
pub struct BadSignature;

impl AuthorKey {
    /// Parses the 32 bytes of a public key.
    ///
    /// # Errors
    /// When they are no point on the curve, or one of small order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, NotAKey> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| NotAKey)?;
        if key.is_weak() {
            return Err(NotAKey);
        }
        Ok(Self(key))
    }

    /// The 32 bytes of the key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Holds `signature` against `message`, by RFC 8032 without cofactor tricks (`verify_strict`).
    ///
    /// # Errors
    /// When it does not fit.
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
        self.0
            .verify_strict(message, &Signature::from_bytes(signature))
            .map_err(|_| BadSignature)
    }
}

impl fmt::Display for AuthorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0.as_bytes()))
    }
}

impl fmt::Debug for AuthorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthorKey({self})")
    }
}

impl FromStr for AuthorKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let mut bytes = [0_u8; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| NotAKey)?;
        Self::from_bytes(&bytes)
    }
}

/// A private key; wiped on drop, and its `Debug` shows the public half only.
pub struct AuthorSecret {
    key: SigningKey,
    /// The same key in a library that signs in half the time. A signature of RFC 8032 depends on
    /// key and message alone, so it does not matter which of the two makes it.
    swift: Option<Ed25519KeyPair>,
}

impl AuthorSecret {
    /// A new key.
    ///
    /// # Errors
    /// When the kernel gives no random bytes.
    pub fn generate() -> Result<Self, NoEntropy> {
        let seed = Zeroizing::new(random::<32>()?);
        Ok(Self::from_seed(&seed))
    }

    /// The key of a stored seed (RFC 8032, 5.1.5).
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self {
            key: SigningKey::from_bytes(seed),
            swift: Ed25519KeyPair::from_seed_unchecked(seed).ok(),
        }
    }

    /// The seed, for storing it in the encrypted database.
    #[must_use]
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes())
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> AuthorKey {
        AuthorKey(self.key.verifying_key())
    }

    /// Signs `message`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let swift = self
            .swift
            .as_ref()
            .and_then(|pair| pair.try_sign(message).ok())
            .and_then(|signature| signature.as_ref().try_into().ok());
        swift.unwrap_or_else(|| self.key.sign(message).to_bytes())
    }
}

impl fmt::Debug for AuthorSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthorSecret(public {})", self.public())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_libraries_make_the_same_signature() {
        for seed in 0..32_u8 {
            let secret = AuthorSecret::from_seed(&[seed; 32]);
            let message = vec![seed; usize::from(seed) * 37];
            let swift = secret.swift.as_ref().unwrap().sign(&message);
            assert_eq!(swift.as_ref(), secret.key.sign(&message).to_bytes());
            assert_eq!(swift.as_ref(), secret.sign(&message));
            secret
                .public()
                .verify(&message, &secret.sign(&message))
                .unwrap();
        }
    }
}
