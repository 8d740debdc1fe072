//! `verify` against the tools that each do a part of it: wall time and memory, in one run.
//!
//! Measured is the `verify` that was shipped, on a release of this repository as `cargo xtask
//! demo` leaves it. A tool that is not installed gets no number, and the table says so.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use verify::load::bundle::{BIN_DIR, MANIFEST, MANIFEST_SIGNATURE, SBOM_DIR};
use verify::plan::{FILE_NAME, ReleasePlan};

use super::document;
use crate::outcome::{HOLDS, Undecided};
use crate::shell::{self, Program};
use crate::talk;
use crate::tidy;

/// How often each command runs; the median counts.
const RUNS: usize = 9;
/// GNU time, which tells a program's peak memory.
const GNU_TIME: &str = "/usr/bin/time";

/// A released workspace.
struct Released {
    workspace: PathBuf,
    bundle: PathBuf,
    tag: String,
    keyring: PathBuf,
    database: Option<PathBuf>,
    scratch: tempfile::TempDir,
}

/// One command that is measured.
struct Row {
    does: &'static str,
    who: &'static str,
    command: Option<Vec<String>>,
}

/// Measures and writes the table into the document.
pub(super) fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let root = tidy::workspace_root();
    let workspace = arguments
        .first()
        .map_or_else(|| root.join("target/demo/clone"), PathBuf::from);
    let released = Released::find(&workspace, &root)?;
    released.prepare_gnupg()?;
    let mut table = format!(
        "{}. Median of {RUNS} runs, files in the page cache; memory is the peak.\n\n\
         | question | tool | time | memory |\n|---|---|---:|---:|\n",
        document::machine()?
    );
    for row in released.rows() {
        let cells = match &row.command {
            Some(command) => talk::step(&command.join(" "), || released.measure(command))?,
            None => "not installed | ".to_owned(),
        };
        table.push_str(&format!("| {} | {} | {cells} |\n", row.does, row.who));
    }
    document::put("verify", "Verifying", &table)?;
    talk::answer(&table)?;
    Ok(ExitCode::from(HOLDS))
}

impl Released {
    fn find(workspace: &Path, root: &Path) -> anyhow::Result<Self> {
        let none = || {
            Undecided::new(
                "there is no release to measure with",
                vec![format!("`{}` holds none", workspace.display())],
                vec!["make one with `cargo xtask demo`, or name a released workspace".to_owned()],
            )
        };
        let out = workspace.join("target/release-out");
        let mut found = None;
        for tag in fs::read_dir(&out).map_err(|_| none())? {
            let tag = tag.map_err(|_| none())?;
            for folder in fs::read_dir(tag.path()).map_err(|_| none())? {
                let folder = folder.map_err(|_| none())?.path();
                if folder.join(MANIFEST).is_file() {
                    found = Some((tag.file_name().to_string_lossy().into_owned(), folder));
                }
            }
        }
        let (tag, bundle) = found.ok_or_else(none)?;
        let plan = ReleasePlan::parse(&fs::read_to_string(workspace.join(FILE_NAME))?)?;
        let keyring = workspace.join(&plan.gate().keyring);
        let beside = root.join("../shared/data/advisory-db");
        let database = std::env::var_os("HALLMARK_ADVISORY_DB")
            .map(PathBuf::from)
            .or_else(|| beside.is_dir().then_some(beside));
        let scratch = tempfile::Builder::new().prefix("bench").tempdir()?;
        let workspace = workspace.to_path_buf();
        Ok(Self {
            workspace,
            bundle,
            tag,
            keyring,
            database,
            scratch,
        })
    }

    /// A GnuPG home with the release's certificates, for the tools that use one.
    fn prepare_gnupg(&self) -> anyhow::Result<()> {
        shell::program("gpg")
            .args(["--batch", "--quiet", "--import"])
            .arg(&self.keyring)
            .env("GNUPGHOME", self.scratch.path())
            .read()
            .context("giving GnuPG the release's certificates")?;
        let policy = "version = 1\n[advisories]\nmax_age_days = 3650\n";
        fs::write(self.scratch.path().join("policy.toml"), policy).context("writing a policy")
    }

