//! What peers say to each other: JSON over HTTP/1.1 over pinned TLS 1.3, every size bounded.
//!
//! | request | answer |
//! |---|---|
//! | `GET /fed/v1/changes?epoch=&after=&limit=` | [`Changes`]: versions in this node's local order |
//! | `POST /fed/v1/poke` | nothing: "I have something new" |
//! | `POST /fed/v1/ranges` [`RangeQuestions`] | [`RangeAnswers`]: for each range that differs its parts or ids |
//! | `POST /fed/v1/versions` [`Ids`] | [`Batch`]: in their order, as many as fit |
//! | `POST /fed/v1/push` [`Batch`] | [`Pushed`]: what became of each |

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::set::Prefix;
use crate::identity::admit::WireVersion;

/// Versions in one answer.
pub const PAGE_VERSIONS: usize = 1000;
/// Bytes of text in one answer, after which it ends.
pub const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of a message with versions in it.
pub const BATCH_BYTES: usize = 24 * 1024 * 1024;
/// Bytes of any other message.
pub const MESSAGE_BYTES: usize = 2 * 1024 * 1024;
/// Ranges in one question.
pub const RANGES: usize = 1024;
/// A range with no more ids than this is answered with the ids.
pub const LEAF_IDS: u64 = 12;
/// Ids that a range may be answered with.
pub const MAX_LEAF_IDS: usize = 64;

/// Versions in the sender's local order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// The sender's log; after a restore it has another name, and places in it mean nothing more.
    pub epoch: String,
    /// Where to go on.
    pub next: u64,
    /// There is more after `next`.
    pub more: bool,
    /// How many versions the sender has.
    pub count: u64,
    /// Their digest.
    pub digest: String,
    /// The sender can dial the receiver, and so will pull by itself.
    pub dials_back: bool,
    /// Own and relayed ones alike.
    pub versions: Vec<WireVersion>,
}

/// A range of version ids with the asker's sum.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RangeSum {
    /// Hex digits that the ids begin with.
    pub prefix: String,
    /// How many.
    pub count: u64,
    /// Their digest, 32 hex digits.
    pub digest: String,
}

/// Which ranges are equal?
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RangeQuestions {
    /// What the asker has.
    pub ranges: Vec<RangeSum>,
}

/// A range that differs: either its sixteen parts or its ids.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RangeView {
    /// Which.
    pub prefix: String,
    /// Count and digest of each of the sixteen parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<Vec<(u64, String)>>,
    /// Every id in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<String>>,
}

/// The ranges that differ.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RangeAnswers {
    /// What the answerer has.
    pub ranges: Vec<RangeView>,
}

/// Names of versions.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ids {
    /// 64 hex digits each.
    pub ids: Vec<String>,
}

/// Versions, in any order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// The versions.
    pub versions: Vec<WireVersion>,
}

/// What became of what was pushed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pushed {
    /// New here.
    pub taken: usize,
    /// Known before.
    pub known: usize,
    /// Put into quarantine.
    pub quarantined: usize,
}

/// Why a message is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMessage {
    /// It is not the JSON that belongs here.
    #[error("the message cannot be read: {0}")]
    Malformed(String),
    /// It has more parts than are allowed.
    #[error("the message has more than {0} parts")]
    TooMany(usize),
    /// A prefix, an id or a digest is none.
    #[error("`{0}` is not a range, an id or a digest")]
    NotARange(String),
}

/// Reads a message and bounds its parts.
pub trait Message: DeserializeOwned {
    /// Holds the parsed message against the limits.
    ///
    /// # Errors
    /// The first limit that it breaks.
    fn check(&self) -> Result<(), BadMessage>;

    /// Reads bytes.
    ///
    /// # Errors
    /// When they are no such message.
    fn read(bytes: &[u8]) -> Result<Self, BadMessage> {
        let parsed: Self =
            serde_json::from_slice(bytes).map_err(|e| BadMessage::Malformed(e.to_string()))?;
        parsed.check()?;
        Ok(parsed)
    }
}

fn at_most(count: usize, limit: usize) -> Result<(), BadMessage> {
    if count > limit {
        return Err(BadMessage::TooMany(limit));
    }
    Ok(())
}

fn not_a_range(text: &str) -> BadMessage {
    BadMessage::NotARange(text.chars().take(70).collect())
}

fn check_prefix(text: &str) -> Result<(), BadMessage> {
    Prefix::parse(text)
        .map(drop)
        .ok_or_else(|| not_a_range(text))
}

fn check_hex(text: &str, digits: usize) -> Result<(), BadMessage> {
    let good = text.len() == digits && Prefix::parse(text).is_some();
    if good { Ok(()) } else { Err(not_a_range(text)) }
}

impl Message for Changes {
    fn check(&self) -> Result<(), BadMessage> {
        check_hex(&self.epoch, 32)?;
        check_hex(&self.digest, 32)?;
        at_most(self.versions.len(), PAGE_VERSIONS)
    }
}

impl Message for Batch {
    fn check(&self) -> Result<(), BadMessage> {
        at_most(self.versions.len(), PAGE_VERSIONS)
    }
}

impl Message for Ids {
    fn check(&self) -> Result<(), BadMessage> {
        at_most(self.ids.len(), PAGE_VERSIONS)?;
        self.ids.iter().try_for_each(|id| check_hex(id, 64))
    }
}

impl Message for RangeQuestions {
    fn check(&self) -> Result<(), BadMessage> {
        at_most(self.ranges.len(), RANGES)?;
        self.ranges.iter().try_for_each(|range| {
            check_hex(&range.digest, 32)?;
            check_prefix(&range.prefix)
        })
    }
}

impl Message for RangeAnswers {
    fn check(&self) -> Result<(), BadMessage> {
        at_most(self.ranges.len(), RANGES)?;
        self.ranges.iter().try_for_each(|range| {
            check_prefix(&range.prefix)?;
            if let Some(parts) = &range.parts {
                if parts.len() != 16 {
                    return Err(BadMessage::TooMany(16));
                }
                parts
                    .iter()
                    .try_for_each(|(_, digest)| check_hex(digest, 32))?;
            }
            if let Some(ids) = &range.ids {
                at_most(ids.len(), MAX_LEAF_IDS)?;
                ids.iter().try_for_each(|id| check_hex(id, 64))?;
            }
            Ok(())
        })
    }
}

impl Message for Pushed {
    fn check(&self) -> Result<(), BadMessage> {
        Ok(())
    }
}
