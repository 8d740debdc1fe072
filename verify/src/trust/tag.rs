//! Answers: is this tag a release that a trusted key asked for?
//!
//! The only way to a [`VerifiedTag`] is [`verify_tag`], and it takes nothing on trust: not the
//! name of the ref, not the type of the target. It does no I/O; `git` hands it the object.
//! git, Documentation/gitformat-signature.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use super::keyring::{Fingerprint, Keyring};
use super::openpgp::{self, Instant, SignatureRefusal, SignatureRules, VerifiedSignature};
use super::ssh::{AllowedSigners, SshRefusal, VerifiedSigner};
use crate::git::{ObjectId, ObjectKind};

/// The longest tag name, in bytes.
const MAX_NAME_BYTES: usize = 200;

/// The largest tag object that is read, in bytes.
const MAX_TAG_BYTES: usize = 4 << 20;

/// The name of a tag, without `refs/tags/`: letters, digits, `.`, `_`, `+`, `-` and `/`, and a
/// name that git itself takes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagName(String);

/// Text that cannot be the name of a tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a tag name: letters, digits and `._+-/` are taken, beginning with a letter or digit"
)]
pub struct InvalidTagName(String);

impl TagName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The full name of its ref.
    #[must_use]
    pub fn full_ref(&self) -> String {
        format!("refs/tags/{}", self.0)
    }

    /// The version that the name states: the name without its path and without a leading `v`.
    #[must_use]
    pub fn version(&self) -> &str {
        let last = self.0.rsplit('/').next().unwrap_or(&self.0);
        last.strip_prefix('v').unwrap_or(last)
    }
}

impl fmt::Display for TagName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TagName {
    type Err = InvalidTagName;

    fn from_str(text: &str) -> Result<Self, InvalidTagName> {
        let refused = || InvalidTagName(text.to_owned());
        let part_holds = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_alphanumeric())
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "._+-".contains(c))
                && !part.contains("..")
                && !part.ends_with('.')
                && !part.ends_with(".lock")
        };
        if text.len() <= MAX_NAME_BYTES && text.split('/').all(part_holds) {
            Ok(Self(text.to_owned()))
        } else {
            Err(refused())
        }
    }
}

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

/// Why a tag is refused. One variant a reason; the same words in every program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TagRefusal {
    /// There is no such ref.
    #[error("there is no tag `{name}`")]
    NoSuchTag {
        /// The tag that was asked for.
        name: TagName,
    },
    /// The ref points at a commit: there is no tag object, so nothing is signed.
    #[error(
        "the tag is lightweight: it points straight at the {kind} `{id}`, and nothing is signed"
    )]
    Lightweight {
        /// What it points at.
        kind: ObjectKind,
        /// Its id.
        id: ObjectId,
    },
    /// There is a tag object, without a signature.
    #[error("the tag is annotated but not signed")]
    Unsigned,
    /// It carries an SSH signature.
    #[error("the tag is signed with an SSH key; an OpenPGP signature is required")]
    SshSigned,
    /// It carries an SSH signature that does not count.
    #[error("{0}")]
    BadSshSignature(SshRefusal),
    /// It carries an X.509 signature.
    #[error("the tag is signed with an X.509 certificate; an OpenPGP signature is required")]
    X509Signed,
    /// The object is not a well-formed tag.
    #[error("the tag object is malformed: {why}")]
    Malformed {
        /// What is wrong.
        why: String,
    },
    /// The signature does not match the tag.
    #[error("the signature is bad: {0}")]
    BadSignature(SignatureRefusal),
    /// The signing key is not in the keyring.
    #[error("the tag is signed by the key `{issuer}`, which is not in the keyring")]
    UnknownKey {
        /// Fingerprint or key id as the signature names it.
        issuer: String,
    },
    /// The signing key is in the keyring and may not sign tags.
    #[error("the key `{certificate}` is not authorised to sign tags")]
    KeyNotAuthorised {
        /// The signer's certificate.
        certificate: Fingerprint,
    },
    /// The key had expired before it signed.
    #[error("the key `{certificate}` expired at {at}, before it signed the tag at {signed}")]
    KeyExpired {
        /// The signer's certificate.
        certificate: Fingerprint,
        /// When it expired.
        at: Instant,
        /// When it signed.
        signed: Instant,
    },
    /// The key was in force when it signed, and has expired since.
    #[error("the key `{certificate}` signed the tag at {signed} and has expired since, at {at}")]
    KeyExpiredSince {
        /// The signer's certificate.
        certificate: Fingerprint,
        /// When it expired.
        at: Instant,
        /// When it signed.
        signed: Instant,
    },
    /// The key had been revoked before it signed.
    #[error(
        "the key `{certificate}` was revoked at {at} ({reason}), before it signed the tag at {signed}"
    )]
    KeyRevokedAtSigning {
        /// The signer's certificate.
        certificate: Fingerprint,
        /// When it was revoked.
        at: Instant,
        /// When it signed.
        signed: Instant,
        /// Why, in the revoker's words.
        reason: String,
    },
    /// The key has been revoked since.
    #[error(
        "the key `{certificate}` signed the tag at {signed} and was revoked since, at {at} ({reason})"
    )]
    KeyRevokedSince {
        /// The signer's certificate.
        certificate: Fingerprint,
        /// When it was revoked.
        at: Instant,
        /// When it signed.
        signed: Instant,
        /// Why, in the revoker's words.
        reason: String,
    },
    /// The signature's hash can be forged.
    #[error("the signature uses the weak hash {algorithm}")]
    WeakHash {
        /// The algorithm's name.
        algorithm: String,
    },
    /// The key may not sign, or is bound in a way that cannot be accepted.
    #[error("{0}")]
    KeyUnacceptable(SignatureRefusal),
    /// The tag object states another name than its ref.
    #[error("the tag object is named `{object}`, not `{wanted}`")]
    NameMismatch {
        /// The name of the ref.
        wanted: TagName,
        /// The name in the object; text from outside.
        object: String,
    },
    /// The tag does not point at a commit (a nested tag, a tree, a blob).
    #[error("the tag points at a {kind}, not at a commit")]
    TargetNotACommit {
        /// What it points at.
        kind: String,
    },
    /// The tag points at another commit than the one that is built.
    #[error("the tag points at the commit `{target}`, not at `{wanted}`, which is built")]
    TargetMismatch {
        /// The commit that is built.
        wanted: ObjectId,
        /// The commit in the tag.
        target: ObjectId,
    },
    /// The working tree differs from the commit.
    #[error("the working tree is dirty: {}", paths.join(", "))]
    DirtyTree {
        /// The paths that differ; text from outside.
        paths: Vec<String>,
    },
}

