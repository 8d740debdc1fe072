//! The engineer's GnuPG, through gpgme: the second opinion on a tag, and the release's signatures.
//!
//! The only file of xtask that speaks OpenPGP. The opinion is formed in a GnuPG home of its own
//! that holds the release's keyring and nothing else, so that the engineer's own trust settings
//! play no part. Signatures come from the engineer's home; the secret key never leaves the agent.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context as _, bail};
use gpgme::{Context, PinentryMode, Protocol, SignMode};
use verify::trust::keyring::Fingerprint;

/// What GnuPG thinks of a detached signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Opinion {
    /// Every signature is good, made by a key of the keyring that is in force.
    Good {
        /// Fingerprints of the keys that signed; subkeys where those did.
        keys: BTreeSet<String>,
    },
    /// At least one is not.
    Bad {
        /// GnuPG's own words.
        why: String,
    },
}

impl fmt::Display for Opinion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good { keys } => {
                let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
                write!(f, "good, by {}", keys.join(", "))
            }
            Self::Bad { why } => f.write_str(why),
        }
    }
}

/// Asks GnuPG about a detached signature, with these certificates and no others.
///
/// # Errors
/// When GnuPG itself does not work: no opinion is not a bad one.
pub(crate) fn opinion(keyring: &[u8], signed: &[u8], signature: &[u8]) -> anyhow::Result<Opinion> {
    let home = tempfile::Builder::new()
        .prefix("gnupg-")
        .tempdir()
        .context("making a GnuPG home for the second opinion")?;
    let mut gnupg = Context::from_protocol(Protocol::OpenPgp).context("starting GnuPG")?;
    let path = home.path().to_string_lossy().into_owned();
    gnupg
        .set_engine_home_dir(path)
        .context("giving GnuPG its own home")?;
    gnupg.set_offline(true);
    let imported = gnupg
        .import(keyring)
        .context("giving GnuPG the release's keyring")?;
    if imported.considered() == 0 {
        bail!("GnuPG finds no certificate in the release's keyring");
    }
    let judged = match gnupg.verify_detached(signature, signed) {
        Ok(judged) => judged,
        Err(error) => {
            return Ok(Opinion::Bad {
                why: error.to_string(),
            });
        }
    };
    let mut keys = BTreeSet::new();
    for one in judged.signatures() {
        if let Err(error) = one.status() {
            return Ok(Opinion::Bad {
                why: error.to_string(),
            });
        }
        keys.insert(one.fingerprint().unwrap_or_default().to_owned());
    }
    if keys.is_empty() {
        let why = "there is no signature in it".to_owned();
        return Ok(Opinion::Bad { why });
    }
    Ok(Opinion::Good { keys })
}

/// A key of the engineer's GnuPG that can sign.
pub(crate) struct Signer {
    gnupg: Context,
    fingerprint: Fingerprint,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signer").field(&self.fingerprint).finish()
    }
}

impl Signer {
    /// Finds a secret key by fingerprint, key id or address.
    ///
    /// # Errors
    /// When there is none, or it cannot sign now.
    pub(crate) fn find(name: &str) -> anyhow::Result<Self> {
        let mut gnupg = Context::from_protocol(Protocol::OpenPgp).context("starting GnuPG")?;
        let found: Vec<gpgme::Key> = gnupg
            .find_secret_keys([name])
            .context("asking GnuPG for its secret keys")?
            .filter_map(Result::ok)
            .collect();
        let [key] = found.as_slice() else {
            bail!(
                "GnuPG has {} secret keys that `{name}` names, not one",
                found.len()
            );
        };
        if key.is_expired() || key.is_revoked() || key.is_disabled() || !key.can_sign() {
            bail!("the key `{name}` is expired, revoked, disabled or not a signing key");
        }
        let fingerprint = key
            .fingerprint()
            .unwrap_or_default()
            .parse()
            .with_context(|| format!("reading the fingerprint of `{name}`"))?;
        gnupg
            .add_signer(key)
            .context("choosing the key that signs")?;
        Ok(Self { gnupg, fingerprint })
    }

    /// The certificate that signs.
    pub(crate) fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// A detached signature as OpenPGP packets.
    pub(crate) fn binary(&mut self, bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
        self.sign(bytes, false)
    }

    /// A detached signature in ASCII armor.
    pub(crate) fn armored(&mut self, bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
        self.sign(bytes, true)
    }

    fn sign(&mut self, bytes: &[u8], armored: bool) -> anyhow::Result<Vec<u8>> {
        self.gnupg.set_armor(armored);
        self.gnupg
            .set_pinentry_mode(PinentryMode::Default)
            .context("letting GnuPG ask for the passphrase")?;
        let mut signature = Vec::new();
        let made = self
            .gnupg
            .sign(SignMode::Detached, bytes, &mut signature)
            .with_context(|| format!("signing with `{}`", self.fingerprint))?;
        if made.new_signatures().count() != 1 {
            bail!("GnuPG made no signature with `{}`", self.fingerprint);
        }
        Ok(signature)
    }
}
