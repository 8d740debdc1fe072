//! Rotation: the old key says which key comes after it.
//!
//! A record is one line of the authors file, `rotation ed25519:<old> ed25519:<new> <when> <signature>`.
//! What is signed is the DSSE PAE over the canonical JSON `{at, new, old}`.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::keys::{AuthorKey, AuthorSecret};
use super::pae;
use crate::clock::Timestamp;

/// The media type that the PAE binds.
const MEDIA_TYPE: &str = "application/vnd.hallmark.rotation.v1+json";

/// A rotation whose signature by the old key was checked; only parsing and signing make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    old: AuthorKey,
    new: AuthorKey,
    at: Timestamp,
    signature: [u8; 64],
}

/// Why a line is no rotation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RotationRefusal {
    /// Words are missing, or are not what they should be.
    #[error(
        "a rotation is `rotation ed25519:<old key> ed25519:<new key> <RFC 3339 time> <128 hex digits>`"
    )]
    Malformed,
    /// The old key did not sign this.
    #[error("the rotation is not signed by the old key")]
    Signature,
}

#[derive(Serialize)]
struct Statement {
    at: String,
    new: String,
    old: String,
}

fn message(old: &AuthorKey, new: &AuthorKey, at: Timestamp) -> Vec<u8> {
    let statement = Statement {
        at: at.to_string(),
        new: new.to_string(),
        old: old.to_string(),
    };
    // Three strings of known alphabets always become JSON.
    let json = serde_json::to_vec(&statement).unwrap_or_default();
    pae::encode(MEDIA_TYPE, &json)
}

impl Rotation {
    /// Lets `old` say that `new` comes after it, from `at` on.
    #[must_use]
    pub fn sign(old: &AuthorSecret, new: &AuthorKey, at: Timestamp) -> Self {
        Self {
            old: old.public(),
            new: *new,
            at,
            signature: old.sign(&message(&old.public(), new, at)),
        }
    }

    /// The key that was used until then.
    #[must_use]
    pub fn old(&self) -> AuthorKey {
        self.old
    }

    /// The key that is used from then on.
    #[must_use]
    pub fn new_key(&self) -> AuthorKey {
        self.new
    }

    /// When.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }
}

impl fmt::Display for Rotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "rotation ed25519:{} ed25519:{} {} {}",
            self.old,
            self.new,
            self.at,
            hex::encode(self.signature)
        )
    }
}

impl FromStr for Rotation {
    type Err = RotationRefusal;

    fn from_str(line: &str) -> Result<Self, RotationRefusal> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let ["rotation", old, new, at, signed] = words.as_slice() else {
            return Err(RotationRefusal::Malformed);
        };
        let key = |word: &str| {
            word.strip_prefix("ed25519:")
                .and_then(|hex| hex.parse::<AuthorKey>().ok())
                .ok_or(RotationRefusal::Malformed)
        };
        let (old, new) = (key(old)?, key(new)?);
        let at: Timestamp = at.parse().map_err(|_| RotationRefusal::Malformed)?;
        let mut signature = [0_u8; 64];
        hex::decode_to_slice(signed, &mut signature).map_err(|_| RotationRefusal::Malformed)?;
        old.verify(&message(&old, &new, at), &signature)
            .map_err(|_| RotationRefusal::Signature)?;
        Ok(Self {
            old,
            new,
            at,
            signature,
        })
    }
}
