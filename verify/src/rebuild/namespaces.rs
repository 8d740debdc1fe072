//! The engine `namespaces`: the same root as under Nix, made with Linux namespaces alone.
//!
//! `enter.sh` is this program's own (the auditor's tool makes the root); `build.sh` is the
//! source's, and runs inside. Results of the first two stages are kept under a key over all that
//! they depend on.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    BuildRequest, Engine, Made, RebuildError, command,
    inputs::{self, Trees},
    progress::Progress,
    stages::{self, FIXED_EPOCH, Stage},
};

/// The program that makes the root.
const ENTER: &str = include_str!("../../../nix/enter.sh");

/// Whether this user may make the namespaces.
pub(super) fn available() -> Result<(), RebuildError> {
    let missing = |why: String, hint: &str| RebuildError::EngineMissing {
        engine: Engine::Namespaces,
        why,
        hint: hint.to_owned(),
    };
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err(missing(
            "it needs Linux on x86_64".into(),
            "use `--engine nix` with a remote builder",
        ));
    }
    for (file, value, setting) in [
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        (
            "/proc/sys/kernel/unprivileged_userns_clone",
            "0",
            "sudo sysctl kernel.unprivileged_userns_clone=1",
        ),
        (
            "/proc/sys/user/max_user_namespaces",
            "0",
            "sudo sysctl user.max_user_namespaces=10000",
        ),
    ] {
        let set = fs::read_to_string(file).is_ok_and(|text| text.trim() == value);
        let root = rustix::process::geteuid().is_root() && !file.contains("max_user");
        if set && !root {
            return Err(missing(format!("`{file}` is {value}"), setting));
        }
    }
    Ok(())
}

pub(super) fn build(
    request: &BuildRequest<'_>,
    trees: &Trees,
    progress: &dyn Progress,
) -> Result<Made, RebuildError> {
    let _lock = inputs::lock(request.cache)?;
    let work = request.cache.join("work");
    fs::create_dir_all(&work).map_err(RebuildError::io("made", &work))?;
    let scratch = tempfile::tempdir_in(&work).map_err(RebuildError::io("made", &work))?;
    let at = |name: &str| scratch.path().join(name);

    let enter = at("enter.sh");
    fs::write(&enter, ENTER).map_err(RebuildError::io("written", &enter))?;
    let recipe = at("recipe");
    fs::create_dir(&recipe).map_err(RebuildError::io("made", &recipe))?;
    let script = request
        .source
        .join(&request.plan.build().recipe)
        .join("build.sh");
    let copy = recipe.join("build.sh");
    fs::copy(&script, &copy).map_err(RebuildError::io("read", &script))?;
    let manifests = at("manifests");
    stages::copy_manifests(request.source, &manifests)
        .map_err(RebuildError::io("copied", &manifests))?;
    for tree in [&recipe, &manifests] {
        inputs::normalise(tree).map_err(RebuildError::io("prepared", tree))?;
    }

    let run = Run {
        request,
        trees,
        enter: &enter,
        recipe: &recipe,
        scratch: scratch.path(),
        progress,
    };
    let (auditable, _) = run.kept(Stage::Auditable, &trees.auditable, None)?;
    let (deps, reused) = run.kept(Stage::Deps, &manifests, Some(&auditable))?;
    let out = at("binaries");
    run.stage(Stage::Binaries, request.source, Some(&deps), &out)?;

    // The caller copies the binaries out of a folder that outlives this scratch folder.
    let kept = request.out.join(".built");
    if kept.exists() {
        inputs::remove_tree(&kept).map_err(RebuildError::io("removed", &kept))?;
    }
    fs::create_dir_all(request.out).map_err(RebuildError::io("made", request.out))?;
    let mut copied = Vec::new();
    fs::create_dir(&kept).map_err(RebuildError::io("made", &kept))?;
    for binary in request.plan.binaries() {
        let from = out.join("bin").join(&binary.name);
        if !from.is_file() {
            return Err(RebuildError::NoBinary(binary.name.clone()));
        }
        let to = kept.join(&binary.name);
        fs::copy(&from, &to).map_err(RebuildError::io("copied", &from))?;
        copied.push(to);
    }
    inputs::remove_tree(scratch.path()).map_err(RebuildError::io("removed", scratch.path()))?;
    Ok(Made {
        bin: kept,
        dependencies_reused: reused,
    })
}

/// What all stages of one build share.
struct Run<'a> {
    request: &'a BuildRequest<'a>,
    trees: &'a Trees,
    enter: &'a Path,
    recipe: &'a PathBuf,
    scratch: &'a Path,
    progress: &'a dyn Progress,
}

