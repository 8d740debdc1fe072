//! Check `advisories`: no known advisory stands against the packages in the binaries.
//!
//! Two questions, kept apart: what was known when it was released (`advisories.json`), and what
//! is known now (the auditor's database). Without a database the second cannot be answered, and a
//! check that could not look is never a pass; nor is one over an empty, cut or old database.

use ::sbom::advisories::vex::{self, SbomLink};
use ::sbom::advisories::{Decision, Ignore, Judged, Report, Rules, Target};
use ::sbom::model::package::Package;
use ::sbom::source::dep_v0;
use time::OffsetDateTime;

use crate::case::Case;
use crate::check::{Evidence, Outcome, TableTitle, with_causes};
use crate::load::advisory_db;
use crate::load::bundle::{ADVISORIES, VEX, sbom_path};

pub(crate) fn run(case: &Case<'_>) -> Outcome {
    let mut evidence = Evidence::default();
    let Some(bytes) = case.bundle().bytes(ADVISORIES) else {
        return evidence.failed(format!("`{ADVISORIES}` is missing"));
    };
    let at_release = match Report::parse(bytes) {
        Ok(report) => report,
        Err(error) => {
            return evidence.failed(format!("`{ADVISORIES}`: {}", with_causes(&error)));
        }
    };
    release_report(&at_release, &mut evidence);
    vex_agrees(case, &at_release, &mut evidence);
    let inventories = match inventories(case) {
        Ok(inventories) => inventories,
        Err(why) => return evidence.failed(why),
    };
    if !evidence.problems.is_empty() {
        return evidence.judged();
    }
    let Some(folder) = &case.request().advisory_db else {
        return evidence.undecided(
            "no advisory database was given, so what is known today was not looked at; pass `--advisory-db DIR`",
        );
    };
    let names = inventories
        .iter()
        .flat_map(|(_, packages)| packages.iter().map(Package::name));
    let database = match advisory_db::load(folder, names) {
        Ok(database) => database,
        Err(error) => return evidence.undecided(with_causes(&error)),
    };
    let rules = case.policy().advisories();
    let today = OffsetDateTime::from(case.request().now).date();
    evidence.fact(
        "known today",
        format!(
            "{} advisories, the newest of {}",
            database.count(),
            database.newest()
        ),
    );
    match advisory_db::fit(&database, rules, today) {
        Err(why) => return evidence.undecided(why),
        Ok(warning) => warning.into_iter().for_each(|words| evidence.warn(words)),
    }
    let mut ignores: Vec<Ignore> = rules.ignores.clone();
    // What narrows the question must be said by somebody who may say it.
    let vouched = case.vouched_for(ADVISORIES);
    if rules.accept_release_ignores && vouched {
        ignores.extend(at_release.ignores.iter().cloned());
    }
    if !vouched {
        evidence.warn(format!(
            "no release key vouches for `{ADVISORIES}`: what it accepts does not count"
        ));
    }
    let target = at_release
        .target
        .as_deref()
        .filter(|_| vouched)
        .and_then(|target| target.parse::<Target>().ok());
    let rules = Rules {
        today,
        stops_at: &at_release.stops_at,
        ignores: &ignores,
        target,
    };
    let lists = inventories
        .iter()
        .map(|(name, packages)| (name.as_str(), packages.as_slice()));
    match Report::new(
        &database,
        (None, None),
        case.request().now.into(),
        lists,
        &rules,
    ) {
        Ok(now) => known_now(&now, &at_release, &mut evidence),
        Err(error) => return evidence.undecided(error),
    }
    let (gated_by, min_count) = (
        at_release.database.count,
        case.policy().advisories().min_count,
    );
    if evidence.problems.is_empty() && gated_by == 0 {
        return evidence
            .undecided("nobody looked: the bundle was made without an advisory database");
    }
    if evidence.problems.is_empty() && gated_by < min_count {
        return evidence.undecided(format!(
            "the release was gated by a database of {gated_by} advisories; less than {min_count} is no whole database"
        ));
    }
    evidence.judged()
}

/// What the binaries themselves say is in them.
fn inventories(case: &Case<'_>) -> Result<Vec<(String, Vec<Package>)>, String> {
    case.bundle()
        .binaries()
        .filter_map(|(name, file)| file.bytes.as_ref().map(|bytes| (name, bytes)))
        .map(|(name, bytes)| {
            let graph = dep_v0::read(bytes).map_err(|error| {
                let why = with_causes(&error);
                format!("`bin/{name}` does not say what is in it: {why}")
            })?;
            Ok((name.to_owned(), graph.packages().to_vec()))
        })
        .collect()
}

fn release_report(report: &Report, evidence: &mut Evidence) {
    let database = &report.database;
    if database.count == 0 {
        // What a demo writes that has no database; a release without one is not made.
        evidence.warn("nobody looked at release: the bundle was made without an advisory database");
        return;
    }
    evidence.fact(
        "known at release",
        format!(
            "{} advisories, the newest of {}, asked at {}",
            database.count,
            database.newest,
            crate::trust::openpgp::Instant(report.checked_at.into())
        ),
    );
    if let Some(commit) = &database.commit {
        evidence.fact("database at release", format!("commit {commit}"));
    }
    for judged in report.stopping() {
        evidence.problem(format!(
            "{} was known at release and nobody accepted it",
            named(judged)
        ));
    }
}

