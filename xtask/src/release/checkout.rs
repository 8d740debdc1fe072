//! Step 2: the files of the tag's commit, and nothing else, in a folder of their own.
//! In: a [`SignedTag`]. Out: a [`CleanCheckout`].
//!
//! What is built is what the commit holds, not what lies in the working tree.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sbom::model::package::{Package, Source};
use verify::git::Repository;

use super::plan::Plan;
use super::problem::{self, Problem};
use super::tag::SignedTag;

/// The commit's files in a folder. Only [`make`] makes one.
#[derive(Debug)]
pub(crate) struct CleanCheckout {
    tag: SignedTag,
    source: PathBuf,
    lock: String,
}

impl CleanCheckout {
    /// The tag whose commit this is.
    pub(crate) fn tag(&self) -> &SignedTag {
        &self.tag
    }

    /// The folder with the commit's files.
    pub(crate) fn source(&self) -> &Path {
        &self.source
    }

    /// The text of its Cargo.lock.
    pub(crate) fn lock(&self) -> &str {
        &self.lock
    }
}

/// Writes the commit's files and checks that they are of the version that the tag states.
pub(crate) fn make(plan: &Plan, tag: SignedTag) -> anyhow::Result<CleanCheckout> {
    let source = plan.out(tag.verified().name()).join("source");
    clear(&source)?;
    Repository::open(&plan.root)
        .and_then(|repository| repository.check_out(tag.commit().id, &source))
        .context("checking out the tag's commit")?;
    let lock = fs::read_to_string(source.join("Cargo.lock")).context(
        "reading the commit's Cargo.lock; a release needs one: `cargo generate-lockfile`",
    )?;
    let problems = version_problems(plan, &tag, &lock)?;
    if !problems.is_empty() {
        return Err(problem::into_error(
            &super::refused(tag.verified().name()),
            &problems,
        ));
    }
    Ok(CleanCheckout { tag, source, lock })
}

/// Packages that are released and have another version than the tag states.
fn version_problems(plan: &Plan, tag: &SignedTag, lock: &str) -> anyhow::Result<Vec<Problem>> {
    let graph = sbom::source::cargo_lock::parse(lock).context("reading the commit's Cargo.lock")?;
    let mut problems = Vec::new();
    for name in plan.release.packages() {
        let known = graph
            .packages()
            .iter()
            .find(|package| package.name() == name && package.source == Source::Local);
        let stated = tag.version();
        match known.map(Package::version) {
            Some(version) if version == stated => {}
            Some(version) => problems.push(Problem::wrong(
                format!("the tag states version `{stated}`, and `{name}` is version `{version}`"),
                format!("set `version = \"{stated}\"` in its Cargo.toml, commit and tag again"),
            )),
            None => problems.push(Problem::wrong(
                format!("`{name}`, which release.toml names, is not a package of this workspace"),
                "correct `package` in release.toml, commit and tag again",
            )),
        }
    }
    Ok(problems)
}

/// Removes what an earlier run left there.
pub(crate) fn clear(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing `{}` of an earlier run", folder.display()))
        }
        _ => Ok(()),
    }
}
