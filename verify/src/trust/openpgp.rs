//! Answers: who signed these bytes, and may that signature count now?
//!
//! A signature counts when its mathematics hold, its hash is strong, its key is in the keyring,
//! and that key was neither expired nor revoked: not when it signed, and not since. Each way to
//! fall short has its own variant. Nothing here reads the clock: `now` is an argument.
//! RFC 9580, sections 5.2 and 13.

use std::time::{Duration, SystemTime};

use openpgp::cert::amalgamation::key::{
    ErasedKeyAmalgamation, SubordinateKeyAmalgamation, ValidErasedKeyAmalgamation,
};
use openpgp::cert::amalgamation::{ValidAmalgamation as _, ValidateAmalgamation as _};
use openpgp::crypto::mpi::PublicKey;
use openpgp::packet::Signature;
use openpgp::packet::key::PublicParts;
use openpgp::parse::Parse;
use openpgp::policy::{HashAlgoSecurity, Policy as _, StandardPolicy};
use openpgp::serialize::MarshalInto as _;
use openpgp::types::{HashAlgorithm, RevocationStatus, RevocationType, SignatureType};
use openpgp::{Cert, Packet, PacketPile};
use sequoia_openpgp as openpgp;

use super::armor;
use super::canonical::{packet_bodies, prefix_holds, unhashed_holds};
use super::keyring::{Fingerprint, Keyring, holder_of};
pub use super::refusal::{Instant, SignatureRefusal};

/// How far a signature's time may lie in the future: clocks differ.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(300);

/// The largest signature file that is read, in bytes.
pub const MAX_SIGNATURE_BYTES: usize = 1 << 20;

/// The library computes with no larger RSA keys.
pub(super) const MAX_RSA_BITS: usize = 4096;

/// The most signatures in one file.
const MAX_SIGNATURES: usize = 64;

/// How signatures are judged. There is no default: the caller says what time it is.
#[derive(Debug, Clone)]
pub struct SignatureRules {
    now: SystemTime,
    sha1_accepted_until: Option<SystemTime>,
    accept_expired_since: bool,
    accept_retired_since: bool,
}

impl SignatureRules {
    /// The strict rules at this time: SHA-1 is refused, and so is every key that is expired or
    /// revoked now, even if it was in force when it signed.
    #[must_use]
    pub fn strict(now: SystemTime) -> Self {
        Self {
            now,
            sha1_accepted_until: None,
            accept_expired_since: false,
            accept_retired_since: false,
        }
    }

    /// Takes SHA-1 signatures until this time; `None` takes none.
    #[must_use]
    pub fn accept_sha1_until(mut self, until: Option<SystemTime>) -> Self {
        self.sha1_accepted_until = until;
        self
    }

    /// Takes signatures of keys that have expired since they signed.
    #[must_use]
    pub fn accept_expired_since(mut self, accept: bool) -> Self {
        self.accept_expired_since = accept;
        self
    }

    /// Takes signatures of keys that were retired or superseded since they signed. A key that
    /// was revoked as compromised, or without a reason, is never taken.
    #[must_use]
    pub fn accept_retired_since(mut self, accept: bool) -> Self {
        self.accept_retired_since = accept;
        self
    }

    /// The time at which these rules judge.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.now
    }

    fn takes(&self, hash: HashAlgorithm) -> bool {
        match hash {
            HashAlgorithm::SHA1 => self
                .sha1_accepted_until
                .is_some_and(|until| self.now < until),
            HashAlgorithm::MD5 | HashAlgorithm::RipeMD => false,
            _ => true,
        }
    }
}

/// A signature that counts: made by a key of the keyring, in force then and now. Only
/// [`verify_each`] and [`verify_detached`] make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedSignature {
    certificate: Fingerprint,
    key: Fingerprint,
    holder: String,
    made: SystemTime,
    hash: String,
}

impl VerifiedSignature {
    /// The certificate whose key signed.
    #[must_use]
    pub fn certificate(&self) -> &Fingerprint {
        &self.certificate
    }

    /// The key that signed; a subkey of the certificate or its primary key.
    #[must_use]
    pub fn key(&self) -> &Fingerprint {
        &self.key
    }

    /// The certificate's first user id; text from outside, possibly empty.
    #[must_use]
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// When it was made, as the signature says.
    #[must_use]
    pub fn made(&self) -> SystemTime {
        self.made
    }

