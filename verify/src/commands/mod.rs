//! The commands, one file each: from the command line to text and a verdict.

pub mod advisories;
mod answer;
pub mod attest;
pub mod diff;
pub mod manual;
pub mod policy;
pub mod quorum;
pub mod rebuild;
pub mod release;
pub mod sbom;
pub mod signature;
pub mod tag;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context as _;

use crate::load::advisory_origin;
use crate::load::policy::{MAX_POLICY_BYTES, Policy};
use crate::rebuild::default_cache;
use crate::trust::allowed_signers::AllowedSigners;
use crate::trust::keyring::{Keyring, MAX_KEYRING_BYTES};
use crate::verdict::Verdict;

/// The largest allowed-signers file that is read, in bytes.
const MAX_SIGNERS_BYTES: u64 = 1 << 20;

/// What a command answers.
#[derive(Debug)]
pub struct Answer {
    /// The text for standard output.
    pub text: String,
    /// What follows; the exit code.
    pub verdict: Verdict,
}

/// Reads a file that must not be larger than `limit_bytes`.
fn read(path: &Path, limit_bytes: u64) -> anyhow::Result<Vec<u8>> {
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("`{shown}` cannot be read"))?;
    let mut bytes = Vec::new();
    file.take(limit_bytes + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("`{shown}` cannot be read"))?;
    anyhow::ensure!(
        bytes.len() as u64 <= limit_bytes,
        "`{shown}` is larger than {limit_bytes} bytes"
    );
    Ok(bytes)
}

fn keyring(path: &Path) -> anyhow::Result<Keyring> {
    let bytes = read(path, MAX_KEYRING_BYTES as u64)?;
    Keyring::from_bytes(&bytes).with_context(|| format!("`{}` cannot be used", path.display()))
}

fn allowed_signers(path: &Path) -> anyhow::Result<AllowedSigners> {
    let shown = path.display();
    let text = String::from_utf8(read(path, MAX_SIGNERS_BYTES)?)
        .with_context(|| format!("`{shown}` is not text"))?;
    AllowedSigners::parse(&text).with_context(|| format!("`{shown}` cannot be used"))
}

/// The folder of the advisory database, brought up to date where that is asked for; `None` where
/// nobody names one.
fn advisory_db(
    named: Option<&Path>,
    fetch: bool,
    policy: &Policy,
    now: SystemTime,
) -> anyhow::Result<Option<PathBuf>> {
    let named = named.map(Path::to_owned);
    let folder = named.or_else(crate::load::advisory_db::from_environment);
    if !fetch {
        return Ok(folder);
    }
    let folder = folder.unwrap_or_else(|| default_cache().join("advisory-db"));
    let origin = &policy.advisories().origin;
    advisory_origin::fetch(origin, &folder, now)
        .context("without an up-to-date advisory database there is no answer")?;
    Ok(Some(folder))
}

fn policy(path: Option<&Path>) -> anyhow::Result<Policy> {
    let Some(path) = path else {
        return Ok(Policy::strict());
    };
    let text = String::from_utf8(read(path, MAX_POLICY_BYTES)?)
        .with_context(|| format!("`{}` is not text", path.display()))?;
    Policy::parse(&text).with_context(|| format!("`{}` cannot be used", path.display()))
}
