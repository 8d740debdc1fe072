//! `verify policy check`: what a policy asks for, in words.

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
pub fn check(args: &PolicyCheckArgs) -> anyhow::Result<Answer> {
    let policy = super::policy(Some(&args.policy))?;
    let mut evidence = Evidence::default();
    explain(&policy, &mut evidence);
    if let Some(path) = &args.keyring {
        let keyring = super::keyring(path)?;
        for role in Role::ALL {
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

fn explain(policy: &Policy, evidence: &mut Evidence) {
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
    if rules.accept_release_ignores {
        evidence.fact("ignores of the release", "count while they run");
    }
    for ignore in &rules.ignores {
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
    policy
        .leniencies()
        .iter()
        .for_each(|words| evidence.warn(words));
}