impl TagRefusal {
    /// What to do about it; a command where there is one.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoSuchTag { .. } => {
                "list the tags with `git tag --list`, or fetch them with `git fetch --tags`"
            }
            Self::Lightweight { .. } | Self::Unsigned => "make a signed tag with `git tag -s NAME`",
            Self::SshSigned | Self::X509Signed => {
                "sign with OpenPGP: `git config gpg.format openpgp`, then `git tag -s NAME`"
            }
            Self::Malformed { .. } | Self::TargetNotACommit { .. } => {
                "make a new tag of the commit with `git tag -s NAME COMMIT`"
            }
            Self::BadSshSignature(_) => {
                "see ssh-keygen(1), ALLOWED SIGNERS, for the list of who may sign"
            }
            Self::BadSignature(_) => {
                "the tag was changed after it was signed: get it again from its author"
            }
            Self::UnknownKey { .. } => {
                "if you trust this key, add its certificate to the keyring: `gpg --armor --export FINGERPRINT`"
            }
            Self::KeyNotAuthorised { .. } => "the policy names the keys that may sign tags",
            Self::KeyExpired { .. } | Self::KeyExpiredSince { .. } => {
                "if its owner has prolonged the key, fetch the certificate again"
            }
            Self::KeyRevokedAtSigning { .. } | Self::KeyRevokedSince { .. } => {
                "ask its owner why it was revoked; the release needs a tag by another key"
            }
            Self::WeakHash { .. } => {
                "sign anew with `git -c gpg.program=gpg tag -s` and `digest-algo SHA256`"
            }
            Self::KeyUnacceptable(_) => "look at the certificate with `gpg --list-packets`",
            Self::NameMismatch { .. } => {
                "an old signed tag was renamed; make a new one with `git tag -s NAME`"
            }
            Self::TargetMismatch { .. } => {
                "check out the tag's own commit: `git switch --detach NAME`"
            }
            Self::DirtyTree { .. } => "commit or remove what differs: `git status`",
        }
    }
}

