//! Sealing an export: the age format (age-encryption.org/v1), to recipients or a passphrase.

use std::io::{Read as _, Write as _};

use age::secrecy::SecretString;
use age::x25519::{Identity, Recipient};

/// Whom an export is sealed to.
pub enum SealTo {
    /// Everyone who holds one of these identities.
    Recipients(Vec<Recipient>),
    /// Everyone who knows this.
    Passphrase(SecretString),
}

/// With what a sealed export is opened.
pub enum OpenWith {
    /// These identities.
    Identities(Vec<Identity>),
    /// This passphrase.
    Passphrase(SecretString),
}

/// Why an export was not sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// Not a recipient.
    #[error("`{0}` is not an age recipient: `age1…` is needed")]
    NotARecipient(String),
    /// Not an identity file.
    #[error("the identity file holds no line `AGE-SECRET-KEY-1…`")]
    NoIdentity,
    /// The file is damaged, or is not sealed to this.
    #[error("the sealed export cannot be opened: {0}")]
    NotOpened(String),
    /// It could not be sealed.
    #[error("the export cannot be sealed: {0}")]
    NotSealed(String),
}

/// How every sealed file begins.
const MAGIC: &[u8] = b"age-encryption.org/v1\n";

/// Whether these bytes are a sealed file.
#[must_use]
pub fn is_sealed(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Parses recipients.
///
/// # Errors
/// The first that is none.
pub fn recipients(texts: &[String]) -> Result<Vec<Recipient>, SealError> {
    texts
        .iter()
        .map(|text| {
            text.parse()
                .map_err(|_| SealError::NotARecipient(text.clone()))
        })
        .collect()
}

/// Parses an identity file: one identity a line, `#` comments.
///
/// # Errors
/// When not one is in it.
pub fn identities(text: &str) -> Result<Vec<Identity>, SealError> {
    let found: Vec<Identity> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter_map(|line| line.parse().ok())
        .collect();
    if found.is_empty() {
        Err(SealError::NoIdentity)
    } else {
        Ok(found)
    }
}

/// Seals `plain`.
///
/// # Errors
/// When there is no recipient.
pub fn seal(plain: &[u8], to: SealTo) -> Result<Vec<u8>, SealError> {
    let failed = |error: &dyn std::fmt::Display| SealError::NotSealed(error.to_string());
    let encryptor = match to {
        SealTo::Passphrase(passphrase) => age::Encryptor::with_user_passphrase(passphrase),
        SealTo::Recipients(recipients) => {
            let recipients = recipients
                .iter()
                .map(|recipient| recipient as &dyn age::Recipient);
            age::Encryptor::with_recipients(recipients).map_err(|error| failed(&error))?
        }
    };
    let mut sealed = Vec::with_capacity(plain.len() + 1024);
    let mut writer = encryptor
        .wrap_output(&mut sealed)
        .map_err(|error| failed(&error))?;
    writer.write_all(plain).map_err(|error| failed(&error))?;
    writer.finish().map_err(|error| failed(&error))?;
    Ok(sealed)
}

/// Opens what [`seal`] made.
///
/// # Errors
/// When it is damaged, cut off, or sealed to somebody else.
pub fn open(sealed: &[u8], with: OpenWith) -> Result<Vec<u8>, SealError> {
    let failed = |error: &dyn std::fmt::Display| SealError::NotOpened(error.to_string());
    let decryptor = age::Decryptor::new(sealed).map_err(|error| failed(&error))?;
    let mut plain = Vec::new();
    let mut reader = match with {
        OpenWith::Passphrase(passphrase) => {
            let identity = age::scrypt::Identity::new(passphrase);
            let identities = std::iter::once(&identity as &dyn age::Identity);
            decryptor
                .decrypt(identities)
                .map_err(|error| failed(&error))?
        }
        OpenWith::Identities(identities) => {
            let identities = identities
                .iter()
                .map(|identity| identity as &dyn age::Identity);
            decryptor
                .decrypt(identities)
                .map_err(|error| failed(&error))?
        }
    };
    reader
        .read_to_end(&mut plain)
        .map_err(|error| failed(&error))?;
    Ok(plain)
}
