//! Answers: which OpenPGP certificates does the auditor trust?
//!
//! A keyring is what the auditor passes, never what a bundle brings along. It holds public
//! certificates only; two copies of one certificate are merged, so that a revocation in either
//! of them counts. Lone revocation certificates, as `gpg --gen-revoke` writes them, are applied
//! to the certificate they revoke.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use openpgp::cert::CertParser;
use openpgp::packet::Signature;
use openpgp::parse::{PacketParser, Parse};
use openpgp::types::SignatureType;
use openpgp::{Cert, KeyHandle, Packet};
use sequoia_openpgp as openpgp;

/// The largest keyring that is read, in bytes.
pub const MAX_KEYRING_BYTES: usize = 32 << 20;

const ARMOR_BEGIN: &[u8] = b"-----BEGIN PGP ";

/// The fingerprint of an OpenPGP certificate or of a key in it: 40 (v4) or 64 (v6) upper-case
/// hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// The digits, upper case, without spaces.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn of(fingerprint: &openpgp::Fingerprint) -> Self {
        Self(fingerprint.to_hex())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Fingerprint {
    type Err = KeyringError;

    /// Reads 40 or 64 hexadecimal digits of either case; spaces between groups, as gpg prints
    /// them, and a leading `0x` are taken.
    fn from_str(text: &str) -> Result<Self, KeyringError> {
        let text = text.trim();
        let bare: String = text
            .strip_prefix("0x")
            .unwrap_or(text)
            .chars()
            .filter(|c| *c != ' ')
            .collect();
        let hexadecimal = bare.bytes().all(|b| b.is_ascii_hexdigit());
        if hexadecimal && (bare.len() == 40 || bare.len() == 64) {
            Ok(Self(bare.to_ascii_uppercase()))
        } else {
            Err(KeyringError::NotAFingerprint(text.to_owned()))
        }
    }
}

impl serde::Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Fingerprint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Why a keyring could not be read.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The file is larger than [`MAX_KEYRING_BYTES`].
    #[error("the keyring is {0} bytes long, more than {MAX_KEYRING_BYTES} are not read")]
    TooLarge(usize),
    /// There is no certificate in it.
    #[error(
        "the keyring holds no OpenPGP certificate; write one with `gpg --armor --export FINGERPRINT`"
    )]
    Empty,
    /// A block could not be parsed.
    #[error("block {block} of the keyring is not an OpenPGP certificate: {why}")]
    Unreadable {
        /// Which block, counted from 1.
        block: usize,
        /// What the parser said.
        why: String,
    },
    /// It holds a secret key.
    #[error(
        "the keyring holds the secret key of `{0}`; pass public keys only: `gpg --armor --export {0}`"
    )]
    SecretKey(Fingerprint),
    /// A lone revocation certificate revokes no certificate of the keyring.
    #[error(
        "block {block} of the keyring is a revocation of a certificate that the keyring does not hold"
    )]
    StrayRevocation {
        /// Which block, counted from 1.
        block: usize,
    },
    /// Text that should be a fingerprint is none.
    #[error("`{0}` is not a fingerprint; 40 or 64 hexadecimal digits are expected")]
    NotAFingerprint(String),
}

/// The certificates that the auditor trusts, by fingerprint.
#[derive(Clone)]
pub struct Keyring {
    certs: BTreeMap<Fingerprint, Cert>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.certs.keys()).finish()
    }
}

