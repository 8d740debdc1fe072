//! From a passphrase to the database's key, and what can be told with the key alone.
//!
//! Source: SQLCipher 4 design (zetetic.net/sqlcipher/design): PBKDF2-HMAC-SHA512 with 256,000
//! rounds over the file's first 16 bytes gives the AES key; the page MAC's key is two rounds over
//! the salt XOR 0x3a; a page of 4096 bytes ends with 16 bytes of IV and 64 of HMAC-SHA512.

use openssl::hash::MessageDigest;
use openssl::pkcs5::pbkdf2_hmac;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use openssl::symm::{Cipher, Crypter, Mode};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

/// Bytes of a database page, SQLCipher 4's default.
pub const PAGE_BYTES: usize = 4096;
/// Bytes of the salt that the file begins with.
pub const SALT_BYTES: usize = 16;

const ROUNDS: usize = 256_000;
const MAC_KEY_ROUNDS: usize = 2;
const MAC_SALT_MASK: u8 = 0x3a;
const MAC_BYTES: usize = 64;
const IV_BYTES: usize = 16;

/// A passphrase that is not empty.
#[derive(Clone, Debug)]
pub struct Passphrase(SecretString);

/// The passphrase is empty.
#[derive(Debug, thiserror::Error)]
#[error("the passphrase is empty")]
pub struct EmptyPassphrase;

/// OpenSSL could not compute what it always can.
#[derive(Debug, thiserror::Error)]
#[error("key derivation failed: {0}")]
pub struct DerivationFailed(#[from] openssl::error::ErrorStack);

impl Passphrase {
    /// Takes the text as it is, blanks included.
    ///
    /// # Errors
    /// When it is empty: SQLCipher would make a plaintext database of that.
    pub fn new(text: SecretString) -> Result<Self, EmptyPassphrase> {
        if text.expose_secret().is_empty() {
            return Err(EmptyPassphrase);
        }
        Ok(Self(text))
    }

    /// The secret itself, for sealing an export with it.
    #[must_use]
    pub fn into_secret(self) -> SecretString {
        self.0
    }

    pub(super) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// The derived AES key of one database file, with the file's salt.
#[derive(Clone)]
pub struct DatabaseKey {
    key: Zeroizing<[u8; 32]>,
    salt: [u8; SALT_BYTES],
}

impl std::fmt::Debug for DatabaseKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DatabaseKey(…)")
    }
}

impl DatabaseKey {
    /// Derives the key once; every connection is then opened with it directly.
    ///
    /// # Errors
    /// When OpenSSL fails.
    pub fn derive(
        passphrase: &Passphrase,
        salt: [u8; SALT_BYTES],
    ) -> Result<Self, DerivationFailed> {
        let mut key = Zeroizing::new([0_u8; 32]);
        let text = passphrase.expose().as_bytes();
        pbkdf2_hmac(text, &salt, ROUNDS, MessageDigest::sha512(), key.as_mut())?;
        Ok(Self { key, salt })
    }

    /// The salt that belongs to the key.
    #[must_use]
    pub fn salt(&self) -> &[u8; SALT_BYTES] {
        &self.salt
    }

    /// `x'<key><salt>'`, which SQLCipher takes as it is, without deriving anything.
    pub(super) fn literal(&self) -> Zeroizing<String> {
        let mut literal = Zeroizing::new(String::with_capacity(100));
        literal.push_str("x'");
        literal.push_str(&Zeroizing::new(hex::encode(self.key.as_ref())));
        literal.push_str(&hex::encode(self.salt));
        literal.push('\'');
        literal
    }

    /// A MAC under the key over a fixed text: says whether a key is the same, and nothing else.
    ///
    /// # Errors
    /// When OpenSSL fails.
    pub fn check_value(&self) -> Result<String, DerivationFailed> {
        let key = PKey::hmac(self.key.as_ref())?;
        let mut signer = Signer::new(MessageDigest::sha256(), &key)?;
        signer.update(b"memory-node key check v1")?;
        Ok(hex::encode(signer.sign_to_vec()?))
    }

    /// How many pages the database has by its own account: bytes 28 to 31 of the header (SQLite
    /// file format, 1.3.8), which stand in the first encrypted block of page 1.
    ///
    /// # Errors
    /// When OpenSSL fails.
    pub fn page_count(&self, first_page: &[u8]) -> Result<Option<u32>, DerivationFailed> {
        let iv_at = PAGE_BYTES - MAC_BYTES - IV_BYTES;
        let block = first_page.get(SALT_BYTES..2 * SALT_BYTES);
        let iv = first_page.get(iv_at..iv_at + IV_BYTES);
        let (Some(block), Some(iv)) = (block, iv) else {
            return Ok(None);
        };
        let cipher = Cipher::aes_256_cbc();
        let mut crypter = Crypter::new(cipher, Mode::Decrypt, self.key.as_ref(), Some(iv))?;
        crypter.pad(false);
        let mut plain = [0_u8; 2 * IV_BYTES];
        let count = crypter.update(block, &mut plain)?;
        let pages = plain.get(..count).and_then(|plain| plain.get(12..16));
        Ok(pages
            .and_then(|bytes| bytes.try_into().ok())
            .map(u32::from_be_bytes))
    }

    /// Whether the page `number` (from 1) carries the MAC that this key gives.
    ///
    /// # Errors
    /// When OpenSSL fails.
    pub fn page_is_authentic(&self, number: u32, page: &[u8]) -> Result<bool, DerivationFailed> {
        if page.len() != PAGE_BYTES {
            return Ok(false);
        }
        let mac_salt = self.salt.map(|byte| byte ^ MAC_SALT_MASK);
        let mut mac_key = Zeroizing::new([0_u8; 32]);
        let digest = MessageDigest::sha512();
        pbkdf2_hmac(
            self.key.as_ref(),
            &mac_salt,
            MAC_KEY_ROUNDS,
            digest,
            mac_key.as_mut(),
        )?;
        let start = if number == 1 { SALT_BYTES } else { 0 };
        let (covered, mac) = page.split_at(PAGE_BYTES - MAC_BYTES);
        let key = PKey::hmac(mac_key.as_ref())?;
        let mut signer = Signer::new(digest, &key)?;
        signer.update(&covered[start..])?;
        signer.update(&number.to_le_bytes())?;
        Ok(openssl::memcmp::eq(&signer.sign_to_vec()?, mac))
    }
}
