//! `kill -9` at random points under load, with everything taken back that was not synced: what a
//! power cut leaves. Nothing that was acknowledged may be lost; with syncs ignored, something must.
//!
//! The number of kills is small here and large where `HALLMARK_KILLS` says so.

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::support::{Scratch, Served};

const WRITERS: usize = 4;

struct PowerCut {
    library: PathBuf,
    notes: PathBuf,
}

impl PowerCut {
    /// Compiles the library; `None` (and a line on stdout) where there is no compiler.
    fn make(scratch: &Scratch) -> Option<Self> {
        let library = scratch.dir.path().join("power_cut.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/power_cut.c");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .arg(source)
            .output();
        match compiled {
            Ok(output) if output.status.success() => {}
            Ok(output) => panic!("{}", String::from_utf8_lossy(&output.stderr)),
            Err(error) => {
                println!("skipped: no C compiler: {error}");
                return None;
            }
        }
        let notes = scratch.dir.path().join("notes");
        std::fs::create_dir(&notes).unwrap();
        Some(Self { library, notes })
    }

    fn serve(&self, node: &Scratch, ignore_sync: bool) -> Served {
        let mut command = node.command();
        command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env("LD_PRELOAD", &self.library)
            .env("POWER_CUT_DIR", node.data().canonicalize().unwrap())
            .env("POWER_CUT_NOTES", &self.notes);
        if ignore_sync {
            command.env("POWER_CUT_IGNORE_SYNC", "1");
        }
        Served::start(command, node.token())
    }

    /// Puts back what stood in the files before each write that was not synced, last one first.
    fn take_back(&self, node: &Scratch) -> usize {
        let mut taken_back = 0;
        for entry in std::fs::read_dir(&self.notes).unwrap() {
            let notes = entry.unwrap().path();
            let file = node.data().join(notes.file_name().unwrap());
            let bytes = std::fs::read(&notes).unwrap();
            std::fs::remove_file(&notes).unwrap();
            let Ok(file) = std::fs::OpenOptions::new().write(true).open(file) else {
                continue;
            };
            for (offset, length, old) in parse(&bytes).into_iter().rev() {
                file.write_all_at(old, offset).unwrap();
                file.set_len(length).unwrap();
                taken_back += 1;
            }
        }
        taken_back
    }
}

fn parse(mut bytes: &[u8]) -> Vec<(u64, u64, &[u8])> {
    let mut notes = Vec::new();
    let number =
        |bytes: &[u8], at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap());
    while bytes.len() >= 24 {
        let (offset, length, count) = (number(bytes, 0), number(bytes, 8), number(bytes, 16));
        let end = 24 + usize::try_from(count).unwrap();
        // A note that was cut off belongs to a write that never happened.
        let Some(old) = bytes.get(24..end) else { break };
        notes.push((offset, length, old));
        bytes = &bytes[end..];
    }
    notes
}

/// Writes until `count` are acknowledged, and `micros` more, then kills; returns what was
/// acknowledged by then.
fn load_and_kill(served: Served, count: usize, micros: u64) -> Vec<String> {
    let acknowledged = Mutex::new(Vec::new());
    let stop = AtomicBool::new(false);
    let pid = rustix::process::Pid::from_child(&served.child);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (served, acknowledged, stop) = (&served, &acknowledged, &stop);
            scope.spawn(move || {
                for n in 0.. {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let text = format!("writer {writer} memory {n} ").repeat(1 + n % 40);
                    let body = json!({"title": "t", "content": text, "tier": "long"});
                    let asked = served.try_http("POST", "/api/v1/memories", &body);
                    // Not acknowledged: it may be there or not.
                    let Some(answer) = asked else { continue };
                    assert_eq!(answer.status, 201, "{answer:?}");
                    let id = answer.json()["id"].as_str().unwrap().to_owned();
                    acknowledged.lock().unwrap().push(id);
                }
            });
        }
        let started = std::time::Instant::now();
        while acknowledged.lock().unwrap().len() < count
            && started.elapsed() < Duration::from_secs(20)
        {
            std::thread::sleep(Duration::from_micros(200));
        }
        std::thread::sleep(Duration::from_micros(micros));
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        stop.store(true, Ordering::SeqCst);
    });
    served.kill();
    acknowledged.into_inner().unwrap()
}

fn kills(default: usize) -> usize {
    std::env::var("HALLMARK_KILLS")
        .ok()
        .map_or(default, |text| text.parse().unwrap())
}

fn ids_in(node: &Scratch, args: &[&str]) -> std::collections::BTreeSet<String> {
    let file = node.dir.path().join("export.json");
    drop(std::fs::remove_file(&file));
    let mut all = vec!["export", file.to_str().unwrap(), "--plaintext"];
    all.extend_from_slice(args);
    node.run(&all).ok();
    let export: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let rows = export["memories"].as_array().unwrap().iter();
    rows.map(|row| row["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_power_cut_loses_no_acknowledged_write() {
    let mut node = Scratch::new();
    let Some(mut cut) = PowerCut::make(&node) else {
        return;
    };
    let mut acknowledged = Vec::new();
    let (mut writes, mut taken_back) = (0, 0);
    let rounds = kills(5);
    for round in 0..rounds {
        // A new database now and then, so that each check stays short.
        if round % 20 == 19 {
            node = Scratch::new();
            cut = PowerCut::make(&node).unwrap();
            acknowledged.clear();
        }
        // Points in time that have nothing to do with each other, anywhere in a commit.
        let (count, micros) = (round * 7919 % 151, round * 104_729 % 20_011);
        let micros = u64::try_from(micros).unwrap();
        let new = load_and_kill(cut.serve(&node, false), count, micros);
        writes += new.len();
        acknowledged.extend(new);
        taken_back += cut.take_back(&node);
        drop(std::fs::remove_file(node.data().join("memory.db-shm")));
        node.run(&["db", "check"]).ok();
        let there = ids_in(&node, &[]);
        let lost = acknowledged
            .iter()
            .filter(|id| !there.contains(*id))
            .count();
        assert_eq!(lost, 0, "after kill {round}");
    }
    println!(
        "{rounds} kills, {writes} acknowledged writes, {taken_back} unsynced writes taken back, 0 lost"
    );
    assert!(
        writes > 0 && taken_back > 0,
        "{writes} writes, {taken_back} taken back"
    );
}

#[test]
fn the_same_power_cut_without_syncs_loses_some() {
    let node = Scratch::new();
    let Some(cut) = PowerCut::make(&node) else {
        return;
    };
    let acknowledged = load_and_kill(cut.serve(&node, true), 50, 0);
    cut.take_back(&node);
    drop(std::fs::remove_file(node.data().join("memory.db-shm")));
    let there = ids_in(&node, &["--accept-rollback"]);
    let lost = acknowledged
        .iter()
        .filter(|id| !there.contains(*id))
        .count();
    println!(
        "{} acknowledged without syncs, {lost} lost",
        acknowledged.len()
    );
    assert!(lost > 0, "the proof proves nothing");
}