impl Keyring {
    /// Reads certificates, armored (one block or several) or binary.
    ///
    /// # Errors
    /// When nothing is in it, when any part of it cannot be read, and when it holds a secret
    /// key: a keyring that was read by half would trust by accident.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyringError> {
        if bytes.len() > MAX_KEYRING_BYTES {
            return Err(KeyringError::TooLarge(bytes.len()));
        }
        let mut certs: BTreeMap<Fingerprint, Cert> = BTreeMap::new();
        let mut revocations = Vec::new();
        for (index, block) in blocks(bytes).into_iter().enumerate() {
            let block_number = index + 1;
            if let Some(revocation) = lone_revocation(block) {
                revocations.push((block_number, revocation));
                continue;
            }
            let unreadable = |error: openpgp::anyhow::Error| KeyringError::Unreadable {
                block: block_number,
                why: error.to_string(),
            };
            for cert in CertParser::from_bytes(block).map_err(unreadable)? {
                let cert = cert.map_err(unreadable)?;
                let fingerprint = Fingerprint::of(&cert.fingerprint());
                if cert.is_tsk() {
                    return Err(KeyringError::SecretKey(fingerprint));
                }
                let merged = match certs.remove(&fingerprint) {
                    Some(known) => known.merge_public(cert).map_err(unreadable)?,
                    None => cert,
                };
                certs.insert(fingerprint, merged);
            }
        }
        if certs.is_empty() {
            return Err(KeyringError::Empty);
        }
        for (block, revocation) in revocations {
            apply(&mut certs, block, &revocation)?;
        }
        Ok(Self { certs })
    }

    /// The fingerprints of the certificates, in order.
    pub fn fingerprints(&self) -> impl Iterator<Item = &Fingerprint> {
        self.certs.keys()
    }

    /// How many certificates there are; never zero.
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "an empty keyring cannot be made"
    )]
    pub fn len(&self) -> usize {
        self.certs.len()
    }

    /// The certificate of this fingerprint, where the keyring holds it: its first user id.
    #[must_use]
    pub fn holder(&self, fingerprint: &Fingerprint) -> Option<String> {
        let cert = self.certs.get(fingerprint)?;
        Some(holder_of(cert))
    }

    /// The certificates that hold a key with one of these handles.
    pub(super) fn with_key(&self, handles: &[KeyHandle]) -> Vec<&Cert> {
        self.certs
            .values()
            .filter(|cert| {
                cert.keys().any(|key| {
                    handles
                        .iter()
                        .any(|handle| handle.aliases(key.key().key_handle()))
                })
            })
            .collect()
    }
}

/// The first user id of a certificate, or an empty text.
pub(super) fn holder_of(cert: &Cert) -> String {
    cert.userids()
        .next()
        .map(|id| String::from_utf8_lossy(id.userid().value()).into_owned())
        .unwrap_or_default()
}

/// Splits armored text at each armor header; binary input is one block.
fn blocks(bytes: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<usize> = (0..bytes.len())
        .filter(|&at| (at == 0 || bytes[at - 1] == b'\n') && bytes[at..].starts_with(ARMOR_BEGIN))
        .collect();
    if starts.is_empty() {
        return vec![bytes];
    }
    starts
        .iter()
        .enumerate()
        .map(|(index, &start)| &bytes[start..starts.get(index + 1).copied().unwrap_or(bytes.len())])
        .collect()
}

/// The signature, if the block is nothing but one key revocation.
fn lone_revocation(block: &[u8]) -> Option<Signature> {
    let parsed = PacketParser::from_bytes(block).ok()?;
    let openpgp::parse::PacketParserResult::Some(parser) = parsed else {
        return None;
    };
    let (packet, rest) = parser.next().ok()?;
    match packet {
        Packet::Signature(signature)
            if signature.typ() == SignatureType::KeyRevocation && rest.is_eof() =>
        {
            Some(signature)
        }
        _ => None,
    }
}

fn apply(
    certs: &mut BTreeMap<Fingerprint, Cert>,
    block: usize,
    revocation: &Signature,
) -> Result<(), KeyringError> {
    let issuers = revocation.get_issuers();
    let fingerprint = certs
        .iter()
        .find(|(_, cert)| {
            issuers
                .iter()
                .any(|issuer| issuer.aliases(cert.key_handle()))
        })
        .map(|(fingerprint, _)| fingerprint.clone())
        .ok_or(KeyringError::StrayRevocation { block })?;
    if let Some(cert) = certs.remove(&fingerprint) {
        let (cert, _) = cert
            .insert_packets(vec![Packet::from(revocation.clone())])
            .map_err(|error| KeyringError::Unreadable {
                block,
                why: error.to_string(),
            })?;
        certs.insert(fingerprint, cert);
    }
    Ok(())
}
