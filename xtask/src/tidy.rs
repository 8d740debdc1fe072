//! The rules of the repository's layout that the compiler does not check.
//!
//! What a house may use is an invariant of the architecture: here each is one row of a table over
//! the files that git knows or would add. A finding names file, line, rule and reason.

mod docs;
mod rules;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use crate::outcome::{HOLDS, Refused};
use crate::shell;
use crate::talk;

/// One place that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    file: String,
    line: usize,
    what: String,
}

/// The files of a workspace, by path relative to its root with `/` between the parts.
#[derive(Debug)]
struct Files {
    root: PathBuf,
    paths: Vec<String>,
}

/// Checks this repository.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    if holds(&workspace_root())? {
        talk::answer("the layout holds")?;
        return Ok(ExitCode::from(HOLDS));
    }
    Err(Refused::new(
        "the layout does not hold",
        "the rules named above are the architecture's invariants",
    )
    .into())
}

/// Whether the layout under this root holds; each finding is said on stderr.
pub(crate) fn holds(root: &Path) -> anyhow::Result<bool> {
    let files = Files::of(root)?;
    let mut findings = rules::findings(&files)?;
    findings.extend(docs::findings(&files)?);
    for found in &findings {
        talk::say(&format!("{}:{}: {}", found.file, found.line, found.what));
    }
    Ok(findings.is_empty())
}

/// The root of the workspace that this program was built from.
pub(crate) fn workspace_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

impl Files {
    fn of(root: &Path) -> anyhow::Result<Self> {
        let listed = shell::program("git")
            .folder(root)
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .read()
            .context("listing the repository's files")?;
        let listed = String::from_utf8(listed).context("a file name is not UTF-8")?;
        let mut paths: Vec<String> = listed
            .split('\0')
            .filter(|path| !path.is_empty() && root.join(path).is_file())
            .map(str::to_owned)
            .collect();
        paths.sort();
        paths.dedup();
        Ok(Self {
            root: root.to_path_buf(),
            paths,
        })
    }

    fn ending<'a>(&'a self, ending: &'a str) -> impl Iterator<Item = &'a str> {
        self.paths
            .iter()
            .map(String::as_str)
            .filter(move |path| path.ends_with(ending))
    }

    fn text(&self, path: &str) -> anyhow::Result<String> {
        fs::read_to_string(self.root.join(path)).with_context(|| format!("reading `{path}`"))
    }

    fn contains(&self, path: &str) -> bool {
        self.paths.iter().any(|known| known == path)
    }
}
