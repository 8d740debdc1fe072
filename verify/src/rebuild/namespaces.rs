//! The engine `namespaces`: the same root as under Nix, made with Linux namespaces alone.
//!
//! `enter.sh` is this program's own (the auditor's tool makes the root); `build.sh` is the
//! source's, and runs inside. Results of the first two stages are kept under a key over all that
//! they depend on.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    BuildRequest, Made, RebuildError,
    chamber::{self, Chamber, ENTER, Maker},
    command,
    inputs::{self, Trees},
    progress::Progress,
    stages::{self, FIXED_EPOCH, Stage},
    tree,
};

/// Whether this user may make the root.
pub(super) fn available() -> Result<(), RebuildError> {
    chamber::maker().map(|_| ())
}

pub(super) fn build(
    request: &BuildRequest<'_>,
    trees: &Trees,
    progress: &dyn Progress,
) -> Result<Made, RebuildError> {
    let work = request.cache.join("work");
    fs::create_dir_all(&work).map_err(RebuildError::io("made", &work))?;
    let scratch = tempfile::tempdir_in(&work).map_err(RebuildError::io("made", &work))?;
    let at = |name: &str| scratch.path().join(name);

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
        tree::normalise(tree).map_err(RebuildError::io("prepared", tree))?;
    }

    let run = Run {
        request,
        trees,
        maker: chamber::maker()?,
        recipe: &recipe,
        scratch: scratch.path(),
        progress,
    };
    let (auditable, _) = run.kept(Stage::Auditable, &trees.auditable, None)?;
    let (deps, reused) = run.kept(Stage::Deps, &manifests, Some(&auditable))?;
    let out = at("binaries");
    run.stage(Stage::Binaries, request.source, Some(&deps), &out)?;

    Ok(Made {
        bin: out.join("bin"),
        dependencies_reused: reused,
        scratch: Some(scratch),
    })
}

/// What all stages of one build share.
struct Run<'a> {
    request: &'a BuildRequest<'a>,
    trees: &'a Trees,
    maker: Maker,
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
        fs::create_dir_all(&folder).map_err(RebuildError::io("made", &folder))?;
        // Who needs the same stage at the same time waits for it instead of making it twice.
        let _lock = inputs::lock_file(&folder, &format!("{key}.lock"))?;
        if path.exists() && self.request.reuse_dependencies {
            return Ok((path, true));
        }
        let out = self.scratch.join(format!("{}-out", stage.name()));
        self.stage(stage, source, deps, &out)?;
        tree::normalise(&out).map_err(RebuildError::io("prepared", &out))?;
        if path.exists() {
            tree::remove(&path).map_err(RebuildError::io("removed", &path))?;
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
        let chamber = Chamber {
            stage: name,
            trees: self.trees,
            source,
            recipe: self.recipe,
            deps: deps.map(PathBuf::as_path),
            scratch: &scratch,
            out,
            variables: vec![
                ("SOURCE_DATE_EPOCH", epoch.to_string()),
                ("JOBS", variation.map_or(cores, |v| v.jobs).to_string()),
                ("PLAN_PACKAGES", plan.packages().join(" ")),
                ("PLAN_BINARIES", binaries.join(" ")),
                ("PLAN_TARGET", plan.target().triple().to_owned()),
            ],
            variation,
        };
        let ended = command::run(&mut chamber.command(self.maker)?, self.progress)
            .map_err(RebuildError::io("used", &scratch))?;
        self.progress.done();
        // What the build left is large; it is cleared at once.
        tree::remove(&scratch).map_err(RebuildError::io("removed", &scratch))?;
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
