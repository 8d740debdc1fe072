//! Step 9, only when asked for: the verified bundle goes where people get it.
//! In: a [`Passed`] verdict. Out: [`Published`].

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::recheck::Passed;
use crate::outcome::Refused;

/// A bundle that passed and stands where it was to be published.
#[derive(Debug)]
pub(crate) struct Published {
    /// The published folder.
    pub(crate) folder: PathBuf,
}

/// Copies the bundle below `shelf`; what stands there already is never overwritten.
pub(crate) fn publish(passed: &Passed, shelf: &Path) -> anyhow::Result<Published> {
    let from = passed.bundle().folder();
    let name = from.file_name().context("a bundle's folder has a name")?;
    let folder = shelf.join(name);
    if folder.exists() {
        return Err(Refused::new(
            format!("`{}` is not published again", name.to_string_lossy()),
            format!(
                "`{}` is there already, and what is published never changes",
                folder.display()
            ),
        )
        .hint("publish a new version, or choose another folder")
        .into());
    }
    // Copied beside and renamed: nobody ever sees half a bundle.
    let partial = shelf.join(format!(".{}.partial", name.to_string_lossy()));
    super::checkout::clear(&partial)?;
    copy(from, &partial)?;
    fs::rename(&partial, &folder).with_context(|| format!("publishing `{}`", folder.display()))?;
    Ok(Published { folder })
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to).with_context(|| format!("making `{}`", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("listing `{}`", from.display()))? {
        let entry = entry.with_context(|| format!("listing `{}`", from.display()))?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)
                .with_context(|| format!("copying to `{}`", target.display()))?;
        }
    }
    Ok(())
}
