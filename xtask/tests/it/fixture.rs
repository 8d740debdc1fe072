//! A throw-away engineer: a GnuPG home, keys, and a tiny Cargo workspace under git.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// The version that the tiny workspace has.
pub(crate) const TAG: &str = "v1.0.0";

/// A GnuPG home with the keys that a test makes.
pub(crate) struct Gnupg {
    home: TempDir,
}

impl Gnupg {
    pub(crate) fn new() -> Self {
        let home = tempfile::Builder::new().prefix("gpg").tempdir().unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).unwrap();
        // `git tag -s` calls this instead of gpg, so that a test may set the time it signs at.
        let program = home.path().join("gpg-at");
        fs::write(
            &program,
            "#!/bin/sh\nexec gpg ${SIGN_AT:+--faked-system-time \"$SIGN_AT\"} \"$@\"\n",
        )
        .unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Self { home }
    }

    /// Makes a signing key and gives its fingerprint.
    pub(crate) fn key(&self, name: &str) -> String {
        self.key_with(name, &[], "1y")
    }

    /// Makes a signing key under further options of gpg, with an expiry.
    pub(crate) fn key_with(&self, name: &str, options: &[&str], expires: &str) -> String {
        let address = format!("{name} <{name}@example.org>");
        let mut arguments = vec!["--passphrase", ""];
        arguments.extend(options);
        arguments.extend(["--quick-gen-key", &address, "ed25519", "sign", expires]);
        self.gpg(&arguments);
        let listing = self.gpg(&["--with-colons", "--list-keys", &address]);
        let fingerprint = listing
            .lines()
            .find_map(|line| line.strip_prefix("fpr:::::::::"))
            .unwrap();
        fingerprint.trim_end_matches(':').to_owned()
    }

    /// Revokes a key in this home.
    pub(crate) fn revoke(&self, fingerprint: &str) {
        let revocation = self
            .home
            .path()
            .join("openpgp-revocs.d")
            .join(format!("{fingerprint}.rev"));
        // GnuPG writes it with a colon before the armor, so that nobody imports it by accident.
        let text = fs::read_to_string(&revocation)
            .unwrap()
            .replace(":-----BEGIN", "-----BEGIN");
        fs::write(&revocation, text).unwrap();
        self.gpg(&["--import", revocation.to_str().unwrap()]);
    }

    /// The public certificates of these keys, armored.
    pub(crate) fn export(&self, fingerprints: &[&str]) -> String {
        let mut arguments = vec!["--armor", "--export"];
        arguments.extend(fingerprints);
        self.gpg(&arguments)
    }

    /// Runs gpg in this home and wants it to succeed.
    pub(crate) fn gpg(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("gpg");
        command.args(["--batch", "--quiet", "--pinentry-mode", "loopback"]);
        let output = command
            .args(arguments)
            .env("GNUPGHOME", self.home.path())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "gpg {arguments:?}: {}",
            talk(&output)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    fn program(&self) -> PathBuf {
        self.home.path().join("gpg-at")
    }
}

impl Drop for Gnupg {
    fn drop(&mut self) {
        // The agent of this home, and only that one.
        let ended = Command::new("gpgconf")
            .args(["--kill", "all"])
            .env("GNUPGHOME", self.home.path())
            .status();
        assert!(ended.is_ok(), "gpgconf is part of GnuPG");
    }
}

/// A tiny Cargo workspace under git, with its own `release.toml`, keyring and engineer.
pub(crate) struct Workspace {
    folder: TempDir,
    pub(crate) gnupg: Gnupg,
    pub(crate) engineer: String,
}

impl Workspace {
    /// The workspace with one commit and no tag; its keyring holds the engineer's key.
    pub(crate) fn new() -> Self {
        let gnupg = Gnupg::new();
        let engineer = gnupg.key("engineer");
        Self::with(gnupg, engineer)
    }

    /// The same for keys that the test has made.
    pub(crate) fn with(gnupg: Gnupg, engineer: String) -> Self {
        let folder = tempfile::Builder::new().prefix("tiny").tempdir().unwrap();
        let this = Self {
            folder,
            gnupg,
            engineer,
        };
        this.write("Cargo.toml", TINY_MANIFEST);
        this.write("Cargo.lock", TINY_LOCK);
        this.write(
            "rust-toolchain.toml",
            &of_this_repository("rust-toolchain.toml"),
        );
        this.write("src/main.rs", TINY_MAIN);
        this.write("release.toml", TINY_PLAN);
        this.write(".gitignore", "/target/\n");
        this.keep_keyring();
        for file in ["build.sh", "enter.sh", "build.nix", "inputs.nix"] {
            this.write(
                &format!("nix/{file}"),
                &of_this_repository(&format!("nix/{file}")),
            );
        }
        this.pin();
        this.git(&["init", "-q", "-b", "main"]);
        this.git(&["add", "-A"]);
        this.git(&["commit", "-q", "-m", "A tiny tool"]);
        this
    }

