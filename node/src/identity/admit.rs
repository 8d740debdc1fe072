//! The one door for versions that others made: pushed and pulled alike.
//!
//! [`admit`] checks form, signature, content, limits, time and author, in this order, and gives an
//! [`AdmittedVersion`], which nothing else can make, or a [`Refused`] with its reason.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::authors::{Authors, Unwelcome};
use super::hlc::Hlc;
use super::keys::AuthorKey;
use super::version::{self, Kind, Op, VerifiedVersion, VersionId, VersionRefusal};
use crate::clock::Timestamp;
use crate::model::{LinkBody, Memory, MemoryBody, MemoryDraft, MemoryId, Namespace};

/// A version on the wire and in an export. Nothing in it is believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WireVersion {
    /// The canonical JSON, byte for byte.
    pub payload: String,
    /// Ed25519 over the payload's PAE, 128 hex digits.
    pub signature: String,
    /// What the content's hash begins with, 32 hex digits; absent for a tombstone, or once erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
    /// The content, byte for byte; absent for a tombstone, or once erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

impl WireVersion {
    /// The id that the payload has, whoever signed it.
    #[must_use]
    pub fn version_id(&self) -> VersionId {
        let pae = super::pae::encode(version::MEDIA_TYPE, self.payload.as_bytes());
        VersionId(Sha256::digest(&pae).into())
    }
}

/// Why a version is kept apart, as programs may rely on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It is no version.
    Malformed,
    /// The signature is not the author's.
    Forged,
    /// The content is not what was signed.
    Altered,
    /// A field is larger than a memory may have.
    OutOfBounds,
    /// Nobody named the author.
    UnknownAuthor,
    /// The author's key was taken back.
    RevokedAuthor,
    /// The author's key was not in force.
    OutsideValidity,
    /// The author may not write there.
    NamespaceRefused,
    /// It is dated more than five minutes ahead.
    FutureDated,
}

impl Reason {
    /// The reason's name in the database, in JSON and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Forged => "forged",
            Self::Altered => "altered",
            Self::OutOfBounds => "out_of_bounds",
            Self::UnknownAuthor => "unknown_author",
            Self::RevokedAuthor => "revoked_author",
            Self::OutsideValidity => "outside_validity",
            Self::NamespaceRefused => "namespace_refused",
            Self::FutureDated => "future_dated",
        }
    }

    /// Whether the signature fits, and only this node's rules keep it out.
    #[must_use]
    pub fn is_genuine(self) -> bool {
        matches!(
            self,
            Self::UnknownAuthor
                | Self::RevokedAuthor
                | Self::OutsideValidity
                | Self::NamespaceRefused
                | Self::FutureDated
        )
    }
}

/// A version that is not taken in.
#[derive(Clone, Debug)]
pub struct Refused {
    /// As it came.
    pub wire: WireVersion,
    /// Why.
    pub reason: Reason,
    /// Why, in words.
    pub detail: String,
}

impl Refused {
    /// Names what came, byte for byte: a forgery under a genuine version's id has another name.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        let wire = &self.wire;
        for part in [
            Some(&wire.payload),
            Some(&wire.signature),
            wire.salt.as_ref(),
            wire.body.as_ref(),
        ] {
            let part = part.map_or("", String::as_str);
            hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize().into()
    }

    /// The id that the payload has, whoever signed it.
    #[must_use]
    pub fn version_id(&self) -> VersionId {
        self.wire.version_id()
    }
}

/// What a version is about, read.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A memory's text.
    Memory(Box<MemoryBody>),
    /// A link.
    Link(LinkBody),
    /// A tombstone, or the text is erased.
    Nothing,
}

/// A version that may be taken in; only [`admit`] and [`admit_despite`] make one.
#[derive(Clone, Debug)]
pub struct AdmittedVersion {
    verified: VerifiedVersion,
    object: MemoryId,
    hlc: Hlc,
    payload: String,
    signature: [u8; 64],
    content: Option<([u8; 16], String)>,
    subject: Subject,
}

