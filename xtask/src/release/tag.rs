//! Step 1, the gate: is this tag a release that a trusted key asked for, on what is checked out?
//! In: a [`TagName`]. Out: a [`SignedTag`].
//!
//! Two engines judge the signature, sequoia-openpgp and GnuPG; where they disagree there is no
//! release. Everything that is wrong is collected, not only the first thing.

use std::time::SystemTime;

use anyhow::Context as _;
use verify::git::{Commit, Repository};
use verify::trust::openpgp::SignatureRules;
use verify::trust::tag::{Authorised, TagName, TagObject, TagRefusal, VerifiedTag, verify_tag};

use super::gnupg::{self, Opinion};
use super::plan::Plan;
use super::problem::Problem;
use crate::shell;

const SIGNATURE_BEGINS: &[u8] = b"-----BEGIN PGP SIGNATURE-----";

/// A tag that both engines take, on the commit that is checked out, in a tree without changes,
/// whose name states a version. Only [`gate`] makes one.
#[derive(Debug, Clone)]
pub(crate) struct SignedTag {
    tag: VerifiedTag,
    version: semver::Version,
    commit: Commit,
}

impl SignedTag {
    /// The tag as sequoia verified it.
    pub(crate) fn verified(&self) -> &VerifiedTag {
        &self.tag
    }

    /// The version that its name states.
    pub(crate) fn version(&self) -> &semver::Version {
        &self.version
    }

    /// The commit it points at.
    pub(crate) fn commit(&self) -> &Commit {
        &self.commit
    }
}

/// Checks the tag, its target and the tree; gives the tag, or every problem.
///
/// # Errors
/// When git or GnuPG themselves do not work.
pub(crate) fn gate(
    plan: &Plan,
    name: &TagName,
    now: SystemTime,
) -> anyhow::Result<Result<SignedTag, Vec<Problem>>> {
    let mut problems = Vec::new();
    let repository = Repository::open(&plan.root).context("opening the repository")?;
    let tag = judge(plan, &repository, name, now)?;
    let dirty = dirty_paths(plan)?;
    if !dirty.is_empty() {
        problems.push(refusal(&TagRefusal::DirtyTree { paths: dirty }));
    }
    let version = semver::Version::parse(name.version());
    if version.is_err() {
        problems.push(Problem::wrong(
            format!("the name of the tag `{name}` states no version"),
            "name it after the version, such as `v1.2.3`",
        ));
    }
    match (tag, version) {
        (Ok(tag), Ok(version)) if problems.is_empty() => {
            let commit = repository.commit(tag.commit())?;
            Ok(Ok(SignedTag {
                tag,
                version,
                commit,
            }))
        }
        (tag, _) => {
            problems.extend(tag.err());
            Ok(Err(problems))
        }
    }
}

/// Both engines' judgement.
fn judge(
    plan: &Plan,
    repository: &Repository,
    name: &TagName,
    now: SystemTime,
) -> anyhow::Result<Result<VerifiedTag, Problem>> {
    let head = repository.resolve("HEAD").context("reading HEAD")?;
    let object = match repository.tag(name).context("reading the tag")? {
        Ok(object) => object,
        Err(refused) => return Ok(Err(refusal(&refused))),
    };
    let rules = SignatureRules::strict(now);
    let sequoia = verify_tag(
        &object,
        head,
        &plan.keyring,
        &Authorised::WholeKeyring,
        &rules,
    );
    let tag = match sequoia {
        Ok(tag) => tag,
        Err(refused) => return Ok(Err(refusal(&refused))),
    };
    if head.is_none() {
        let what = "there is no commit checked out";
        return Ok(Err(Problem::wrong(
            what,
            format!("`git switch --detach {name}`"),
        )));
    }
    match ask_gnupg(plan, &object)? {
        Opinion::Good { keys } if keys.contains(tag.signature().key().as_str()) => Ok(Ok(tag)),
        other => Ok(Err(Problem::wrong(
            format!(
                "two engines disagree about the tag's signature; sequoia: good, by {}; GnuPG: {other}",
                tag.signature().key()
            ),
            "look at both: `git verify-tag --raw NAME` and `gpg --list-packets`",
        ))),
    }
}

/// GnuPG's judgement over the tag, split where git splits it.
fn ask_gnupg(plan: &Plan, tag: &TagObject) -> anyhow::Result<Opinion> {
    let at = tag
        .bytes
        .windows(SIGNATURE_BEGINS.len())
        .rposition(|window| window == SIGNATURE_BEGINS)
        .context("the tag that sequoia took holds no signature")?;
    let (signed, signature) = tag.bytes.split_at(at);
    gnupg::opinion(&plan.keyring_bytes, signed, signature)
}

fn refusal(refused: &TagRefusal) -> Problem {
    Problem::wrong(refused.to_string(), refused.hint())
}

/// Paths in the working tree that differ from the commit or that git does not know.
fn dirty_paths(plan: &Plan) -> anyhow::Result<Vec<String>> {
    let status = shell::program("git")
        .folder(&plan.root)
        .args([
            "status",
            "--porcelain=v1",
            "-z",
            "--untracked-files=all",
            "--no-renames",
        ])
        .args(["--ignore-submodules=none"])
        .read()
        .context("asking git for the tree's state")?;
    Ok(String::from_utf8_lossy(&status)
        .split('\0')
        .filter_map(|entry| entry.get(3..))
        .map(str::to_owned)
        .collect())
}
