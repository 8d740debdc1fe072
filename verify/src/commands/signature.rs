//! `verify signature`: does a trusted key's detached signature stand over this file?

use std::time::SystemTime;

use super::Answer;
use super::answer::SingleReport;
use crate::check::Evidence;
use crate::cli::SignatureArgs;
use crate::load::policy::Role;
use crate::trust::openpgp::{Instant, MAX_SIGNATURE_BYTES, SignatureRefusal, verify_each};

/// The largest signed file, in bytes.
const MAX_FILE_BYTES: u64 = 4 << 30;

/// Runs the command.
///
/// # Errors
/// When an input cannot be read: there is no verdict then.
pub fn run(args: &SignatureArgs, now: SystemTime) -> anyhow::Result<Answer> {
    let keyring = super::keyring(&args.keyring)?;
    let policy = super::policy(args.policy.as_deref())?;
    let file = super::read(&args.file, MAX_FILE_BYTES)?;
    let signature = super::read(&args.signature, MAX_SIGNATURE_BYTES as u64)?;
    let authorised = policy.authorised(Role::Release);
    let mut evidence = Evidence::default();
    match verify_each(&file, &signature, &keyring, &policy.signature_rules(now)) {
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
    let subject = args.file.display().to_string();
    SingleReport::<()>::new("signature", subject, evidence.judged(), None).answer(
        "each signature over the file is by a trusted key",
        args.json,
    )
}

fn refused(refusal: &SignatureRefusal, evidence: &mut Evidence) {
    let words = format!("the signature: {refusal}");
    if refusal.could_not_look() {
        evidence.unseen(words);
    } else {
        evidence.problem(words);
    }
}
