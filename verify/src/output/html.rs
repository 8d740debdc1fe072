//! The report as one self-contained page: a verdict for who decides, the evidence for who digs.
//!
//! It loads nothing from anywhere, and every text from outside is escaped twice over: what would
//! not show itself is made visible, and what HTML would read is written as an entity.

use std::fmt::Write as _;

use super::escape::escaped;
use crate::check::{Evidence, Outcome};
use crate::inventory::Inventory;
use crate::report::ReleaseReport;
use crate::verdict::{Finding, Verdict};

const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");

/// The page.
#[must_use]
pub fn render(report: &ReleaseReport, inventories: &[Inventory]) -> String {
    let mut page = String::new();
    let name = text(&report.bundle);
    page.push_str("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    page.push_str(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n",
    );
    put(
        &mut page,
        format_args!(
            "<title>{name}: {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n",
            word(report.verdict)
        ),
    );
    header(&mut page, report, &name);
    page.push_str("<h2>What was checked</h2>\n");
    report
        .findings
        .iter()
        .for_each(|finding| check(&mut page, finding));
    signatures(&mut page, report);
    packages(&mut page, inventories);
    put(
        &mut page,
        format_args!("<script>\n{SCRIPT}</script>\n</body>\n</html>\n"),
    );
    page
}

fn header(page: &mut String, report: &ReleaseReport, name: &str) {
    put(page, format_args!("<h1>{name}</h1>\n"));
    if let (Some(tag), Some(commit)) = (&report.tag, &report.commit) {
        put(
            page,
            format_args!(
                "<p>tag <code>{}</code> at commit <code>{}</code></p>\n",
                text(tag),
                text(commit)
            ),
        );
    }
    put(
        page,
        format_args!(
            "<p class=\"dim\">judged at {}</p>\n",
            text(&report.judged_at)
        ),
    );
    let (class, sentence) = match report.verdict {
        Verdict::Pass => ("pass", "All that was asked was checked and holds."),
        Verdict::Fail => (
            "fail",
            "Something was checked and is false. Do not use this release.",
        ),
        Verdict::NoVerdict => (
            "open",
            "Nothing was found false, but not all that was asked could be checked.",
        ),
    };
    put(
        page,
        format_args!(
            "<div class=\"verdict {class}\" role=\"status\"><strong class=\"word\">{}</strong>{sentence}",
            word(report.verdict)
        ),
    );
    let skipped: Vec<&str> = report
        .findings
        .iter()
        .filter(|finding| !finding.required && !matches!(finding.outcome, Outcome::Pass { .. }))
        .map(|finding| finding.check.as_str())
        .collect();
    if !skipped.is_empty() {
        put(
            page,
            format_args!(
                "<p class=\"note\">Not checked, because the policy does not require it: {}.</p>",
                skipped.join(", ")
            ),
        );
    }
    page.push_str("</div>\n");
}

fn check(page: &mut String, finding: &Finding) {
    let (class, word, open) = match (&finding.outcome, finding.required) {
        (Outcome::Pass { .. }, _) => ("pass", "PASS", ""),
        (Outcome::Fail { .. }, _) => ("fail", "FAIL", " open"),
        (Outcome::Undecided { .. }, true) => ("open", "UNDECIDED", " open"),
        (Outcome::Undecided { .. }, false) => ("off", "NOT MADE", ""),
    };
    let first = finding
        .outcome
        .reason()
        .map_or_else(|| text(finding.claim), text);
    put(
        page,
        format_args!(
            "<details class=\"check {class}\" id=\"check-{id}\"{open}><summary><span class=\"word\">{word}</span><b>{id}</b>\
             <span>{first}</span></summary><div>",
            id = finding.check.as_str()
        ),
    );
    if !finding.required {
        page.push_str("<p class=\"note\">The policy does not require this check.</p>");
    }
    put(
        page,
        format_args!(
            "<p class=\"dim\">It asks whether {}.</p>",
            text(finding.claim)
        ),
    );
    evidence(page, finding.outcome.evidence());
    page.push_str("</div></details>\n");
}