    fn rows(&self) -> Vec<Row> {
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
        let verify = text(self.bundle.join(BIN_DIR).join("verify"));
        let sbom = text(self.bundle.join(SBOM_DIR).join("verify.cdx.json"));
        let keyring = text(self.keyring.clone());
        let bundle = text(self.bundle.clone());
        let workspace = text(self.workspace.clone());
        let lock = text(self.workspace.join("Cargo.lock"));
        let policy = text(self.scratch.path().join("policy.toml"));
        let manifest = text(self.bundle.join(MANIFEST));
        let signature = text(self.bundle.join(MANIFEST_SIGNATURE));
        let database = self.database.clone().map(text);
        let with_database = |words: &[&str], option: &str| -> Option<Vec<String>> {
            let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            words.extend([option.to_owned(), database.clone()?]);
            Some(words)
        };
        let peer =
            |name: &str, command: Option<Vec<String>>| command.filter(|_| shell::exists(name));
        let row = |does, who, command| Row { does, who, command };
        let whole = [
            "release",
            &bundle,
            "--keyring",
            &keyring,
            "--policy",
            &policy,
        ];
        let whole: Vec<&str> = std::iter::once(verify.as_str()).chain(whole).collect();
        vec![
            row(
                "nothing (start-up)",
                "`verify --version`",
                words(&[&verify, "--version"]),
            ),
            row(
                "all but the rebuild",
                "`verify release`",
                with_database(&whole, "--advisory-db"),
            ),
            row(
                "tag",
                "`verify tag`",
                words(&[&verify, "tag", &workspace, &self.tag, "--keyring", &keyring]),
            ),
            row(
                "tag",
                "`git verify-tag`",
                words(&["git", "-C", &workspace, "verify-tag", &self.tag]),
            ),
            row(
                "checksums",
                "`sha256sum -c`",
                words(&["sha256sum", "--quiet", "-c", &manifest]),
            ),
            row(
                "signature",
                "`verify signature`",
                words(&[
                    &verify,
                    "signature",
                    &manifest,
                    &signature,
                    "--keyring",
                    &keyring,
                ]),
            ),
            row(
                "signature",
                "`gpg --verify`",
                words(&["gpg", "--batch", "--verify", &signature, &manifest]),
            ),
            row(
                "SBOM",
                "`verify sbom`",
                words(&[&verify, "sbom", &verify, &sbom]),
            ),
            row(
                "SBOM",
                "`rust-audit-info`",
                peer("rust-audit-info", words(&["rust-audit-info", &verify])),
            ),
            row(
                "advisories",
                "`verify advisories`",
                with_database(&[&verify, "advisories", &lock, "--policy", &policy], "--db"),
            ),
            row(
                "advisories",
                "`cargo audit`",
                peer(
                    "cargo-audit",
                    with_database(
                        &[
                            "cargo-audit",
                            "audit",
                            "--quiet",
                            "--no-fetch",
                            "--stale",
                            "--file",
                            &lock,
                        ],
                        "--db",
                    ),
                ),
            ),
        ]
    }

    /// Time and memory as two cells.
    fn measure(&self, command: &[String]) -> anyhow::Result<String> {
        let mut times: Vec<Duration> = Vec::new();
        for _ in 0..RUNS {
            let start = Instant::now();
            // A tool that refuses has worked as well as one that agrees.
            self.prepared(shell::program(&command[0]))
                .args(&command[1..])
                .outcome()?;
            times.push(start.elapsed());
        }
        times.sort();
        let memory = if Path::new(GNU_TIME).is_file() {
            let file = self.scratch.path().join("memory");
            let measured = self
                .prepared(shell::program(GNU_TIME))
                .args(["-f", "%M", "-o"]);
            measured.arg(&file).args(command).outcome()?;
            let text = fs::read_to_string(&file).context("reading what GNU time measured")?;
            let kib: f64 = text.lines().last().unwrap_or_default().trim().parse()?;
            format!("{:.0} MiB", kib / 1024.0)
        } else {
            "unknown".to_owned()
        };
        Ok(format!(
            "{:.1} ms | {memory}",
            times[RUNS / 2].as_secs_f64() * 1000.0
        ))
    }

    fn prepared(&self, program: Program) -> Program {
        program
            .folder(&self.bundle)
            .env("GNUPGHOME", self.scratch.path())
    }
}
