//! What `verify` is measured with: a released workspace, the keys that it trusts, a database, and a
//! scratch folder in which the tools of others find what they want.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use verify::load::bundle::{BIN_DIR, MANIFEST, SBOM_DIR};
use verify::plan::{FILE_NAME, ReleasePlan};

use crate::bootstrap;
use crate::outcome::Undecided;
use crate::shell;
use crate::tidy;

const LOCK: &str = "Cargo.lock";

/// A released workspace.
pub(super) struct Released {
    pub(super) workspace: PathBuf,
    /// Whose Cargo.lock is looked at: the workspace, or this repository where its list is longer.
    pub(super) crates: PathBuf,
    pub(super) bundle: PathBuf,
    pub(super) tag: String,
    pub(super) keyring: PathBuf,
    pub(super) database: PathBuf,
    /// The `verify` that is measured.
    pub(super) verify: PathBuf,
    is_named: bool,
    /// The largest binary of the bundle, and its SBOM.
    pub(super) binary: PathBuf,
    pub(super) sbom: PathBuf,
    pub(super) scratch: tempfile::TempDir,
}

impl Released {
    /// Finds the release that stands in a workspace, and prepares the scratch folder.
    ///
    /// # Errors
    /// [`Undecided`] where there is no release or no database.
    pub(super) fn find(workspace: &Path, program: Option<&Path>) -> anyhow::Result<Self> {
        // Programs that run elsewhere are told of it.
        let workspace = &std::path::absolute(workspace)?;
        let (tag, bundle) = bundle_of(workspace)?;
        let plan = ReleasePlan::parse(&fs::read_to_string(workspace.join(FILE_NAME))?)?;
        let binary = largest(&bundle.join(BIN_DIR))?;
        let name = binary.file_name().unwrap_or_default().to_string_lossy();
        let sbom = bundle.join(SBOM_DIR).join(format!("{name}.cdx.json"));
        let this = Self {
            keyring: workspace.join(&plan.gate().keyring),
            database: database()?,
            verify: match program {
                Some(named) => std::path::absolute(named)?,
                None => measured_program(&bundle)?,
            },
            is_named: program.is_some(),
            crates: longer_lock(workspace)?,
            workspace: workspace.to_path_buf(),
            bundle,
            tag,
            binary,
            sbom,
            scratch: tempfile::Builder::new().prefix("bench").tempdir()?,
        };
        this.prepare(plan.gate().advisory_min_count)?;
        Ok(this)
    }

    /// The policy that takes a database of any age: it is the same one for all tools.
    pub(super) fn policy(&self) -> PathBuf {
        self.scratch.path().join("policy.toml")
    }

    /// The list of crates that is looked at.
    pub(super) fn lock(&self) -> PathBuf {
        self.crates.join(LOCK)
    }

    /// A clone of where it stands, for tools that write beside what they look at.
    pub(super) fn checkout(&self) -> PathBuf {
        self.scratch.path().join("clone")
    }

    /// A GnuPG home with the release's certificates and nothing else.
    pub(super) fn gnupg(&self) -> PathBuf {
        self.scratch.path().join("gnupg")
    }

