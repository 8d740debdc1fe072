//! The closed root in which one stage of the recipe runs, and the two programs that can make it.
//!
//! `enter.sh` is the usual one. Where a system forbids unprivileged user namespaces to all but
//! bubblewrap (Ubuntu's AppArmor rule), `bwrap` makes the same root. The recipe cannot tell them
//! apart: same paths, same environment, no network.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{Engine, RebuildError, Variation, command, inputs::Trees, progress::Silent};

/// The program that makes the root with busybox alone.
pub(super) const ENTER: &str = include_str!("../../../nix/enter.sh");

/// What makes the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Maker {
    /// `enter.sh`.
    Enter,
    /// `bwrap`, from the system.
    Bubblewrap,
}

/// One stage with everything that it sees.
pub(super) struct Chamber<'a> {
    /// Name of the stage, for `build.sh`.
    pub(super) stage: &'a str,
    pub(super) trees: &'a Trees,
    /// Seen as `/src`.
    pub(super) source: &'a Path,
    /// Seen as `/recipe`; holds `build.sh`.
    pub(super) recipe: &'a Path,
    /// Seen as `/deps`.
    pub(super) deps: Option<&'a Path>,
    /// An empty folder of this build; holds what is seen as `/build`.
    pub(super) scratch: &'a Path,
    /// Seen as `/out`.
    pub(super) out: &'a Path,
    /// The recipe's variables.
    pub(super) variables: Vec<(&'static str, String)>,
    pub(super) variation: Option<&'a Variation>,
}

/// Settings that forbid user namespaces: file, value, the command that allows them, and whether
/// the setting leaves bubblewrap alone.
const FORBIDDING: [(&str, &str, &str, bool); 3] = [
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        true,
    ),
    (
        "/proc/sys/kernel/unprivileged_userns_clone",
        "0",
        "sudo sysctl kernel.unprivileged_userns_clone=1",
        false,
    ),
    (
        "/proc/sys/user/max_user_namespaces",
        "0",
        "sudo sysctl user.max_user_namespaces=10000",
        false,
    ),
];

/// What can make the root on this machine, for this user.
pub(super) fn maker() -> Result<Maker, RebuildError> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err(missing(
            "it needs Linux on x86_64".into(),
            "use `--engine nix` with a remote builder",
        ));
    }
    for (file, value, repair, spares_bubblewrap) in FORBIDDING {
        let forbids = fs::read_to_string(file).is_ok_and(|text| text.trim() == value);
        let root = rustix::process::geteuid().is_root() && !file.contains("max_user");
        if !forbids || root {
            continue;
        }
        if spares_bubblewrap && has_bubblewrap() {
            return Ok(Maker::Bubblewrap);
        }
        return Err(missing(format!("`{file}` is {value}"), repair));
    }
    Ok(Maker::Enter)
}

fn has_bubblewrap() -> bool {
    command::run(Command::new("bwrap").arg("--version"), &Silent).is_ok_and(|ended| ended.success)
}

fn missing(why: String, hint: &str) -> RebuildError {
    RebuildError::EngineMissing {
        engine: Engine::Namespaces,
        why,
        hint: hint.to_owned(),
    }
}

