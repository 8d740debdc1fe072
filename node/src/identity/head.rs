//! The signed head: how far the log of versions had come, kept beside the database.
//!
//! SQLCipher sees a forged page, but not an old one, nor an old file put back. The head does: it
//! says (epoch, sequence, root), is signed by the node's key, and is written after every commit.
//! The file holds two slots that are written in turn, so a torn write spoils at most one of them,
//! and a reader takes the valid slot with the higher sequence. It is written after the commit
//! that it speaks of, and never before: a crash in between leaves a head that is behind, which is
//! harmless. It must not hold a secret: `key_check` is a MAC under the database's key.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::keys::{AuthorKey, AuthorSecret};
use super::pae;

/// The media type that the PAE binds.
const MEDIA_TYPE: &str = "application/vnd.hallmark.head.v1+json";
const SLOT_BYTES: u64 = 1024;

/// The signed statement. Field order is the canonical one (RFC 8785); do not reorder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Ed25519 public key of the node, 64 hex digits.
    pub author: String,
    /// Name of this incarnation of the log, 32 hex digits; another one after a restore.
    pub epoch: String,
    /// MAC of the database's key, 64 hex digits: tells a wrong passphrase from a damaged page.
    pub key_check: String,
    /// The log's root after `seq` versions, 64 hex digits.
    pub root: String,
    /// The database's salt, 32 hex digits: its first 16 bytes.
    pub salt: String,
    /// How many versions the log had.
    pub seq: u64,
    /// The transcript's root after `transcript_seq` rows, 64 hex digits; absent: it had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript_root: Option<String>,
    /// How many rows the transcript had; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript_seq: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Slot {
    head: Head,
    signature: String,
}

/// What stands in the head's file.
#[derive(Debug)]
pub enum HeadState {
    /// There is no such file.
    Missing,
    /// There is one, and no slot in it is a head.
    Unreadable,
    /// The newest head in it; nobody has checked its signature yet.
    Present(UncheckedHead),
}

/// A head as it was read; [`UncheckedHead::check`] makes it one that may be believed.
#[derive(Debug, Clone)]
pub struct UncheckedHead {
    candidates: Vec<(Head, [u8; 64])>,
}

impl UncheckedHead {
    /// The newest head that carries a good signature by `key`; `None`: none does.
    #[must_use]
    pub fn check(&self, key: &AuthorKey) -> Option<&Head> {
        self.candidates
            .iter()
            .filter(|(head, signature)| {
                head.author == key.to_string()
                    && serde_json::to_vec(head).is_ok_and(|json| {
                        key.verify(&pae::encode(MEDIA_TYPE, &json), signature)
                            .is_ok()
                    })
            })
            .map(|(head, _)| head)
            .max_by_key(|head| (head.seq, head.transcript_seq))
    }

    /// The key that the newest head names, unverified: for showing only.
    #[must_use]
    pub fn claimed_author(&self) -> Option<&str> {
        let newest = self
            .candidates
            .iter()
            .max_by_key(|(head, _)| (head.seq, head.transcript_seq));
        newest.map(|(head, _)| head.author.as_str())
    }

    /// The key checks that stand in it, unverified: good enough to tell one error from another.
    pub fn key_checks(&self) -> impl Iterator<Item = (&str, &str)> {
        self.candidates
            .iter()
            .map(|(head, _)| (head.salt.as_str(), head.key_check.as_str()))
    }
}

/// Where the head of the database `db` stands: the same name with `.head` after it.
#[must_use]
pub fn path_beside(db: &Path) -> PathBuf {
    let mut name = db.as_os_str().to_owned();
    name.push(".head");
    PathBuf::from(name)
}

/// Reads what stands beside the database.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn read(path: &Path) -> io::Result<HeadState> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HeadState::Missing),
        Err(error) => return Err(error),
    };
    let slot_bytes = usize::try_from(SLOT_BYTES).unwrap_or(usize::MAX);
    let candidates: Vec<_> = bytes
        .chunks(slot_bytes)
        .take(2)
        .filter_map(|chunk| {
            let slot: Slot = serde_json::from_slice(chunk).ok()?;
            let mut signature = [0_u8; 64];
            hex::decode_to_slice(&slot.signature, &mut signature).ok()?;
            Some((slot.head, signature))
        })
        .collect();
    if candidates.is_empty() {
        return Ok(HeadState::Unreadable);
    }
    Ok(HeadState::Present(UncheckedHead { candidates }))
}

/// The open file, written to after every commit.
#[derive(Debug)]
pub struct HeadFile {
    file: File,
    next_slot: u64,
}

impl HeadFile {
    /// Makes the file new, mode 0600, with `head` in its first slot, and syncs it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(path: &Path, head: &Head, secret: &AuthorSecret) -> io::Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        let mut this = Self { file, next_slot: 0 };
        this.write(head, secret)?;
        this.file.sync_all()?;
        Ok(this)
    }

    /// Opens the file to go on after `current`, which was read from it.
    ///
    /// # Errors
    /// When it cannot be opened for writing.
    pub fn open(path: &Path, current: &Head) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).open(path)?;
        let bytes = std::fs::read(path)?;
        let slot_bytes = usize::try_from(SLOT_BYTES).unwrap_or(usize::MAX);
        let holds_current = bytes.chunks(slot_bytes).next().is_some_and(|chunk| {
            serde_json::from_slice::<Slot>(chunk).is_ok_and(|slot| slot.head == *current)
        });
        Ok(Self {
            file,
            next_slot: u64::from(holds_current),
        })
    }

    /// Writes `head` over the older slot. It is not synced: a head that is behind does no harm.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn write(&mut self, head: &Head, secret: &AuthorSecret) -> io::Result<()> {
        let json = serde_json::to_vec(head).map_err(io::Error::other)?;
        let signature = hex::encode(secret.sign(&pae::encode(MEDIA_TYPE, &json)));
        let slot = Slot {
            head: head.clone(),
            signature,
        };
        let mut line = serde_json::to_vec(&slot).map_err(io::Error::other)?;
        let length = usize::try_from(SLOT_BYTES).map_err(io::Error::other)?;
        if line.len() >= length {
            return Err(io::Error::other("the head does not fit into its slot"));
        }
        line.resize(length - 1, b' ');
        line.push(b'\n');
        self.file.write_all_at(&line, self.next_slot * SLOT_BYTES)?;
        self.next_slot ^= 1;
        Ok(())
    }

    /// Puts the file on the disk; done when the node stops.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}
