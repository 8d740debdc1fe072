//! Check `tag` in a bundle: whose key signed, and whether it was in force at signing, at the release
//! and now, told apart.

use verify::check::{CheckId, Outcome};
use verify::load::bundle::SOURCE;
use verify::load::policy::Policy;
use verify::report::assay;
use verify::trust::keyring::Fingerprint;
use verify::verdict::Verdict;

use crate::fixture::release::{outcome, said};
use crate::fixture::{Release, SIGNED};

const LENIENT: &str =
    "version = 1\n[signatures]\naccept_expired_since = true\naccept_retired_since = true\n";

/// A good release whose tag `key` signed at the usual time, and whose list the release key signed at
/// `released`.
fn tagged_by(release: &Release, key: &Fingerprint, released: &str) {
    release.repo.untag("v0.1.0");
    release.repo.tag("v0.1.0", &release.gnupg, key);
    let source = release.repo.bundle("again", &["refs/tags/v0.1.0"], &[]);
    std::fs::copy(source, release.at(SOURCE)).unwrap();
    release.restate();
    release.seal_at(released);
}

fn judged(release: &Release, key: &Fingerprint, policy: &str) -> (Outcome, Verdict) {
    let mut request = release.request();
    request.keyring = release.gnupg.keyring(&[&release.key, key]);
    request.policy = Policy::parse(policy).unwrap();
    let report = assay(request);
    (outcome(&report, CheckId::Tag), report.verdict)
}

fn facts(outcome: &Outcome) -> String {
    let facts = outcome.evidence().facts.iter();
    facts
        .map(|fact| format!("{}: {}\n", fact.name, fact.value))
        .collect()
}

#[test]
fn tag_by_a_key_in_force_at_signing_at_release_and_now_pass() {
    let release = Release::good();
    let key = release.gnupg.key("tagger");
    tagged_by(&release, &key, SIGNED);
    let (found, verdict) = judged(&release, &key, "version = 1");
    assert!(matches!(found, Outcome::Pass { .. }), "{found:?}");
    assert!(facts(&found).contains(&format!("signed by: {key} tagger")));
    assert_eq!(verdict, Verdict::Pass);
}

#[test]
fn tag_of_an_unknown_key_and_source_without_a_tag_fail() {
    let release = Release::good();
    let key = release.gnupg.key("tagger");
    tagged_by(&release, &key, SIGNED);
    let found = release.outcome(CheckId::Tag);
    assert!(matches!(found, Outcome::Fail { .. }), "{found:?}");
    assert!(said(&found).contains("which is not in the keyring"));
    release.write(SOURCE, b"# v2 git bundle\n\n");
    let found = release.outcome(CheckId::Tag);
    assert!(matches!(found, Outcome::Fail { .. }), "{found:?}");
}

#[test]
fn tag_signed_with_a_curve_that_this_program_does_not_have_undecided() {
    let release = Release::good();
    let key = release
        .gnupg
        .key_with("exotic", "brainpoolP256r1", "20250101T000000", "never");
    tagged_by(&release, &key, SIGNED);
    let (found, verdict) = judged(&release, &key, "version = 1");
    assert!(matches!(found, Outcome::Undecided { .. }), "{found:?}");
    assert!(said(&found).contains("which this program cannot check"));
    assert!(facts(&found).contains("git verify-tag"));
    assert_eq!(verdict, Verdict::NoVerdict);
}

#[test]
fn key_that_expired_before_the_release_counts_under_no_policy_fail() {
    let release = Release::good();
    // In force from January to 2 March; the tag is of 1 February.
    let key = release
        .gnupg
        .key_with("short", "ed25519", "20260101T000000", "60d");
    for (released, after) in [("20260301T000000", true), ("20260401T000000", false)] {
        tagged_by(&release, &key, released);
        let (strict, verdict) = judged(&release, &key, "version = 1");
        assert!(said(&strict).contains("has expired since"), "{strict:?}");
        let words = if after {
            "the release: the key was in force when it was released, at 2026-03-01"
        } else {
            "the release: the key was out of force already when it was released, at 2026-04-01"
        };
        assert!(facts(&strict).contains(words), "{}", facts(&strict));
        assert_eq!(verdict, Verdict::Fail);
        let (lenient, verdict) = judged(&release, &key, LENIENT);
        let wanted = if after { Verdict::Pass } else { Verdict::Fail };
        assert_eq!(verdict, wanted, "{lenient:?}");
        let words = if after {
            "was in force when"
        } else {
            "out of force already"
        };
        assert!(said(&lenient).contains(words), "{lenient:?}");
    }
}

#[test]
fn key_that_was_retired_before_the_release_counts_under_no_policy_fail() {
    for (released, wanted) in [
        ("20260301T000000", Verdict::Pass),
        ("20260501T000000", Verdict::Fail),
    ] {
        let release = Release::good();
        let key = release.gnupg.key("retired");
        tagged_by(&release, &key, released);
        release.gnupg.revoke(&key, "20260401T000000", 3);
        assert_eq!(judged(&release, &key, "version = 1").1, Verdict::Fail);
        let (lenient, verdict) = judged(&release, &key, LENIENT);
        assert_eq!(verdict, wanted, "{lenient:?}");
        // A key that was stolen is never taken, whenever that became known.
        let stolen = release.gnupg.key("stolen");
        tagged_by(&release, &stolen, released);
        release.gnupg.revoke(&stolen, "20260515T000000", 1);
        assert_eq!(judged(&release, &stolen, LENIENT).1, Verdict::Fail);
    }
}