impl AdmittedVersion {
    /// The signed fields.
    #[must_use]
    pub fn verified(&self) -> &VerifiedVersion {
        &self.verified
    }

    /// The memory's or the link's id.
    #[must_use]
    pub fn object(&self) -> MemoryId {
        self.object
    }

    /// When it was made.
    #[must_use]
    pub fn hlc(&self) -> Hlc {
        self.hlc
    }

    /// The canonical JSON.
    #[must_use]
    pub fn payload_text(&self) -> &str {
        &self.payload
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> &[u8; 64] {
        &self.signature
    }

    /// Salt and text.
    #[must_use]
    pub fn content(&self) -> Option<(&[u8; 16], &str)> {
        self.content
            .as_ref()
            .map(|(salt, body)| (salt, body.as_str()))
    }

    /// What it is about.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }
}

/// Bytes of a payload.
const PAYLOAD_BYTES: usize = 16 * 1024;
/// Bytes of a content: a memory at its limits, every character escaped.
const BODY_BYTES: usize = 1024 * 1024;
/// Versions that one may replace.
const PARENTS: usize = 64;
/// Small facts.
const META: usize = 16;

/// Checks a version that somebody else made. `own` is always welcome: a node that was restored
/// gets back what it lost.
///
/// # Errors
/// The first thing that does not hold.
pub fn admit(
    wire: WireVersion,
    authors: &Authors,
    own: &AuthorKey,
    now: Timestamp,
) -> Result<AdmittedVersion, Box<Refused>> {
    let admitted = genuine(wire)?;
    let listed = authors.get(&admitted.verified.author()).is_some();
    if admitted.verified.author() == *own && !listed {
        return Ok(admitted);
    }
    match authors.judge(&admitted.verified, admitted.hlc.ms, now) {
        Ok(()) => Ok(admitted),
        Err(unwelcome) => {
            let reason = match unwelcome {
                Unwelcome::UnknownAuthor(_) => Reason::UnknownAuthor,
                Unwelcome::RevokedAuthor { .. } => Reason::RevokedAuthor,
                Unwelcome::OutsideValidity(_) => Reason::OutsideValidity,
                Unwelcome::Namespace { .. } => Reason::NamespaceRefused,
                Unwelcome::Future { .. } => Reason::FutureDated,
            };
            Err(Box::new(Refused {
                wire: admitted.into_wire(),
                reason,
                detail: unwelcome.to_string(),
            }))
        }
    }
}

/// What a person decided to take in all the same: form, signature and content must still hold.
///
/// # Errors
/// When they do not.
pub fn admit_despite(wire: WireVersion) -> Result<AdmittedVersion, Box<Refused>> {
    genuine(wire)
}

impl AdmittedVersion {
    fn into_wire(self) -> WireVersion {
        let (salt, body) = match self.content {
            Some((salt, body)) => (Some(hex::encode(salt)), Some(body)),
            None => (None, None),
        };
        WireVersion {
            payload: self.payload,
            signature: hex::encode(self.signature),
            salt,
            body,
        }
    }
}

fn genuine(wire: WireVersion) -> Result<AdmittedVersion, Box<Refused>> {
    match read(&wire) {
        Ok((verified, object, hlc, signature, salt, subject)) => Ok(AdmittedVersion {
            verified,
            object,
            hlc,
            signature,
            content: salt.zip(wire.body),
            payload: wire.payload,
            subject,
        }),
        Err((reason, detail)) => Err(Box::new(Refused {
            wire,
            reason,
            detail,
        })),
    }
}

type Parts = (
    VerifiedVersion,
    MemoryId,
    Hlc,
    [u8; 64],
    Option<[u8; 16]>,
    Subject,
);

fn read(wire: &WireVersion) -> Result<Parts, (Reason, String)> {
    let malformed = |what: &str| (Reason::Malformed, what.to_owned());
    if wire.payload.len() > PAYLOAD_BYTES {
        return Err((Reason::OutOfBounds, "the payload is too long".to_owned()));
    }
    if wire
        .body
        .as_ref()
        .is_some_and(|body| body.len() > BODY_BYTES)
    {
        return Err((Reason::OutOfBounds, "the content is too long".to_owned()));
    }
    let mut signature = [0_u8; 64];
    hex::decode_to_slice(&wire.signature, &mut signature)
        .map_err(|_| malformed("the signature is not 128 hex digits"))?;
    let salt = match &wire.salt {
        None => None,
        Some(text) => {
            let mut salt = [0_u8; 16];
            hex::decode_to_slice(text, &mut salt)
                .map_err(|_| malformed("the salt is not 32 hex digits"))?;
            Some(salt)
        }
    };
    if salt.is_some() != wire.body.is_some() {
        return Err(malformed("salt and content come together"));
    }
    let content = salt.as_ref().zip(wire.body.as_deref().map(str::as_bytes));
    let verified =
        version::verify(wire.payload.as_bytes(), &signature, content).map_err(|refusal| {
            let reason = match &refusal {
                VersionRefusal::Signature(_) => Reason::Forged,
                VersionRefusal::Content => Reason::Altered,
                _ => Reason::Malformed,
            };
            (reason, refusal.to_string())
        })?;
    let (object, hlc) = fields(&verified).map_err(|detail| (Reason::Malformed, detail))?;
    let subject = subject(&verified, object, wire.body.as_deref())?;
    Ok((verified, object, hlc, signature, salt, subject))
}

/// The signed fields, read; each has one spelling.
fn fields(verified: &VerifiedVersion) -> Result<(MemoryId, Hlc), String> {
    let payload = verified.payload();
    let object: MemoryId = payload.id.parse().map_err(|e| format!("{e}"))?;
    if object.to_string() != payload.id {
        return Err("the id is not in lower case".to_owned());
    }
    let hlc: Hlc = payload.hlc.parse().map_err(|e| format!("{e}"))?;
    let _: Namespace = payload.ns.parse().map_err(|e| format!("{e}"))?;
    let is_id = |text: &String| {
        text.len() == 64
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    if payload.parents.len() > PARENTS || !payload.parents.iter().all(is_id) {
        return Err("the parents are not version ids".to_owned());
    }
    if !payload.prev.is_empty() && !is_id(&payload.prev) {
        return Err("`prev` is not a version id".to_owned());
    }
    if payload.seq == 0 || payload.seq >= 1 << 53 {
        return Err("`seq` is not a count".to_owned());
    }
    if payload.meta.len() > META {
        return Err("`meta` has too many facts".to_owned());
    }
    let digest = &payload.content_sha256;
    match payload.op {
        Op::Put if !is_id(digest) => Err("the content's digest is missing".to_owned()),
        Op::Delete if !digest.is_empty() => Err("a tombstone has no content".to_owned()),
        Op::Delete if payload.parents.is_empty() => {
            Err("a tombstone names what it deletes".to_owned())
        }
        _ => Ok((object, hlc)),
    }
}

/// The content, held against the limits that every memory has.
fn subject(
    verified: &VerifiedVersion,
    object: MemoryId,
    body: Option<&str>,
) -> Result<Subject, (Reason, String)> {
    let payload = verified.payload();
    let Some(body) = body else {
        return Ok(Subject::Nothing);
    };
    if payload.op == Op::Delete {
        return Err((Reason::Malformed, "a tombstone has no content".to_owned()));
    }
    let unreadable = |error: serde_json::Error| (Reason::Malformed, error.to_string());
    match payload.kind {
        Kind::Link => {
            let link: LinkBody = serde_json::from_str(body).map_err(unreadable)?;
            Ok(Subject::Link(link))
        }
        Kind::Memory => {
            let body: MemoryBody = serde_json::from_str(body).map_err(unreadable)?;
            let memory = Memory::of_body(object, payload.ns.clone(), body);
            let (_, draft) = MemoryDraft::check_imported(memory)
                .map_err(|wrong| (Reason::OutOfBounds, wrong.to_string()))?;
            Ok(Subject::Memory(Box::new(draft.into_body())))
        }
    }
}