    /// Writes the engineer's certificate, as it is now, into the workspace's keyring.
    pub(crate) fn keep_keyring(&self) {
        self.write("keys/tiny.asc", &self.gnupg.export(&[&self.engineer]));
    }

    /// Pins this repository's inputs, with no crates, for the workspace's Cargo.lock.
    pub(crate) fn pin(&self) {
        let mut pins: serde_json::Value =
            serde_json::from_str(&of_this_repository("nix/inputs.json")).unwrap();
        let no_crates = tempfile::tempdir().unwrap();
        let lock = fs::read(self.path().join("Cargo.lock")).unwrap();
        pins["crates"] = serde_json::json!({
            "nar_sha256": verify::rebuild::nar::digest(no_crates.path()).unwrap().to_string(),
            "cargo_lock_sha256": sbom::digest::Sha256Digest::of(&lock).to_string(),
        });
        self.write(
            "nix/inputs.json",
            &serde_json::to_string_pretty(&pins).unwrap(),
        );
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
    }

    /// A signed tag on HEAD by this key.
    pub(crate) fn sign_tag(&self, name: &str, key: &str) {
        self.git(&["tag", "-s", "-u", key, "-m", "A release", name]);
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        self.git_with(&[], arguments)
    }

    /// Runs git with further variables and wants it to succeed.
    pub(crate) fn git_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command
            .arg("-c")
            .arg(format!("gpg.program={}", self.gnupg.program().display()))
            .args(arguments);
        let output = self.prepare(command, variables).output().unwrap();
        assert!(
            output.status.success(),
            "git {arguments:?}: {}",
            talk(&output)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Writes an object as it is and points a tag's ref at it.
    pub(crate) fn put_tag(&self, name: &str, object: &[u8]) {
        let file = self.gnupg.home.path().join("object");
        fs::write(&file, object).unwrap();
        let id = self.git(&["hash-object", "-t", "tag", "-w", file.to_str().unwrap()]);
        self.git(&["update-ref", &format!("refs/tags/{name}"), &id]);
    }

    /// Adds a procedural macro whose output follows the order of a hash map: another one in each
    /// run of a compiler, unless the build sees to it.
    pub(crate) fn use_a_macro_in_hash_map_order(&self) {
        self.write(
            "Cargo.toml",
            &format!("{TINY_MANIFEST}\n[dependencies]\norder = {{ path = \"order\" }}\n"),
        );
        let lock = TINY_LOCK.replace(
            "[[package]]",
            "[[package]]\nname = \"order\"\nversion = \"1.0.0\"\n\n[[package]]",
        );
        self.write(
            "Cargo.lock",
            &format!("{lock}dependencies = [\n \"order\",\n]\n"),
        );
        self.write("order/Cargo.toml", ORDER_MANIFEST);
        self.write("order/src/lib.rs", ORDER_LIB);
        self.write(
            "src/main.rs",
            "//! Prints an order.\nfn main() {\n    println!(\"{}\", order::order!());\n}\n",
        );
        self.pin();
        self.commit("A macro in hash map order");
    }

    /// Runs `cargo xtask` in this workspace.
    pub(crate) fn xtask(&self, arguments: &[&str]) -> Output {
        self.xtask_with(&[], arguments)
    }

    /// Runs `cargo xtask` with further variables.
    pub(crate) fn xtask_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(arguments);
        self.prepare(command, variables).output().unwrap()
    }

    /// Runs `cargo xtask` as the same engineer in another folder.
    pub(crate) fn xtask_in(&self, folder: &Path, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(arguments);
        let mut command = self.prepare(command, &[]);
        command.current_dir(folder).output().unwrap()
    }

    /// Releases [`TAG`] with this database and these further arguments.
    pub(crate) fn release(&self, database: &Path, more: &[&str]) -> Output {
        let database = database.to_str().unwrap();
        let mut arguments = vec!["release", TAG, "--sign-with", &self.engineer];
        arguments.extend(["--advisory-db", database]);
        arguments.extend(more);
        self.xtask(&arguments)
    }

