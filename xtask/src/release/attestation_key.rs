//! A second key for the provenance, for tools that read DSSE and not OpenPGP: `cosign
//! verify-blob-attestation --key`, securesystemslib, in-toto. Ed25519 or P-256, in a PKCS #8 file.
//!
//! It adds a signature for others; `verify` trusts the OpenPGP one and looks at nothing else.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use sbom::digest::Sha256Digest;
use verify::attest::dsse::Signature;

/// A private key; it never prints itself, and its memory is wiped when it goes.
pub(crate) struct AttestationKey {
    kind: Kind,
    keyid: String,
}

enum Kind {
    Ed25519(Box<ed25519_dalek::SigningKey>),
    P256(Box<p256::ecdsa::SigningKey>),
}

impl std::fmt::Debug for AttestationKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("AttestationKey").field(&self.keyid).finish()
    }
}

impl AttestationKey {
    /// Reads an unencrypted PKCS #8 private key in PEM, as `openssl genpkey` writes it.
    ///
    /// # Errors
    /// When the file can be read by others, or is no key of the two kinds.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let mode = fs::metadata(path)
            .with_context(|| format!("finding the attestation key `{shown}`"))?
            .permissions()
            .mode();
        if mode & 0o077 != 0 {
            bail!("the attestation key `{shown}` can be read by others: `chmod 600 {shown}`");
        }
        let pem = fs::read_to_string(path)
            .with_context(|| format!("reading the attestation key `{shown}`"))?;
        let Some((kind, public)) = ed25519(&pem).or_else(|| p256(&pem)) else {
            bail!(
                "`{shown}` is neither an Ed25519 nor a P-256 key in PKCS #8: make one with \
                 `openssl genpkey -algorithm ed25519 -out {shown}`"
            );
        };
        Ok(Self {
            kind,
            keyid: keyid(&public),
        })
    }

    /// A signature over the PAE: 64 raw bytes for Ed25519, ASN.1 DER over SHA-256 for P-256.
    pub(crate) fn sign(&self, pae: &[u8]) -> Signature {
        let sig = match &self.kind {
            Kind::Ed25519(key) => {
                use ed25519_dalek::Signer as _;
                key.sign(pae).to_bytes().to_vec()
            }
            Kind::P256(key) => {
                use p256::ecdsa::signature::Signer as _;
                let signature: p256::ecdsa::DerSignature = key.sign(pae);
                signature.as_bytes().to_vec()
            }
        };
        Signature {
            keyid: self.keyid.clone(),
            sig,
        }
    }
}

/// An Ed25519 key and its SubjectPublicKeyInfo.
fn ed25519(pem: &str) -> Option<(Kind, Vec<u8>)> {
    use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePublicKey as _};
    let key = ed25519_dalek::SigningKey::from_pkcs8_pem(pem).ok()?;
    let public = key.verifying_key().to_public_key_der().ok()?;
    Some((Kind::Ed25519(Box::new(key)), public.into_vec()))
}

/// A P-256 key and its SubjectPublicKeyInfo.
fn p256(pem: &str) -> Option<(Kind, Vec<u8>)> {
    use p256::pkcs8::{DecodePrivateKey as _, EncodePublicKey as _};
    let key = p256::SecretKey::from_pkcs8_pem(pem).ok()?;
    let public = key.public_key().to_public_key_der().ok()?;
    Some((Kind::P256(Box::new(key.into())), public.into_vec()))
}

/// SHA-256 of the public key's SubjectPublicKeyInfo. The prefix keeps it apart from fingerprints.
fn keyid(public_der: &[u8]) -> String {
    format!("sha256:{}", Sha256Digest::of(public_der))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Runs OpenSSL, the other reader of these keys and signatures.
    fn openssl(folder: &Path, arguments: &[&str]) -> bool {
        let mut command = Command::new("openssl");
        command.current_dir(folder).args(arguments);
        command.output().unwrap().status.success()
    }

    fn made_by_openssl(algorithm: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let mut arguments = vec!["genpkey", "-out", "key"];
        arguments.extend(algorithm);
        assert!(openssl(folder.path(), &arguments));
        assert!(openssl(
            folder.path(),
            &["pkey", "-in", "key", "-pubout", "-out", "public"]
        ));
        fs::set_permissions(folder.path().join("key"), fs::Permissions::from_mode(0o600)).unwrap();
        folder
    }

    #[test]
    fn openssl_accepts_both_kinds_of_signatures_and_refuses_them_over_other_bytes() {
        let kinds: [(&[&str], &[&str]); 2] = [
            (
                &["-algorithm", "ed25519"],
                &[
                    "pkeyutl", "-verify", "-pubin", "-inkey", "public", "-rawin", "-sigfile",
                    "sig", "-in",
                ],
            ),
            (
                &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
                &["dgst", "-sha256", "-verify", "public", "-signature", "sig"],
            ),
        ];
        for (algorithm, verify) in kinds {
            let folder = made_by_openssl(algorithm);
            let key = AttestationKey::read(&folder.path().join("key")).unwrap();
            fs::write(folder.path().join("signed"), b"signed").unwrap();
            fs::write(folder.path().join("other"), b"other!").unwrap();
            fs::write(folder.path().join("sig"), key.sign(b"signed").sig).unwrap();
            let accepts = |file| {
                let mut arguments = verify.to_vec();
                arguments.push(file);
                openssl(folder.path(), &arguments)
            };
            assert!(accepts("signed"), "{algorithm:?}");
            assert!(!accepts("other"), "{algorithm:?}");
        }
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = made_by_openssl(&["-algorithm", "ed25519"]);
        let key = folder.path().join("key");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        let refused = AttestationKey::read(&key).unwrap_err().to_string();
        assert!(refused.contains("chmod 600"), "{refused}");
    }
}
