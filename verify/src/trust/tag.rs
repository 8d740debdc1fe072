//! Answers: is this tag a release that a trusted key asked for?
//!
//! The only way to a [`VerifiedTag`] is [`verify_tag`], and it takes nothing on trust: not the
//! name of the ref, not the type of the target. It does no I/O; `git` hands it the object.
//! git, Documentation/gitformat-signature.

use std::collections::BTreeSet;
use std::time::SystemTime;

use super::allowed_signers::AllowedSigners;
use super::keyring::{Fingerprint, Keyring};
use super::openpgp::{self, SignatureRules, VerifiedSignature};
use super::ssh::VerifiedSigner;
pub use super::tag_name::{InvalidTagName, TagName};
use super::tag_object::{Format, ParsedTag, malformed};
pub use super::tag_refusal::TagRefusal;
use crate::git::{ObjectId, ObjectKind};

/// Which keys of the keyring may do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorised {
    /// Each certificate in the keyring: the auditor chose the keyring for this.
    WholeKeyring,
    /// These certificates only, where the keyring holds them.
    Only(BTreeSet<Fingerprint>),
}

impl Authorised {
    /// Whether this certificate is among them.
    #[must_use]
    pub fn holds(&self, certificate: &Fingerprint) -> bool {
        match self {
            Self::WholeKeyring => true,
            Self::Only(named) => named.contains(certificate),
        }
    }
}

/// What a ref under `refs/tags/` points at, as `git` read it: hash checked, nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagObject {
    /// The name of the ref.
    pub name: TagName,
    /// The id of the object the ref points at.
    pub id: ObjectId,
    /// Its kind; anything but a tag object is a lightweight tag.
    pub kind: ObjectKind,
    /// Its bytes, without the object header.
    pub bytes: Vec<u8>,
}

impl TagObject {
    /// Whether it ends in an SSH signature; says nothing about whether that counts.
    #[must_use]
    pub fn is_ssh_signed(&self) -> bool {
        ParsedTag::read(&self.bytes)
            .is_ok_and(|parsed| matches!(parsed.split(), Some((_, Format::Ssh))))
    }
}

/// A tag that an allowed SSH key signed, under its own name, on a commit. Only [`verify_ssh_tag`]
/// makes one; a release needs a [`VerifiedTag`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshVerifiedTag {
    commit: ObjectId,
    signer: VerifiedSigner,
}

impl SshVerifiedTag {
    /// The commit it points at.
    #[must_use]
    pub fn commit(&self) -> ObjectId {
        self.commit
    }

    /// Who signed, as the list of allowed signers says.
    #[must_use]
    pub fn principals(&self) -> &str {
        self.signer.principals()
    }

    /// The fingerprint of the key, `SHA256:…`.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        self.signer.fingerprint()
    }
}

/// A tag that a trusted key signed, under its own name, on a commit. Only [`verify_tag`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedTag {
    name: TagName,
    id: ObjectId,
    commit: ObjectId,
    signature: VerifiedSignature,
}

impl VerifiedTag {
    /// The name of the tag, in ref and object.
    #[must_use]
    pub fn name(&self) -> &TagName {
        &self.name
    }

    /// The id of the tag object.
    #[must_use]
    pub fn id(&self) -> ObjectId {
        self.id
    }

    /// The commit it points at.
    #[must_use]
    pub fn commit(&self) -> ObjectId {
        self.commit
    }

    /// Who signed it, and when.
    #[must_use]
    pub fn signature(&self) -> &VerifiedSignature {
        &self.signature
    }

    /// When it was signed.
    #[must_use]
    pub fn made(&self) -> SystemTime {
        self.signature.made()
    }
}

/// Checks a tag: form, name, target, signature, key, in this order.
///
/// `commit` is the commit that is built; `None` where there is none to hold it against.
///
/// # Errors
/// The first reason to refuse it.
pub fn verify_tag(
    tag: &TagObject,
    commit: Option<ObjectId>,
    keyring: &Keyring,
    authorised: &Authorised,
    rules: &SignatureRules,
) -> Result<VerifiedTag, TagRefusal> {
    let (parsed, target) = well_formed(tag)?;
    let (payload, signature) = parsed.signature()?;
    let signature = openpgp::verify_detached(payload, signature, keyring, rules)?;
    if !authorised.holds(signature.certificate()) {
        return Err(TagRefusal::KeyNotAuthorised {
            certificate: signature.certificate().clone(),
        });
    }
    if let Some(wanted) = commit.filter(|wanted| *wanted != target) {
        return Err(TagRefusal::TargetMismatch { wanted, target });
    }
    Ok(VerifiedTag {
        name: tag.name.clone(),
        id: tag.id,
        commit: target,
        signature,
    })
}

/// Checks a tag that carries an SSH signature. The signature has no time of its own, so the time
/// that the tagger stated is held against the validity of the key, and must not lie in the future.
///
/// # Errors
/// The first reason to refuse it.
pub fn verify_ssh_tag(
    tag: &TagObject,
    commit: Option<ObjectId>,
    signers: &AllowedSigners,
    now: SystemTime,
) -> Result<SshVerifiedTag, TagRefusal> {
    let (parsed, target) = well_formed(tag)?;
    let (at, format) = parsed.split().ok_or(TagRefusal::Unsigned)?;
    if !matches!(format, Format::Ssh) {
        return Err(malformed("its signature is not of SSH"));
    }
    let made = parsed
        .tagger_time()
        .ok_or_else(|| malformed("its tagger states no time"))?;
    if made > now + openpgp::CLOCK_TOLERANCE {
        return Err(malformed("its tagger's time lies in the future"));
    }
    let signer = signers
        .verify(&tag.bytes[..at], &tag.bytes[at..], "git", made)
        .map_err(TagRefusal::BadSshSignature)?;
    if let Some(wanted) = commit.filter(|wanted| *wanted != target) {
        return Err(TagRefusal::TargetMismatch { wanted, target });
    }
    Ok(SshVerifiedTag {
        commit: target,
        signer,
    })
}

/// What holds for every tag, whoever signed it: form, name, target.
fn well_formed(tag: &TagObject) -> Result<(ParsedTag<'_>, ObjectId), TagRefusal> {
    if tag.kind != ObjectKind::Tag {
        return Err(TagRefusal::Lightweight {
            kind: tag.kind,
            id: tag.id,
        });
    }
    let parsed = ParsedTag::read(&tag.bytes)?;
    if parsed.name != tag.name.as_str().as_bytes() {
        return Err(TagRefusal::NameMismatch {
            wanted: tag.name.clone(),
            object: String::from_utf8_lossy(parsed.name).into_owned(),
        });
    }
    if parsed.kind != b"commit" {
        return Err(TagRefusal::TargetNotACommit {
            kind: String::from_utf8_lossy(parsed.kind).into_owned(),
        });
    }
    let target = ObjectId::from_hex(parsed.object)
        .ok()
        .filter(|id| id.kind() == tag.id.kind())
        .ok_or_else(|| malformed("its target is not an object id"))?;
    Ok((parsed, target))
}
