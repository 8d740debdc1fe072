//! What each house may use, how a file begins and how long it may get: rules over Rust sources.

use super::{Files, Finding};

/// The longest that one source file may be, in lines of code: no blank lines, comments or
/// tests. Good files have 100 to 300; beyond this one nobody reads it in one go.
const LONGEST_FILE_LINES: usize = 600;

/// A word that code may use only in some places.
struct Rule {
    /// Texts that must not stand in a line of code.
    words: &'static [&'static str],
    /// Files that the rule is about: any path that begins with one of these.
    about: &'static [&'static str],
    /// Files among them that may use the words.
    except: &'static [&'static str],
    /// What is broken.
    why: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        words: &[
            "std::fs",
            "std::net",
            "std::env",
            "std::process",
            "env!(",
            "File::open",
        ],
        about: &["sbom/src/"],
        except: &[],
        why: "`sbom` does no I/O and reads no environment: callers hand it the bytes",
    },
    Rule {
        words: &["SystemTime", "Instant::now", "now_utc", "now_local"],
        about: &["sbom/src/"],
        except: &[],
        why: "`sbom` reads no clock: time is an argument",
    },
    Rule {
        words: &["rusqlite"],
        about: &["node/src/", "sbom/src/", "verify/src/", "xtask/src/"],
        except: &["node/src/store"],
        why: "the database is used only under `node/src/store`",
    },
    Rule {
        words: &["sequoia_openpgp", "gpgme::"],
        about: &["node/src/", "sbom/src/", "verify/src/", "xtask/src/"],
        except: &["verify/src/trust/", "xtask/src/release/gnupg.rs"],
        why: "OpenPGP is spoken only under `verify/src/trust` and in the release's GnuPG step",
    },
    Rule {
        words: &["Command::new"],
        about: &["node/src/", "sbom/src/", "verify/src/", "xtask/src/"],
        except: &[
            "xtask/src/shell.rs",
            "verify/src/rebuild/",
            "node/src/passphrase.rs",
        ],
        why: "processes are started only in `xtask/src/shell.rs`, `verify/src/rebuild`, and for \
              `--passphrase-command`",
    },
    Rule {
        words: &["tokio::"],
        about: &["sbom/", "verify/", "xtask/"],
        except: &[],
        why: "tokio is used only in `node`",
    },
];

/// Every broken rule over the Rust sources of a workspace.
pub(super) fn findings(files: &Files) -> anyhow::Result<Vec<Finding>> {
    let names = released_names(files)?;
    let mut findings = Vec::new();
    let mut opens: Vec<(String, usize)> = Vec::new();
    for path in files.ending(".rs") {
        // This table names every word that it looks for.
        if path.starts_with("xtask/src/tidy") {
            continue;
        }
        let text = files.text(path)?;
        findings.extend(shape(path, &text));
        findings.extend(words(path, &text));
        findings.extend(project_names(path, &text, &names));
        opens.extend(database_opens(path, &text));
    }
    findings.extend(opened_in_one_file(&opens));
    Ok(findings)
}

/// How a file begins and how long it is.
fn shape(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !text.starts_with("//!") {
        findings.push(finding(
            path,
            1,
            "a file opens with `//!`: what it answers".to_owned(),
        ));
    }
    let lines = code_lines(text)
        .filter(|(_, line)| !line.is_empty())
        .count();
    if lines > LONGEST_FILE_LINES {
        findings.push(finding(
            path,
            lines,
            format!("{lines} lines of code, more than {LONGEST_FILE_LINES}: a file does one thing"),
        ));
    }
    findings
}

/// Words that stand where they may not.
fn words(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in RULES.iter().filter(|rule| rule.is_about(path)) {
        for (line, code) in code_lines(text) {
            if let Some(word) = rule.words.iter().find(|word| code.contains(**word)) {
                findings.push(finding(path, line, format!("`{word}`: {}", rule.why)));
            }
        }
    }
    findings
}

/// Names of this project's release where any project must be served.
fn project_names(path: &str, text: &str, names: &[String]) -> Vec<Finding> {
    let general = ["sbom/src/", "verify/src/", "xtask/src/release/"];
    if !general.iter().any(|folder| path.starts_with(folder)) {
        return Vec::new();
    }
    let own = path.split('/').next().unwrap_or_default();
    let mut findings = Vec::new();
    for (line, code) in code_lines(text) {
        for name in names.iter().filter(|name| *name != own) {
            if code.contains(&format!("\"{name}\"")) {
                findings.push(finding(
                    path,
                    line,
                    format!("`{name}` is a name of release.toml: nothing here knows one project"),
                ));
            }
        }
    }
    findings
}

