//! The systemd unit and the NixOS module: well-formed, hardened, and the same settings in both.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// What `systemd-analyze security` may say at most, in tenths; the documents name the figure.
const EXPOSURE: u32 = 9;

fn unit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/memory-node.service")
}

/// Runs a program; `None` (and a line on stdout) where it is not installed.
fn run(program: &str, args: &[&str]) -> Option<Output> {
    match Command::new(program).args(args).output() {
        Ok(output) => Some(output),
        Err(error) => {
            println!("skipped: `{program}` cannot be had: {error}");
            None
        }
    }
}

#[test]
fn systemd_finds_nothing_wrong_in_the_unit() {
    let dir = tempfile::tempdir().unwrap();
    // The binary is where this build has put it; all else is the unit as it is shipped.
    let shipped = std::fs::read_to_string(unit()).unwrap();
    let installed = "ExecStart=/usr/bin/memory-node ";
    assert!(shipped.contains(installed));
    let built = format!("ExecStart={} ", env!("CARGO_BIN_EXE_memory-node"));
    let copy = dir.path().join("memory-node.service");
    std::fs::write(&copy, shipped.replace(installed, &built)).unwrap();
    let args = ["verify", "--man=no", copy.to_str().unwrap()];
    let Some(verified) = run("systemd-analyze", &args) else {
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && said.is_empty(), "{said}");
}

#[test]
fn the_unit_is_exposed_no_more_than_the_documents_say() {
    let limit = format!("--threshold={EXPOSURE}");
    let unit = unit();
    let unit = unit.to_str().unwrap();
    let args = ["security", "--offline=true", "--no-pager", &limit, unit];
    let Some(judged) = run("systemd-analyze", &args) else {
        return;
    };
    let said = String::from_utf8_lossy(&judged.stdout);
    assert!(judged.status.success(), "{said}");
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let figure = format!("gives {}.{} (", EXPOSURE / 10, EXPOSURE % 10);
    assert!(readme.contains(&figure), "the README does not say {figure}");
}

#[test]
fn the_nixos_module_gives_the_settings_of_the_unit() {
    let settings = r#"{ enable = true; passphraseCredential = "/etc/credstore.encrypted/memory-node.db-passphrase"; }"#;
    let Some(config) = evaluated(settings) else {
        return;
    };
    let config = config.unwrap();
    let service = &config["systemd"]["services"]["memory-node"];
    assert_eq!(
        service["wantedBy"],
        serde_json::json!(["multi-user.target"])
    );
    let mut of_module: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in service["serviceConfig"].as_object().unwrap() {
        of_module.insert(name.clone(), written(value));
    }
    let start = of_module.remove("ExecStart").unwrap();
    assert_eq!(
        start[0].replace(['\''], "").trim(),
        "/nix/store/package/bin/memory-node serve --listen 127.0.0.1:9077 \
         --listen unix:/run/memory-node/node.sock"
    );
    let first = of_module.remove("ExecStartPre").unwrap();
    assert!(first[0].contains("bin/memory-node init"), "{first:?}");
    let mut of_unit: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let text = std::fs::read_to_string(unit()).unwrap();
    let (_, section) = text.split_once("[Service]\n").unwrap();
    let (section, _) = section.split_once("\n[Install]").unwrap();
    for line in section.lines().filter(|line| !line.starts_with('#')) {
        if let Some((name, value)) = line.split_once('=') {
            let value = value.to_owned();
            of_unit.entry(name.to_owned()).or_default().push(value);
        }
    }
    of_unit.remove("ExecStart").unwrap();
    assert_eq!(of_module, of_unit);
}

#[test]
fn the_nixos_module_refuses_settings_that_are_missing_or_wrong() {
    for (settings, why) in [
        ("{ enable = true; }", "passphraseCredential"),
        (
            r#"{ enable = true; passphraseCredential = "/x"; listen = "127.0.0.1:1"; }"#,
            "listen",
        ),
        (r#"{ passphrase = "x"; }"#, "no option `passphrase`"),
    ] {
        let Some(config) = evaluated(settings) else {
            return;
        };
        let error = config.unwrap_err();
        assert!(error.contains(why), "{error}");
    }
    let off = r#"{ passphraseCredential = "/x"; }"#;
    if let Some(config) = evaluated(off) {
        assert_eq!(config.unwrap(), serde_json::json!({}));
    }
}

/// The configuration that the module makes of `settings`; the error is what Nix says.
fn evaluated(settings: &str) -> Option<Result<Value, String>> {
    let stand_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/nixos_module.nix");
    let args = ["--eval", "--strict", "--json", "--store", "dummy://"];
    let mut args = args.to_vec();
    args.extend(["--arg", "settings", settings, stand_in.to_str().unwrap()]);
    let output = run("nix-instantiate", &args)?;
    if output.status.success() {
        return Some(Ok(serde_json::from_slice(&output.stdout).unwrap()));
    }
    Some(Err(String::from_utf8_lossy(&output.stderr).into_owned()))
}

/// A value as a unit file has it: NixOS writes true as `yes` or `true`, a list as many lines or,
/// where systemd takes that as one, with blanks.
fn written(value: &Value) -> Vec<String> {
    match value {
        Value::Bool(yes) => vec![if *yes { "yes" } else { "no" }.to_owned()],
        Value::Array(items) if items.iter().all(is_plain) => {
            vec![
                items
                    .iter()
                    .filter_map(Value::as_str)
                    .collect::<Vec<_>>()
                    .join(" "),
            ]
        }
        Value::Array(items) => items.iter().flat_map(written).collect(),
        Value::String(text) => vec![text.clone()],
        Value::Object(script) => vec![script["text"].as_str().unwrap().to_owned()],
        other => vec![other.to_string()],
    }
}

/// Names of address families, which systemd takes in one line.
fn is_plain(item: &Value) -> bool {
    item.as_str().is_some_and(|item| item.starts_with("AF_"))
}
