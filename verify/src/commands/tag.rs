//! `verify tag`: is this tag of a repository signed by a key that you trust?

use std::path::Path;
use std::time::SystemTime;

use anyhow::Context as _;

use super::Answer;
use super::answer::SingleReport;
use crate::check::{Evidence, Outcome};
use crate::cli::TagArgs;
use crate::git::{ObjectId, Repository};
use crate::load::policy::Role;
use crate::trust::openpgp::Instant;
use crate::trust::tag::{TagRefusal, verify_ssh_tag, verify_tag};

/// Runs the command.
///
/// # Errors
/// When an input cannot be read: there is no verdict then.
pub fn run(args: &TagArgs, now: SystemTime) -> anyhow::Result<Answer> {
    let repository = open(&args.repository)?;
    let commit = match &args.commit {
        Some(text) => Some(
            ObjectId::from_hex(text.as_bytes())
                .with_context(|| format!("`{text}` is not a commit id"))?,
        ),
        None => None,
    };
    let outcome = match repository.tag(&args.tag)? {
        Err(refusal) => refused(&refusal),
        Ok(tag) => match (&args.allowed_signers, &args.keyring) {
            (Some(path), _) if tag.is_ssh_signed() => {
                let signers = super::allowed_signers(path)?;
                verify_ssh_tag(&tag, commit, &signers, now).map_or_else(
                    |refusal| refused(&refusal),
                    |verified| {
                        let mut evidence = Evidence::default();
                        evidence.fact("commit", verified.commit());
                        evidence.fact(
                            "signed by",
                            format!("{} (SSH {})", verified.principals(), verified.fingerprint()),
                        );
                        evidence.warn(
                            "an SSH signature holds no time of its own; the tagger's was taken",
                        );
                        evidence.judged()
                    },
                )
            }
            (_, Some(path)) => {
                let policy = super::policy(args.policy.as_deref())?;
                let keyring = super::keyring(path)?;
                let rules = policy.signature_rules(now);
                match verify_tag(
                    &tag,
                    commit,
                    &keyring,
                    &policy.authorised(Role::Tag),
                    &rules,
                ) {
                    Err(refusal) => refused(&refusal),
                    Ok(verified) => {
                        let mut evidence = Evidence::default();
                        evidence.fact("commit", verified.commit());
                        let signature = verified.signature();
                        evidence.fact(
                            "signed by",
                            format!("{} {}", signature.certificate(), signature.holder()),
                        );
                        evidence.fact("signed at", Instant(verified.made()));
                        evidence.fact("hash", signature.hash());
                        policy
                            .leniencies()
                            .iter()
                            .for_each(|words| evidence.warn(format!("by the policy, {words}")));
                        evidence.judged()
                    }
                }
            }
            (Some(_), None) => {
                Evidence::default().undecided("the tag is not signed with SSH; pass `--keyring`")
            }
            (None, None) => {
                anyhow::bail!("pass the keys that you trust: `--keyring` or `--allowed-signers`")
            }
        },
    };
    let subject = format!("tag {}", args.tag);
    SingleReport::<()>::new("tag", subject, outcome, None)
        .answer("the tag is signed by a trusted key", args.json)
}

fn open(path: &Path) -> anyhow::Result<Repository> {
    let opened = if path.is_file() {
        Repository::from_bundle(path)
    } else {
        Repository::open(path)
    };
    Ok(opened?)
}

fn refused(refusal: &TagRefusal) -> Outcome {
    let mut evidence = Evidence::default();
    evidence.fact("what to do", refusal.hint());
    if refusal.could_not_look() {
        evidence.undecided(refusal)
    } else {
        evidence.failed(refusal)
    }
}
