//! The report as one self-contained page: a verdict for who decides, the evidence for who digs.
//!
//! It loads nothing from anywhere, and every text from outside is escaped twice over: what would
//! not show itself is made visible, and what HTML would read is written as an entity.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::escape::escaped;
use crate::check::{Evidence, Outcome, Table, TableTitle};
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
    tables(
        &mut page,
        report,
        "Advisories",
        &[TableTitle::Advisories],
        "None stands against the packages, or nobody looked: see the check above.",
    );
    tables(
        &mut page,
        report,
        "The rebuild",
        &[TableTitle::Rebuilt, TableTitle::Differences],
        "Nothing was built: see the check above.",
    );
    packages(&mut page, report, inventories);
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
        // What does not change the outcome and should be known is not folded away.
        (Outcome::Pass { evidence }, _) if !evidence.warnings.is_empty() => {
            ("pass", "PASS", " open")
        }
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
    page.push_str("</ul>\n");
    let any = table(page, report, TableTitle::Signatures);
    if !any {
        page.push_str("<p class=\"dim\">No signature counts.</p>\n");
    }
}

fn tables(
    page: &mut String,
    report: &ReleaseReport,
    head: &str,
    titles: &[TableTitle],
    none: &str,
) {
    put(page, format_args!("<h2>{head}</h2>\n"));
    let mut any = false;
    for title in titles {
        any |= table(page, report, *title);
    }
    if !any {
        put(page, format_args!("<p class=\"dim\">{none}</p>\n"));
    }
}

/// The tables of this title, of all checks, as one; whether there is any.
fn table(page: &mut String, report: &ReleaseReport, title: TableTitle) -> bool {
    let found: Vec<&Table> = tables_of(report, title).collect();
    let Some(first) = found.first() else {
        return false;
    };
    page.push_str("<div class=\"wide\"><table><thead><tr>");
    for column in &first.columns {
        put(page, format_args!("<th>{}</th>", text(column)));
    }
    page.push_str("</tr></thead><tbody>\n");
    for row in found.iter().flat_map(|table| &table.rows) {
        page.push_str("<tr>");
        for cell in row {
            let class = if cell.len() >= 40 && cell.bytes().all(|b| b.is_ascii_hexdigit()) {
                " class=\"hash\""
            } else {
                ""
            };
            put(page, format_args!("<td{class}>{}</td>", text(cell)));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table></div>\n");
    true
}

fn tables_of(report: &ReleaseReport, title: TableTitle) -> impl Iterator<Item = &Table> {
    report
        .findings
        .iter()
        .flat_map(|finding| &finding.outcome.evidence().tables)
        .filter(move |table| table.title == title)
}

/// What a row of the table of advisories says of its package: `(package, version)` to words.
fn advisories_by_package(report: &ReleaseReport) -> BTreeMap<(&str, &str), Vec<String>> {
    let mut found: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for table in tables_of(report, TableTitle::Advisories) {
        let at = |name: &str| table.columns.iter().position(|column| *column == name);
        let (Some(decision), Some(id), Some(package), Some(version)) =
            (at("decision"), at("advisory"), at("package"), at("version"))
        else {
            continue;
        };
        for row in &table.rows {
            if row[decision] != "withdrawn" {
                found
                    .entry((&row[package], &row[version]))
                    .or_default()
                    .push(format!("{} ({})", row[id], row[decision]));
            }
        }
    }
    found
}

/// What the graph is drawn from, as JSON that no HTML reader can take for markup.
fn graph_data(report: &ReleaseReport, inventories: &[Inventory]) -> String {
    let advisories = advisories_by_package(report);
    let packages = |inventory: &Inventory| -> Vec<serde_json::Value> {
        inventory
            .packages
            .iter()
            .map(|package| {
                let key = (package.name.as_str(), package.version.as_str());
                serde_json::json!({
                    "name": escaped(&package.name),
                    "version": escaped(&package.version),
                    "linked_in": package.linked_in,
                    "source": escaped(&package.source),
                    "needs": package.needs,
                    "advisories": advisories.get(&key).cloned().unwrap_or_default(),
                })
            })
            .collect()
    };
    let all: Vec<serde_json::Value> = inventories
        .iter()
        .map(|inventory| {
            serde_json::json!({
                "binary": escaped(&inventory.binary),
                "root": escaped(&inventory.root),
                "packages": packages(inventory),
            })
        })
        .collect();
    serde_json::Value::Array(all)
        .to_string()
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

fn packages(page: &mut String, report: &ReleaseReport, inventories: &[Inventory]) {
    page.push_str("<h2>What is inside</h2>\n");
    if inventories.is_empty() {
        page.push_str("<p class=\"dim\">No binary says what is in it.</p>\n");
        return;
    }
    page.push_str(
        "<div id=\"graphs\" hidden><p id=\"binaries\"></p><p id=\"views\"></p><p id=\"way\"></p>\
         <div id=\"graph\"></div>\
         <p class=\"dim\">Press a package to look around it. A broken line: only the build needed it. \
         An exclamation mark: an advisory speaks of it.</p></div>\n",
    );
    put(
        page,
        format_args!(
            "<script type=\"application/json\" id=\"inventory\">{}</script>\n",
            graph_data(report, inventories)
        ),
    );
    page.push_str(
        "<h3>All packages</h3>\n<label for=\"search\" class=\"dim\">Search by name, version, or what it is for</label>\
         <input type=\"search\" id=\"search\"><p class=\"dim\" id=\"shown\" aria-live=\"polite\"></p>\n",
    );
    page.push_str(
        "<table id=\"packages\"><thead><tr><th>Package</th><th>Version</th><th>In</th><th>For</th><th>From</th>\
         <th>Depends on</th></tr></thead><tbody>\n",
    );
    for (graph, inventory) in inventories.iter().enumerate() {
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
                    "<tr id=\"{}\" data-graph=\"{graph}\" data-node=\"{index}\" data-text=\"{}\">\
                     <td><button title=\"look around it\">{}</button></td><td>{}</td><td>{}</td><td>{what}</td><td>{}</td><td>{}</td></tr>\n",
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
