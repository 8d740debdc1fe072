//! Building what is released, hermetically, by one recipe under two engines.
//!
//! This is the only build there is: a release is the first rebuild. Nothing here trusts what it
//! fetched (pins decide) or knows any particular project (the plan and the pins say it all).

pub mod binary;
pub mod carry;
mod chamber;
mod command;
pub mod compare;
pub mod fetch;
pub mod input_error;
pub mod inputs;
mod namespaces;
pub mod nar;
mod nix;
pub mod nix_store;
pub mod pins;
pub mod progress;
mod stages;
pub mod store_path;
mod tree;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use sbom::digest::Sha256Digest;

use crate::plan::ReleasePlan;
use input_error::InputError;
use inputs::Trees;
use pins::{PinError, Pins};
use progress::Progress;

/// What runs the recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Engine {
    /// Nix's sandbox; the reference.
    Nix,
    /// The same root made with Linux namespaces, without Nix.
    Namespaces,
}

/// What is to be built, and where.
#[derive(Debug, Clone)]
pub struct BuildRequest<'a> {
    /// The source tree: a folder that holds exactly the files of the commit.
    pub source: &'a Path,
    /// The plan in that source.
    pub plan: &'a ReleasePlan,
    /// The commit's time, seconds since 1970.
    pub source_date_epoch: i64,
    /// Folder that receives `bin/<name>`; made when it does not exist.
    pub out: &'a Path,
    /// Folder that keeps unpacked inputs and compiled dependencies between builds.
    pub cache: &'a Path,
    /// `false`: compile the dependencies afresh although the cache has them.
    pub reuse_dependencies: bool,
    /// `true`: run the last stage even where the Nix store has its result already. An auditor's
    /// rebuild is always fresh; what somebody built before proves nothing.
    pub fresh: bool,
    /// What to change about the surroundings, to see that nothing depends on them.
    pub variation: Option<Variation>,
    /// Build on these machines (`--builders` of Nix); only for [`Engine::Nix`].
    pub nix_builders: Option<&'a str>,
}

/// Surroundings that differ from the usual ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variation {
    /// `$HOME` inside the root.
    pub home: String,
    /// File mode mask, octal.
    pub umask: String,
    /// `$TZ`.
    pub time_zone: String,
    /// `$LC_ALL`.
    pub locale: String,
    /// Name of the host.
    pub host_name: String,
    /// How many compilers run at once.
    pub jobs: usize,
}

/// A build that came to its end.
#[derive(Debug, Clone)]
pub struct BuildOutput {
    /// Which engine made it.
    pub engine: Engine,
    /// Every binary of the plan: where it stands and its digest.
    pub binaries: BTreeMap<String, BuiltBinary>,
    /// The unpacked inputs that it was made from.
    pub trees: Trees,
    /// The pins, as the source has them.
    pub pins: Pins,
    /// Whether the compiled dependencies came from this machine's cache or store.
    pub dependencies_reused: bool,
    /// Wall time of the build.
    pub duration: Duration,
}

/// One binary that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltBinary {
    /// Where it stands.
    pub path: PathBuf,
    /// Its SHA-256.
    pub digest: Sha256Digest,
}

/// Why there is no build.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The engine is not on this machine.
    #[error("the engine `{engine}` cannot run here: {why}", engine = engine.name())]
    EngineMissing {
        /// Which one.
        engine: Engine,
        /// What is missing or in the way.
        why: String,
        /// The command that helps.
        hint: String,
    },
    /// The pins are unreadable or do not fit the source.
    #[error("the pinned inputs cannot be used")]
    Pins(#[from] PinError),
    /// An input could not be had, or is not what was pinned.
    #[error("an input of the build is missing")]
    Input(#[from] InputError),
    /// The recipe failed.
    #[error("stage `{stage}` of the build failed; the end of its log:\n{log}")]
    Failed {
        /// Which stage.
        stage: String,
        /// Last lines of the log.
        log: String,
    },
    /// The recipe ended well but a binary is not there.
    #[error("the build ended without `{0}`")]
    NoBinary(String),
    /// Reading or writing a file.
    #[error("`{path}` cannot be {what}")]
    Io {
        /// Done to it.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Engine {
    /// Its name on the command line and in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nix => "nix",
            Self::Namespaces => "namespaces",
        }
    }

    /// The one that proves the most beside this one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Nix => Self::Namespaces,
            Self::Namespaces => Self::Nix,
        }
    }

    /// Whether it can run on this machine.
    ///
    /// # Errors
    /// [`RebuildError::EngineMissing`] with what is missing and the command that helps.
    pub fn available(self) -> Result<(), RebuildError> {
        match self {
            Self::Nix => nix::available(),
            Self::Namespaces => namespaces::available(),
        }
    }

    /// Nix where it is installed, else namespaces.
    #[must_use]
    pub fn preferred() -> Self {
        if nix::available().is_ok() {
            Self::Nix
        } else {
            Self::Namespaces
        }
    }
}

