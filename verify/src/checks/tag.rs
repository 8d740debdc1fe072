//! Check `tag`: the source is a tag that a trusted key signed.
//!
//! It reads `source.bundle` without git, hashes each object again, and says which commit the tag
//! is of. The key is judged at three times, told apart: when it signed the tag, when the release was
//! signed, and now. It does not say that the binaries come from the tag.

use crate::case::{Case, NoTag};
use crate::check::{Evidence, Outcome};
use crate::load::bundle::SOURCE;
use crate::trust::openpgp::Instant;
use crate::trust::tag::TagRefusal;

pub(crate) fn run(case: &Case<'_>) -> Outcome {
    let mut evidence = Evidence::default();
    let released = case.released_at().map(Instant);
    match case.tag() {
        Ok(tag) => {
            let signature = tag.signature();
            evidence.fact("tag", tag.name());
            evidence.fact("commit", tag.commit());
            evidence.fact(
                "signed by",
                format!("{} {}", signature.certificate(), signature.holder()),
            );
            evidence.fact("signed at", Instant(signature.made()));
            evidence.signature(format_args!("tag {}", tag.name()), signature);
            for leniency in case.policy().leniencies() {
                evidence.warn(format!("by the policy, {leniency}"));
            }
            match (case.taken_by_policy(), released) {
                (None, _) => {}
                (Some(refusal), Some(released)) => taken(refusal, released, &mut evidence),
                (Some(refusal), None) => evidence.unseen(format!(
                    "{refusal}; the policy takes that, but not what was so at the release, and no release key says when that was"
                )),
            }
            evidence.judged()
        }
        Err(NoTag::Refused(refusal)) => {
            evidence.fact("what to do", refusal.hint());
            if let (Some(ended), Some(released)) = (refusal.key_ended_at(), released) {
                evidence.fact("the release", at_release(ended, released));
            }
            if refusal.could_not_look() {
                evidence.undecided(refusal)
            } else {
                evidence.failed(refusal)
            }
        }
        Err(NoTag::Unexpected { expected, stated }) => evidence.failed(format!(
            "the release is of the tag `{stated}`, not of `{expected}` as expected"
        )),
        Err(NoTag::Unreadable(why)) if case.bundle().file(SOURCE).is_some() => {
            evidence.failed(format!("`{SOURCE}` holds no tag that can be read: {why}"))
        }
        Err(NoTag::Unreadable(why)) => evidence.failed(why),
    }
}

/// What the policy takes beyond the strict rules, it takes for what came to pass after the release:
/// a gate lets no tag through whose key is out of force on that day.
fn taken(refusal: &TagRefusal, released: Instant, evidence: &mut Evidence) {
    match refusal.key_ended_at() {
        Some(ended) if ended <= released => {
            evidence.problem(format!("{refusal}; {}", at_release(ended, released)));
        }
        Some(ended) => evidence.warn(format!("{refusal}; {}", at_release(ended, released))),
        None => evidence.problem(refusal),
    }
}

fn at_release(ended: Instant, released: Instant) -> String {
    if ended <= released {
        format!("the key was out of force already when it was released, at {released}")
    } else {
        format!("the key was in force when it was released, at {released}")
    }
}
