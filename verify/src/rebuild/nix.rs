//! The engine `nix`: the recipe as derivations in Nix's sandbox. The reference.
//!
//! No binary cache is asked and no fallback out of the sandbox is allowed: what cannot be built
//! hermetically is not built.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    BuildRequest, Engine, Made, RebuildError, command,
    inputs::Trees,
    nix_store::{self, is_valid},
    pins::Pins,
    progress::{Progress, Silent},
};

/// Options of every call: the sandbox or nothing, and no binary cache.
const OPTIONS: [&str; 9] = [
    "--option",
    "sandbox",
    "true",
    "--option",
    "sandbox-fallback",
    "false",
    "--option",
    "substitute",
    "false",
];

/// Whether Nix is installed.
pub(super) fn available() -> Result<(), RebuildError> {
    match command::run(Command::new("nix-build").arg("--version"), &Silent) {
        Ok(ended) if ended.success => Ok(()),
        Ok(ended) => Err(missing(ended.log)),
        Err(e) => Err(missing(format!("nix-build: {e}"))),
    }
}

fn missing(why: String) -> RebuildError {
    RebuildError::EngineMissing {
        engine: Engine::Nix,
        why,
        hint: "install Nix with `sudo apt-get install nix-bin`, or pass `--engine namespaces`"
            .into(),
    }
}

pub(super) fn build(
    request: &BuildRequest<'_>,
    pins: &Pins,
    trees: &Trees,
    progress: &dyn Progress,
) -> Result<Made, RebuildError> {
    nix_store::make_valid(pins, trees, progress)?;
    let source =
        fs::canonicalize(request.source).map_err(RebuildError::io("found", request.source))?;
    let recipe = source.join(&request.plan.build().recipe).join("build.nix");

    progress.step("asking Nix what is built already");
    let reused = is_valid(&output_of(request, &source, &recipe, "deps", progress)?);
    let out = output_of(request, &source, &recipe, "binaries", progress)?;
    let built_before = is_valid(&out);
    if reused && !request.reuse_dependencies {
        progress.step("building the dependencies again in Nix's sandbox");
        let mut again = nix_build(request, &source, &recipe, "deps");
        run(again.arg("--check"), "deps", progress)?;
    }
    if built_before && request.fresh {
        progress.step("building again in Nix's sandbox");
        let mut again = nix_build(request, &source, &recipe, "binaries");
        // Nix compares with what it has; what differs is kept beside it under this name.
        let differing = PathBuf::from(format!("{}.check", out.display()));
        let ended = command::run(again.args(["--check", "--keep-failed"]), progress)
            .map_err(|e| missing(e.to_string()))?;
        progress.done();
        if ended.success {
            return Ok(Made {
                bin: out.join("bin"),
                dependencies_reused: reused,
                scratch: None,
            });
        }
        if differing.join("bin").is_dir() {
            return Ok(Made {
                bin: differing.join("bin"),
                dependencies_reused: reused,
                scratch: None,
            });
        }
        return Err(RebuildError::Failed {
            stage: "binaries".to_owned(),
            log: ended.log,
        });
    }
    progress.step("building in Nix's sandbox");
    run(
        &mut nix_build(request, &source, &recipe, "binaries"),
        "binaries",
        progress,
    )?;
    progress.done();
    Ok(Made {
        bin: out.join("bin"),
        dependencies_reused: reused,
        scratch: None,
    })
}

/// Without a daemon, root's Nix wants a group of build users; where the machine has none, builds
/// run as root, in the sandbox all the same.
fn builder_users() -> &'static [&'static str] {
    let group = fs::read_to_string("/etc/group").unwrap_or_default();
    if group.lines().any(|line| line.starts_with("nixbld:")) {
        &[]
    } else {
        &["--option", "build-users-group", ""]
    }
}

/// `nix-build` on the recipe's expression, with source and time as arguments.
fn nix_build(request: &BuildRequest<'_>, source: &Path, recipe: &Path, attribute: &str) -> Command {
    let mut nix = Command::new("nix-build");
    nix.args(OPTIONS)
        .args(builder_users())
        .arg("--no-out-link")
        .arg(recipe)
        .args(["--attr", attribute]);
    arguments(&mut nix, request, source);
    if let Some(builders) = request.nix_builders {
        nix.args(["--builders", builders, "--max-jobs", "0"]);
    }
    nix
}

fn arguments(nix: &mut Command, request: &BuildRequest<'_>, source: &Path) {
    // The name is fixed, so that the derivation does not depend on where the source stands.
    let path = nix_string(&source.to_string_lossy());
    nix.args(["--arg", "src"])
        .arg(format!(
            "builtins.path {{ path = /. + {path}; name = \"source\"; }}"
        ))
        .args(["--argstr", "epoch"])
        .arg(request.source_date_epoch.to_string())
        .args(["--arg", "root"])
        .arg(format!("/. + {path}"));
}

/// Output path of an attribute.
fn output_of(
    request: &BuildRequest<'_>,
    source: &Path,
    recipe: &Path,
    attribute: &str,
    progress: &dyn Progress,
) -> Result<PathBuf, RebuildError> {
    let mut nix = Command::new("nix-instantiate");
    nix.arg(recipe).args(["--attr", attribute]);
    arguments(&mut nix, request, source);
    let drv = PathBuf::from(run(&mut nix, attribute, progress)?.trim());
    let mut query = Command::new("nix-store");
    query.args(["--query", "--outputs"]).arg(&drv);
    Ok(PathBuf::from(run(&mut query, attribute, progress)?.trim()))
}

fn run(nix: &mut Command, stage: &str, progress: &dyn Progress) -> Result<String, RebuildError> {
    let ended = command::run(nix, progress).map_err(|e| missing(e.to_string()))?;
    if ended.success {
        Ok(ended.stdout)
    } else {
        Err(RebuildError::Failed {
            stage: stage.to_owned(),
            log: ended.log,
        })
    }
}

/// A Nix string literal: nothing in it is interpreted.
fn nix_string(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace("${", "\\${");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::nix_string;

    #[test]
    fn a_path_cannot_break_out_of_a_nix_string() {
        assert_eq!(nix_string("/a\"b${c}\\d"), r#""/a\"b\${c}\\d""#);
    }
}
