//! The RustSec database in a folder: its documents, and which commit they are, where that can be
//! known.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sbom::advisories::Database;
use time::{Date, OffsetDateTime};

use crate::outcome::Undecided;
use crate::shell;

/// Where the database is kept by those who write it.
pub(crate) const ORIGIN: &str = "https://github.com/rustsec/advisory-db.git";

/// A database and what identifies it.
#[derive(Debug)]
pub(crate) struct ReadDatabase {
    /// The advisories.
    pub(crate) database: Database,
    /// The commit; `None` where the folder is not the root of a git checkout.
    pub(crate) commit: Option<String>,
    /// The tree of that commit.
    pub(crate) tree: Option<String>,
    /// The day of that commit.
    pub(crate) committed: Option<Date>,
}

/// Gets the database from its origin, whole and new.
///
/// # Errors
/// [`Undecided`] without a network: there is no release without a database.
pub(crate) fn fetch(folder: &Path) -> anyhow::Result<PathBuf> {
    super::checkout::clear(folder)?;
    shell::program("git")
        .args(["clone", "--quiet", "--depth", "1", ORIGIN])
        .arg(folder)
        .env("GIT_TERMINAL_PROMPT", "0")
        .run()
        .map_err(|error| {
            Undecided::new(
                "whether known vulnerabilities stop this release cannot be told",
                vec![format!(
                    "the advisory database could not be fetched: {error}"
                )],
                vec![
                    "name a checkout of it with `--advisory-db DIR`, or connect to a network"
                        .to_owned(),
                ],
            )
        })?;
    Ok(folder.to_path_buf())
}

/// Reads every document of the database.
///
/// # Errors
/// When one of them is unreadable, or the checkout was changed: a database that was read by half
/// says «nothing known» of what is in the other half.
pub(crate) fn read(folder: &Path) -> anyhow::Result<ReadDatabase> {
    let mut documents = Vec::new();
    for collection in ["crates", "rust"] {
        let place = folder.join(collection);
        if !place.is_dir() {
            return Err(no_answer(
                folder,
                &format!("it has no folder `{collection}`"),
            ));
        }
        collect(&place, collection, &mut documents)?;
    }
    documents.sort();
    let database = Database::from_documents(documents)
        .map_err(|error| no_answer(folder, &error.to_string()))?;
    let Some(root) = git(folder, &["rev-parse", "--show-toplevel"]) else {
        return Ok(ReadDatabase {
            database,
            commit: None,
            tree: None,
            committed: None,
        });
    };
    if Path::new(&root).canonicalize().ok() != folder.canonicalize().ok() {
        return Ok(ReadDatabase {
            database,
            commit: None,
            tree: None,
            committed: None,
        });
    }
    if git(folder, &["status", "--porcelain"]).is_none_or(|changes| !changes.is_empty()) {
        return Err(Undecided::new(
            "the advisory database is not that of its commit",
            vec![format!("the checkout `{}` has changes", folder.display())],
            vec![format!("`git -C {} status` names them", folder.display())],
        )
        .into());
    }
    let committed = git(folder, &["log", "-1", "--format=%ct"])
        .and_then(|seconds| seconds.parse().ok())
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .map(OffsetDateTime::date);
    Ok(ReadDatabase {
        database,
        commit: git(folder, &["rev-parse", "HEAD"]),
        tree: git(folder, &["rev-parse", "HEAD^{tree}"]),
        committed,
    })
}

fn no_answer(folder: &Path, why: &str) -> anyhow::Error {
    Undecided::new(
        "whether known vulnerabilities stop this release cannot be told",
        vec![format!(
            "the advisory database `{}`: {why}",
            folder.display()
        )],
        vec![format!("get it anew: `git clone --depth 1 {ORIGIN}`")],
    )
    .into()
}

/// What git says about a folder; `None` where it has nothing to say.
fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    shell::program("git")
        .folder(folder)
        .args(arguments)
        .read_line()
        .ok()
}

fn collect(
    folder: &Path,
    prefix: &str,
    documents: &mut Vec<(String, String)>,
) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("listing `{}`", folder.display()))? {
        let entry = entry.with_context(|| format!("listing `{}`", folder.display()))?;
        let path = format!("{prefix}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &path, documents)?;
        } else {
            let text = fs::read_to_string(entry.path())
                .with_context(|| format!("reading the advisory `{path}`"))?;
            documents.push((path, text));
        }
    }
    Ok(())
}
