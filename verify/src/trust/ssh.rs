//! Answers: is this an SSH signature by a signer who is allowed to make it?
//!
//! Signatures are `SSHSIG` blobs (OpenSSH, PROTOCOL.sshsig), read and computed by `ssh-key`: Ed25519,
//! ECDSA over P-256, P-384 and P-521, RSA with SHA-2, and Ed25519 and P-256 on hardware tokens
//! (PROTOCOL.u2f), whose owner must have touched them. Nothing weaker counts; and of what there are
//! no mathematics for, it says that it could not look.

use std::time::SystemTime;

use ssh_encoding::{Decode as _, pem};
use ssh_key::public::{KeyData, RsaPublicKey};
use ssh_key::{Algorithm, HashAlg, PublicKey, SshSig};

use super::allowed_signers::AllowedSigners;
use super::openpgp::{Instant, MAX_RSA_BITS};

const LABEL: &str = "SSH SIGNATURE";
const ARMOR_BEGINS: &[u8] = b"-----BEGIN SSH SIGNATURE-----";
/// How many letters OpenSSH puts into a line of the armor.
const ARMOR_WIDTH: usize = 70;
/// Magic bytes and version, which stand before the first field.
const PREAMBLE_BYTES: usize = 10;
const MIN_RSA_BITS: usize = 2048;
/// Behind a signature of a hardware token: one byte of flags, four of the counter.
const TOKEN_TRAILER_BYTES: usize = 5;
/// The flag of a token whose owner touched it.
const USER_PRESENT: u8 = 1;

/// Why an SSH signature or a list of signers is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SshRefusal {
    /// A line of the list of signers is not understood.
    #[error("line {line} of the allowed signers is not understood: {why}")]
    Signers {
        /// Which line, counted from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// Nobody is allowed to sign.
    #[error("the list of allowed signers is empty")]
    NoSigners,
    /// The signature is malformed.
    #[error("the SSH signature is malformed: {0}")]
    Malformed(String),
    /// It was made for something else.
    #[error("the SSH signature is for `{found}`, not for `{wanted}`")]
    Namespace {
        /// What it must be for.
        wanted: String,
        /// What it is for; text from outside.
        found: String,
    },
    /// The key or hash algorithm is weak.
    #[error("the SSH signature uses `{0}`, which is weak")]
    Weak(String),
    /// The key or hash algorithm is one that this program does not have: nothing was checked.
    #[error("the SSH signature uses `{0}`, which this program cannot check")]
    Unsupported(String),
    /// The key is not on the list for this purpose.
    #[error("the SSH key {fingerprint} is not among the allowed signers")]
    UnknownKey {
        /// Its SHA-256 fingerprint.
        fingerprint: String,
    },
    /// The key is on the list, but not for this time.
    #[error("the SSH key {fingerprint} may not sign at {at}")]
    OutsideValidity {
        /// Its SHA-256 fingerprint.
        fingerprint: String,
        /// When it signed.
        at: Instant,
    },
    /// A hardware token signed without being touched: a program may have asked it, and no person.
    #[error("the hardware token with the SSH key {fingerprint} signed without being touched")]
    NotTouched {
        /// Its SHA-256 fingerprint.
        fingerprint: String,
    },
    /// The mathematics do not hold.
    #[error("the signature by the SSH key {fingerprint} does not match the signed bytes")]
    Bad {
        /// Its SHA-256 fingerprint.
        fingerprint: String,
    },
}

/// A signer whose signature counts. Only [`AllowedSigners::verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedSigner {
    principals: String,
    fingerprint: String,
}

impl VerifiedSigner {
    /// Who it is, as the list says.
    #[must_use]
    pub fn principals(&self) -> &str {
        &self.principals
    }

