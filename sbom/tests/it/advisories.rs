//! Which advisories affect which packages, and what follows.

use sbom::advisories::{Analysis, Database, Decision, FindingKind, Ignore, Report, Rules, Target};
use sbom::model::package::Package;
use sbom::source::{cargo_lock, dep_v0};
use time::macros::{date, datetime};

use crate::support::advisory;

const CVSS: &str =
    "cvss = \"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H\"\naliases = [\"CVE-2026-1111\"]";

pub(crate) fn database() -> Database {
    let document = |id: &str, more: &str, versions: &str| {
        (
            format!("crates/leaf/{id}.md"),
            advisory(id, "leaf", more, versions),
        )
    };
    Database::from_documents([
        document("RUSTSEC-2026-0001", CVSS, "patched = [\">= 1.2.0\"]\nunaffected = [\"< 1.0.0\"]"),
        document("RUSTSEC-2026-0002", "informational = \"unmaintained\"", "patched = []"),
        document("RUSTSEC-2026-0003", "withdrawn = \"2026-02-03\"", "patched = []"),
        document(
            "RUSTSEC-2026-0004",
            "",
            "patched = []\n[affected]\nos = [\"windows\"]\nfunctions = { \"leaf::go\" = [\"< 1.1.0\"], \"leaf::new\" = [\">= 2.0.0\"] }",
        ),
        document("RUSTSEC-2026-0005", "informational = \"unsound\"", "patched = [\">= 1.0.1\"]"),
        ("rust/std/RUSTSEC-2026-0006.md".into(), advisory("RUSTSEC-2026-0006", "std", "", "patched = []")),
    ])
    .unwrap()
}

fn packages(version: &str, source: &str) -> Vec<Package> {
    let json = format!(
        r#"{{"packages":[{{"name":"app","version":"1.0.0","source":"local","root":true,"dependencies":[1]}},
            {{"name":"leaf","version":"{version}","source":"{source}"}}]}}"#
    );
    dep_v0::parse(&json).unwrap().packages().to_vec()
}

fn ids(version: &str, target: Option<Target>) -> Vec<String> {
    let found = database()
        .affecting(&packages(version, "crates.io"), target)
        .unwrap();
    found.into_iter().map(|finding| finding.id).collect()
}

#[test]
fn version_ranges_decide() {
    let all = ["0001", "0002", "0003", "0004", "0005"].map(|n| format!("RUSTSEC-2026-{n}"));
    assert_eq!(ids("1.0.0", None), all);
    assert_eq!(
        ids("1.2.0", None),
        [&all[1], &all[2], &all[3]].map(String::clone)
    );
    assert_eq!(
        ids("0.9.0", None),
        [&all[1], &all[2], &all[3], &all[4]].map(String::clone)
    );
}

#[test]
fn an_advisory_for_another_system_does_not_affect_the_target() {
    let linux: Target = "x86_64-unknown-linux-gnu".parse().unwrap();
    let windows: Target = "x86_64-pc-windows-msvc".parse().unwrap();
    assert!(!ids("1.0.0", Some(linux)).contains(&"RUSTSEC-2026-0004".to_owned()));
    assert!(ids("1.0.0", Some(windows)).contains(&"RUSTSEC-2026-0004".to_owned()));
    assert!("x86_64-no-such-thing".parse::<Target>().is_err());
}

#[test]
fn affected_functions_are_those_of_the_version_that_is_there() {
    let found = database()
        .affecting(&packages("1.0.0", "crates.io"), None)
        .unwrap();
    let functions = &found
        .iter()
        .find(|f| f.id == "RUSTSEC-2026-0004")
        .unwrap()
        .affected
        .functions;
    assert_eq!(functions, &["leaf::go"]);
}

#[test]
fn packages_from_elsewhere_are_not_covered_and_the_report_says_so() {
    assert_eq!(
        database()
            .affecting(&packages("1.0.0", "git"), None)
            .unwrap(),
        []
    );
    let report = report(&packages("1.0.0", "git"), &[], &[]);
    assert_eq!(report.not_covered, ["app 1.0.0", "leaf 1.0.0"]);
}

pub(crate) fn report(packages: &[Package], ignores: &[Ignore], stops_at: &[FindingKind]) -> Report {
    let rules = Rules {
        today: date!(2026 - 03 - 01),
        stops_at,
        ignores,
        target: Some("x86_64-unknown-linux-gnu".parse().unwrap()),
    };
    Report::new(
        &database(),
        (Some("c0ffee".into()), None),
        datetime!(2026-03-01 12:00 UTC),
        [("app", packages), ("tool", packages)],
        &rules,
    )
    .unwrap()
}

