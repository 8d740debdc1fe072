//! Where the demo takes the advisory database from, and what its policy says about it.

use std::path::{Path, PathBuf};

use crate::{outcome::Undecided, release::advisory_db::ORIGIN, shell, talk};

/// A copy beside the repository, where tests find their data too.
const BESIDE: &str = "../shared/data/advisory-db";

/// The database, or that there is none.
pub(super) enum Database {
    /// A folder with `crates/` and `rust/`.
    At(PathBuf),
    /// No way to get one: the demo goes on and says so, in the roster and in the verdict.
    Nowhere,
}

/// Looks at what was named, then the network, then beside the repository.
pub(super) fn find(
    named: Option<&Path>,
    repository: &Path,
    work: &Path,
) -> anyhow::Result<Database> {
    if let Some(folder) = named {
        if folder.join("crates").is_dir() {
            return Ok(Database::At(folder.canonicalize()?));
        }
        let because = vec![format!("`{}` has no folder `crates`", folder.display())];
        let hints = vec!["name a checkout of the RustSec database".to_owned()];
        return Err(Undecided::new("there is no advisory database there", because, hints).into());
    }
    let fetched = work.join("advisory-db");
    if let Some(folder) = from_network(&fetched)? {
        return Ok(Database::At(folder));
    }
    let beside = repository.join(BESIDE);
    if beside.join("crates").is_dir() {
        talk::say("    advisory database: no network; the copy beside the repository");
        return Ok(Database::At(beside.canonicalize()?));
    }
    talk::say(
        "    advisory database: NONE. The demo goes on without that check; a release would not.",
    );
    Ok(Database::Nowhere)
}

fn from_network(folder: &Path) -> anyhow::Result<Option<PathBuf>> {
    // A machine without a network answers within seconds; one behind a wall is given ten.
    let reachable = shell::program("timeout")
        .args(["10", "git", "ls-remote", "--quiet", ORIGIN, "HEAD"])
        .env("GIT_TERMINAL_PROMPT", "0")
        .outcome()?;
    if !reachable.0.success() {
        return Ok(None);
    }
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    let cloned = shell::program("timeout")
        .args(["300", "git", "clone", "--quiet", "--depth", "1", ORIGIN])
        .arg(folder)
        .env("GIT_TERMINAL_PROMPT", "0")
        .status()?;
    Ok(cloned.success().then(|| folder.to_owned()))
}

impl Database {
    /// The auditor's policy of the demo: every check, with the age that it accepts; where there is
    /// no database, every check but that one.
    pub(super) fn policy(&self, max_age_days: u32) -> String {
        let advisories = match self {
            Self::At(_) => "\"advisories\", ",
            Self::Nowhere => "",
        };
        format!(
            "# The policy of the demo. A real one names keys, and a younger database.\n\
             version = 1\n\
             required = [\"manifest\", \"tag\", \"provenance\", \"sbom\", {advisories}\"rebuild\"]\n\
             [advisories]\n\
             max_age_days = {max_age_days}\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use verify::load::policy::Policy;

    #[test]
    fn both_policies_of_the_demo_can_be_read() {
        for database in [Database::At(PathBuf::from("/db")), Database::Nowhere] {
            Policy::parse(&database.policy(400)).expect("the demo's policy is valid");
        }
    }
}
