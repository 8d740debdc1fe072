//! Step 7: the bundle's folder, its checksums and their signature.
//! In: a [`SignedStatement`]. Out: a [`Bundle`].
//!
//! File names come from `verify::load::bundle`, where their reader has them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sbom::digest::Sha256Digest;
use verify::attest::dsse;
use verify::load::bundle::{
    ADVISORIES, BIN_DIR, INPUTS, MANIFEST, MANIFEST_SIGNATURE, PROVENANCE, SBOM_DIR, SOURCE, VEX,
    binary_path, sbom_path,
};
use verify::manifest::Manifest;

use super::checkout::clear;
use super::gnupg::Signer;
use super::plan::Plan;
use super::provenance::SignedStatement;
use super::source_bundle;
use crate::talk;

/// A complete bundle that nobody has verified yet. Only [`assemble`] makes one.
#[derive(Debug)]
pub(crate) struct Bundle {
    folder: PathBuf,
    /// Files that differ from those of an earlier run with this tag, signatures apart; `None`
    /// where there was no earlier run.
    differs: Option<Vec<String>>,
}

impl Bundle {
    /// Where it stands.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Writes the bundle.
pub(crate) fn assemble(
    plan: &Plan,
    statement: &SignedStatement,
    signer: &mut Signer,
) -> anyhow::Result<Bundle> {
    let build = statement.sboms().build();
    let report = build.report();
    let tag = report.checkout().tag();
    let out = plan.out(tag.verified().name());
    let name = plan.release.bundle_name(tag.version());
    let partial = out.join(format!(".{name}.partial"));
    clear(&partial)?;
    for folder in [BIN_DIR, SBOM_DIR] {
        let folder = partial.join(folder);
        fs::create_dir_all(&folder).with_context(|| format!("making `{}`", folder.display()))?;
    }
    let put = |path: &str, bytes: &[u8]| {
        let path = partial.join(path);
        fs::write(&path, bytes).with_context(|| format!("writing `{}`", path.display()))
    };
    for (binary, built) in &build.first().binaries {
        let target = partial.join(binary_path(binary));
        fs::copy(&built.path, &target).with_context(|| format!("copying `{binary}`"))?;
        fs::set_permissions(&target, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("making `{binary}` executable"))?;
    }
    for (binary, document) in statement.sboms().documents() {
        put(&sbom_path(binary), document)?;
    }
    put(PROVENANCE, statement.envelope().to_line().as_bytes())?;
    put(ADVISORIES, &report.document())?;
    put(VEX, &statement.sboms().vex()?)?;
    let inputs = report
        .checkout()
        .source()
        .join(&plan.release.build().inputs);
    fs::copy(&inputs, partial.join(INPUTS))
        .with_context(|| format!("copying `{}`", inputs.display()))?;
    source_bundle::write(&plan.root, tag.verified(), &partial.join(SOURCE))?;

    let manifest = manifest(&partial)?;
    put(MANIFEST, manifest.as_bytes())?;
    put(MANIFEST_SIGNATURE, &signer.armored(manifest.as_bytes())?)?;

    let folder = out.join(&name);
    let differs = if folder.is_dir() {
        Some(differing(&folder, &partial)?)
    } else {
        None
    };
    clear(&folder)?;
    fs::rename(&partial, &folder).with_context(|| format!("placing `{}`", folder.display()))?;
    Ok(Bundle { folder, differs })
}

/// Says whether an earlier run with this tag gave the same bytes.
pub(crate) fn say_differences(bundle: &Bundle) {
    match bundle.differs.as_deref() {
        None => {}
        Some([]) => talk::say("    the same bytes as in the run before, signatures apart"),
        Some(names) => talk::say(&format!(
            "    not the same bytes as in the run before: {}",
            names.join(", ")
        )),
    }
}

/// The text of `SHA256SUMS` over every file in the folder.
fn manifest(folder: &Path) -> anyhow::Result<String> {
    let mut listed = BTreeMap::new();
    for (path, bytes) in files(folder)? {
        listed.insert(path.parse()?, Sha256Digest::of(&bytes));
    }
    Ok(Manifest::new(listed)?.to_string())
}

/// Files that are not the same in both folders. Signatures are left out: they hold their time.
fn differing(earlier: &Path, now: &Path) -> anyhow::Result<Vec<String>> {
    let unsigned = |folder: &Path| -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
        let mut files = files(folder)?;
        files.remove(MANIFEST);
        files.remove(MANIFEST_SIGNATURE);
        if let Some(lines) = files.get_mut(PROVENANCE)
            && let Ok(envelopes) = dsse::read_lines(lines)
        {
            *lines = envelopes.iter().flat_map(dsse::Envelope::pae).collect();
        }
        Ok(files)
    };
    let (earlier, now) = (unsigned(earlier)?, unsigned(now)?);
    let mut names: Vec<&String> = earlier.keys().chain(now.keys()).collect();
    names.sort();
    names.dedup();
    Ok(names
        .into_iter()
        .filter(|name| earlier.get(*name) != now.get(*name))
        .cloned()
        .collect())
}

/// All files below a folder, by path with `/` between the parts.
fn files(folder: &Path) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![(folder.to_path_buf(), String::new())];
    while let Some((folder, prefix)) = waiting.pop() {
        for entry in
            fs::read_dir(&folder).with_context(|| format!("listing `{}`", folder.display()))?
        {
            let entry = entry.with_context(|| format!("listing `{}`", folder.display()))?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                waiting.push((entry.path(), format!("{name}/")));
            } else {
                let bytes = fs::read(entry.path()).with_context(|| format!("reading `{name}`"))?;
                found.insert(name, bytes);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differing_files_are_named_and_signatures_are_not() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (folder, text) in [(&a, "one"), (&b, "two")] {
            fs::create_dir(folder.path().join(BIN_DIR)).unwrap();
            fs::write(folder.path().join("bin/tool"), text).unwrap();
            fs::write(folder.path().join(MANIFEST_SIGNATURE), text).unwrap();
            fs::write(folder.path().join(VEX), "same").unwrap();
        }
        assert_eq!(differing(a.path(), b.path()).unwrap(), ["bin/tool"]);
        assert_eq!(differing(a.path(), a.path()).unwrap(), Vec::<String>::new());
    }
}