    /// Nix with the sandbox, without any binary cache, and without build users where there are none.
    pub(crate) fn nix(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("nix");
        command
            .args(["--extra-experimental-features", "nix-command flakes"])
            .args(["--option", "sandbox", "true"])
            .args(["--option", "sandbox-fallback", "false"])
            .args(["--option", "substitute", "false"])
            .current_dir(self.path());
        let groups = fs::read_to_string("/etc/group").unwrap();
        if !groups.lines().any(|line| line.starts_with("nixbld:")) {
            command.args(["--option", "build-users-group", ""]);
        }
        let output = command.args(arguments).output().unwrap();
        assert!(
            output.status.success(),
            "nix {arguments:?}: {}",
            talk(&output)
        );
        answer(&output)
    }

    /// `nix build` of an output of this workspace's flake; gives the store path.
    pub(crate) fn nix_build(&self, output: &str, more: &[&str]) -> PathBuf {
        let mut arguments = vec!["build", "--no-link", "--json", output];
        arguments.extend(more);
        let built: serde_json::Value = serde_json::from_str(&self.nix(&arguments)).unwrap();
        built[0]["outputs"]["out"].as_str().unwrap().into()
    }

    fn prepare(&self, mut command: Command, variables: &[(&str, &str)]) -> Command {
        command
            .current_dir(self.path())
            .env("GNUPGHOME", self.gnupg.home.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env_remove("HALLMARK_ADVISORY_DB");
        for who in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{who}_NAME"), "Engineer")
                .env(format!("GIT_{who}_EMAIL"), "engineer@example.org");
        }
        command.envs(variables.iter().copied());
        command
    }
}

/// An advisory database with one advisory, about a crate that nobody uses, as a git checkout.
pub(crate) fn advisory_db() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("crates/nobody-uses-this");
    fs::create_dir_all(&place).unwrap();
    fs::create_dir(folder.path().join("rust")).unwrap();
    fs::write(
        place.join("RUSTSEC-2026-0001.md"),
        "```toml\n[advisory]\nid = \"RUSTSEC-2026-0001\"\npackage = \"nobody-uses-this\"\n\
         date = \"2026-08-01\"\n\n[versions]\npatched = []\n```\n\n# A title\n\nA text.\n",
    )
    .unwrap();
    folder
}

/// What a program answered on stdout.
pub(crate) fn answer(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What a program said on stderr.
pub(crate) fn talk(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The folder with the `verify` of this repository.
pub(crate) fn verify_folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_xtask")).parent().unwrap();
    // A run of all tests has compiled it; a run of this crate's alone has not.
    if !folder.join("verify").is_file() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let output = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--locked", "--package", "verify"])
            .args(["--package", "xtask", "--features", "xtask/engineer"])
            .current_dir(root)
            .output();
        crate::peers::said(&output.unwrap());
    }
    folder.to_path_buf()
}

/// A file of the repository that the tests belong to.
pub(crate) fn of_this_repository(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

const TINY_MANIFEST: &str = r#"[package]
name = "tiny-tool"
version = "1.0.0"
edition = "2024"
license = "MIT"

[[bin]]
name = "tiny"
path = "src/main.rs"
"#;

const TINY_LOCK: &str = r#"# This file is automatically @generated by Cargo.
# It is not intended for manual editing.
version = 4

[[package]]
name = "tiny-tool"
version = "1.0.0"
"#;

const TINY_MAIN: &str = r#"//! Prints one line.
fn main() {
    println!("a tiny tool, built at {}", option_env!("SOURCE_DATE_EPOCH").unwrap_or("no time"));
}
"#;

const ORDER_MANIFEST: &str = r#"[package]
name = "order"
version = "1.0.0"
edition = "2024"
license = "MIT"

[lib]
proc-macro = true
"#;

const ORDER_LIB: &str = r#"//! A text that is another one in each run.
use std::collections::HashMap;

/// The numbers from 0 to 31 in the order of a hash map.
#[proc_macro]
pub fn order(_: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let map: HashMap<u32, ()> = (0..32).map(|number| (number, ())).collect();
    let text: Vec<String> = map.keys().map(u32::to_string).collect();
    format!("{:?}", text.join(" ")).parse().unwrap()
}
"#;

const TINY_PLAN: &str = r#"version = 1
name = "tiny"
target = "x86_64-unknown-linux-gnu"

[[binary]]
name = "tiny"
package = "tiny-tool"

[build]
inputs = "nix/inputs.json"
recipe = "nix"

[limits]
glibc = "2.34"
libraries = ["libc.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2"]

[gate]
keyring = "keys/tiny.asc"
advisory_max_age_days = 3650
advisory_min_count = 1
"#;