impl From<SignatureRefusal> for TagRefusal {
    fn from(refusal: SignatureRefusal) -> Self {
        match refusal {
            SignatureRefusal::WeakHash { algorithm } => Self::WeakHash { algorithm },
            SignatureRefusal::UnknownKey { issuer } => Self::UnknownKey { issuer },
            SignatureRefusal::KeyNotAuthorised { certificate, .. } => {
                Self::KeyNotAuthorised { certificate }
            }
            SignatureRefusal::KeyExpired {
                certificate,
                at,
                signed,
            } => Self::KeyExpired {
                certificate,
                at,
                signed,
            },
            SignatureRefusal::KeyExpiredSince {
                certificate,
                at,
                signed,
            } => Self::KeyExpiredSince {
                certificate,
                at,
                signed,
            },
            SignatureRefusal::KeyRevokedAtSigning {
                certificate,
                at,
                signed,
                reason,
            } => Self::KeyRevokedAtSigning {
                certificate,
                at,
                signed,
                reason,
            },
            SignatureRefusal::KeyRevokedSince {
                certificate,
                at,
                signed,
                reason,
            } => Self::KeyRevokedSince {
                certificate,
                at,
                signed,
                reason,
            },
            key @ (SignatureRefusal::KeyCannotSign { .. }
            | SignatureRefusal::KeyUnacceptable { .. }) => Self::KeyUnacceptable(key),
            other => Self::BadSignature(other),
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

/// The headers of a tag object, in the order and number that git writes.
struct ParsedTag<'a> {
    whole: &'a [u8],
    body_at: usize,
    object: &'a [u8],
    kind: &'a [u8],
    name: &'a [u8],
    tagger: &'a [u8],
}

impl<'a> ParsedTag<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, TagRefusal> {
        if bytes.len() > MAX_TAG_BYTES {
            return Err(malformed("it is too large"));
        }
        let mut at = 0;
        let mut header = |key: &str| -> Result<&'a [u8], TagRefusal> {
            let line = bytes[at..]
                .split(|byte| *byte == b'\n')
                .next()
                .unwrap_or_default();
            at += line.len() + 1;
            line.strip_prefix(key.as_bytes())
                .and_then(|rest| rest.strip_prefix(b" "))
                .filter(|_| at <= bytes.len())
                .ok_or_else(|| malformed(&format!("where `{key}` is due stands something else")))
        };
        let object = header("object")?;
        let kind = header("type")?;
        let name = header("tag")?;
        let tagger = header("tagger")?;
        // Any further header (`gpgsig`, `encoding`) would be signed or shown in another way.
        if bytes.get(at) != Some(&b'\n') {
            return Err(malformed("it has further headers, or no message"));
        }
        Ok(Self {
            whole: bytes,
            body_at: at + 1,
            object,
            kind,
            name,
            tagger,
        })
    }

    /// The time that the tagger stated: `NAME <MAIL> SECONDS ZONE`.
    fn tagger_time(&self) -> Option<SystemTime> {
        let text = std::str::from_utf8(self.tagger).ok()?;
        let seconds = text.rsplit(' ').nth(1)?.parse().ok()?;
        SystemTime::UNIX_EPOCH.checked_add(std::time::Duration::from_secs(seconds))
    }

    /// Where the signature begins and its format. Splits where git splits: at the last line that
    /// begins a signature.
    fn split(&self) -> Option<(usize, Format)> {
        let mut found = None;
        let mut at = self.body_at;
        for line in self.whole[self.body_at..].split_inclusive(|byte| *byte == b'\n') {
            let format = [
                ("-----BEGIN PGP SIGNATURE-----", Format::OpenPgp),
                ("-----BEGIN PGP MESSAGE-----", Format::OpenPgpMessage),
                ("-----BEGIN SSH SIGNATURE-----", Format::Ssh),
                ("-----BEGIN SIGNED MESSAGE-----", Format::X509),
            ]
            .into_iter()
            .find(|(marker, _)| line.starts_with(marker.as_bytes()));
            if let Some((_, format)) = format {
                found = Some((at, format));
            }
            at += line.len();
        }
        found
    }

    /// What an OpenPGP signature is over, and the signature.
    fn signature(&self) -> Result<(&'a [u8], &'a [u8]), TagRefusal> {
        match self.split() {
            None => Err(TagRefusal::Unsigned),
            Some((_, Format::Ssh)) => Err(TagRefusal::SshSigned),
            Some((_, Format::X509)) => Err(TagRefusal::X509Signed),
            Some((_, Format::OpenPgpMessage)) => Err(malformed(
                "it holds an OpenPGP message where a detached signature is due",
            )),
            Some((at, Format::OpenPgp)) => {
                let signature = &self.whole[at..];
                if signature
                    .trim_ascii_end()
                    .ends_with(b"-----END PGP SIGNATURE-----")
                {
                    Ok((&self.whole[..at], signature))
                } else {
                    Err(malformed("something follows its signature"))
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Format {
    OpenPgp,
    OpenPgpMessage,
    Ssh,
    X509,
}

fn malformed(why: &str) -> TagRefusal {
    TagRefusal::Malformed {
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_git_or_a_path_would_read_otherwise_are_refused() {
        for good in ["v0.1.0", "1.0", "verify/v1.2.3-rc.1+b4"] {
            assert!(good.parse::<TagName>().is_ok(), "{good}");
        }
        for bad in [
            "", "-v1", "../v1", "v1/../x", "v1..2", "v 1", "v1.lock", "/v1", "v1/", "v1~1", "v1:",
            "v1\n", "@{-1}",
        ] {
            assert!(bad.parse::<TagName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_version_is_the_name_without_path_and_v() {
        assert_eq!(
            "verify/v0.1.0".parse::<TagName>().unwrap().version(),
            "0.1.0"
        );
    }
}