fn evidence(page: &mut String, evidence: &Evidence) {
    for (class, lines) in [
        ("", &evidence.problems),
        (" class=\"note\"", &evidence.warnings),
    ] {
        if lines.is_empty() {
            continue;
        }
        put(page, format_args!("<ul{class}>"));
        lines
            .iter()
            .for_each(|line| put(page, format_args!("<li>{}</li>", text(line))));
        page.push_str("</ul>");
    }
    if !evidence.facts.is_empty() {
        page.push_str("<dl>");
        for fact in &evidence.facts {
            put(
                page,
                format_args!(
                    "<dt>{}</dt><dd>{}</dd>",
                    text(&fact.name),
                    text(&fact.value)
                ),
            );
        }
        page.push_str("</dl>");
    }
}

fn signatures(page: &mut String, report: &ReleaseReport) {
    page.push_str(
        "<h2>Keys and signatures</h2>\n<p class=\"dim\">Trusted for this report:</p><ul>",
    );
    report
        .keyring
        .iter()
        .for_each(|key| put(page, format_args!("<li><code>{}</code></li>", text(key))));
    page.push_str("</ul>\n<table><thead><tr><th>Check</th><th>Signed by</th></tr></thead><tbody>");
    for finding in &report.findings {
        for fact in finding
            .outcome
            .evidence()
            .facts
            .iter()
            .filter(|fact| fact.name == "signed by")
        {
            put(
                page,
                format_args!(
                    "<tr><td>{}</td><td class=\"hash\">{}</td></tr>",
                    finding.check.as_str(),
                    text(&fact.value)
                ),
            );
        }
    }
    page.push_str("</tbody></table>\n");
}

fn packages(page: &mut String, inventories: &[Inventory]) {
    page.push_str("<h2>What is inside</h2>\n");
    if inventories.is_empty() {
        page.push_str("<p class=\"dim\">No binary says what is in it.</p>\n");
        return;
    }
    page.push_str(
        "<label for=\"search\" class=\"dim\">Search by name, version, or what it is for</label>\
         <input type=\"search\" id=\"search\"><p class=\"dim\" id=\"shown\" aria-live=\"polite\"></p>\n",
    );
    page.push_str(
        "<table id=\"packages\"><thead><tr><th>Package</th><th>Version</th><th>In</th><th>For</th><th>From</th>\
         <th>Depends on</th></tr></thead><tbody>\n",
    );
    for inventory in inventories {
        inventory.packages.iter().enumerate().for_each(|(index, package)| {
            let anchor = |index: usize| format!("{}-{index}", slug(&inventory.binary));
            let needs: Vec<String> = package
                .needs
                .iter()
                .filter_map(|need| {
                    let name = text(&inventory.packages.get(*need)?.name);
                    Some(format!("<a href=\"#{}\">{name}</a>", anchor(*need)))
                })
                .collect();
            let what = if package.linked_in { "linked in" } else { "build only" };
            let found = format!("{} {} {} {what} {}", package.name, package.version, inventory.binary, package.source);
            put(
                page,
                format_args!(
                    "<tr id=\"{}\" data-text=\"{}\"><td>{}</td><td>{}</td><td>{}</td><td>{what}</td><td>{}</td><td>{}</td></tr>\n",
                    anchor(index),
                    text(&found.to_lowercase()),
                    text(&package.name),
                    text(&package.version),
                    text(&inventory.binary),
                    text(&package.source),
                    needs.join(", ")
                ),
            );
        });
    }
    page.push_str("</tbody></table>\n");
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "PASS",
        Verdict::Fail => "FAIL",
        Verdict::NoVerdict => "NO VERDICT",
    }
}

/// A name as part of an anchor.
fn slug(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect()
}

/// Text from outside as HTML text or as a quoted attribute.
fn text(outside: &str) -> String {
    escaped(outside)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

fn put(page: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    page.write_fmt(arguments).ok();
}