/// The names that `release.toml` gives to what is in the release. (The release's own name here is
/// also that of this toolkit, which may name its cache after itself.)
fn released_names(files: &Files) -> anyhow::Result<Vec<String>> {
    if !files.contains("release.toml") {
        return Ok(Vec::new());
    }
    let text = files.text("release.toml")?;
    let mut names: Vec<String> = text
        .lines()
        .skip_while(|line| line.trim() != "[[binary]]")
        .filter_map(|line| line.split_once('='))
        .filter(|(key, _)| ["name", "package"].contains(&key.trim()))
        .map(|(_, value)| value.trim().trim_matches('"').to_owned())
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// Lines that open a database.
fn database_opens(path: &str, text: &str) -> Vec<(String, usize)> {
    if !path.starts_with("node/src/") {
        return Vec::new();
    }
    code_lines(text)
        .filter(|(_, code)| code.contains("Connection::open"))
        .map(|(line, _)| (path.to_owned(), line))
        .collect()
}

fn opened_in_one_file(opens: &[(String, usize)]) -> Vec<Finding> {
    let Some((first, _)) = opens.first() else {
        return Vec::new();
    };
    opens
        .iter()
        .filter(|(path, _)| path != first)
        .map(|(path, line)| {
            finding(
                path,
                *line,
                format!("`Connection::open` stands in `{first}` already: one file opens and keys"),
            )
        })
        .collect()
}

impl Rule {
    fn is_about(&self, path: &str) -> bool {
        self.about.iter().any(|start| path.starts_with(start))
            && !self.except.iter().any(|start| path.starts_with(start))
    }
}

/// The lines of code with their numbers: no comments, and nothing from the tests on.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim_start()))
        .take_while(|(_, line)| *line != "#[cfg(test)]")
        .filter(|(_, line)| !line.starts_with("//"))
}

fn finding(file: &str, line: usize, what: String) -> Finding {
    Finding {
        file: file.to_owned(),
        line,
        what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_found_where_it_may_not_stand_and_nowhere_else() {
        for rule in RULES {
            for word in rule.words {
                let text = format!("//! A file.\nlet x = {word};\n");
                let inside = format!("{}x.rs", rule.about[0]);
                let found = words(&inside, &text);
                assert!(
                    found.iter().any(|f| f.line == 2),
                    "{word} passed in {inside}"
                );
                for allowed in rule.except {
                    let path = format!("{allowed}/x.rs");
                    let path = path.replace("//", "/");
                    assert!(!rule.is_about(&path), "{word} is refused in {path}");
                }
            }
        }
    }

    #[test]
    fn comments_and_tests_may_name_anything() {
        let text = "//! A file.\n// std::fs\n#[cfg(test)]\nmod tests { use std::fs; }\n";
        assert_eq!(words("sbom/src/x.rs", text), []);
    }

    #[test]
    fn a_file_without_a_first_line_or_without_end_is_found() {
        assert_eq!(shape("x.rs", "use a;\n").len(), 1);
        let long = format!("//! Long.\n{}", "a();\n".repeat(LONGEST_FILE_LINES + 1));
        assert_eq!(shape("x.rs", &long).len(), 1);
        assert_eq!(shape("x.rs", "//! Short.\n").len(), 0);
    }

    #[test]
    fn a_released_name_is_found_in_the_general_parts_only() {
        let names = ["some-tool".to_owned()];
        let text = "//! A file.\nlet name = \"some-tool\";\n";
        assert_eq!(project_names("verify/src/x.rs", text, &names).len(), 1);
        assert_eq!(
            project_names("xtask/src/release/x.rs", text, &names).len(),
            1
        );
        assert_eq!(project_names("xtask/src/demo.rs", text, &names).len(), 0);
    }

    #[test]
    fn a_second_file_that_opens_the_database_is_found() {
        let opens = [
            ("node/src/a.rs".to_owned(), 3),
            ("node/src/b.rs".to_owned(), 4),
        ];
        assert_eq!(opened_in_one_file(&opens).len(), 1);
        assert_eq!(opened_in_one_file(&opens[..1]).len(), 0);
    }
}
