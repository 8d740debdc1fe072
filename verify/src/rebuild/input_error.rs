//! Why an input of the build could not be had, and what helps.

use std::{
    io,
    path::{Path, PathBuf},
};

use sbom::digest::Sha256Digest;

/// Why an input could not be had.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// Every way to get it failed.
    #[error("`{name}` could not be fetched: {why}")]
    Fetch {
        /// Which input or file.
        name: String,
        /// What each way said.
        why: String,
    },
    /// A file or tree is not what was pinned.
    #[error("`{name}` is not the pinned one: expected SHA-256 `{pinned}`, got `{found}`")]
    Differs {
        /// Which input or file.
        name: String,
        /// The pin.
        pinned: Sha256Digest,
        /// What was got.
        found: Sha256Digest,
    },
    /// Reading or writing a file.
    #[error("`{path}` cannot be used")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl InputError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    pub(crate) fn fetch(name: &str, why: impl ToString) -> Self {
        Self::Fetch {
            name: name.to_owned(),
            why: why.to_string(),
        }
    }

    /// The command that helps.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Fetch { .. } => Some(
                "connect to a network, or carry the inputs over with `cargo xtask inputs export DIR` and `cargo xtask inputs import DIR`".into(),
            ),
            Self::Differs { .. } => {
                Some("the source of this input changed it; take it from its permanent address".into())
            }
            Self::Io { .. } => None,
        }
    }
}
