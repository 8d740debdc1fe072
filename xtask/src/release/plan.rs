//! Step 0: what this workspace releases. In: the current folder. Out: [`Plan`].

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use verify::plan::{FILE_NAME, ReleasePlan};
use verify::trust::keyring::Keyring;

use crate::outcome::Undecided;

/// Where everything of a release is written, below the workspace.
const OUT: &str = "target/release-out";

/// A workspace with its `release.toml` and the keys that may sign its tags.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The workspace's root, absolute.
    pub(crate) root: PathBuf,
    /// `release.toml`.
    pub(crate) release: ReleasePlan,
    /// The keyring's file, as it is.
    pub(crate) keyring_bytes: Vec<u8>,
    /// The keyring.
    pub(crate) keyring: Keyring,
}

impl Plan {
    /// Reads the plan of the workspace that the current folder lies in.
    pub(crate) fn here() -> anyhow::Result<Self> {
        let here = std::env::current_dir().context("finding the current folder")?;
        let root = here
            .ancestors()
            .find(|folder| folder.join(FILE_NAME).is_file())
            .ok_or_else(|| {
                Undecided::new(
                    "there is nothing to release here",
                    vec![format!(
                        "neither `{}` nor a folder above it has a `{FILE_NAME}`",
                        here.display()
                    )],
                    vec!["run the command in the workspace that is released".to_owned()],
                )
            })?;
        Self::at(root)
    }

    /// Reads the plan of the workspace with this root.
    pub(crate) fn at(root: &Path) -> anyhow::Result<Self> {
        let root = root
            .canonicalize()
            .with_context(|| format!("finding `{}`", root.display()))?;
        let text = fs::read_to_string(root.join(FILE_NAME))
            .with_context(|| format!("reading `{FILE_NAME}` in `{}`", root.display()))?;
        let release = ReleasePlan::parse(&text)?;
        let keyring_path = &release.gate().keyring;
        let keyring_bytes = fs::read(root.join(keyring_path)).map_err(|error| {
            Undecided::new(
                "no tag can be trusted",
                vec![format!(
                    "the keyring `{keyring_path}`, which `{FILE_NAME}` names: {error}"
                )],
                vec![format!(
                    "write the certificates that may sign tags: \
                     `gpg --armor --export FINGERPRINT > {keyring_path}`, and commit them"
                )],
            )
        })?;
        let keyring = Keyring::from_bytes(&keyring_bytes)
            .with_context(|| format!("reading the keyring `{keyring_path}`"))?;
        Ok(Self {
            root,
            release,
            keyring_bytes,
            keyring,
        })
    }

    /// The folder under which this tag's release is written, and nothing else is.
    pub(crate) fn out(&self, tag: &verify::trust::tag::TagName) -> PathBuf {
        self.root.join(OUT).join(tag.as_str())
    }
}