    /// The name of its hash algorithm.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

/// Checks every signature in an armored or binary file over these bytes, in file order.
///
/// # Errors
/// When the file cannot be read, or holds no signature or anything else than signatures.
pub fn verify_each(
    signed: &[u8],
    signature: &[u8],
    keyring: &Keyring,
    rules: &SignatureRules,
) -> Result<Vec<Result<VerifiedSignature, SignatureRefusal>>, SignatureRefusal> {
    Ok(parse(signature)?
        .iter()
        .map(|signature| judge(signed, signature, keyring, rules))
        .collect())
}

/// Checks a detached signature. Where the file holds several, each of them must count.
///
/// # Errors
/// The first reason for which one of them does not.
pub fn verify_detached(
    signed: &[u8],
    signature: &[u8],
    keyring: &Keyring,
    rules: &SignatureRules,
) -> Result<VerifiedSignature, SignatureRefusal> {
    let mut first = None;
    for judged in verify_each(signed, signature, keyring, rules)? {
        let judged = judged?;
        first.get_or_insert(judged);
    }
    first.ok_or_else(|| unreadable("there is no signature in it"))
}

/// Checks a detached signature of which no byte may be other than it is: the armor, the packets
/// and their unhashed parts must be in the one accepted spelling. Each signature must count.
///
/// # Errors
/// As [`verify_each`], and [`SignatureRefusal::NotCanonical`].
pub fn verify_detached_canonical(
    signed: &[u8],
    armored: &[u8],
    keyring: &Keyring,
    rules: &SignatureRules,
) -> Result<Vec<VerifiedSignature>, SignatureRefusal> {
    let bytes = armor::read(armored).map_err(|error| SignatureRefusal::NotCanonical {
        why: error.to_string(),
    })?;
    verify_packets_canonical(signed, &bytes, keyring, rules)
}

/// As [`verify_detached_canonical`], without the armor.
///
/// # Errors
/// As [`verify_detached_canonical`].
pub fn verify_packets_canonical(
    signed: &[u8],
    bytes: &[u8],
    keyring: &Keyring,
    rules: &SignatureRules,
) -> Result<Vec<VerifiedSignature>, SignatureRefusal> {
    let not_canonical = |why: String| SignatureRefusal::NotCanonical { why };
    let signatures = parse(bytes)?;
    let mut bodies = packet_bodies(bytes).into_iter();
    for signature in &signatures {
        let written = signature
            .to_vec()
            .map_err(|error| unreadable(&error.to_string()))?;
        if bodies.next() != Some(&written) {
            return Err(not_canonical(String::from(
                "a packet is not in its shortest form",
            )));
        }
    }
    if bodies.next().is_some() {
        return Err(not_canonical(String::from(
            "something stands between the signatures",
        )));
    }
    signatures
        .iter()
        .map(|signature| {
            let verified = judge(signed, signature, keyring, rules)?;
            unhashed_holds(signature, &verified.key).map_err(not_canonical)?;
            if !prefix_holds(signed, signature) {
                return Err(not_canonical(String::from(
                    "the two bytes of its digest are others",
                )));
            }
            Ok(verified)
        })
        .collect()
}

fn unreadable(why: &str) -> SignatureRefusal {
    SignatureRefusal::Unreadable {
        why: why.to_owned(),
    }
}

fn parse(bytes: &[u8]) -> Result<Vec<Signature>, SignatureRefusal> {
    if bytes.len() > MAX_SIGNATURE_BYTES {
        return Err(unreadable("it is too long"));
    }
    let pile = PacketPile::from_bytes(bytes).map_err(|error| unreadable(&error.to_string()))?;
    let mut signatures = Vec::new();
    for packet in pile.into_children() {
        match packet {
            Packet::Signature(signature) => signatures.push(signature),
            other => {
                return Err(unreadable(&format!(
                    "it holds a packet of type {}",
                    other.tag()
                )));
            }
        }
    }
    match signatures.len() {
        0 => Err(unreadable("there is no signature in it")),
        1..=MAX_SIGNATURES => Ok(signatures),
        _ => Err(unreadable("it holds too many signatures")),
    }
}

fn judge(
    signed: &[u8],
    signature: &Signature,
    keyring: &Keyring,
    rules: &SignatureRules,
) -> Result<VerifiedSignature, SignatureRefusal> {
    if signature.typ() != SignatureType::Binary {
        return Err(SignatureRefusal::NotOverADocument {
            kind: format!("{:?}", signature.typ()),
        });
    }
    let hash = signature.hash_algo();
    if !rules.takes(hash) {
        return Err(SignatureRefusal::WeakHash {
            algorithm: hash.to_string(),
        });
    }
    let issuers = signature.get_issuers();
    let candidates = keyring.with_key(&issuers);
    let Some(first) = candidates.first() else {
        let issuer = issuers.iter().max_by_key(|handle| handle.to_hex().len());
        return Err(SignatureRefusal::UnknownKey {
            issuer: issuer.map(|i| i.to_hex()).unwrap_or_default(),
        });
    };
    let bad = SignatureRefusal::Bad {
        certificate: Fingerprint::of(&first.fingerprint()),
    };
    let mut unsupported = None;
    let matching = candidates.iter().find_map(|cert| {
        cert.keys()
            .filter(|key| {
                issuers
                    .iter()
                    .any(|issuer| issuer.aliases(key.key().key_handle()))
            })
            .find(|key| match signature.verify_message(key.key(), signed) {
                Ok(()) => true,
                Err(error) => {
                    unsupported = unsupported
                        .take()
                        .or_else(|| not_known_here(&error))
                        .or_else(|| too_large(key.key().mpis()));
                    false
                }
            })
            .map(|key| (*cert, key))
    });
    let Some((cert, key)) = matching else {
        // A signature that nobody could look at is not a false one.
        return Err(unsupported.map_or(bad, |what| SignatureRefusal::Unsupported { what }));
    };
    let Some(made) = signature.signature_creation_time() else {
        return Err(unreadable("it has no creation time"));
    };
    if made > rules.now + CLOCK_TOLERANCE {
        return Err(SignatureRefusal::FromTheFuture { at: Instant(made) });
    }
    if let Some(at) = signature
        .signature_expiration_time()
        .filter(|at| *at <= rules.now)
    {
        return Err(SignatureRefusal::SignatureExpired { at: Instant(at) });
    }
    let policy = StandardPolicy::at(rules.now);
    if hash != HashAlgorithm::SHA1 {
        policy
            .signature(signature, HashAlgoSecurity::CollisionResistance)
            .map_err(|error| unreadable(&error.to_string()))?;
    }
    key_in_force(cert, &key, made, rules, &policy)?;
    Ok(VerifiedSignature {
        certificate: Fingerprint::of(&cert.fingerprint()),
        key: Fingerprint::of(&key.key().fingerprint()),
        holder: holder_of(cert),
        made,
        hash: hash.to_string(),
    })
}

fn key_in_force(
    cert: &Cert,
    key: &ErasedKeyAmalgamation<'_, PublicParts>,
    made: SystemTime,
    rules: &SignatureRules,
    policy: &StandardPolicy<'_>,
) -> Result<(), SignatureRefusal> {
    let certificate = Fingerprint::of(&cert.fingerprint());
    let unacceptable = |why: String| SignatureRefusal::KeyUnacceptable {
        certificate: certificate.clone(),
        why,
    };
    if key.key().creation_time() > made {
        return Err(unacceptable(format!(
            "it was made after the signature, at {}",
            Instant(key.key().creation_time())
        )));
    }
    // Revocation first: a revoked certificate may have no valid binding left.
    for moment in [made, rules.now] {
        revocation(
            &certificate,
            &cert.revocation_status(policy, moment),
            made,
            rules,
        )?;
        let same = |sub: &SubordinateKeyAmalgamation<'_, PublicParts>| {
            sub.key().fingerprint() == key.key().fingerprint()
        };
        for subkey in cert.keys().subkeys().filter(same) {
            revocation(
                &certificate,
                &subkey.revocation_status(policy, moment),
                made,
                rules,
            )?;
        }
    }
    // GnuPG replaces the self-signature when an expiry is prolonged, and then no binding of the
    // time of signing is left: the owner's present statement is the one that counts.
    let then = key
        .clone()
        .with_policy(policy, made)
        .or_else(|_| key.clone().with_policy(policy, rules.now))
        .map_err(|error| unacceptable(chain(&error)))?;
    if !then.for_signing() {
        return Err(SignatureRefusal::KeyCannotSign {
            key: Fingerprint::of(&key.key().fingerprint()),
        });
    }
    let expiry = |valid: &ValidErasedKeyAmalgamation<'_, PublicParts>| {
        let primary = valid.valid_cert().primary_key().key_expiration_time();
        [valid.key_expiration_time(), primary]
            .into_iter()
            .flatten()
            .min()
    };
    let signed = Instant(made);
    if let Some(at) = expiry(&then).filter(|at| *at <= made).map(Instant) {
        return Err(SignatureRefusal::KeyExpired {
            certificate,
            at,
            signed,
        });
    }
    let today = key
        .clone()
        .with_policy(policy, rules.now.max(made))
        .map_err(|error| unacceptable(chain(&error)))?;
    match expiry(&today).filter(|at| *at <= rules.now).map(Instant) {
        Some(at) if at.0 <= made => Err(SignatureRefusal::KeyExpired {
            certificate,
            at,
            signed,
        }),
        Some(at) if !rules.accept_expired_since => Err(SignatureRefusal::KeyExpiredSince {
            certificate,
            at,
            signed,
        }),
        _ => Ok(()),
    }
}

