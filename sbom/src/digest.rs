//! The one digest type of the project: SHA-256, written as 64 lower-case hexadecimal digits.
//! It must not accept any other spelling, so that two texts are equal exactly when the digests are.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// A SHA-256 digest (FIPS 180-4): 32 bytes, as text 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256Digest([u8; 32]);

impl Sha256Digest {
    /// The digest of `bytes`; of no bytes it is `e3b0c442…`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// A digest over data that comes in pieces.
    #[must_use]
    pub fn hasher() -> Sha256Hasher {
        Sha256Hasher(Sha256::new())
    }

    /// Takes 32 bytes that are a digest already, such as one that another program counted.
    #[must_use]
    pub fn from_array(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 raw bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Counts a digest piece by piece; also a [`std::io::Write`], so that files can be copied into it.
#[derive(Clone)]
pub struct Sha256Hasher(Sha256);

impl Sha256Hasher {
    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of everything that was added.
    #[must_use]
    pub fn finish(self) -> Sha256Digest {
        Sha256Digest(self.0.finalize().into())
    }
}

impl std::io::Write for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Why a text is not a SHA-256 digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// Not 64 characters long.
    #[error("a SHA-256 digest has 64 hexadecimal digits, this text has {found} bytes")]
    Length {
        /// Length of the text in bytes.
        found: usize,
    },
    /// A character other than `0-9a-f`.
    #[error("a SHA-256 digest is written in `0-9a-f`, found {found:?} at position {position}")]
    Digit {
        /// The first character that is not allowed.
        found: char,
        /// Its place, counted in bytes from 0.
        position: usize,
    },
}

impl FromStr for Sha256Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        if let Some((position, found)) = text
            .char_indices()
            .find(|(_, c)| !matches!(c, '0'..='9' | 'a'..='f'))
        {
            return Err(DigestError::Digit { found, position });
        }
        let mut bytes = [0; 32];
        match hex::decode_to_slice(text, &mut bytes) {
            Ok(()) => Ok(Self(bytes)),
            Err(_) => Err(DigestError::Length { found: text.len() }),
        }
    }
}

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex::encode(self.0))
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256Digest({self})")
    }
}

impl Serialize for Sha256Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4, example of one block.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn known_vector_in_one_piece_and_in_three() {
        assert_eq!(Sha256Digest::of(b"abc").to_string(), ABC);
        let mut hasher = Sha256Digest::hasher();
        for piece in [b"a", b"b", b"c"] {
            hasher.update(piece);
        }
        assert_eq!(hasher.finish().to_string(), ABC);
    }

    #[test]
    fn only_one_spelling_is_accepted() {
        assert_eq!(
            ABC.parse::<Sha256Digest>().unwrap(),
            Sha256Digest::of(b"abc")
        );
        let upper = ABC.to_uppercase();
        for bad in [
            "",
            "ba78",
            upper.as_str(),
            &ABC[1..],
            &format!("{ABC}0"),
            &ABC.replace('b', "g"),
        ] {
            assert!(
                bad.parse::<Sha256Digest>().is_err(),
                "{bad} must be refused"
            );
        }
    }

    #[test]
    fn json_is_the_hex_text() {
        let digest = Sha256Digest::of(b"abc");
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(json, format!("\"{ABC}\""));
        assert_eq!(serde_json::from_str::<Sha256Digest>(&json).unwrap(), digest);
        assert!(serde_json::from_str::<Sha256Digest>("\"BA\"").is_err());
    }
}