fn decision(report: &Report, id: &str) -> Decision {
    let mut same = report
        .findings
        .iter()
        .filter(|judged| judged.finding.id.ends_with(id));
    let first = same.next().unwrap().decision;
    assert!(same.next().is_none(), "one finding for two binaries");
    first
}

#[test]
fn vulnerabilities_stop_and_informational_advisories_inform_unless_told() {
    let plain = report(&packages("1.0.0", "crates.io"), &[], &[]);
    assert_eq!(decision(&plain, "0001"), Decision::Stops);
    assert_eq!(decision(&plain, "0002"), Decision::Informs);
    assert_eq!(decision(&plain, "0003"), Decision::Withdrawn);
    assert_eq!(plain.stopping().count(), 1);
    let strict = report(
        &packages("1.0.0", "crates.io"),
        &[],
        &[FindingKind::Unmaintained],
    );
    assert_eq!(decision(&strict, "0002"), Decision::Stops);
}

#[test]
fn an_ignore_counts_until_its_last_day_and_under_every_name_of_the_advisory() {
    let ignore = |id: &str, day| Ignore::new(id, "not reachable", day, "A. Decider").unwrap();
    let packages = packages("1.0.0", "crates.io");
    for id in ["RUSTSEC-2026-0001", "CVE-2026-1111"] {
        let valid = report(&packages, &[ignore(id, date!(2026 - 03 - 01))], &[]);
        assert_eq!(decision(&valid, "0001"), Decision::Ignored);
        assert_eq!(valid.stopping().count(), 0);
        let expired = report(&packages, &[ignore(id, date!(2026 - 02 - 28))], &[]);
        assert_eq!(decision(&expired, "0001"), Decision::IgnoreExpired);
        assert_eq!(expired.stopping().count(), 1);
    }
    let unused = report(
        &packages,
        &[ignore("RUSTSEC-1999-0001", date!(2027 - 01 - 01))],
        &[],
    );
    assert_eq!(unused.unused_ignores, ["RUSTSEC-1999-0001"]);
}

#[test]
fn an_ignore_without_reason_expiry_or_decider_cannot_be_read() {
    let whole =
        r#"{"id":"RUSTSEC-2026-0001","reason":"r","expires":"2026-03-01","decided_by":"d"}"#;
    let ignore: Ignore = serde_json::from_str(whole).unwrap();
    assert_eq!(
        (ignore.analysis(), ignore.expires()),
        (Analysis::InTriage, date!(2026 - 03 - 01))
    );
    for bad in [
        r#"{"id":"x","expires":"2026-03-01","decided_by":"d"}"#,
        r#"{"id":"x","reason":" ","expires":"2026-03-01","decided_by":"d"}"#,
        r#"{"id":"x","reason":"r","expires":"soon","decided_by":"d"}"#,
        r#"{"id":"x","reason":"r","expires":"2026-03-01"}"#,
        r#"{"id":"x","reason":"r","expires":"2026-03-01","decided_by":"d","forever":true}"#,
        r#"{"id":"x","reason":"r","expires":"2026-03-01","decided_by":"d","analysis":"not_affected"}"#,
    ] {
        assert!(serde_json::from_str::<Ignore>(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_report_reads_back_as_it_was_written_and_refuses_what_it_does_not_know() {
    let ignores = [Ignore::new("RUSTSEC-2026-0001", "r", date!(2026 - 04 - 01), "d").unwrap()];
    let report = report(&packages("1.0.0", "crates.io"), &ignores, &[]);
    let bytes = report.to_bytes();
    assert_eq!(Report::parse(&bytes).unwrap(), report);
    assert_eq!(Report::parse(&bytes).unwrap().to_bytes(), bytes);
    assert_eq!(
        (report.database.count, report.database.newest),
        (6, date!(2026 - 01 - 02))
    );
    let text = String::from_utf8(bytes).unwrap();
    assert!(
        Report::parse(
            text.replace("\"version\": 1\n", "\"version\": 2\n")
                .as_bytes()
        )
        .is_err()
    );
    assert!(Report::parse(text.replacen("\"database\"", "\"databases\"", 1).as_bytes()).is_err());
    assert!(Report::parse(b"{}").is_err());
}

#[test]
fn packages_of_a_lock_file_are_matched_as_those_of_a_binary() {
    let lock = cargo_lock::parse(
        "version = 4\n[[package]]\nname = \"leaf\"\nversion = \"1.0.0\"\n\
         source = \"registry+https://github.com/rust-lang/crates.io-index\"\n",
    )
    .unwrap();
    let found = database().affecting(lock.packages(), None).unwrap();
    assert_eq!(found.len(), 5);
    assert!(found.iter().all(|finding| finding.used_for.is_none()));
}