fn revocation(
    certificate: &Fingerprint,
    status: &RevocationStatus<'_>,
    made: SystemTime,
    rules: &SignatureRules,
) -> Result<(), SignatureRefusal> {
    let revocations = match status {
        RevocationStatus::NotAsFarAsWeKnow => return Ok(()),
        RevocationStatus::CouldBe(_) => {
            return Err(SignatureRefusal::KeyUnacceptable {
                certificate: certificate.clone(),
                why: String::from("a designated revoker may have revoked it"),
            });
        }
        RevocationStatus::Revoked(revocations) => revocations,
    };
    let earliest = revocations.iter().min_by_key(|revocation| {
        revocation
            .signature_creation_time()
            .unwrap_or(SystemTime::UNIX_EPOCH)
    });
    let Some(earliest) = earliest else {
        return Ok(());
    };
    let at = earliest
        .signature_creation_time()
        .unwrap_or(SystemTime::UNIX_EPOCH);
    let reason = match earliest.reason_for_revocation() {
        Some((code, b"")) => code.to_string(),
        Some((code, words)) => format!("{code}: {}", String::from_utf8_lossy(words)),
        None => String::from("no reason given"),
    };
    // Without a stated, harmless reason, the worst is assumed: RFC 9580, section 5.2.3.31.
    let hard = revocations.iter().any(|revocation| {
        revocation
            .reason_for_revocation()
            .is_none_or(|(code, _)| code.revocation_type() == RevocationType::Hard)
    });
    let (certificate, at, signed) = (certificate.clone(), Instant(at), Instant(made));
    if at.0 <= made {
        Err(SignatureRefusal::KeyRevokedAtSigning {
            certificate,
            at,
            signed,
            reason,
        })
    } else if hard || !rules.accept_retired_since {
        Err(SignatureRefusal::KeyRevokedSince {
            certificate,
            at,
            signed,
            reason,
        })
    } else {
        Ok(())
    }
}

/// What of a signature this program has no mathematics for; `None` where it has and they do not
/// hold.
fn not_known_here(error: &openpgp::anyhow::Error) -> Option<String> {
    match error.downcast_ref::<openpgp::Error>()? {
        openpgp::Error::UnsupportedEllipticCurve(curve) => Some(format!("the curve {curve}")),
        openpgp::Error::UnsupportedPublicKeyAlgorithm(algorithm) => {
            Some(format!("the algorithm {algorithm}"))
        }
        openpgp::Error::UnsupportedHashAlgorithm(hash) => Some(format!("the hash {hash}")),
        _ => None,
    }
}

/// RSA keys with which the library refuses to compute, in the same words as for a bad signature.
fn too_large(key: &PublicKey) -> Option<String> {
    let bits = key.bits().filter(|bits| *bits > MAX_RSA_BITS)?;
    matches!(key, PublicKey::RSA { .. }).then(|| format!("RSA with {bits} bits"))
}

fn chain(error: &openpgp::anyhow::Error) -> String {
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    causes.join(": ")
}
