//! Why a tag is refused, and what to do about it.

use super::keyring::Fingerprint;
use super::refusal::{Instant, SignatureRefusal};
use super::ssh::SshRefusal;
use super::tag_name::TagName;
use crate::git::{ObjectId, ObjectKind};

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
    /// The signature's mathematics are ones that this program does not have.
    #[error("the tag's signature was made with {what}, which this program cannot check")]
    Unsupported {
        /// Which algorithm or curve.
        what: String,
    },
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
    /// Whether the tag could not be looked at. All other refusals say that something is false.
    #[must_use]
    pub fn could_not_look(&self) -> bool {
        matches!(
            self,
            Self::Unsupported { .. } | Self::BadSshSignature(SshRefusal::Unsupported(_))
        )
    }

    /// When the key expired or was revoked, where that is the reason.
    #[must_use]
    pub fn key_ended_at(&self) -> Option<Instant> {
        match self {
            Self::KeyExpired { at, .. }
            | Self::KeyExpiredSince { at, .. }
            | Self::KeyRevokedAtSigning { at, .. }
            | Self::KeyRevokedSince { at, .. } => Some(*at),
            _ => None,
        }
    }

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
            Self::BadSshSignature(SshRefusal::Unsupported(_)) => {
                "check it with `git verify-tag`, or ask for a tag by an Ed25519, ECDSA or RSA key"
            }
            Self::BadSshSignature(SshRefusal::NotTouched { .. }) => {
                "make the tag anew with `git tag -s NAME`, and touch the token when it asks"
            }
            Self::BadSshSignature(_) => {
                "see ssh-keygen(1), ALLOWED SIGNERS, for the list of who may sign"
            }
            Self::BadSignature(_) => {
                "the tag was changed after it was signed: get it again from its author"
            }
            Self::Unsupported { .. } => {
                "check it with `git verify-tag`, or ask for a tag by an Ed25519, P-256 or RSA key"
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
            SignatureRefusal::Unsupported { what } => Self::Unsupported { what },
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
