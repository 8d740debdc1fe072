//! Check `advisories`: a database that could not have known is never a pass.

use std::path::Path;

use verify::check::{CheckId, Outcome};
use verify::load::bundle::{ADVISORIES as REPORT, VEX};
use verify::load::policy::Policy;
use verify::report::assay;
use verify::verdict::Verdict;

use crate::fixture::Release;
use crate::fixture::release::{ADVISORIES, add_advisory, advisory_text, outcome, said, write_db};

fn with_db(release: &Release, db: Option<&Path>, policy: Policy) -> (Outcome, Verdict) {
    let mut request = release.request();
    request.advisory_db = db.map(Path::to_owned);
    request.policy = policy;
    let report = assay(request);
    (outcome(&report, CheckId::Advisories), report.verdict)
}

fn undecided(release: &Release, db: Option<&Path>) -> String {
    let (outcome, verdict) = with_db(release, db, Policy::strict());
    assert!(matches!(outcome, Outcome::Undecided { .. }), "{outcome:?}");
    assert_eq!(verdict, Verdict::NoVerdict);
    said(&outcome)
}

fn policy(text: &str) -> Policy {
    Policy::parse(&format!("version = 1\n{text}")).unwrap()
}

#[test]
fn whole_young_database_pass() {
    let release = Release::good();
    let (outcome, verdict) = with_db(&release, Some(&release.db), Policy::strict());
    assert!(matches!(outcome, Outcome::Pass { .. }), "{outcome:?}");
    assert_eq!(verdict, Verdict::Pass);
}

#[test]
fn no_empty_small_truncated_or_stale_database_undecided() {
    let release = Release::good();
    assert!(undecided(&release, None).contains("no advisory database was given"));
    let folder = tempfile::tempdir().unwrap();
    assert!(undecided(&release, Some(folder.path())).contains("is not an advisory database"));
    std::fs::create_dir(folder.path().join("crates")).unwrap();
    std::fs::create_dir(folder.path().join("rust")).unwrap();
    assert!(undecided(&release, Some(folder.path())).contains("empty"));
    write_db(folder.path(), 20, "2026-05-30");
    assert!(undecided(&release, Some(folder.path())).contains("holds 20 advisories"));
    write_db(folder.path(), ADVISORIES, "2024-05-30");
    assert!(undecided(&release, Some(folder.path())).contains("it proves nothing"));
    write_db(folder.path(), ADVISORIES, "2026-05-30");
    add_advisory(
        folder.path(),
        "crates/leaf/RUSTSEC-2026-0900.md",
        "```toml\n[advisory]\n",
    );
    assert!(undecided(&release, Some(folder.path())).contains("RUSTSEC-2026-0900"));
}

#[test]
fn age_is_a_warning_until_the_limit_of_the_policy() {
    let release = Release::good();
    let folder = tempfile::tempdir().unwrap();
    write_db(folder.path(), ADVISORIES, "2026-05-01");
    let (warned, verdict) = with_db(&release, Some(folder.path()), Policy::strict());
    assert!(said(&warned).contains("31 days old"));
    assert_eq!(verdict, Verdict::Pass);
    let (refused, verdict) = with_db(
        &release,
        Some(folder.path()),
        policy("[advisories]\nmax_age_days = 30"),
    );
    assert!(matches!(refused, Outcome::Undecided { .. }));
    assert_eq!(verdict, Verdict::NoVerdict);
}

#[test]
fn advisory_that_became_known_since_fail_unless_the_auditor_accepts_it_for_a_time() {
    let release = Release::good();
    let db = tempfile::tempdir().unwrap();
    write_db(db.path(), ADVISORIES, "2026-05-30");
    let text = advisory_text("RUSTSEC-2026-0900", "leaf", "2026-05-31");
    add_advisory(db.path(), "crates/leaf/RUSTSEC-2026-0900.md", &text);
    let (found, verdict) = with_db(&release, Some(db.path()), Policy::strict());
    assert!(
        said(&found).contains("RUSTSEC-2026-0900 stands against leaf 1.0.0"),
        "{found:?}"
    );
    assert!(said(&found).contains("became known after the release"));
    assert_eq!(verdict, Verdict::Fail);
    let ignore = |expires: &str| {
        policy(&format!(
            "[[advisories.ignore]]\nid = \"RUSTSEC-2026-0900\"\nreason = \"not reached\"\nexpires = \"{expires}\"\ndecided_by = \"zoe\""
        ))
    };
    let (accepted, verdict) = with_db(&release, Some(db.path()), ignore("2026-06-01"));
    assert!(
        said(&accepted).contains("is accepted until 2026-06-01 by zoe: not reached"),
        "{accepted:?}"
    );
    assert_eq!(verdict, Verdict::Pass);
    let (expired, verdict) = with_db(&release, Some(db.path()), ignore("2026-05-31"));
    assert!(said(&expired).contains("has expired"), "{expired:?}");
    assert_eq!(verdict, Verdict::Fail);
}