    /// The key's fingerprint, `SHA256:…`.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

impl AllowedSigners {
    /// Checks an armored signature over these bytes, made for `namespace` at this time.
    ///
    /// # Errors
    /// The reason to refuse it.
    pub fn verify(
        &self,
        signed: &[u8],
        armored: &[u8],
        namespace: &str,
        at: SystemTime,
    ) -> Result<VerifiedSigner, SshRefusal> {
        let signature = read(armored)?;
        if signature.namespace() != namespace {
            return Err(SshRefusal::Namespace {
                wanted: namespace.to_owned(),
                found: signature.namespace().to_owned(),
            });
        }
        let key = signature.public_key();
        let signer = self.find(key, namespace, at)?;
        if let KeyData::Rsa(rsa) = key {
            judge_rsa(rsa)?;
        }
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        if PublicKey::from(key.clone())
            .verify(namespace, signed, &signature)
            .is_err()
        {
            return Err(SshRefusal::Bad { fingerprint });
        }
        if !is_touched(&signature) {
            return Err(SshRefusal::NotTouched { fingerprint });
        }
        Ok(VerifiedSigner {
            principals: signer.principals.clone(),
            fingerprint,
        })
    }
}

/// Reads one armored signature and nothing beside it.
fn read(armored: &[u8]) -> Result<SshSig, SshRefusal> {
    let blob = dearmor(armored)?;
    let frame = Frame::read(&blob)?;
    judge_names(&frame.hash, &frame.algorithm)?;
    let signature = SshSig::decode(&mut &blob[..]).map_err(malformed)?;
    if signature.version() != SshSig::VERSION {
        return Err(malformed("it is not of version 1"));
    }
    let key = PublicKey::from(signature.public_key().clone());
    if key.to_bytes().map_err(malformed)? != frame.key {
        return Err(malformed("its key is longer than it says"));
    }
    Ok(signature)
}

fn dearmor(armored: &[u8]) -> Result<Vec<u8>, SshRefusal> {
    let odd = |_| malformed("its armor is not as OpenSSH writes it");
    let armored = armored.trim_ascii();
    if !armored.starts_with(ARMOR_BEGINS) {
        return Err(odd(pem::Error::PreEncapsulationBoundary));
    }
    let mut decoder = pem::Decoder::new_wrapped(armored, ARMOR_WIDTH).map_err(odd)?;
    if decoder.type_label() != LABEL {
        return Err(odd(pem::Error::Label));
    }
    let mut blob = Vec::new();
    decoder.decode_to_end(&mut blob).map_err(odd)?;
    Ok(blob)
}

/// The outer fields. `ssh-key` does not hold the length in front of a nested field against what it
/// reads from it, and has no word for algorithms that it does not know; both are done here.
struct Frame {
    key: Vec<u8>,
    hash: String,
    algorithm: String,
}

impl Frame {
    fn read(blob: &[u8]) -> Result<Self, SshRefusal> {
        let mut fields = blob.get(PREAMBLE_BYTES..).unwrap_or_default();
        let key = field(&mut fields)?;
        let (_namespace, _reserved) = (field(&mut fields)?, field(&mut fields)?);
        let hash = String::decode(&mut fields).map_err(malformed)?;
        let signature = field(&mut fields)?;
        let mut inner = &signature[..];
        let algorithm = String::decode(&mut inner).map_err(malformed)?;
        field(&mut inner)?;
        let on_token = Algorithm::new(&algorithm).is_ok_and(|algorithm| is_on_token(&algorithm));
        let trailer_bytes = if on_token { TOKEN_TRAILER_BYTES } else { 0 };
        if fields.is_empty() && inner.len() == trailer_bytes {
            Ok(Self {
                key,
                hash,
                algorithm,
            })
        } else {
            Err(malformed("something follows it"))
        }
    }
}

fn field(fields: &mut &[u8]) -> Result<Vec<u8>, SshRefusal> {
    Vec::<u8>::decode(fields).map_err(malformed)
}

/// Weak ones are false, unknown ones unseen.
fn judge_names(hash: &str, algorithm: &str) -> Result<(), SshRefusal> {
    match hash {
        "sha256" | "sha512" => {}
        "sha1" | "md5" => return Err(SshRefusal::Weak(hash.to_owned())),
        _ => return Err(SshRefusal::Unsupported(hash.to_owned())),
    }
    match Algorithm::new(algorithm) {
        Ok(Algorithm::Dsa | Algorithm::Rsa { hash: None }) => {
            Err(SshRefusal::Weak(algorithm.to_owned()))
        }
        Ok(Algorithm::Other(_)) | Err(_) => Err(SshRefusal::Unsupported(algorithm.to_owned())),
        Ok(_) => Ok(()),
    }
}

fn judge_rsa(key: &RsaPublicKey) -> Result<(), SshRefusal> {
    let modulus = key
        .n
        .as_positive_bytes()
        .ok_or_else(|| malformed("its key has no positive modulus"))?;
    let unused = modulus.first().map_or(0, |first| first.leading_zeros());
    let bits = (modulus.len() * 8).saturating_sub(unused as usize);
    match bits {
        ..MIN_RSA_BITS => Err(SshRefusal::Weak(format!("RSA with {bits} bits"))),
        MIN_RSA_BITS..=MAX_RSA_BITS => Ok(()),
        _ => Err(SshRefusal::Unsupported(format!("RSA with {bits} bits"))),
    }
}

fn is_on_token(algorithm: &Algorithm) -> bool {
    matches!(
        algorithm,
        Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256
    )
}

/// Whether a person was there; other keys than those on tokens do not tell.
fn is_touched(signature: &SshSig) -> bool {
    let bytes = signature.signature_bytes();
    let flags = bytes.iter().rev().nth(TOKEN_TRAILER_BYTES - 1);
    !is_on_token(&signature.algorithm()) || flags.is_some_and(|flags| flags & USER_PRESENT != 0)
}

fn malformed(why: impl ToString) -> SshRefusal {
    SshRefusal::Malformed(why.to_string())
}
