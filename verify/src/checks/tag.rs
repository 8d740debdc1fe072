//! Check `tag`: the source is a tag that a trusted key signed.
//!
//! It reads `source.bundle` without git, hashes each object again, and says which commit the tag
//! is of. It does not say that the binaries come from it.

use crate::case::{Case, NoTag};
use crate::check::{Evidence, Outcome};
use crate::load::bundle::SOURCE;
use crate::trust::openpgp::Instant;

pub(crate) fn run(case: &Case<'_>) -> Outcome {
    let mut evidence = Evidence::default();
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
            for leniency in case.policy().leniencies() {
                evidence.warn(format!("by the policy, {leniency}"));
            }
            evidence.judged()
        }
        Err(NoTag::Refused(refusal)) => {
            evidence.fact("what to do", refusal.hint());
            evidence.failed(refusal)
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