    fn prepare(&self, min_count: usize) -> anyhow::Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        let policy =
            format!("version = 1\n[advisories]\nmax_age_days = 3650\nmin_count = {min_count}\n");
        fs::write(self.policy(), policy).context("writing a policy")?;
        fs::create_dir(self.gnupg())?;
        fs::set_permissions(self.gnupg(), fs::Permissions::from_mode(0o700))?;
        shell::program("gpg")
            .args(["--batch", "--quiet", "--import"])
            .arg(&self.keyring)
            .env("GNUPGHOME", self.gnupg())
            .read()
            .context("giving GnuPG the release's certificates")?;
        shell::program("git")
            .args(["clone", "--quiet", "--no-hardlinks"])
            .arg(&self.crates)
            .arg(self.checkout())
            .read()
            .context("cloning the released workspace")?;
        Ok(())
    }

    /// What was measured with what, in one sentence.
    pub(super) fn describe(&self) -> anyhow::Result<String> {
        let size = |path: &Path| -> anyhow::Result<f64> {
            Ok(fs::metadata(path)?.len() as f64 / f64::from(1 << 20))
        };
        let mut binaries = 0.0;
        for entry in fs::read_dir(self.bundle.join(BIN_DIR))? {
            binaries += size(&entry?.path())?;
        }
        Ok(format!(
            "The bundle `{}` with {binaries:.1} MiB of binaries, for the advisories a Cargo.lock of {} packages; `verify` is {}",
            self.bundle
                .file_name()
                .unwrap_or_default()
                .to_string_lossy(),
            packages(&self.crates)?,
            if self.is_named {
                "the one that was named"
            } else if self.verify.starts_with(&self.bundle) {
                "the shipped one"
            } else {
                "this repository's, profile `release`"
            }
        ))
    }
}

/// The workspace, or this repository where its list of crates is longer: a short one is no measure.
fn longer_lock(workspace: &Path) -> anyhow::Result<PathBuf> {
    let root = tidy::workspace_root();
    let longer = packages(&root)? > packages(workspace)?;
    Ok(if longer {
        root
    } else {
        workspace.to_path_buf()
    })
}

fn packages(workspace: &Path) -> anyhow::Result<usize> {
    let lock = fs::read_to_string(workspace.join(LOCK))
        .with_context(|| format!("reading the `{LOCK}` of `{}`", workspace.display()))?;
    Ok(lock.matches("[[package]]").count())
}

fn bundle_of(workspace: &Path) -> anyhow::Result<(String, PathBuf)> {
    let none = || {
        Undecided::new(
            "there is no release to measure with",
            vec![format!("`{}` holds none", workspace.display())],
            vec![
                "make one with `cargo xtask demo`, or name a released workspace: \
                 `cargo xtask bench verify -- WORKSPACE [PROGRAM]`"
                    .to_owned(),
            ],
        )
    };
    let out = workspace.join("target/release-out");
    for tag in fs::read_dir(&out).map_err(|_| none())? {
        let tag = tag?;
        for folder in fs::read_dir(tag.path())? {
            let folder = folder?.path();
            if folder.join(MANIFEST).is_file() {
                return Ok((tag.file_name().to_string_lossy().into_owned(), folder));
            }
        }
    }
    Err(none().into())
}

fn largest(folder: &Path) -> anyhow::Result<PathBuf> {
    let mut found: Option<(u64, PathBuf)> = None;
    for entry in fs::read_dir(folder).with_context(|| format!("listing `{}`", folder.display()))? {
        let entry = entry?;
        found = found.max(Some((entry.metadata()?.len(), entry.path())));
    }
    Ok(found.context("the bundle has no binary")?.1)
}

fn database() -> anyhow::Result<PathBuf> {
    let beside = tidy::workspace_root().join("../shared/data/advisory-db");
    std::env::var_os("HALLMARK_ADVISORY_DB")
        .map(PathBuf::from)
        .or_else(|| beside.is_dir().then_some(beside))
        .ok_or_else(|| {
            Undecided::new(
                "there is no advisory database to measure with",
                vec!["`$HALLMARK_ADVISORY_DB` is not set".to_owned()],
                vec!["set it to a checkout of the RustSec database".to_owned()],
            )
            .into()
        })
}

fn measured_program(bundle: &Path) -> anyhow::Result<PathBuf> {
    let shipped = bundle.join(BIN_DIR).join("verify");
    if shipped.is_file() {
        return Ok(shipped);
    }
    let root = tidy::workspace_root();
    shell::program(bootstrap::cargo())
        .folder(&root)
        .args(["build", "--release", "--locked", "--package", "verify"])
        .run()?;
    Ok(root.join("target/release/verify"))
}
