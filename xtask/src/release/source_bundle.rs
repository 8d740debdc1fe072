//! The source bundle: the signed tag and its whole history in one file that git clones from.
//!
//! Written as git's bundle format says (git, Documentation/gitformat-bundle) over a pack that
//! reuses nothing of how this clone happens to store its objects and is made by one thread: so two
//! clones of one history give the same bytes, as long as git and its zlib are the same.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use verify::trust::tag::VerifiedTag;

use crate::shell;

/// Writes the bundle of a tag.
pub(crate) fn write(repository: &Path, tag: &VerifiedTag, to: &Path) -> anyhow::Result<()> {
    let id = tag.id().to_string();
    let mut bundle = header(&id, &tag.name().full_ref()).into_bytes();
    let pack = shell::program("git")
        .folder(repository)
        .args([
            "-c",
            "pack.compression=6",
            "-c",
            "core.bigFileThreshold=512m",
        ])
        .args([
            "-c",
            "pack.useSparse=false",
            "-c",
            "pack.writeReverseIndex=false",
        ])
        .args([
            "pack-objects",
            "--stdout",
            "--revs",
            "--quiet",
            "--delta-base-offset",
        ])
        .args([
            "--no-reuse-delta",
            "--no-reuse-object",
            "--threads=1",
            "--window=10",
            "--depth=50",
        ])
        .read_with_input(format!("{id}\n").as_bytes())
        .context("packing the tag's history")?;
    bundle.extend(pack);
    fs::write(to, bundle).with_context(|| format!("writing `{}`", to.display()))
}

/// SHA-256 repositories need version 3 and say so.
fn header(id: &str, reference: &str) -> String {
    if id.len() == 64 {
        format!("# v3 git bundle\n@object-format=sha256\n{id} {reference}\n\n")
    } else {
        format!("# v2 git bundle\n{id} {reference}\n\n")
    }
}

#[cfg(test)]
mod tests {
    use super::header;

    #[test]
    fn only_a_sha256_repository_needs_version_3() {
        assert_eq!(
            header("ab", "refs/tags/v1"),
            "# v2 git bundle\nab refs/tags/v1\n\n"
        );
        let long = "a".repeat(64);
        assert!(
            header(&long, "refs/tags/v1").starts_with("# v3 git bundle\n@object-format=sha256\n")
        );
    }
}