impl Chamber<'_> {
    /// The command that makes the root and runs the stage in it.
    pub(super) fn command(&self, maker: Maker) -> Result<Command, RebuildError> {
        match maker {
            Maker::Enter => self.by_enter(),
            Maker::Bubblewrap => self.by_bubblewrap(),
        }
    }

    fn busybox(&self) -> PathBuf {
        self.trees.root.join("bin/busybox")
    }

    fn by_enter(&self) -> Result<Command, RebuildError> {
        let script = self.scratch.join("enter.sh");
        fs::write(&script, ENTER).map_err(RebuildError::io("written", &script))?;
        let mut enter = Command::new(self.busybox());
        enter.arg("sh").arg(script).arg(self.stage).env_clear();
        for (key, path) in [
            ("BUSYBOX", self.busybox().as_path()),
            ("ROOT", &self.trees.root),
            ("RUST", &self.trees.rust),
            ("CRATES", &self.trees.crates),
            ("AUDITABLE", &self.trees.auditable),
            ("SRC", self.source),
            ("RECIPE", self.recipe),
            ("SCRATCH", self.scratch),
            ("OUT", self.out),
        ] {
            enter.env(key, absolute(path)?);
        }
        if let Some(deps) = self.deps {
            enter.env("DEPS", absolute(deps)?);
        }
        enter.envs(self.variables.iter().map(|(key, value)| (key, value)));
        if let Some(v) = self.variation {
            enter
                .env("VARY_HOME", &v.home)
                .env("VARY_UMASK", &v.umask)
                .env("VARY_TZ", &v.time_zone)
                .env("VARY_LOCALE", &v.locale)
                .env("VARY_HOSTNAME", &v.host_name);
        }
        Ok(enter)
    }

    /// The same root, line by line, as `enter.sh` makes it.
    fn by_bubblewrap(&self) -> Result<Command, RebuildError> {
        let build = self.scratch.join("build");
        let etc = self.scratch.join("etc");
        for folder in [&build, &etc] {
            fs::create_dir(folder).map_err(RebuildError::io("made", folder))?;
        }
        for (name, text) in [
            ("passwd", "root:x:0:0:root:/tmp:/bin/sh\n"),
            ("group", "root:x:0:\n"),
        ] {
            let path = etc.join(name);
            fs::write(&path, text).map_err(RebuildError::io("written", &path))?;
        }
        let host_name = self.variation.map_or("build", |v| v.host_name.as_str());
        let mut bwrap = Command::new("bwrap");
        bwrap
            .args([
                "--unshare-all",
                "--die-with-parent",
                "--new-session",
                "--clearenv",
            ])
            .args(["--uid", "0", "--gid", "0", "--hostname", host_name]);
        let read_only = [
            (self.trees.root.as_path(), "/usr"),
            (&self.trees.rust, "/rust"),
            (&self.trees.crates, "/crates"),
            (&self.trees.auditable, "/auditable"),
            (self.source, "/src"),
            (self.recipe, "/recipe"),
            (&etc, "/etc"),
        ];
        for (from, to) in read_only
            .into_iter()
            .chain(self.deps.map(|deps| (deps, "/deps")))
        {
            bwrap.arg("--ro-bind").arg(absolute(from)?).arg(to);
        }
        if self.deps.is_none() {
            bwrap.args(["--dir", "/deps"]);
        }
        for (from, to) in [(build.as_path(), "/build"), (self.out, "/out")] {
            bwrap.arg("--bind").arg(absolute(from)?).arg(to);
        }
        bwrap.args(["--tmpfs", "/tmp", "--proc", "/proc", "--dir", "/dev"]);
        for device in ["null", "zero", "full", "random", "urandom"] {
            let path = format!("/dev/{device}");
            bwrap.args(["--dev-bind", &path, &path]);
        }
        for (to, link) in [
            ("/proc/self/fd", "/dev/fd"),
            ("usr/lib", "/lib"),
            ("usr/lib64", "/lib64"),
            ("/usr/bin/gcc-12", "/bin/cc"),
            ("/usr/bin/gcc-12", "/bin/gcc"),
            ("/usr/bin/cpp-12", "/bin/cpp"),
        ] {
            bwrap.args(["--symlink", to, link]);
        }
        for applet in self.applets()? {
            bwrap
                .args(["--symlink", "/usr/bin/busybox"])
                .arg(format!("/bin/{applet}"));
        }
        let usual = [
            ("PATH", "/rust/bin:/usr/bin:/bin"),
            ("HOME", self.variation.map_or("/tmp", |v| v.home.as_str())),
            ("LC_ALL", self.variation.map_or("C", |v| v.locale.as_str())),
            ("TZ", self.variation.map_or("UTC", |v| v.time_zone.as_str())),
        ];
        for (key, value) in usual {
            bwrap.args(["--setenv", key, value]);
        }
        for (key, value) in &self.variables {
            bwrap.args(["--setenv", key, value]);
        }
        bwrap.args([
            "--chdir",
            "/",
            "/usr/bin/busybox",
            "sh",
            "/recipe/build.sh",
            self.stage,
        ]);
        Ok(bwrap)
    }

    fn applets(&self) -> Result<Vec<String>, RebuildError> {
        let busybox = self.busybox();
        let ended = command::run(Command::new(&busybox).arg("--list"), &Silent)
            .map_err(RebuildError::io("started", &busybox))?;
        Ok(ended.stdout.lines().map(str::to_owned).collect())
    }
}