impl Run<'_> {
    /// A stage whose result is kept; the flag says whether it was there already.
    fn kept(
        &self,
        stage: Stage,
        source: &PathBuf,
        deps: Option<&PathBuf>,
    ) -> Result<(PathBuf, bool), RebuildError> {
        let trees = self.trees;
        let mut reads = vec![&trees.root, &trees.rust, source, self.recipe];
        if stage == Stage::Deps {
            reads.push(&trees.crates);
        }
        reads.extend(deps);
        let plan = self.request.plan;
        let binaries: Vec<&str> = plan.binaries().iter().map(|b| b.name.as_str()).collect();
        let texts = [
            ENTER,
            &plan.packages().join(" "),
            &binaries.join(" "),
            plan.target().triple(),
        ];
        let variation = format!("{:?}", self.request.variation);
        let texts: Vec<&str> = texts.into_iter().chain([variation.as_str()]).collect();
        let key =
            stages::key(stage, &reads, &texts).map_err(RebuildError::io("read", self.scratch))?;
        let folder = self.request.cache.join("stages");
        let path = folder.join(format!("{key}-{}", stage.name()));
        if path.exists() && self.request.reuse_dependencies {
            return Ok((path, true));
        }
        let out = self.scratch.join(format!("{}-out", stage.name()));
        self.stage(stage, source, deps, &out)?;
        inputs::normalise(&out).map_err(RebuildError::io("prepared", &out))?;
        fs::create_dir_all(&folder).map_err(RebuildError::io("made", &folder))?;
        if path.exists() {
            inputs::remove_tree(&path).map_err(RebuildError::io("removed", &path))?;
        }
        fs::rename(&out, &path).map_err(RebuildError::io("kept", &path))?;
        Ok((path, false))
    }

    /// Runs one stage of the recipe in a new root.
    fn stage(
        &self,
        stage: Stage,
        source: &Path,
        deps: Option<&PathBuf>,
        out: &Path,
    ) -> Result<(), RebuildError> {
        let name = stage.name();
        self.progress
            .step(&format!("building {name} in namespaces"));
        let scratch = self.scratch.join(format!("{name}-scratch"));
        for folder in [&scratch, out] {
            fs::create_dir(folder).map_err(RebuildError::io("made", folder))?;
        }
        let plan = self.request.plan;
        let binaries: Vec<&str> = plan.binaries().iter().map(|b| b.name.as_str()).collect();
        let epoch = match stage {
            Stage::Binaries => self.request.source_date_epoch,
            Stage::Auditable | Stage::Deps => FIXED_EPOCH,
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let variation = self.request.variation.as_ref();
        let busybox = self.trees.root.join("bin/busybox");
        let mut enter = Command::new(&busybox);
        enter.arg("sh").arg(self.enter).arg(name).env_clear();
        enter.env("BUSYBOX", &busybox);
        for (key, path) in [
            ("ROOT", self.trees.root.as_path()),
            ("RUST", &self.trees.rust),
            ("CRATES", &self.trees.crates),
            ("AUDITABLE", &self.trees.auditable),
            ("SRC", source),
            ("RECIPE", self.recipe),
            ("SCRATCH", &scratch),
            ("OUT", out),
        ] {
            enter.env(key, absolute(path)?);
        }
        if let Some(deps) = deps {
            enter.env("DEPS", absolute(deps)?);
        }
        enter
            .env("SOURCE_DATE_EPOCH", epoch.to_string())
            .env("JOBS", variation.map_or(cores, |v| v.jobs).to_string())
            .env("PLAN_PACKAGES", plan.packages().join(" "))
            .env("PLAN_BINARIES", binaries.join(" "))
            .env("PLAN_TARGET", plan.target().triple());
        if let Some(v) = variation {
            enter
                .env("VARY_HOME", &v.home)
                .env("VARY_UMASK", &v.umask)
                .env("VARY_TZ", &v.time_zone)
                .env("VARY_LOCALE", &v.locale)
                .env("VARY_HOSTNAME", &v.host_name);
        }
        let ended = command::run(&mut enter, self.progress)
            .map_err(RebuildError::io("started", &busybox))?;
        self.progress.done();
        // What the build left is large; it is cleared at once.
        inputs::remove_tree(&scratch).map_err(RebuildError::io("removed", &scratch))?;
        if ended.success {
            Ok(())
        } else {
            Err(RebuildError::Failed {
                stage: name.to_owned(),
                log: ended.log,
            })
        }
    }
}

fn absolute(path: &Path) -> Result<PathBuf, RebuildError> {
    fs::canonicalize(path).map_err(RebuildError::io("found", path))
}