impl Variation {
    /// Surroundings as unlike the usual ones as the recipe lets them be.
    #[must_use]
    pub fn unlike_the_usual() -> Self {
        Self {
            home: "/build/another-home".to_owned(),
            umask: "077".to_owned(),
            time_zone: "Pacific/Kiritimati".to_owned(),
            locale: "de_DE.UTF-8".to_owned(),
            host_name: "elsewhere".to_owned(),
            jobs: 1,
        }
    }
}

impl RebuildError {
    /// The command or step that repairs it, where there is one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::EngineMissing { hint, .. } => Some(hint.clone()),
            Self::Pins(e) => e.hint(),
            Self::Input(e) => e.hint(),
            Self::Failed { .. } | Self::NoBinary(_) | Self::Io { .. } => None,
        }
    }

    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

/// Where inputs and compiled dependencies are kept unless told otherwise: `$HALLMARK_CACHE`, else
/// `$XDG_CACHE_HOME/hallmark`, else `~/.cache/hallmark`.
#[must_use]
pub fn default_cache() -> PathBuf {
    use std::env;
    if let Some(path) = env::var_os("HALLMARK_CACHE") {
        return path.into();
    }
    let base = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|p| p.is_absolute());
    let base = base.or_else(|| env::home_dir().map(|home| home.join(".cache")));
    base.unwrap_or_else(env::temp_dir).join("hallmark")
}

/// Builds the plan's binaries from `request.source` with one engine.
///
/// The inputs are taken from the cache or the Nix store, else fetched, and checked against the
/// pins either way.
///
/// # Errors
/// A [`RebuildError`]; nothing is left in `request.out` then.
pub fn build(
    request: &BuildRequest<'_>,
    engine: Engine,
    progress: &dyn Progress,
) -> Result<BuildOutput, RebuildError> {
    engine.available()?;
    let started = Instant::now();
    let pins = Pins::of_source(request.source, request.plan)?;
    let trees = inputs::ensure(&pins, request.source, request.cache, progress)?;
    let made = match engine {
        Engine::Nix => nix::build(request, &pins, &trees, progress)?,
        Engine::Namespaces => namespaces::build(request, &trees, progress)?,
    };
    let binaries = collect(request, &made.bin)?;
    Ok(BuildOutput {
        engine,
        binaries,
        trees,
        pins,
        dependencies_reused: made.dependencies_reused,
        duration: started.elapsed(),
    })
}

/// What an engine leaves behind.
struct Made {
    /// Folder with the binaries.
    bin: PathBuf,
    dependencies_reused: bool,
    /// Holds that folder until the binaries are copied out of it; `None` in the Nix store.
    #[expect(dead_code, reason = "kept for its drop, which removes the folder")]
    scratch: Option<tempfile::TempDir>,
}

fn collect(
    request: &BuildRequest<'_>,
    bin: &Path,
) -> Result<BTreeMap<String, BuiltBinary>, RebuildError> {
    let target = request.out.join("bin");
    let mut read = Vec::new();
    for binary in request.plan.binaries() {
        let from = bin.join(&binary.name);
        if !from.is_file() {
            return Err(RebuildError::NoBinary(binary.name.clone()));
        }
        let bytes = std::fs::read(&from).map_err(RebuildError::io("read", &from))?;
        read.push((binary.name.clone(), bytes));
    }
    std::fs::create_dir_all(&target).map_err(RebuildError::io("made", &target))?;
    let mut binaries = BTreeMap::new();
    for (name, bytes) in read {
        let path = target.join(&name);
        let digest = Sha256Digest::of(&bytes);
        // Written beside and renamed: a reader never sees half a binary.
        let partial = target.join(format!(".{name}.partial"));
        std::fs::write(&partial, &bytes).map_err(RebuildError::io("written", &partial))?;
        tree::set_mode(&partial, 0o755).map_err(RebuildError::io("made executable", &partial))?;
        std::fs::rename(&partial, &path).map_err(RebuildError::io("written", &path))?;
        binaries.insert(name, BuiltBinary { path, digest });
    }
    Ok(binaries)
}
