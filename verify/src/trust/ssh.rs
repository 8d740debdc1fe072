//! Answers: is this an SSH signature by a signer who is allowed to make it?
//!
//! Signatures are `SSHSIG` blobs (OpenSSH, PROTOCOL.sshsig); the allowed signers stand in a file
//! as `ssh-keygen -Y verify` reads it (ssh-keygen(1), ALLOWED SIGNERS). The mathematics are
//! sequoia's: Ed25519, ECDSA over P-256, P-384 and P-521, and RSA with SHA-2; nothing weaker counts,
//! and of what it does not have (keys on hardware tokens) it says that it could not look.

use std::collections::BTreeSet;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use openpgp::crypto::mpi;
use openpgp::packet::Key;
use openpgp::packet::key::{Key4, PublicParts, UnspecifiedRole};
use openpgp::types::{Curve, HashAlgorithm, PublicKeyAlgorithm};
use sequoia_openpgp as openpgp;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::openpgp::Instant;

const MAGIC: &[u8] = b"SSHSIG";
const MIN_RSA_BITS: usize = 2048;

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
    Malformed(&'static str),
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
    /// The mathematics do not hold.
    #[error("the signature by the SSH key {fingerprint} does not match the signed bytes")]
    Bad {
        /// Its SHA-256 fingerprint.
        fingerprint: String,
    },
}

/// Who may sign with SSH keys; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedSigners {
    signers: Vec<Signer>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Signer {
    principals: String,
    namespaces: Option<BTreeSet<String>>,
    after: Option<SystemTime>,
    before: Option<SystemTime>,
    key: Vec<u8>,
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
    /// Reads a list. Certificate authorities are refused: nothing here checks SSH certificates.
    ///
    /// # Errors
    /// At the first line that is not understood, and when there is none.
    pub fn parse(text: &str) -> Result<Self, SshRefusal> {
        let mut signers = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            signers.push(Signer::parse(line).map_err(|why| SshRefusal::Signers {
                line: index + 1,
                why,
            })?);
        }
        if signers.is_empty() {
            Err(SshRefusal::NoSigners)
        } else {
            Ok(Self { signers })
        }
    }

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
        let blob = dearmor(armored)?;
        let signature = Blob::read(&blob)?;
        if signature.namespace != namespace.as_bytes() {
            let found = String::from_utf8_lossy(signature.namespace).into_owned();
            return Err(SshRefusal::Namespace {
                wanted: namespace.to_owned(),
                found,
            });
        }
        let fingerprint = format!(
            "SHA256:{}",
            STANDARD_NO_PAD.encode(Sha256::digest(signature.key))
        );
        let named: Vec<&Signer> = self
            .signers
            .iter()
            .filter(|signer| signer.key == signature.key)
            .filter(|signer| {
                signer
                    .namespaces
                    .as_ref()
                    .is_none_or(|names| names.contains(namespace))
            })
            .collect();
        if named.is_empty() {
            return Err(SshRefusal::UnknownKey { fingerprint });
        }
        let valid = named.into_iter().find(|signer| {
            signer.after.is_none_or(|after| at >= after)
                && signer.before.is_none_or(|before| at < before)
        });
        let Some(signer) = valid else {
            return Err(SshRefusal::OutsideValidity {
                fingerprint,
                at: Instant(at),
            });
        };
        if signature.holds(signed)? {
            Ok(VerifiedSigner {
                principals: signer.principals.clone(),
                fingerprint,
            })
        } else {
            Err(SshRefusal::Bad { fingerprint })
        }
    }
}

impl Signer {
    fn parse(line: &str) -> Result<Self, String> {
        let mut words = words(line)?.into_iter();
        let principals = words.next().ok_or("it is empty")?;
        let mut signer = Self {
            principals,
            namespaces: None,
            after: None,
            before: None,
            key: Vec::new(),
        };
        let mut kind = words.next().ok_or("it names no key")?;
        if !is_key_type(&kind) {
            for option in split(&kind, ',') {
                signer.option(&option)?;
            }
            kind = words.next().ok_or("it names no key")?;
        }
        let key = words.next().ok_or("it has no key")?;
        signer.key = STANDARD.decode(key).map_err(|_| "its key is not base64")?;
        let mut reader = Reader(&signer.key);
        if !is_key_type(&kind) || reader.string().ok() != Some(kind.as_bytes()) {
            return Err(format!("`{kind}` is not the kind of its key"));
        }
        Ok(signer)
    }

    fn option(&mut self, option: &str) -> Result<(), String> {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let value = value.trim_matches('"');
        match name.to_ascii_lowercase().as_str() {
            "namespaces" if value.contains(['*', '?', '!']) => {
                Err(String::from("patterns in `namespaces` are not read"))
            }
            "namespaces" => {
                self.namespaces = Some(value.split(',').map(str::to_owned).collect());
                Ok(())
            }
            "valid-after" => time_of(value).map(|time| self.after = Some(time)),
            "valid-before" => time_of(value).map(|time| self.before = Some(time)),
            _ => Err(format!("the option `{name}` is not known here")),
        }
    }
}

