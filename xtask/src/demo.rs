//! A whole release and its verification, on this repository, with a throw-away key.
//!
//! Everything happens in a scratch clone below `target/demo`: the real release steps with the real
//! tools, and then the `verify` that was just built, as an auditor would run it. The only things
//! that differ from a real release are said aloud: who signs, and which age of the advisory
//! database is accepted.

mod advisory_db;
mod throw_away_key;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use anyhow::Context as _;
use verify::plan::{FILE_NAME, ReleasePlan};

use crate::{
    cli::{DemoArgs, EngineArg},
    demo::{advisory_db::Database, throw_away_key::ThrowAwayKey},
    outcome::{FALSE, HOLDS, NO_VERDICT, Undecided},
    shell, talk,
};

/// Oldest advisory database that the demo accepts, in days. Real releases keep to `release.toml`.
const MAX_AGE_DAYS: u32 = 400;

/// Runs the demonstration.
pub(crate) fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let repository = repository()?;
    let work = repository.join("target/demo");
    fs::create_dir_all(&work).with_context(|| format!("making `{}`", work.display()))?;
    let tag = format!("v{}", env!("CARGO_PKG_VERSION"));

    talk::say("==> 1. a scratch clone, a throw-away key, a signed tag");
    let key = ThrowAwayKey::make()?;
    let database = advisory_db::find(args.advisory_db.as_deref(), &repository, &work)?;
    let clone = clone(&repository, &work)?;
    prepare(&clone, &key, &tag)?;

    talk::say(&format!("==> 2. the engineer: cargo xtask release {tag}"));
    let bundle = release(&clone, &key, &tag, args.engine, &database)?;

    talk::say("==> 3. the auditor: verify release BUNDLE --keyring KEYS --rebuild");
    let code = verify(&work, &bundle, &clone, args.engine, &database)?;
    talk::say(&format!(
        "the demo took {:.0} s",
        started.elapsed().as_secs_f64()
    ));
    talk::say(&format!("the bundle stands in `{}`", bundle.display()));
    Ok(code)
}

/// The repository that this program was built from.
fn repository() -> anyhow::Result<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = manifest.parent().context("finding the repository")?;
    root.canonicalize().context("finding the repository")
}

/// A fresh clone of the last commit.
fn clone(repository: &Path, work: &Path) -> anyhow::Result<PathBuf> {
    let changed = git(repository)
        .args(["status", "--porcelain"])
        .read_line()?;
    if !changed.is_empty() {
        talk::say(
            "    this checkout has changes that are not committed; the demo releases the last commit",
        );
    }
    let clone = work.join("clone");
    if clone.exists() {
        fs::remove_dir_all(&clone).with_context(|| format!("removing `{}`", clone.display()))?;
    }
    shell::program("git")
        .args(["clone", "--quiet", "--no-hardlinks", "--single-branch"])
        .arg(repository)
        .arg(&clone)
        .run()?;
    Ok(clone)
}

/// Commits the throw-away certificate as the maintainers' one, and signs the tag.
fn prepare(clone: &Path, key: &ThrowAwayKey, tag: &str) -> anyhow::Result<()> {
    let path = clone.join(FILE_NAME);
    let text = fs::read_to_string(&path).context("reading release.toml")?;
    let plan = ReleasePlan::parse(&text)?;
    let keyring = clone.join(&plan.gate().keyring);
    if let Some(folder) = keyring.parent() {
        fs::create_dir_all(folder).context("making the folder of the keyring")?;
    }
    fs::write(&keyring, key.certificate()?).context("writing the throw-away certificate")?;
    fs::write(&path, with_max_age(&text)?).context("writing the demo's limits")?;
    talk::say(&format!(
        "    the demo's release.toml accepts an advisory database of up to {MAX_AGE_DAYS} days; \
         the repository's own says {}",
        plan.gate().advisory_max_age_days
    ));
    for (name, value) in [
        ("user.name", "Demo"),
        ("user.email", throw_away_key::EMAIL),
        ("user.signingkey", key.fingerprint()),
        ("gpg.format", "openpgp"),
        ("commit.gpgsign", "false"),
    ] {
        git(clone).args(["config", name, value]).read()?;
    }
    git(clone).args(["add", "--all"]).read()?;
    git(clone)
        .args([
            "commit",
            "--quiet",
            "--message",
            "A throw-away key for the demo",
        ])
        .read()?;
    if git(clone)
        .args([
            "rev-parse",
            "--verify",
            "--quiet",
            &format!("refs/tags/{tag}"),
        ])
        .outcome()?
        .0
        .success()
    {
        git(clone).args(["tag", "--delete", tag]).read()?;
    }
    git(clone)
        .args(["tag", "--sign", "--message", "The demo's release", tag])
        .env("GNUPGHOME", key.home())
        .run()
}

