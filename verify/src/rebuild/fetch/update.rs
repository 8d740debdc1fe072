//! Pinning anew: what the machine's clients offer now becomes what every later build uses.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use sbom::digest::Sha256Digest;
use serde::Deserialize;
use time::{OffsetDateTime, macros::format_description};

use super::{crates, debian, rust};
use crate::{
    plan::ReleasePlan,
    rebuild::{
        command,
        input_error::InputError,
        inputs,
        pins::{
            AUDITABLE, CRATES, CargoAuditable, Crates, DebianPackage, DebianRoot, Pins, ROOT, RUST,
            RustComponent, RustToolchain,
        },
        progress::Progress,
    },
};

/// Suite and component that the root is taken from. Main of a stable release hardly changes.
const SUITE: &str = "bookworm/main";

/// What the root is made of: compiler, linker, C library, perl and make for C code that is built
/// by crates, a static busybox, and the libraries that these need. `bash` is for `nix develop`,
/// which runs nothing else; the recipe's shell is busybox.
const ROOT_PACKAGES: [&str; 42] = [
    "bash",
    "binutils",
    "binutils-common",
    "binutils-x86-64-linux-gnu",
    "busybox-static",
    "cpp-12",
    "gcc-12",
    "gcc-12-base",
    "libatomic1",
    "libbinutils",
    "libc-dev-bin",
    "libc6",
    "libc6-dev",
    "libcc1-0",
    "libcrypt-dev",
    "libcrypt1",
    "libctf-nobfd0",
    "libctf0",
    "libdb5.3",
    "libgcc-12-dev",
    "libgcc-s1",
    "libgdbm-compat4",
    "libgdbm6",
    "libgmp10",
    "libgomp1",
    "libgprofng0",
    "libisl23",
    "libitm1",
    "libjansson4",
    "libmpc3",
    "libmpfr6",
    "libperl5.36",
    "libquadmath0",
    "libstdc++6",
    "libtinfo6",
    "libzstd1",
    "linux-libc-dev",
    "make",
    "perl",
    "perl-base",
    "perl-modules-5.36",
    "zlib1g",
];

/// Components of the distribution that make the toolchain.
const RUST_COMPONENTS: [&str; 3] = ["cargo", "rust-std", "rustc"];

/// cargo-auditable where nothing was pinned before.
const CARGO_AUDITABLE: &str = "0.7.7";

/// What to pin anew. The crates always are.
#[derive(Debug, Clone, Default)]
pub struct Update {
    /// The Debian root, from what apt offers now.
    pub debian: bool,
    /// The toolchain that `rust-toolchain.toml` names.
    pub rust: bool,
    /// This version of cargo-auditable.
    pub cargo_auditable: Option<String>,
}