fn is_key_type(word: &str) -> bool {
    [
        "ssh-ed25519",
        "ssh-rsa",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    ]
    .contains(&word)
}

/// `YYYYMMDD[HHMM[SS]][Z]`. OpenSSH reads a time without `Z` in the machine's own zone; here each
/// is UTC, so that the answer is the same everywhere.
fn time_of(text: &str) -> Result<SystemTime, String> {
    let wrong = || format!("`{text}` is not a time of the form YYYYMMDD[HHMM[SS]]Z");
    let digits = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    if ![8, 12, 14].contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let whole = format!("{digits:0<14}");
    let format = time::macros::format_description!("[year][month][day][hour][minute][second]");
    let time = time::PrimitiveDateTime::parse(&whole, &format).map_err(|_| wrong())?;
    Ok(time.assume_utc().into())
}

/// Splits at white space outside quotes.
fn words(line: &str) -> Result<Vec<String>, String> {
    if line.matches('"').count() % 2 == 1 {
        return Err(String::from("a quote is not closed"));
    }
    Ok(split(&line.replace('\t', " "), ' ')
        .into_iter()
        .filter(|word| !word.is_empty())
        .collect())
}

fn split(text: &str, at: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        quoted ^= c == '"';
        if c == at && !quoted {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
}

fn dearmor(armored: &[u8]) -> Result<Vec<u8>, SshRefusal> {
    let malformed = SshRefusal::Malformed("its armor is not as OpenSSH writes it");
    let text = std::str::from_utf8(armored).map_err(|_| malformed.clone())?;
    let body = text
        .trim()
        .strip_prefix("-----BEGIN SSH SIGNATURE-----")
        .and_then(|rest| rest.strip_suffix("-----END SSH SIGNATURE-----"))
        .ok_or_else(|| malformed.clone())?;
    let body: String = body.lines().map(str::trim).collect();
    STANDARD.decode(body).map_err(|_| malformed)
}

/// The wire format: each string with its length in front, RFC 4251, section 5.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], SshRefusal> {
        let (head, tail) = self
            .0
            .split_at_checked(length)
            .ok_or(SshRefusal::Malformed("it ends early"))?;
        self.0 = tail;
        Ok(head)
    }

    fn number(&mut self) -> Result<u32, SshRefusal> {
        let bytes = self.take(4)?;
        Ok(bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    fn string(&mut self) -> Result<&'a [u8], SshRefusal> {
        let length =
            usize::try_from(self.number()?).map_err(|_| SshRefusal::Malformed("it ends early"))?;
        self.take(length)
    }

    fn end(&self) -> Result<(), SshRefusal> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(SshRefusal::Malformed("something follows it"))
        }
    }
}

