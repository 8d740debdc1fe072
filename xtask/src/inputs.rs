//! The pinned inputs of the hermetic build, from the engineer's side.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use time::OffsetDateTime;
use verify::{
    plan::{FILE_NAME, ReleasePlan},
    rebuild::{
        self, Engine, carry,
        fetch::update::{self, Update},
        input_error::InputError,
        inputs::{self, Trees},
        nix_store,
        pins::Pins,
        progress::Standard,
    },
};

use crate::{
    cli::{InputsArgs, InputsCommand},
    debian_release,
    outcome::{HOLDS, Undecided},
    talk,
};

/// Runs one command on the pinned inputs of the workspace that the current folder lies in.
pub(crate) fn run(args: &InputsArgs) -> anyhow::Result<ExitCode> {
    let here = Workspace::find()?;
    match &args.command {
        InputsCommand::Fetch => here.fetch()?,
        InputsCommand::List => here.list()?,
        InputsCommand::Verify => debian_release::check(&here.pins()?.root)?,
        InputsCommand::Update {
            debian,
            rust,
            cargo_auditable,
        } => here.update(&Update {
            debian: *debian,
            rust: *rust,
            cargo_auditable: cargo_auditable.clone(),
        })?,
        InputsCommand::Export { dir, nix_cache } => {
            let (pins, trees) = here.ensured()?;
            if *nix_cache {
                carry::export_nix_cache(&pins, &trees, dir, &Standard::new()).map_err(undecided)?;
            } else {
                carry::export(&pins, &trees, dir, &Standard::new()).map_err(undecided)?;
            }
            talk::answer(&format!("the inputs stand in `{}`", dir.display()))?;
        }
        InputsCommand::Import { dir } => {
            carry::import(&here.pins()?, dir, &here.cache, &Standard::new()).map_err(undecided)?;
            here.fetch()?;
        }
    }
    Ok(ExitCode::from(HOLDS))
}

/// A workspace with a `release.toml`.
struct Workspace {
    root: PathBuf,
    plan: ReleasePlan,
    cache: PathBuf,
}

impl Workspace {
    fn find() -> anyhow::Result<Self> {
        let here = std::env::current_dir().context("finding the current folder")?;
        let root = here
            .ancestors()
            .find(|folder| folder.join(FILE_NAME).is_file());
        let root = root.ok_or_else(|| {
            Undecided::new(
                "there are no pinned inputs here",
                vec![format!(
                    "no folder from `{}` upwards has a `{FILE_NAME}`",
                    here.display()
                )],
                vec!["run the command in the workspace that is released".to_owned()],
            )
        })?;
        let text = fs::read_to_string(root.join(FILE_NAME)).context("reading release.toml")?;
        let plan = ReleasePlan::parse(&text)?;
        Ok(Self {
            root: root.to_owned(),
            plan,
            cache: rebuild::default_cache(),
        })
    }

    fn pins(&self) -> anyhow::Result<Pins> {
        Pins::of_source(&self.root, &self.plan).map_err(|error| {
            let hints = error.hint().into_iter().collect();
            let error = anyhow::Error::new(error);
            let because = error.chain().map(ToString::to_string).collect();
            Undecided::new("the pinned inputs cannot be used", because, hints).into()
        })
    }

    fn ensured(&self) -> anyhow::Result<(Pins, Trees)> {
        let pins = self.pins()?;
        let trees =
            inputs::ensure(&pins, &self.root, &self.cache, &Standard::new()).map_err(undecided)?;
        Ok((pins, trees))
    }

    /// Everything on this machine, known to both engines.
    fn fetch(&self) -> anyhow::Result<()> {
        let (pins, trees) = self.ensured()?;
        let nix = Engine::Nix.available().is_ok();
        if nix {
            nix_store::make_valid(&pins, &trees, &Standard::new()).map_err(undecided)?;
        }
        for ((name, digest), tree) in pins.trees().into_iter().zip(trees.in_order()) {
            talk::answer(&format!("{name:<22} {digest} {}", tree.display()))?;
        }
        talk::say(if nix {
            "every input is here, checked, and valid in the Nix store"
        } else {
            "every input is here and checked; Nix is not installed, so its store has none"
        });
        Ok(())
    }

    fn list(&self) -> anyhow::Result<()> {
        for input in self.pins()?.listed() {
            let version = if input.version.is_empty() {
                "-"
            } else {
                &input.version
            };
            talk::answer(&format!(
                "{:<7} {:<26} {version:<26} {}",
                input.kind, input.name, input.sha256
            ))?;
        }
        Ok(())
    }

    fn update(&self, wanted: &Update) -> anyhow::Result<()> {
        let now = OffsetDateTime::now_utc();
        let pins = update::pins(
            &self.root,
            &self.plan,
            &self.cache,
            wanted,
            now,
            &Standard::new(),
        )
        .map_err(undecided)?;
        let path = self.root.join(&self.plan.build().inputs);
        // Written beside and renamed: pins are never half there.
        let partial = path.with_extension("json.partial");
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).context("making the folder of the pins")?;
        }
        fs::write(&partial, pins.to_json()).context("writing the pins")?;
        fs::rename(&partial, &path).context("writing the pins")?;
        talk::answer(&format!("pinned in `{}`", self.plan.build().inputs))?;
        Ok(())
    }
}

fn undecided(error: InputError) -> anyhow::Error {
    let hints = error.hint().into_iter().collect();
    let error = anyhow::Error::new(error);
    let because = error.chain().map(ToString::to_string).collect();
    Undecided::new("an input of the build could not be had", because, hints).into()
}