#[test]
fn decisions_of_the_release_that_no_release_key_vouches_for_fail() {
    let release = Release::with_an_accepted_advisory();
    let folder = tempfile::tempdir().unwrap();
    write_db(folder.path(), 520, "2026-05-30");
    add_advisory(
        folder.path(),
        "crates/leaf/RUSTSEC-2026-0900.md",
        &advisory_text("RUSTSEC-2026-0900", "leaf", "2026-05-29"),
    );
    // A policy that looks at nothing else: the check stands for itself.
    let alone = || policy("required = [\"advisories\"]\n");
    let (good, verdict) = with_db(&release, Some(folder.path()), alone());
    assert_eq!(verdict, Verdict::Pass, "{good:?}");
    assert!(
        said(&good).contains("is accepted until 2026-12-31 by zoe: never called"),
        "{good:?}"
    );

    let unsigned = |change: &dyn Fn()| {
        change();
        let (outcome, verdict) = with_db(&release, Some(folder.path()), alone());
        let words = said(&outcome);
        assert_eq!(verdict, Verdict::Fail, "{words}");
        assert!(
            words.contains("RUSTSEC-2026-0900 stands against leaf 1.0.0")
                && words.contains("no release key vouches for `advisories.json`"),
            "{words}"
        );
    };
    // The list of checksums is signed, but has another file under this name.
    let report = release.read("advisories.json");
    unsigned(&|| {
        let text = String::from_utf8(report.clone()).unwrap();
        let later = text.replace("2026-12-31", "2099-12-31");
        assert_ne!(later, text);
        release.write("advisories.json", later.as_bytes());
        let vex = String::from_utf8(release.read("vex.cdx.json")).unwrap();
        release.write(
            "vex.cdx.json",
            vex.replace("2026-12-31", "2099-12-31").as_bytes(),
        );
    });
    // Nobody signed the list.
    unsigned(&|| {
        release.restate();
        std::fs::remove_file(release.at("SHA256SUMS.asc")).unwrap();
    });
}

#[test]
fn release_that_was_gated_by_no_or_too_small_a_database_undecided() {
    let release = Release::good();
    for (count, words) in [(0, "nobody looked"), (20, "gated by a database of 20 ")] {
        let mut report = release.advisories(20);
        report.database.count = count;
        release.write(REPORT, &report.to_bytes());
        release.restate();
        let said = undecided(&release, Some(&release.db));
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn release_without_a_readable_report_fail() {
    let release = Release::good();
    release.write(REPORT, b"{}");
    release.seal();
    assert_eq!(release.assay().verdict, Verdict::Fail);
}

#[test]
fn policy_that_does_not_require_it_says_so_in_roster_and_verdict() {
    let release = Release::good();
    let mut request = release.request();
    request.advisory_db = None;
    request.policy = policy("required = [\"manifest\", \"tag\", \"provenance\", \"sbom\"]");
    let report = assay(request);
    assert_eq!(report.verdict, Verdict::Pass);
    let text = verify::output::human::render(&report, verify::output::human::Colour::Off);
    assert!(
        text.contains("NOT MADE  advisories   no advisory database was given"),
        "{text}"
    );
    assert!(
        text.contains("! the policy does not require this check"),
        "{text}"
    );
    assert!(
        text.contains("NOT checked, because the policy does not require it: advisories, rebuild"),
        "{text}"
    );
}

#[test]
fn vex_that_states_something_else_than_the_gate_decided_fail() {
    let release = Release::good();
    let vex = String::from_utf8(release.read(VEX)).unwrap();
    let said_of = |bytes: &[u8]| {
        release.write(VEX, bytes);
        release.restate();
        let (found, verdict) = with_db(&release, Some(&release.db), Policy::strict());
        assert_eq!(verdict, Verdict::Fail);
        said(&found)
    };
    let added = vex.replace(
        "\"vulnerabilities\": []",
        "\"vulnerabilities\": [{\"id\":\"RUSTSEC-2026-0900\",\"analysis\":{\"state\":\"not_affected\"}}]",
    );
    assert_ne!(added, vex);
    let said = said_of(added.as_bytes());
    assert!(
        said.contains("states of `RUSTSEC-2026-0900` what the report does not decide"),
        "{said}"
    );
    assert!(said_of(b"{}").contains("`vex.cdx.json`: the VEX document is not CycloneDX"));
}
