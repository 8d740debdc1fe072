//! The HTML report in a real browser: the graph is drawn, packages can be looked around, nothing is
//! asked of the network. Without Chromium the test says that it was skipped.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fixture::Release;
use crate::fixture::release::{add_advisory, advisory_text, write_db};

/// A browser that this machine has.
fn chromium() -> Option<PathBuf> {
    let found = [
        "/usr/bin/chromium",
        "/usr/bin/chromium-browser",
        "/usr/bin/google-chrome",
    ]
    .into_iter()
    .map(PathBuf::from)
    .find(|path| path.is_file());
    if found.is_none() {
        println!("skipped: there is no Chromium; `apt-get install chromium` brings one");
    }
    found
}

/// The page as the browser has it after its script has run.
fn dom(browser: &Path, page: &Path, place: &str) -> String {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg("--dump-dom")
        .arg(format!("file://{}{place}", page.display()))
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn graph_and_tree_are_drawn_and_packages_with_advisories_are_marked() {
    let Some(browser) = chromium() else { return };
    let release = Release::good();
    let home = release.gnupg.home();
    std::fs::write(home.join("keys.asc"), release.gnupg.export(&[&release.key])).unwrap();
    let db = home.join("db");
    write_db(&db, 510, "2026-05-30");
    let text = advisory_text("RUSTSEC-2026-0900", "leaf", "2026-05-31");
    add_advisory(&db, "crates/leaf/RUSTSEC-2026-0900.md", &text);
    let policy = home.join("policy.toml");
    std::fs::write(&policy, "version = 1\n[advisories]\nmax_age_days = 36500\n").unwrap();
    let page = home.join("report.html");
    let output = Command::new(env!("CARGO_BIN_EXE_verify"))
        .arg("release")
        .arg(release.root())
        .arg("--keyring")
        .arg(home.join("keys.asc"))
        .arg("--policy")
        .arg(&policy)
        .arg("--advisory-db")
        .arg(&db)
        .arg("--html")
        .arg(&page)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));

    let near = dom(&browser, &page, "");
    if near.is_empty() {
        println!("skipped: Chromium does not run here");
        return;
    }
    let svg = near
        .split("<svg")
        .nth(1)
        .unwrap()
        .split("</svg>")
        .next()
        .unwrap();
    for words in [
        "tool 0.1.0",
        "! leaf 1.0.0",
        "node bad",
        "node linked focus",
        "class=\"edge\"",
    ] {
        assert!(svg.contains(words), "{words}: {svg}");
    }
    assert!(near.contains("2 of 2 packages"), "the search has counted");
    assert!(near.contains("RUSTSEC-2026-0900 (stands)"), "{near}");
    let around = dom(&browser, &page, "#near=leaf");
    assert!(around.contains("node bad focus") && around.contains("Why it is in: "));
    let tree = dom(&browser, &page, "#tree=leaf");
    let list = tree.split("<ul class=\"tree\">").nth(1).unwrap();
    assert!(
        list.contains("tool 0.1.0</button>") && list.contains("leaf 1.0.0</button>"),
        "{list}"
    );
    let whole = dom(&browser, &page, "#whole");
    assert_eq!(whole.matches("<circle").count(), 2, "{whole}");
    let elsewhere = near.replace("http://www.w3.org/2000/svg", "");
    assert!(
        !elsewhere.contains("http://") && !elsewhere.contains("https://"),
        "it loads nothing"
    );
}