fn absolute(path: impl AsRef<OsStr>) -> Result<PathBuf, RebuildError> {
    let path = Path::new(path.as_ref());
    fs::canonicalize(path).map_err(RebuildError::io("found", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tells what the recipe sees; the host's busybox stands for the root.
    const LOOK: &str = "#!/bin/sh\nset -eu\n\
        { env | sort; ls / /bin | sort; cat /etc/passwd; hostname; id -u; ls /src; } >/out/seen\n\
        if touch /src/x /usr/x 2>/dev/null; then echo writable >>/out/seen; fi\n\
        if ls /proc/1/root/etc/hostname /home 2>/dev/null; then echo host >>/out/seen; fi\n\
        wc -l </proc/net/dev >>/out/seen\n";

    fn seen(maker: Maker) -> Option<String> {
        let busybox = ["/bin/busybox", "/usr/bin/busybox"]
            .iter()
            .find(|p| Path::new(p).exists())?;
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| {
            let path = folder.path().join(name);
            fs::create_dir(&path).unwrap();
            path
        };
        let root = at("root");
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::copy(busybox, root.join("bin/busybox")).unwrap();
        let trees = Trees {
            root,
            rust: at("rust"),
            auditable: at("aud"),
            crates: at("crates"),
        };
        let (source, recipe, scratch, out) = (at("src"), at("recipe"), at("scratch"), at("out"));
        fs::write(source.join("file"), "x").unwrap();
        fs::write(recipe.join("build.sh"), LOOK).unwrap();
        let chamber = Chamber {
            stage: "look",
            trees: &trees,
            source: &source,
            recipe: &recipe,
            deps: None,
            scratch: &scratch,
            out: &out,
            variables: [
                ("SOURCE_DATE_EPOCH", "1"),
                ("JOBS", "1"),
                ("PLAN_PACKAGES", "p"),
                ("PLAN_BINARIES", "b"),
                ("PLAN_TARGET", "t"),
            ]
            .map(|(k, v)| (k, v.to_owned()))
            .into(),
            variation: None,
        };
        let ended = command::run(&mut chamber.command(maker).unwrap(), &Silent).unwrap();
        assert!(ended.success, "{maker:?}: {}", ended.log);
        Some(fs::read_to_string(out.join("seen")).unwrap())
    }

    #[test]
    fn the_recipe_sees_nothing_of_the_host_and_cannot_change_what_it_reads() {
        let Some(seen) = seen(Maker::Enter) else {
            eprintln!("skipped: no static busybox on this machine");
            return;
        };
        assert!(
            seen.contains("HOME=/tmp") && seen.contains("TZ=UTC"),
            "{seen}"
        );
        assert!(
            !seen.contains("writable") && !seen.contains("host\n"),
            "{seen}"
        );
        // Two lines of heading, and no interface but loopback.
        assert!(seen.ends_with("\n3\n"), "{seen}");
    }

    #[test]
    fn bubblewrap_makes_the_same_root() {
        if !has_bubblewrap() {
            eprintln!("skipped: bwrap is not on this machine");
            return;
        }
        let (Some(enter), Some(bwrap)) = (seen(Maker::Enter), seen(Maker::Bubblewrap)) else {
            eprintln!("skipped: no static busybox on this machine");
            return;
        };
        let lines = |text: &str| -> Vec<String> {
            // PWD and SHLVL belong to the shell that was started, not to the root.
            let own = |l: &&str| !l.starts_with("PWD=") && !l.starts_with("SHLVL=");
            text.lines().filter(own).map(str::to_owned).collect()
        };
        assert_eq!(lines(&enter), lines(&bwrap));
    }
}