/// Package name, version and `bom-ref`.
type NamedComponent = (String, String, String);

/// The VEX is what others read of the release's decisions, so it must state them and no more.
fn vex_agrees(case: &Case<'_>, report: &Report, evidence: &mut Evidence) {
    let Some(bytes) = case.bundle().bytes(VEX) else {
        evidence.problem(format!("`{VEX}` is missing"));
        return;
    };
    // An SBOM that cannot be read is a matter of the check `sbom`; nothing can refer to it.
    let sboms: Vec<(String, Vec<NamedComponent>)> = case
        .bundle()
        .binaries()
        .filter_map(|(name, _)| case.bundle().bytes(&sbom_path(name)))
        .filter_map(|document| ::sbom::read::parse(document).ok())
        .map(|sbom| {
            let components = sbom.components.into_iter();
            let named = components
                .filter_map(|part| Some((part.name, part.version, part.reference?)))
                .collect();
            (sbom.serial_number.unwrap_or_default(), named)
        })
        .collect();
    let links: Vec<SbomLink<'_>> = sboms
        .iter()
        .map(|(serial_number, components)| SbomLink {
            serial_number,
            components,
        })
        .collect();
    let found = vex::parse(bytes).and_then(|stated| {
        let lines = vex::disagreements(report, &links, &stated)?;
        Ok((stated.len(), lines))
    });
    match found {
        Ok((count, lines)) => {
            evidence.fact("VEX", format!("{count} statements"));
            lines
                .iter()
                .for_each(|line| evidence.problem(format!("`{VEX}`: {line}")));
        }
        Err(error) => evidence.problem(format!("`{VEX}`: {}", with_causes(&error))),
    }
}

fn known_now(now: &Report, at_release: &Report, evidence: &mut Evidence) {
    let known = |judged: &Judged| at_release.knew(&judged.finding);
    for judged in &now.findings {
        let since = if known(judged) {
            ""
        } else {
            ", which became known after the release"
        };
        row(judged, known(judged), evidence);
        match judged.decision {
            Decision::Stops => evidence.problem(format!("{}{since}", named(judged))),
            Decision::IgnoreExpired => {
                evidence.problem(format!(
                    "{}: the decision to accept it has expired",
                    named(judged)
                ));
            }
            Decision::Ignored => {
                let why = accepted(&now.ignores, judged).unwrap_or_default();
                let finding = &judged.finding;
                evidence.warn(format!(
                    "{} against {} {} ({}) is {why}",
                    finding.id, finding.package, finding.version, finding.title
                ));
            }
            Decision::Informs => {
                let finding = &judged.finding;
                evidence.warn(format!(
                    "{} ({}) informs about {} {}: {}{since}",
                    finding.id, finding.kind, finding.package, finding.version, finding.title
                ));
            }
            Decision::Withdrawn => {}
        }
    }
    if !now.not_covered.is_empty() {
        evidence.fact(
            "not covered",
            format!(
                "{} (not from the public registry)",
                now.not_covered.join(", ")
            ),
        );
    }
    let subjects: Vec<String> = now
        .subjects
        .iter()
        .map(|subject| format!("{} ({} packages)", subject.name, subject.packages))
        .collect();
    evidence.fact("looked at", subjects.join(", "));
}

fn row(judged: &Judged, known_at_release: bool, evidence: &mut Evidence) {
    let finding = &judged.finding;
    let decision = match judged.decision {
        Decision::Stops => "stands",
        Decision::IgnoreExpired => "no longer accepted",
        Decision::Ignored => "accepted",
        Decision::Informs => "informs",
        Decision::Withdrawn => "withdrawn",
    };
    let known = if known_at_release {
        "at release"
    } else {
        "since"
    };
    let cells = [
        ("decision", decision.to_owned()),
        ("advisory", finding.id.clone()),
        ("package", finding.package.clone()),
        ("version", finding.version.clone()),
        ("kind", finding.kind.to_string()),
        ("severity", finding.severity.clone().unwrap_or_default()),
        ("known", known.to_owned()),
        ("title", finding.title.clone()),
        ("repaired in", finding.patched.join(" or ")),
        ("functions", finding.affected.functions.join(", ")),
    ];
    evidence.row(TableTitle::Advisories, cells);
}

/// Until when, by whom and why a finding is accepted; `None` where none of these decisions is about
/// it.
pub(crate) fn accepted(ignores: &[Ignore], judged: &Judged) -> Option<String> {
    let finding = &judged.finding;
    let is_about = |ignore: &&Ignore| {
        let mut aliases = finding.aliases.iter();
        ignore.id() == finding.id || aliases.any(|alias| alias == ignore.id())
    };
    ignores.iter().find(is_about).map(|ignore| {
        format!(
            "accepted until {} by {}: {}",
            ignore.expires(),
            ignore.decided_by(),
            ignore.reason()
        )
    })
}

fn named(judged: &Judged) -> String {
    let finding = &judged.finding;
    format!(
        "{} stands against {} {}: {}",
        finding.id, finding.package, finding.version, finding.title
    )
}
