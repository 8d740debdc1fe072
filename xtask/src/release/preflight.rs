//! Before anything is written: can this release be made here, and may it?
//! In: the command line and a [`Plan`]. Out: [`Ready`].
//!
//! Every problem is collected, each with the command that repairs it.

use std::path::PathBuf;
use std::time::SystemTime;

use verify::rebuild::Engine;
use verify::rebuild::pins::Pins;
use verify::trust::tag::TagName;

use super::attestation_key::AttestationKey;
use super::gnupg::Signer;
use super::plan::Plan;
use super::problem::{self, Problem};
use super::tag::{self, SignedTag};
use crate::cli::{EngineArg, ReleaseArgs};
use crate::shell;

/// All that a release needs is here, and the gate lets the tag pass. Only [`check`] makes one.
#[derive(Debug)]
pub(crate) struct Ready {
    /// The tag that is released.
    pub(crate) tag: SignedTag,
    /// What builds, and what builds again.
    pub(crate) engines: Engines,
    /// Who signs the bundle.
    pub(crate) signer: Signer,
    /// Who signs the provenance besides.
    pub(crate) attestation_key: Option<AttestationKey>,
    /// Where the advisory database is.
    pub(crate) advisories: Origin,
}

/// Where the advisory database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// In this folder.
    At(PathBuf),
    /// Where those who write it keep it.
    Network,
    /// Nowhere, and the demo goes on without it.
    NowhereInTheDemo,
}

/// What builds, and what builds again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Engines {
    /// Makes the binaries that are shipped.
    pub(crate) first: Engine,
    /// Makes them again; the same engine only where the other is not on this machine.
    pub(crate) second: Engine,
}

/// Collects all that stands in the way.
pub(crate) fn check(plan: &Plan, args: &ReleaseArgs, now: SystemTime) -> anyhow::Result<Ready> {
    let name: TagName = args.tag.parse()?;
    let mut problems = Vec::new();
    let tag = collect(&mut problems, tag::gate(plan, &name, now)?);
    let engines = collect(&mut problems, engines(args.engine));
    let signer = collect(&mut problems, signer(plan, args.sign_with.as_deref())?);
    problems.extend(repository_problems(plan)?);
    if let Err(error) = Pins::of_source(&plan.root, &plan.release) {
        let repair = error
            .hint()
            .unwrap_or_else(|| "correct the file and commit it".to_owned());
        problems.push(Problem::missing(error.to_string(), repair));
    }
    if let Some(folder) = args.advisory_db.as_ref().filter(|folder| !folder.is_dir()) {
        problems.push(Problem::missing(
            format!("the advisory database `{}` is no folder", folder.display()),
            "name a checkout of the RustSec database with `--advisory-db DIR`",
        ));
    }
    let attestation_key = match args.attestation_key.as_deref().map(AttestationKey::read) {
        Some(Err(error)) => {
            problems.push(Problem::missing(
                format!("{error:#}"),
                "or leave out `--attestation-key`",
            ));
            None
        }
        Some(Ok(key)) => Some(key),
        None => None,
    };
    match (tag, engines, signer) {
        (Some(tag), Some(engines), Some(signer)) if problems.is_empty() => Ok(Ready {
            attestation_key,
            tag,
            engines,
            signer,
            advisories: origin(args),
        }),
        _ => Err(problem::into_error(&super::refused(&name), &problems)),
    }
}

fn origin(args: &ReleaseArgs) -> Origin {
    match &args.advisory_db {
        _ if args.demo_without_advisory_db => Origin::NowhereInTheDemo,
        Some(folder) => Origin::At(folder.clone()),
        None => Origin::Network,
    }
}

fn collect<T>(problems: &mut Vec<Problem>, found: Result<T, Vec<Problem>>) -> Option<T> {
    match found {
        Ok(value) => Some(value),
        Err(more) => {
            problems.extend(more);
            None
        }
    }
}

fn engines(wanted: EngineArg) -> Result<Engines, Vec<Problem>> {
    let first = match wanted {
        EngineArg::Nix => Engine::Nix,
        EngineArg::Namespaces => Engine::Namespaces,
    };
    if let Err(missing) = first.available() {
        let command = missing
            .hint()
            .unwrap_or_else(|| "choose another `--engine`".to_owned());
        let repair = match first {
            Engine::Nix => format!("{command}; or release without Nix: `--engine namespaces`"),
            Engine::Namespaces => command,
        };
        return Err(vec![Problem::missing(missing.to_string(), repair)]);
    }
    let other = first.other();
    let second = if other.available().is_ok() {
        other
    } else {
        first
    };
    Ok(Engines { first, second })
}

/// The key that signs the bundle: named, or else git's `user.signingKey`.
fn signer(plan: &Plan, named: Option<&str>) -> anyhow::Result<Result<Signer, Vec<Problem>>> {
    let missing = |what: String, repair: &str| Ok(Err(vec![Problem::missing(what, repair)]));
    let configured = || {
        shell::program("git")
            .folder(&plan.root)
            .args(["config", "--get", "user.signingKey"])
            .read_line()
            .ok()
    };
    let Some(name) = named.map(str::to_owned).or_else(configured) else {
        return missing(
            "no key is named that signs the bundle".to_owned(),
            "name it with `--sign-with FINGERPRINT`; `gpg --list-secret-keys` lists yours",
        );
    };
    let signer = match Signer::find(&name) {
        Ok(signer) => signer,
        Err(error) => {
            return missing(
                format!("the bundle cannot be signed: {error:#}"),
                "choose another key with `--sign-with FINGERPRINT`",
            );
        }
    };
    if plan.keyring.holder(signer.fingerprint()).is_none() {
        return Ok(Err(vec![Problem::wrong(
            format!(
                "the key `{}` that signs the bundle is not in the keyring",
                signer.fingerprint()
            ),
            format!(
                "choose a key of `{}` with `--sign-with FINGERPRINT`, or add this one to it",
                plan.release.gate().keyring
            ),
        )]));
    }
    Ok(Ok(signer))
}

/// What the repository lacks for a source bundle with the whole history.
fn repository_problems(plan: &Plan) -> anyhow::Result<Vec<Problem>> {
    let shallow = shell::program("git")
        .folder(&plan.root)
        .args(["rev-parse", "--is-shallow-repository"])
        .read_line()?;
    if shallow == "true" {
        return Ok(vec![Problem::missing(
            "this clone is shallow: the source bundle needs the whole history",
            "`git fetch --unshallow`",
        )]);
    }
    Ok(Vec::new())
}
