//! The shipped unit under a real systemd: the commands that it names make the credential and the
//! database, it serves with the rights that it says, comes back after a crash, and stops cleanly.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What was written while systemd ran.
struct Proof {
    shared: tempfile::TempDir,
}

impl Proof {
    fn path(&self, name: &str) -> PathBuf {
        self.shared.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        let log = std::fs::read_to_string(self.path("proof.log")).unwrap_or_default();
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}\n{log}"))
    }
}

/// The commands in the head of the unit, as an operator would copy them.
fn commands_of(unit: &str) -> String {
    let indented = |line: &&str| line.starts_with("#  ");
    let commands: Vec<&str> = unit
        .lines()
        .filter(indented)
        .map(|line| line[1..].trim_start())
        .collect();
    for (command, program) in commands
        .iter()
        .zip(["install", "systemd-creds", "systemd-run"])
    {
        assert!(command.starts_with(program), "{commands:?}");
    }
    commands.join("\n")
}

/// Boots systemd and runs the proof in it; `None` (and a line on stdout) where it does not boot.
fn boot() -> Option<Proof> {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: booting systemd in namespaces needs root");
        return None;
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let scripts = here.join("tests/it/systemd");
    let unit = here.join("dist/memory-node.service");
    let scratch = tempfile::tempdir().unwrap();
    let shared = tempfile::tempdir().unwrap();
    let commands = commands_of(&std::fs::read_to_string(&unit).unwrap());
    std::fs::write(shared.path().join("commands.sh"), commands).unwrap();
    let output = Command::new("timeout")
        .args(["--kill-after=5", "60", "unshare"])
        .args(["--pid", "--mount", "--fork", "--ipc", "--uts", "--cgroup"])
        .args(["--net", "--kill-child", "sh"])
        .arg(scripts.join("boot.sh"))
        .arg(scratch.path())
        .arg(shared.path())
        .arg(env!("CARGO_BIN_EXE_memory-node"))
        .arg(&unit)
        .arg(scripts.join("proof.sh"))
        .output();
    let proof = Proof { shared };
    if !proof.path("up").exists() {
        println!("skipped: systemd does not boot in namespaces here: {output:?}");
        return None;
    }
    Some(proof)
}

fn fields<'a>(text: &'a str, separator: char, wanted: &[&str]) -> Vec<&'a str> {
    wanted
        .iter()
        .map(|name| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(separator))
                .unwrap_or_else(|| panic!("no {name} in {text}"))
                .trim()
        })
        .collect()
}

#[test]
fn the_unit_runs_as_shipped_survives_a_crash_and_stops_cleanly() {
    let Some(proof) = boot() else { return };
    proof.text("end");

    // A stop sets the number of restarts back.
    let state = ["ActiveState", "Result", "ExecMainStatus", "NRestarts"];
    for (moment, wanted) in [
        ("started", ["active", "success", "0", "0"]),
        ("restarted", ["active", "success", "0", "1"]),
        ("stopped", ["inactive", "success", "0", "0"]),
    ] {
        let found = proof.text(moment);
        assert_eq!(fields(&found, '=', &state), wanted, "{moment}");
    }

    let status = proof.text("status");
    let rights = fields(
        &status,
        ':',
        &["CapEff", "CapBnd", "NoNewPrivs", "Seccomp", "Uid"],
    );
    assert_eq!(rights[..2], ["0000000000000000"; 2]);
    assert_eq!(rights[2..4], ["1", "2"]);
    let user = rights[4].split_whitespace().next().unwrap();
    assert!(
        user.parse::<u32>().unwrap() > 60_000,
        "no dynamic user: {user}"
    );
    for line in proof.text("files").lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!((words[0], words[2]), ("-rw-------", user), "{line}");
    }

    let list: Value = serde_json::from_str(&proof.text("list.json")).unwrap();
    let titles: Vec<_> = list["memories"]
        .as_array()
        .unwrap()
        .iter()
        .map(|memory| memory["title"].as_str().unwrap())
        .collect();
    assert_eq!(titles, ["over the socket", "over loopback"]);

    let journal = proof.text("journal");
    for said in [
        "storage: /var/lib/memory-node/memory.db encrypted with SQLCipher 4",
        "webhooks: ",
        "federation: off",
        "api: listening on 127.0.0.1:9077",
        "api: listening on unix:/run/memory-node/node.sock",
        "stopped: everything that was acknowledged is on the disk",
    ] {
        assert!(journal.contains(said), "no «{said}» in {journal}");
    }
    for secret in [
        "the passphrase of the credential",
        proof.text("token").trim(),
    ] {
        assert!(!journal.contains(secret), "{journal}");
    }
}
