//! Whether the pinned `.deb` files are Debian's: each must stand with its digest in the package
//! index that Debian's signed Release file vouches for.
//!
//! The index is the one that apt keeps on this machine. The signature is checked by `gpgv` against
//! Debian's archive keyring; nothing that is not signed is believed.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use sbom::digest::Sha256Digest;
use verify::rebuild::pins::DebianRoot;

use crate::{
    outcome::{Refused, Undecided},
    shell, talk,
};

/// Where apt keeps what it fetched.
const LISTS: &str = "/var/lib/apt/lists";
/// Debian's own keys, from the package debian-archive-keyring.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Reads an index in whichever compression apt keeps it.
const APT_HELPER: &str = "/usr/lib/apt/apt-helper";

/// Checks every package of the root.
///
/// # Errors
/// `Refused` for a package that Debian did not sign so; `Undecided` where nothing could be looked
/// at, or where the archive has moved on from a pinned version.
pub(crate) fn check(root: &DebianRoot) -> anyhow::Result<()> {
    let (suite, component) = root
        .suite
        .split_once('/')
        .context("reading the pinned suite")?;
    let index = signed_index(suite, component)?;
    let (mut wrong, mut unseen) = (Vec::new(), Vec::new());
    for package in &root.packages {
        match index.get(&(package.name.clone(), package.version.clone())) {
            Some(digest) if *digest == package.sha256 => {
                talk::answer(&format!("ok {} {}", package.name, package.version))?;
            }
            Some(digest) => wrong.push(format!(
                "`{}` {} is pinned as {}, and Debian signed {digest}",
                package.name, package.version, package.sha256
            )),
            None => unseen.push(format!(
                "`{}` {} is not in the current index of {}",
                package.name, package.version, root.suite
            )),
        }
    }
    if !wrong.is_empty() {
        return Err(Refused::for_all("pinned packages are not Debian's", wrong).into());
    }
    if !unseen.is_empty() {
        let hint = "pin anew with `cargo xtask inputs update --debian`, or check against the index of the pinned snapshot";
        return Err(Undecided::new(
            "not every package could be checked",
            unseen,
            vec![hint.into()],
        )
        .into());
    }
    talk::say(&format!(
        "{} packages are as Debian signed them",
        root.packages.len()
    ));
    Ok(())
}

type Index = BTreeMap<(String, String), Sha256Digest>;

fn signed_index(suite: &str, component: &str) -> anyhow::Result<Index> {
    let mut seen = Vec::new();
    for in_release in lists_ending_in(&format!("_dists_{suite}_InRelease"))? {
        let release = match verified(&in_release) {
            Ok(text) => text,
            Err(error) => {
                seen.push(format!("`{}`: {error:#}", in_release.display()));
                continue;
            }
        };
        if !release.lines().any(|line| line == "Origin: Debian") {
            continue;
        }
        let member = format!("{component}/binary-amd64/Packages");
        let digest = digest_of_member(&release, &member)
            .with_context(|| format!("finding `{member}` in the Release file"))?;
        let index = index_beside(&in_release, suite, component)?;
        let bytes = shell::program(APT_HELPER)
            .arg("cat-file")
            .arg(&index)
            .read()?;
        if Sha256Digest::of(&bytes) != digest {
            seen.push(format!(
                "`{}` is not the index that is signed",
                index.display()
            ));
            continue;
        }
        return Ok(parse_index(&String::from_utf8_lossy(&bytes)));
    }
    seen.push(format!("`{LISTS}` has no signed index of {suite}"));
    let hints = vec!["fetch it with `sudo apt-get update`".to_owned()];
    Err(Undecided::new("Debian's signed index could not be read", seen, hints).into())
}

fn lists_ending_in(ending: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(LISTS).with_context(|| format!("reading `{LISTS}`"))? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The signed text of a Release file. `gpgv` writes only what the signature covers.
fn verified(in_release: &Path) -> anyhow::Result<String> {
    let bytes = shell::program("gpgv")
        .args(["--quiet", "--keyring", KEYRING, "--output", "-"])
        .arg(in_release)
        .read()?;
    Ok(String::from_utf8(bytes)?)
}

/// The digest of an index in the `SHA256:` part of a Release file: ` digest size path`.
fn digest_of_member(release: &str, member: &str) -> Option<Sha256Digest> {
    let part = release
        .lines()
        .skip_while(|line| *line != "SHA256:")
        .skip(1);
    part.take_while(|line| line.starts_with(' '))
        .find_map(|line| {
            let mut words = line.split_whitespace();
            let (digest, _, path) = (words.next()?, words.next()?, words.next()?);
            (path == member).then(|| digest.parse().ok())?
        })
}

fn index_beside(in_release: &Path, suite: &str, component: &str) -> anyhow::Result<PathBuf> {
    let name = in_release.to_string_lossy();
    let base = name
        .strip_suffix("_InRelease")
        .context("naming the index")?;
    let start = format!("{base}_{component}_binary-amd64_Packages");
    let found = ["", ".lz4", ".gz", ".xz", ".zst"]
        .iter()
        .map(|ending| PathBuf::from(format!("{start}{ending}")))
        .find(|path| path.is_file());
    found.with_context(|| format!("apt has no package index of {suite}/{component}"))
}

fn parse_index(text: &str) -> Index {
    let mut index = Index::new();
    for stanza in text.split("\n\n") {
        let field = |key: &str| {
            stanza
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
        };
        if let (Some(name), Some(version), Some(digest)) =
            (field("Package"), field("Version"), field("SHA256"))
            && let Ok(digest) = digest.parse()
        {
            index.insert((name.to_owned(), version.to_owned()), digest);
        }
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_sha256_part_of_a_release_file_counts() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        let text = format!(
            "MD5Sum:\n {a} 1 main/x\nSHA256:\n {b} 1 main/x\n {a} 2 main/y\nEnd: 1\n {a} 1 main/z\n"
        );
        assert_eq!(digest_of_member(&text, "main/x"), b.parse().ok());
        assert_eq!(digest_of_member(&text, "main/z"), None);
    }

    #[test]
    fn an_index_is_read_stanza_by_stanza() {
        let digest = "c".repeat(64);
        let text = format!("Package: a\nVersion: 1\nSHA256: {digest}\n\nPackage: b\nVersion: 2\n");
        assert_eq!(parse_index(&text).len(), 1);
    }
}