/// The text of release.toml with the demo's age in it; the rest stays as it is.
fn with_max_age(text: &str) -> anyhow::Result<String> {
    let key = "advisory_max_age_days";
    let mut lines: Vec<String> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with(key))
        .map(str::to_owned)
        .collect();
    let gate = lines.iter().position(|line| line.trim() == "[gate]");
    let gate = gate.context("release.toml has no line `[gate]`")?;
    lines.insert(gate + 1, format!("{key} = {MAX_AGE_DAYS}"));
    Ok(lines.join("\n") + "\n")
}

/// The real command, as an engineer types it, in the clone.
fn release(
    clone: &Path,
    key: &ThrowAwayKey,
    tag: &str,
    engine: EngineArg,
    database: &Database,
) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("finding this program")?;
    let mut release = shell::program(own)
        .args([
            "release",
            tag,
            "--sign-with",
            key.fingerprint(),
            "--engine",
            name(engine),
        ])
        .folder(clone)
        .env("GNUPGHOME", key.home());
    release = match database {
        Database::At(folder) => release.arg("--advisory-db").arg(folder),
        Database::Nowhere => release.arg("--demo-without-advisory-db"),
    };
    release.run()?;
    let out = clone.join("target/release-out").join(tag);
    let folders = fs::read_dir(&out).with_context(|| format!("reading `{}`", out.display()))?;
    for entry in folders {
        let path = entry?.path();
        if path.join("SHA256SUMS").is_file() {
            return Ok(path);
        }
    }
    anyhow::bail!("the release left no bundle in `{}`", out.display())
}

/// The `verify` that was just built, on the bundle, with the other engine.
fn verify(
    work: &Path,
    bundle: &Path,
    clone: &Path,
    engine: EngineArg,
    database: &Database,
) -> anyhow::Result<ExitCode> {
    let text = fs::read_to_string(clone.join(FILE_NAME)).context("reading release.toml")?;
    let keyring = clone.join(&ReleasePlan::parse(&text)?.gate().keyring);
    let policy = work.join("policy.toml");
    fs::write(&policy, database.policy(MAX_AGE_DAYS)).context("writing the demo's policy")?;
    let other = match engine {
        EngineArg::Nix => EngineArg::Namespaces,
        EngineArg::Namespaces => EngineArg::Nix,
    };
    let mut verify = shell::program(bundle.join("bin/verify"))
        .args(["release", "--rebuild", "--engine", name(other), "--keyring"])
        .arg(keyring)
        .arg("--policy")
        .arg(&policy);
    if let Database::At(folder) = database {
        verify = verify.arg("--advisory-db").arg(folder);
    }
    let status = verify.arg(bundle).status()?;
    match status.code() {
        Some(0) => Ok(ExitCode::from(HOLDS)),
        Some(1) => Ok(ExitCode::from(FALSE)),
        Some(2) => Ok(ExitCode::from(NO_VERDICT)),
        _ => {
            let because = vec![format!("`verify` ended with {status}")];
            Err(Undecided::new("the demo has no verdict", because, Vec::new()).into())
        }
    }
}

fn name(engine: EngineArg) -> &'static str {
    match engine {
        EngineArg::Nix => "nix",
        EngineArg::Namespaces => "namespaces",
    }
}

fn git(folder: &Path) -> shell::Program {
    shell::program("git").arg("-C").arg(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_changes_the_age_and_nothing_else() {
        let text = "a = 1\n[gate]\nkeyring = \"k\"\nadvisory_max_age_days = 7\n";
        let changed = with_max_age(text).expect("it has a gate");
        assert_eq!(
            changed,
            "a = 1\n[gate]\nadvisory_max_age_days = 400\nkeyring = \"k\"\n"
        );
        assert!(with_max_age("a = 1\n").is_err());
    }
}
