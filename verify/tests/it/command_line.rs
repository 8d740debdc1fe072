//! The program itself: exit codes, outputs, and that nothing but its arguments is needed.

use std::process::{Command, Output};

use crate::fixture::{Release, text, verify_without_network};

fn verify(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_verify"));
    // No PATH: neither git nor gpg nor Nix can be asked.
    command.env_clear().args(args).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it ended by itself")
}

/// The real clock judges here, so the fixture's young database is old; the policy takes that.
const PATIENT: &str = "version = 1\n[advisories]\nmax_age_days = 36500\n";

#[test]
fn good_bundle_exits_0_without_any_tool_and_prints_roster_and_verdict() {
    let release = Release::good();
    let keys = release.gnupg.home().join("keys.asc");
    std::fs::write(&keys, release.gnupg.export(&[&release.key])).unwrap();
    let policy = release.gnupg.home().join("policy.toml");
    std::fs::write(&policy, PATIENT).unwrap();
    let root = release.root();
    let base = [
        "release",
        root.to_str().unwrap(),
        "--keyring",
        keys.to_str().unwrap(),
    ];
    let whole = [
        &base[..],
        &[
            "--policy",
            policy.to_str().unwrap(),
            "--advisory-db",
            release.db.to_str().unwrap(),
        ],
    ]
    .concat();

    let output = verify(&whole);
    let printed = text(&output);
    assert_eq!(
        code(&output),
        0,
        "{printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(printed.contains("tag v0.1.0 at commit"), "{printed}");
    for check in ["manifest", "tag", "provenance", "sbom", "advisories"] {
        assert!(printed.contains(&format!("PASS      {check}")), "{printed}");
    }
    assert!(
        printed.contains("NOT MADE  rebuild      it was not asked for"),
        "{printed}"
    );
    assert!(
        printed.contains("verdict: PASS (manifest, tag, provenance, sbom, advisories)"),
        "{printed}"
    );
    assert!(
        !printed.contains('\u{1b}'),
        "no colour where there is no terminal"
    );

    let json = verify(&[&whole[..], &["--json"]].concat());
    let report: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(
        (code(&json), &report["version"], &report["verdict"]),
        (0, &1.into(), &"pass".into())
    );
    assert_eq!(report["findings"][0]["check"], "manifest");
    assert_eq!(report["findings"][0]["outcome"], "pass");

    let without_db = verify(&base);
    assert_eq!(code(&without_db), 2, "{}", text(&without_db));
    assert!(text(&without_db).contains("verdict: NO VERDICT (could not be checked: advisories)"));

    let other_tag = verify(&[&whole[..], &["--tag", "v0.2.0"]].concat());
    assert_eq!(code(&other_tag), 1);
    assert!(
        text(&other_tag)
            .contains("the release is of the tag `v0.1.0`, not of `v0.2.0` as expected")
    );

    release.write("bin/tool", b"other");
    assert_eq!(code(&verify(&whole)), 1);
}

#[test]
fn what_cannot_be_read_or_understood_exits_2() {
    let release = Release::good();
    let keys = release.gnupg.home().join("keys.asc");
    std::fs::write(&keys, release.gnupg.export(&[&release.key])).unwrap();
    let (root, keys) = (release.root(), keys.to_str().unwrap().to_owned());
    let root = root.to_str().unwrap();
    for args in [
        vec![],
        vec!["unknown"],
        vec!["release"],
        vec!["release", root],
        vec!["release", root, "--keyring", "/none"],
        vec!["release", "/none", "--keyring", &keys],
        vec!["release", root, "--keyring", root],
        vec!["release", root, "--keyring", &keys, "--policy", &keys],
        vec!["release", root, "--keyring", &keys, "--engine", "nix"],
        vec!["release", root, "--keyring", &keys, "--tag", "../x"],
    ] {
        let output = verify(&args);
        assert_eq!(
            code(&output),
            2,
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(!output.stderr.is_empty(), "{args:?} says nothing");
    }
}

#[test]
fn answer_that_cannot_be_written_is_none() {
    let release = Release::good();
    let keys = release.gnupg.home().join("keys.asc");
    std::fs::write(&keys, release.gnupg.export(&[&release.key])).unwrap();
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_verify"))
        .arg("release")
        .arg(release.root())
        .arg("--keyring")
        .arg(&keys)
        .stdout(full)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(2));
}

#[test]
fn text_of_the_bundle_cannot_write_on_the_terminal() {
    let release = Release::good();
    release.write("bin/tool", b"other");
    let odd = release.root().join("\u{1b}[2Jx");
    std::fs::write(&odd, b"x").unwrap();
    let keys = release.gnupg.home().join("keys.asc");
    std::fs::write(&keys, release.gnupg.export(&[&release.key])).unwrap();
    let output = verify(&[
        "release",
        release.root().to_str().unwrap(),
        "--keyring",
        keys.to_str().unwrap(),
    ]);
    let printed = text(&output);
    assert!(
        printed.contains("\\u{1b}[2Jx") && !printed.contains('\u{1b}'),
        "{printed}"
    );
}

#[test]
fn page_holds_the_verdict_and_the_packages_and_no_text_of_the_bundle_as_markup() {
    let release = Release::good();
    std::fs::write(release.at("<script>alert(1)<"), b"x").unwrap();
    let keys = release.gnupg.home().join("keys.asc");
    std::fs::write(&keys, release.gnupg.export(&[&release.key])).unwrap();
    let page = release.gnupg.home().join("report.html");
    let (root, db) = (release.root(), release.db.to_str().unwrap());
    let base = [
        "release",
        root.to_str().unwrap(),
        "--keyring",
        keys.to_str().unwrap(),
    ];
    let output = verify(
        &[
            &base[..],
            &["--advisory-db", db, "--html", page.to_str().unwrap()],
        ]
        .concat(),
    );
    assert_eq!(code(&output), 1);
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(
        html.contains("<strong class=\"word\">FAIL</strong>")
            && html.contains(">leaf</button></td><td>1.0.0</td>")
    );
    assert!(
        html.contains("&lt;script&gt;alert(1)&lt;") && !html.contains("<script>alert"),
        "{html}"
    );
    // The name of a namespace is no address that anything is loaded from.
    let html = html.replace("http://www.w3.org/2000/svg", "");
    assert!(
        !html.contains("http://") && !html.contains("https://"),
        "it loads nothing"
    );
    let nowhere = verify(&[&base[..], &["--html", "/none/x.html"]].concat());
    assert_eq!(code(&nowhere), 2);
}

#[test]
fn schema_of_the_report_knows_every_check() {
    let schema =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/verify-report.schema.json");
    let schema: serde_json::Value =
        serde_json::from_slice(&std::fs::read(schema).unwrap()).unwrap();
    let checks: Vec<&str> = verify::check::CHECKS
        .iter()
        .map(|check| check.id.as_str())
        .collect();
    assert_eq!(
        serde_json::json!(checks),
        schema["$defs"]["finding"]["properties"]["check"]["enum"]
    );
}

#[test]
fn policy_in_the_documentation_is_one() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/verify.md");
    let page = std::fs::read_to_string(page).unwrap();
    let policy = page
        .split("```toml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .unwrap();
    verify::load::policy::Policy::parse(policy).unwrap();
    for check in verify::check::CHECKS {
        assert!(
            page.contains(&format!("### {}\n", check.id)),
            "{} has no section",
            check.id
        );
    }
}

#[test]
fn whole_verdict_needs_no_network() {
    let release = Release::good();
    let keys = release.gnupg.home().join("keys.asc");
    std::fs::write(&keys, release.gnupg.export(&[&release.key])).unwrap();
    let policy = release.gnupg.home().join("policy.toml");
    std::fs::write(&policy, PATIENT).unwrap();
    let Some(mut command) = verify_without_network() else {
        return;
    };
    let output = command
        .arg("release")
        .arg(release.root())
        .arg("--keyring")
        .arg(&keys)
        .arg("--policy")
        .arg(&policy)
        .arg("--advisory-db")
        .arg(&release.db)
        .output()
        .unwrap();
    assert_eq!(
        code(&output),
        0,
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