/// Makes the pins of a workspace; what is not to be updated is kept from the file that it has.
///
/// # Errors
/// An [`InputError`] that names the input which could not be pinned.
pub fn pins(
    workspace: &Path,
    plan: &ReleasePlan,
    cache: &Path,
    update: &Update,
    now: OffsetDateTime,
    progress: &dyn Progress,
) -> Result<Pins, InputError> {
    let path = workspace.join(&plan.build().inputs);
    let old = match fs::read_to_string(&path) {
        Ok(text) => {
            Some(Pins::parse(&text, &path).map_err(|e| InputError::fetch("inputs.json", e))?)
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(e) => return Err(InputError::io(&path)(e)),
    };
    let lock = inputs::lock(cache)?;
    let root = match &old {
        Some(old) if !update.debian => old.root.clone(),
        _ => debian_root(cache, now, progress)?,
    };
    let rust = match &old {
        Some(old) if !update.rust => old.rust.clone(),
        _ => toolchain(workspace, plan, cache, progress)?,
    };
    drop(lock);
    let tools = rust_tree(&rust, cache, progress)?;
    let _lock = inputs::lock(cache)?;
    let cargo_auditable = match (&old, &update.cargo_auditable) {
        (Some(old), None) => old.cargo_auditable.clone(),
        (_, version) => auditable(
            version.as_deref().unwrap_or(CARGO_AUDITABLE),
            &tools,
            cache,
            progress,
        )?,
    };
    let crates = vendored(workspace, &tools, cache, progress)?;
    progress.done();
    Ok(Pins {
        version: 1,
        root,
        rust,
        cargo_auditable,
        crates,
    })
}

fn debian_root(
    cache: &Path,
    now: OffsetDateTime,
    progress: &dyn Progress,
) -> Result<DebianRoot, InputError> {
    progress.step("asking apt for the packages of the root");
    let mut packages = Vec::new();
    for name in ROOT_PACKAGES {
        packages.push(apt_package(name, progress)?);
    }
    let format = format_description!("[year][month][day]T000000Z");
    let snapshot = now
        .format(&format)
        .map_err(|e| InputError::fetch("root", e))?;
    let nar_sha256 = Sha256Digest::of(b"");
    let mut root = DebianRoot {
        nar_sha256,
        suite: SUITE.to_owned(),
        snapshot,
        packages,
    };
    let (folder, digest) = inputs::unpacked(cache, ROOT, |to| {
        debian::unpacked_root(&root, cache, to, progress)
    })?;
    inputs::place(cache, ROOT, digest, &folder)?;
    root.nar_sha256 = digest;
    Ok(root)
}

/// What apt knows of a package in the suite: `apt-cache madison` names versions and suites,
/// `apt-cache show` the file.
fn apt_package(name: &str, progress: &dyn Progress) -> Result<DebianPackage, InputError> {
    let ask = |arguments: &[&str]| -> Result<String, InputError> {
        let ended = command::run(Command::new("apt-cache").args(arguments), progress)
            .map_err(|e| InputError::fetch(name, format!("apt-cache: {e}")))?;
        if ended.success {
            Ok(ended.stdout)
        } else {
            Err(InputError::fetch(name, ended.log))
        }
    };
    let versions = ask(&["madison", name])?;
    let version = versions
        .lines()
        .filter(|line| line.contains(&format!(" {SUITE} ")))
        .find_map(|line| Some(line.split('|').nth(1)?.trim().to_owned()))
        .ok_or_else(|| InputError::fetch(name, format!("apt offers none from {SUITE}")))?;
    let show = ask(&["show", "--no-all-versions", &format!("{name}={version}")])?;
    let field = |key: &str| {
        let line = show
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
        line.ok_or_else(|| InputError::fetch(name, format!("apt shows no {key}")))
    };
    Ok(DebianPackage {
        name: name.to_owned(),
        version: version.clone(),
        path: field("Filename")?.to_owned(),
        size_bytes: field("Size")?
            .parse()
            .map_err(|e| InputError::fetch(name, e))?,
        sha256: field("SHA256")?
            .parse()
            .map_err(|e| InputError::fetch(name, e))?,
    })
}

#[derive(Deserialize)]
struct ToolchainFile {
    toolchain: Toolchain,
}

#[derive(Deserialize)]
struct Toolchain {
    channel: String,
}

/// The toolchain that the workspace names, with the digests of the channel manifest that rustup
/// checked when it installed it.
fn toolchain(
    workspace: &Path,
    plan: &ReleasePlan,
    cache: &Path,
    progress: &dyn Progress,
) -> Result<RustToolchain, InputError> {
    let path = workspace.join("rust-toolchain.toml");
    let text = fs::read_to_string(&path).map_err(InputError::io(&path))?;
    let file: ToolchainFile = toml::from_str(&text).map_err(|e| InputError::fetch("rust", e))?;
    let mut pin = RustToolchain {
        nar_sha256: Sha256Digest::of(b""),
        version: file.toolchain.channel,
        host: plan.target().triple().to_owned(),
        components: Vec::new(),
    };
    let folder = rust::rustup_folder(&pin)?;
    let path = folder.join("lib/rustlib/multirust-channel-manifest.toml");
    let text = fs::read_to_string(&path).map_err(InputError::io(&path))?;
    let manifest: toml::Table = toml::from_str(&text).map_err(|e| InputError::fetch("rust", e))?;
    for name in RUST_COMPONENTS {
        let target = &manifest["pkg"][name]["target"][&pin.host];
        let text = |key: &str| {
            let value = target.get(key).and_then(toml::Value::as_str);
            value.ok_or_else(|| InputError::fetch(name, format!("the manifest has no {key}")))
        };
        pin.components.push(RustComponent {
            name: name.to_owned(),
            url: text("xz_url")?.to_owned(),
            sha256: text("xz_hash")?
                .parse()
                .map_err(|e| InputError::fetch(name, e))?,
        });
    }
    let (folder, digest) =
        inputs::unpacked(cache, RUST, |to| rust::from_rustup(&pin, to, progress))?;
    inputs::place(cache, RUST, digest, &folder)?;
    pin.nar_sha256 = digest;
    Ok(pin)
}

fn rust_tree(
    pin: &RustToolchain,
    cache: &Path,
    progress: &dyn Progress,
) -> Result<PathBuf, InputError> {
    let _lock = inputs::lock(cache)?;
    inputs::rust(pin, cache, progress)
}

fn auditable(
    version: &str,
    tools: &Path,
    cache: &Path,
    progress: &dyn Progress,
) -> Result<CargoAuditable, InputError> {
    progress.step(&format!("pinning cargo-auditable {version}"));
    let mut sha256 = None;
    let (folder, nar_sha256) = inputs::unpacked(cache, AUDITABLE, |to| {
        sha256 = Some(crates::cargo_auditable_crate(version, tools, to, progress)?);
        Ok(())
    })?;
    inputs::place(cache, AUDITABLE, nar_sha256, &folder)?;
    let sha256 = sha256.ok_or_else(|| InputError::fetch("cargo-auditable", "nothing came"))?;
    Ok(CargoAuditable {
        nar_sha256,
        version: version.to_owned(),
        sha256,
    })
}

fn vendored(
    workspace: &Path,
    tools: &Path,
    cache: &Path,
    progress: &dyn Progress,
) -> Result<Crates, InputError> {
    let (folder, nar_sha256) = inputs::unpacked(cache, CRATES, |to| {
        crates::vendored(workspace, tools, to, progress)
    })?;
    inputs::place(cache, CRATES, nar_sha256, &folder)?;
    let path = workspace.join("Cargo.lock");
    let lock = fs::read(&path).map_err(InputError::io(&path))?;
    Ok(Crates {
        nar_sha256,
        cargo_lock_sha256: Sha256Digest::of(&lock),
    })
}
