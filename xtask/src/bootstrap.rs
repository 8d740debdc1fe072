//! Gets a fresh Debian machine ready for a task, and starts the task again with all it needs.
//!
//! What a task needs beyond the Rust toolchain stands in one table with the reason. Missing
//! packages are installed through apt, which is said first; without root and without a
//! password-free `sudo` the one command is printed and the exit code is 2.

mod needs;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

use self::needs::{NEEDS, Need, Sign, Use};
use crate::cli::Task;
use crate::outcome::{NO_VERDICT, Undecided};
use crate::shell;
use crate::talk;

/// What has to be there before a task can run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted(&'static [Use]);

/// What the tests want.
pub(crate) const FOR_TESTS: Wanted = Wanted(&[Use::Engineer, Use::Tests]);

/// What the measurements want.
#[cfg_attr(
    feature = "engineer",
    expect(dead_code, reason = "called before the feature is on")
)]
pub(crate) const FOR_MEASUREMENTS: Wanted = Wanted(&[Use::Engineer, Use::Nix, Use::Measurements]);

/// What a task of the feature `engineer` wants.
#[cfg_attr(
    all(feature = "engineer", not(test)),
    expect(dead_code, reason = "called before the feature is on")
)]
pub(crate) fn for_task(task: &Task) -> Wanted {
    match task {
        // Without Nix, a release refuses by itself and names `--engine namespaces`: an engineer
        // who asked for no package manager does not get one installed behind his back.
        Task::Release(_) | Task::Gate(_) | Task::Inputs(_) | Task::Fuzz(_) => {
            Wanted(&[Use::Engineer])
        }
        _ => Wanted(&[Use::Engineer, Use::Nix]),
    }
}

/// Installs what is missing.
///
/// # Errors
/// [`Undecided`] with the one command to run, where nobody here may install packages.
pub(crate) fn install(wanted: Wanted) -> anyhow::Result<()> {
    let missing = missing(wanted);
    if missing.is_empty() {
        return Ok(());
    }
    talk::say("installing what this task needs and this machine does not have:");
    let packages = name_all(&missing);
    let one_command = format!(
        "sudo apt-get update && sudo apt-get install --no-install-recommends -y {}",
        packages.join(" ")
    );
    if !shell::exists("apt-get") {
        return Err(cannot("this machine has no apt-get", &one_command));
    }
    let Some(prefix) = privilege()? else {
        return Err(cannot(
            "this user is not root and `sudo -n` asks for a password",
            &one_command,
        ));
    };
    update(prefix)
        .and_then(|()| install_packages(prefix, &packages))
        .map_err(|error| cannot(&error.to_string(), &one_command))
}

/// Installs what single tests look for, as far as it can be had; those that miss something say
/// themselves that they were skipped.
pub(crate) fn install_for_proofs() -> anyhow::Result<()> {
    let missing = missing(Wanted(&[Use::Proofs]));
    if missing.is_empty() || !shell::exists("apt-get") {
        return Ok(());
    }
    let Some(prefix) = privilege()? else {
        return Ok(());
    };
    talk::say("installing what single tests look for and this machine does not have:");
    let packages = name_all(&missing);
    if update(prefix).is_ok() && install_packages(prefix, &packages).is_err() {
        // One package that is not to be had here must not keep the others away.
        for package in packages {
            if install_packages(prefix, &[package]).is_err() {
                talk::say(&format!(
                    "`{package}` cannot be had: its tests will be skipped"
                ));
            }
        }
    }
    Ok(())
}

fn missing(wanted: Wanted) -> Vec<&'static Need> {
    NEEDS
        .iter()
        .filter(|need| need.used_for.iter().any(|used| wanted.0.contains(used)))
        .filter(|need| !is_there(&need.shown_by))
        .collect()
}

fn name_all(needs: &[&'static Need]) -> Vec<&'static str> {
    for need in needs {
        talk::say(&format!("    {:<18}{}", need.package, need.reason));
    }
    needs.iter().map(|need| need.package).collect()
}

/// Starts the same command again, built with the feature `engineer`.
#[cfg_attr(
    feature = "engineer",
    expect(dead_code, reason = "called before the feature is on")
)]
pub(crate) fn start_again() -> anyhow::Result<ExitCode> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let status = shell::program(cargo())
        .args([
            "run",
            "--locked",
            "--features",
            "engineer",
            "--manifest-path",
        ])
        .arg(&manifest)
        .arg("--")
        .args(std::env::args_os().skip(1))
        .status()?;
    let code = status
        .code()
        .context("the task was ended by a signal")
        .map_err(|error| {
            error.context(format!("`{}` did not end by itself", manifest.display()))
        })?;
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(NO_VERDICT)))
}

/// The cargo that started this program, so that the pinned toolchain stays the same.
pub(crate) fn cargo() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn is_there(sign: &Sign) -> bool {
    match sign {
        Sign::Program(name) => shell::exists(name),
        Sign::File(paths) => paths.iter().any(|path| Path::new(path).exists()),
    }
}

/// The words before `apt-get` that let it install: none for root, `sudo -n` where it works.
fn privilege() -> anyhow::Result<Option<&'static [&'static str]>> {
    let user = shell::program("id").arg("-u").read_line()?;
    if user == "0" {
        return Ok(Some(&[]));
    }
    let sudo = shell::exists("sudo")
        && shell::program("sudo")
            .args(["-n", "true"])
            .outcome()?
            .0
            .success();
    Ok(sudo.then_some(&["sudo", "-n"]))
}

/// The lists of packages; a second time where the network failed at first.
fn update(prefix: &[&str]) -> anyhow::Result<()> {
    apt(prefix, &["update", "-q"]).or_else(|_| apt(prefix, &["update", "-q"]))
}

fn install_packages(prefix: &[&str], packages: &[&str]) -> anyhow::Result<()> {
    let mut arguments = vec!["install", "--no-install-recommends", "-y", "-q"];
    arguments.extend(packages);
    apt(prefix, &arguments)
}

fn apt(prefix: &[&str], arguments: &[&str]) -> anyhow::Result<()> {
    let mut words = prefix.iter().copied().chain(["apt-get"]);
    let first = words.next().context("apt-get is always named")?;
    shell::program(first)
        .args(words)
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .run()
}

fn cannot(why: &str, one_command: &str) -> anyhow::Error {
    Undecided::new(
        "packages that this task needs are not installed",
        vec![why.to_owned()],
        vec![format!("install them with `{one_command}`")],
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_is_named_once_and_with_a_reason() {
        for (index, need) in NEEDS.iter().enumerate() {
            assert!(!need.reason.is_empty() && !need.used_for.is_empty());
            assert!(
                NEEDS[..index]
                    .iter()
                    .all(|other| other.package != need.package),
                "`{}` stands twice in the table",
                need.package
            );
        }
    }

    #[test]
    fn nobody_gets_nix_installed_by_a_release() {
        let task = Task::Inputs(crate::cli::InputsArgs {
            command: crate::cli::InputsCommand::List,
        });
        assert!(!for_task(&task).0.contains(&Use::Nix));
    }
}
