//! `verify policy check`: what a policy asks for, in words.

use std::time::SystemTime;

use time::OffsetDateTime;

use super::Answer;
use super::answer::SingleReport;
use crate::check::{CHECKS, Evidence};
use crate::cli::PolicyCheckArgs;
use crate::load::policy::{Policy, Role};
use crate::trust::tag::Authorised;

/// Runs the command.
///
/// # Errors
/// When the policy cannot be read or is refused.
pub fn check(args: &PolicyCheckArgs, now: SystemTime) -> anyhow::Result<Answer> {
    let policy = super::policy(Some(&args.policy))?;
    let mut evidence = Evidence::default();
    explain(&policy, now, &mut evidence);
    if let Some(path) = &args.keyring {
        let keyring = super::keyring(path)?;
        for role in Role::ALL {
            let (threshold, held) = (policy.threshold(role), keyring.len());
            if threshold > held {
                evidence.problem(format!(
                    "`{role}` needs {threshold} distinct keys, and the keyring holds {held}"
                ));
            }
            let Authorised::Only(named) = policy.authorised(role) else {
                continue;
            };
            for fingerprint in named.iter().filter(|named| keyring.holder(named).is_none()) {
                evidence.problem(format!(
                    "the keyring does not hold `{fingerprint}`, which may sign `{role}`"
                ));
            }
        }
        for (certificate, operator) in policy.operators() {
            if keyring.holder(certificate).is_none() {
                evidence.problem(format!(
                    "the keyring does not hold `{certificate}`, the rebuilder of {operator}"
                ));
            }
        }
    }
    let subject = args.policy.display().to_string();
    SingleReport::<()>::new("policy", subject, evidence.judged(), None)
        .answer("the policy can be read, and asks for this", args.json)
}

fn explain(policy: &Policy, now: SystemTime, evidence: &mut Evidence) {
    for check in CHECKS {
        let words = if policy.requires(check.id) {
            "required: "
        } else {
            "NOT required: "
        };
        evidence.fact(check.id.as_str(), format!("{words}{}", check.claim));
    }
    if !CHECKS.iter().any(|check| policy.requires(check.id)) {
        evidence.warn("nothing is required: there is never a pass");
    }
    for role in Role::ALL {
        let who = match policy.authorised(role) {
            Authorised::WholeKeyring => String::from("any key of the keyring"),
            Authorised::Only(keys) => keys
                .iter()
                .map(|key| key.as_str().to_owned())
                .collect::<Vec<_>>()
                .join(" or "),
        };
        evidence.fact(
            &format!("may sign {role}"),
            format!("{who}; {} distinct key(s) needed", policy.threshold(role)),
        );
    }
    for (certificate, operator) in policy.operators() {
        evidence.fact(
            "rebuilder",
            format!("{certificate} is run by {operator}; one operator is one voice"),
        );
    }
    let rules = policy.advisories();
    evidence.fact(
        "advisory database",
        format!(
            "at most {} days old, at least {} advisories",
            rules.max_age_days, rules.min_count
        ),
    );
    evidence.fact("advisory database, when fetched", &rules.origin);
    evidence.fact(
        "ignores of the release",
        if rules.accept_release_ignores {
            "count while they run, where a release key vouches for them"
        } else {
            "do NOT count"
        },
    );
    let today = OffsetDateTime::from(now).date();
    for ignore in &rules.ignores {
        if ignore.has_expired(today) {
            evidence.warn(format!(
                "the decision to ignore {} ran until {} and counts no more",
                ignore.id(),
                ignore.expires()
            ));
        }
        evidence.fact(
            "ignored",
            format!(
                "{} until {} by {}: {}",
                ignore.id(),
                ignore.expires(),
                ignore.decided_by(),
                ignore.reason()
            ),
        );
    }
    let leniencies = policy.leniencies();
    if leniencies.is_empty() {
        evidence.fact(
            "signatures",
            "SHA-1 never counts, nor does a key that has expired or was revoked, even since it signed",
        );
    }
    leniencies.iter().for_each(|words| evidence.warn(words));
}