struct Blob<'a> {
    key: &'a [u8],
    namespace: &'a [u8],
    reserved: &'a [u8],
    hash: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Blob<'a> {
    fn read(blob: &'a [u8]) -> Result<Self, SshRefusal> {
        let mut reader = Reader(blob);
        if reader.take(MAGIC.len())? != MAGIC || reader.number()? != 1 {
            return Err(SshRefusal::Malformed("it is no SSHSIG of version 1"));
        }
        let (key, namespace, reserved) = (reader.string()?, reader.string()?, reader.string()?);
        let (hash, mut inner) = (reader.string()?, Reader(reader.string()?));
        reader.end()?;
        let (algorithm, signature) = (inner.string()?, inner.string()?);
        inner.end()?;
        Ok(Self {
            key,
            namespace,
            reserved,
            hash,
            algorithm,
            signature,
        })
    }

    /// What is really signed: the blob of PROTOCOL.sshsig, section 2.
    fn to_be_signed(&self, signed: &[u8]) -> Result<Vec<u8>, SshRefusal> {
        let digest = match self.hash {
            b"sha256" => Sha256::digest(signed).to_vec(),
            b"sha512" => Sha512::digest(signed).to_vec(),
            other => return Err(algorithm(other)),
        };
        let mut bytes = MAGIC.to_vec();
        for part in [self.namespace, self.reserved, self.hash, &digest] {
            let length =
                u32::try_from(part.len()).map_err(|_| SshRefusal::Malformed("it is too long"))?;
            bytes.extend(length.to_be_bytes());
            bytes.extend(part);
        }
        Ok(bytes)
    }

    fn holds(&self, signed: &[u8]) -> Result<bool, SshRefusal> {
        let message = self.to_be_signed(signed)?;
        let mut key = Reader(self.key);
        let kind = key.string()?;
        let (public, signature, hash, digest) = match (kind, self.algorithm) {
            (b"ssh-ed25519", b"ssh-ed25519") => {
                let (point, signature) = (key.string()?, self.signature);
                let a = point
                    .try_into()
                    .map_err(|_| SshRefusal::Malformed("its key has a wrong length"))?;
                let s = signature
                    .try_into()
                    .map_err(|_| SshRefusal::Malformed("it has a wrong length"))?;
                // Ed25519 signs the message itself; what sequoia calls the digest is passed through.
                (
                    mpi::PublicKey::Ed25519 { a },
                    mpi::Signature::Ed25519 { s: Box::new(s) },
                    HashAlgorithm::SHA512,
                    message,
                )
            }
            (b"ssh-rsa", b"rsa-sha2-256" | b"rsa-sha2-512") => {
                let (e, n) = (key.string()?, key.string()?);
                let (public, s) = (
                    mpi::PublicKey::RSA {
                        e: mpi::MPI::new(e),
                        n: mpi::MPI::new(n),
                    },
                    mpi::MPI::new(self.signature),
                );
                if public.bits().is_none_or(|bits| bits < MIN_RSA_BITS) {
                    return Err(algorithm(b"RSA with a short key"));
                }
                let (hash, digest) = if self.algorithm == b"rsa-sha2-256" {
                    (HashAlgorithm::SHA256, Sha256::digest(&message).to_vec())
                } else {
                    (HashAlgorithm::SHA512, Sha512::digest(&message).to_vec())
                };
                (public, mpi::Signature::RSA { s }, hash, digest)
            }
            (b"ecdsa-sha2-nistp256", b"ecdsa-sha2-nistp256")
            | (b"ecdsa-sha2-nistp384", b"ecdsa-sha2-nistp384")
            | (b"ecdsa-sha2-nistp521", b"ecdsa-sha2-nistp521") => {
                key.string()?;
                let q = mpi::MPI::new(key.string()?);
                let mut pair = Reader(self.signature);
                let (r, s) = (mpi::MPI::new(pair.string()?), mpi::MPI::new(pair.string()?));
                pair.end()?;
                let (curve, hash, digest) = match kind {
                    b"ecdsa-sha2-nistp256" => (
                        Curve::NistP256,
                        HashAlgorithm::SHA256,
                        Sha256::digest(&message).to_vec(),
                    ),
                    b"ecdsa-sha2-nistp384" => (
                        Curve::NistP384,
                        HashAlgorithm::SHA384,
                        Sha384::digest(&message).to_vec(),
                    ),
                    _ => (
                        Curve::NistP521,
                        HashAlgorithm::SHA512,
                        Sha512::digest(&message).to_vec(),
                    ),
                };
                (
                    mpi::PublicKey::ECDSA { curve, q },
                    mpi::Signature::ECDSA { r, s },
                    hash,
                    digest,
                )
            }
            (_, other) => return Err(algorithm(other)),
        };
        key.end()?;
        let algorithm = public.algo().unwrap_or(PublicKeyAlgorithm::Unknown(0));
        let key =
            Key4::<PublicParts, UnspecifiedRole>::new(SystemTime::UNIX_EPOCH, algorithm, public)
                .map_err(|_| SshRefusal::Malformed("its key cannot be read"))?;
        Ok(Key::from(key).verify(&signature, hash, &digest).is_ok())
    }
}

/// A key or signature of a kind that is not judged here: weak ones are false, others unseen.
fn algorithm(name: &[u8]) -> SshRefusal {
    let shown = String::from_utf8_lossy(name).into_owned();
    match name {
        b"ssh-dss" | b"ssh-rsa" | b"sha1" | b"md5" | b"RSA with a short key" => {
            SshRefusal::Weak(shown)
        }
        _ => SshRefusal::Unsupported(shown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    #[test]
    fn lines_of_allowed_signers_are_read_with_their_options() {
        let text = format!(
            "# comment\na@example.org {KEY} a comment\n\
             b@example.org namespaces=\"git,file\",valid-before=\"20260101Z\" {KEY}\n"
        );
        let list = AllowedSigners::parse(&text).unwrap();
        assert_eq!(list.signers.len(), 2);
        assert!(list.signers[1].namespaces.as_ref().unwrap().contains("git"));
        assert!(list.signers[1].before.is_some() && list.signers[1].after.is_none());
    }

    #[test]
    fn what_is_not_understood_is_refused_and_not_skipped() {
        for bad in [
            String::new(),
            String::from("a@example.org"),
            format!("a@example.org cert-authority {KEY}"),
            format!("a@example.org namespaces=\"*\" {KEY}"),
            format!("a@example.org valid-after=soon {KEY}"),
            format!("a@example.org namespaces=\"git {KEY}"),
            String::from("a@example.org ssh-dss AAAAB3NzaC1kc3M="),
            String::from("a@example.org ssh-rsa AAAAC3NzaC1lZDI1NTE5"),
        ] {
            assert!(AllowedSigners::parse(&bad).is_err(), "{bad}");
        }
    }
}
