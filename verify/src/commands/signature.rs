//! `verify signature`: does a trusted key's detached signature stand over this file?

use std::time::SystemTime;

use super::Answer;
use super::answer::SingleReport;
use crate::check::Evidence;
use crate::cli::SignatureArgs;
use crate::load::policy::Role;
use crate::trust::openpgp::{Instant, MAX_SIGNATURE_BYTES, SignatureRefusal, verify_each};
use crate::trust::ssh::SshRefusal;

/// The largest signed file, in bytes.
const MAX_FILE_BYTES: u64 = 4 << 30;

/// Runs the command.
///
/// # Errors
/// When an input cannot be read: there is no verdict then.
pub fn run(args: &SignatureArgs, now: SystemTime) -> anyhow::Result<Answer> {
    let file = super::read(&args.file, MAX_FILE_BYTES)?;
    let signature = super::read(&args.signature, MAX_SIGNATURE_BYTES as u64)?;
    let evidence = match Format::of(&signature) {
        Format::Ssh => by_ssh(args, &file, &signature, now)?,
        Format::OpenPgp => by_openpgp(args, &file, &signature, now)?,
        Format::X509 => {
            let mut evidence = Evidence::default();
            evidence.problem("the signature is an X.509 one, which is not taken here");
            evidence
        }
    };
    let subject = args.file.display().to_string();
    SingleReport::<()>::new("signature", subject, evidence.judged(), None).answer(
        "each signature over the file is by a trusted key",
        args.json,
    )
}

/// What a detached signature begins with.
enum Format {
    OpenPgp,
    Ssh,
    X509,
}

impl Format {
    /// By the armor; what has none that is known is left to the reader of OpenPGP.
    fn of(signature: &[u8]) -> Self {
        let begins = |text: &str| signature.trim_ascii_start().starts_with(text.as_bytes());
        if begins("-----BEGIN SSH SIGNATURE-----") {
            Self::Ssh
        } else if ["SIGNED MESSAGE", "PKCS7", "CMS"]
            .iter()
            .any(|label| begins(&format!("-----BEGIN {label}-----")))
        {
            Self::X509
        } else {
            Self::OpenPgp
        }
    }
}

fn by_ssh(
    args: &SignatureArgs,
    file: &[u8],
    signature: &[u8],
    now: SystemTime,
) -> anyhow::Result<Evidence> {
    let Some(path) = &args.allowed_signers else {
        anyhow::bail!(
            "the signature is an SSH one; pass the keys that you trust: `--allowed-signers`"
        );
    };
    let signers = super::allowed_signers(path)?;
    let mut evidence = Evidence::default();
    match signers.verify(file, signature, &args.namespace, now) {
        Ok(signer) => {
            evidence.fact(
                "signed by",
                format!("{} (SSH {})", signer.principals(), signer.fingerprint()),
            );
            evidence.fact("for", &args.namespace);
            evidence.warn("an SSH signature holds no time of its own; the key was judged now");
        }
        Err(refusal @ SshRefusal::Unsupported(_)) => evidence.unseen(refusal),
        Err(refusal) => evidence.problem(refusal),
    }
    Ok(evidence)
}

fn by_openpgp(
    args: &SignatureArgs,
    file: &[u8],
    signature: &[u8],
    now: SystemTime,
) -> anyhow::Result<Evidence> {
    let Some(path) = &args.keyring else {
        anyhow::bail!("the signature is not an SSH one; pass the keys that you trust: `--keyring`");
    };
    let keyring = super::keyring(path)?;
    let policy = super::policy(args.policy.as_deref())?;
    let authorised = policy.authorised(Role::Release);
    let mut evidence = Evidence::default();
    match verify_each(file, signature, &keyring, &policy.signature_rules(now)) {
        Err(refusal) => refused(&refusal, &mut evidence),
        Ok(each) => {
            for judged in each {
                match judged {
                    Ok(verified) if authorised.holds(verified.certificate()) => {
                        let at = Instant(verified.made());
                        evidence.fact(
                            "signed by",
                            format!("{} {}", verified.certificate(), verified.holder()),
                        );
                        evidence.fact("signed at", at);
                    }
                    Ok(verified) => {
                        let (certificate, what) =
                            (verified.certificate().clone(), String::from("releases"));
                        evidence.problem(SignatureRefusal::KeyNotAuthorised { certificate, what });
                    }
                    Err(refusal) => refused(&refusal, &mut evidence),
                }
            }
        }
    }
    Ok(evidence)
}

fn refused(refusal: &SignatureRefusal, evidence: &mut Evidence) {
    let words = format!("the signature: {refusal}");
    if refusal.could_not_look() {
        evidence.unseen(words);
    } else {
        evidence.problem(words);
    }
}
