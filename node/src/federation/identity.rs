//! Who a node is on the wire: its certificate, and the fingerprint that names it.
//!
//! The fingerprint is SHA-256 over the certificate's DER, the number that
//! `openssl x509 -fingerprint -sha256` prints. Nothing else in the certificate is believed.

use std::fmt;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};

/// SHA-256 of a certificate's DER: the name of a peer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

/// The text is not a fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a fingerprint: `sha256:` and 64 hex digits are needed")]
pub struct NotAFingerprint(String);

impl Fingerprint {
    /// The fingerprint of this certificate.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        Self(Sha256::digest(certificate.as_ref()).into())
    }

    /// The fingerprint of these bytes, for what comes out of the database.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// As `openssl x509 -noout -fingerprint -sha256` prints it: pairs of upper-case digits.
    #[must_use]
    pub fn with_colons(&self) -> String {
        let pairs: Vec<String> = self.0.iter().map(|byte| format!("{byte:02X}")).collect();
        pairs.join(":")
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    /// `sha256:` and 64 hex digits; colons between pairs and the case of letters are free.
    fn from_str(text: &str) -> Result<Self, NotAFingerprint> {
        let refused = || NotAFingerprint(text.chars().take(100).collect());
        let digits = match text.split_at_checked(7) {
            Some((kind, rest)) if kind.eq_ignore_ascii_case("sha256:") => rest,
            _ => return Err(refused()),
        };
        let bare = if digits.contains(':') {
            if digits.len() != 95 || digits.split(':').any(|pair| pair.len() != 2) {
                return Err(refused());
            }
            digits.replace(':', "")
        } else {
            digits.to_owned()
        };
        let mut bytes = [0_u8; 32];
        hex::decode_to_slice(&bare, &mut bytes).map_err(|_| refused())?;
        Ok(Self(bytes))
    }
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read or written.
    #[error("cannot {what} `{path}`: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("`{path}` does not hold {what}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// The key can be read by others.
    #[error("`{0}` can be read by others: the key of the federation must have mode 0600")]
    Exposed(PathBuf),
    /// One of the two files is there, the other is not.
    #[error("`{0}` is missing, and its other half is there")]
    Half(PathBuf),
    /// Making the certificate failed.
    #[error("a certificate cannot be made: {0}")]
    Making(String),
}

/// The node's certificate and its key.
#[derive(Debug)]
pub struct NodeCertificate {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

/// Days that a new certificate is valid: ten years. Peers pin it, so nobody else can withdraw it.
const VALID_DAYS: i64 = 3650;

impl NodeCertificate {
    /// Reads the two files, or makes them where neither is there: a P-256 key of mode 0600.
    ///
    /// # Errors
    /// When one is missing, cannot be read, is no PEM, or the key may be read by others.
    pub fn load_or_make(certificate: &Path, key: &Path) -> Result<Self, IdentityError> {
        match (certificate.exists(), key.exists()) {
            (true, true) => Self::load(certificate, key),
            (false, false) => {
                make(certificate, key)?;
                Self::load(certificate, key)
            }
            (true, false) => Err(IdentityError::Half(key.to_owned())),
            (false, true) => Err(IdentityError::Half(certificate.to_owned())),
        }
    }

    fn load(certificate: &Path, key: &Path) -> Result<Self, IdentityError> {
        let mode = std::fs::metadata(key)
            .map_err(|source| failed("read", key, source))?
            .permissions()
            .mode();
        if mode & 0o077 != 0 {
            return Err(IdentityError::Exposed(key.to_owned()));
        }
        let unreadable = |path: &Path, what| IdentityError::Unreadable {
            path: path.to_owned(),
            what,
        };
        let text =
            std::fs::read(certificate).map_err(|source| failed("read", certificate, source))?;
        let mut found = CertificateDer::pem_slice_iter(&text);
        let one = "exactly one certificate (PEM)";
        let (Some(Ok(first)), None) = (found.next(), found.next()) else {
            return Err(unreadable(certificate, one));
        };
        let text = zeroize::Zeroizing::new(
            std::fs::read(key).map_err(|source| failed("read", key, source))?,
        );
        let secret = PrivateKeyDer::from_pem_slice(&text)
            .map_err(|_| unreadable(key, "a private key (PEM)"))?;
        Ok(Self {
            certificate: first,
            key: secret,
        })
    }

    /// The name under which peers pin this node.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificate)
    }

    /// The certificate.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The key, for the TLS configuration.
    #[must_use]
    pub fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }
}

fn failed(what: &'static str, path: &Path, source: std::io::Error) -> IdentityError {
    IdentityError::Io {
        what,
        path: path.to_owned(),
        source,
    }
}

fn make(certificate: &Path, key: &Path) -> Result<(), IdentityError> {
    let making = |error: rcgen::Error| IdentityError::Making(error.to_string());
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(making)?;
    let mut wanted =
        rcgen::CertificateParams::new(vec!["memory-node.invalid".to_owned()]).map_err(making)?;
    let mut name = rcgen::DistinguishedName::new();
    name.push(rcgen::DnType::CommonName, "memory-node");
    wanted.distinguished_name = name;
    let now = time::OffsetDateTime::from(std::time::SystemTime::now());
    // A peer's clock may be behind ours.
    wanted.not_before = now - time::Duration::days(1);
    wanted.not_after = now + time::Duration::days(VALID_DAYS);
    let made = wanted.self_signed(&pair).map_err(making)?;
    let secret = zeroize::Zeroizing::new(pair.serialize_pem());
    // The key first: a certificate without its key is a name that nobody can prove.
    write_new(key, secret.as_bytes(), 0o600)?;
    write_new(certificate, made.pem().as_bytes(), 0o644)
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), IdentityError> {
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .map_err(|source| failed("write", path, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_fingerprint_is_one_name() {
        let plain = format!("sha256:{}", "ab".repeat(32));
        let parsed: Fingerprint = plain.parse().unwrap();
        assert_eq!(parsed.to_string(), plain);
        let colons = format!("SHA256:{}", parsed.with_colons());
        assert_eq!(colons.parse::<Fingerprint>().unwrap(), parsed);
        for wrong in [
            String::new(),
            "ab".repeat(32),
            format!("sha1:{}", "ab".repeat(32)),
            format!("sha256:{}", "ab".repeat(31)),
            format!("sha256:{}", "zz".repeat(32)),
            format!("sha256:{}:", "ab".repeat(32)),
            "sha256é".to_owned(),
        ] {
            assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
        }
    }
}
