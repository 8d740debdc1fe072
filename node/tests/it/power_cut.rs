//! `kill -9` at random points under load, with everything taken back that was not synced: what a
//! power cut leaves. Nothing that was acknowledged may be lost; with syncs ignored, something must.
//!
//! The number of kills is small here and large where `HALLMARK_KILLS` says so; `HALLMARK_SEED`
//! chooses other points in time. Each round opens the file with the passphrase, as an operator does.

use std::collections::BTreeSet;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::preload;
use crate::support::{Scratch, Served};

const WRITERS: usize = 4;
/// Databases that are tortured at the same time; deriving a key fills one core.
const LANES: usize = 2;
/// Kills of one database; then a new one is made, so that each check stays short.
const KILLS_OF_ONE: usize = 20;

struct PowerCut {
    library: PathBuf,
    notes: PathBuf,
}

impl PowerCut {
    /// `None`: there is no compiler.
    fn make(scratch: &Scratch) -> Option<Self> {
        let library = preload::library(scratch, "power_cut")?;
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
        let started = Instant::now();
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

fn number_from(variable: &str, default: usize) -> usize {
    std::env::var(variable)
        .ok()
        .map_or(default, |text| text.parse().unwrap())
}

/// Numbers without a pattern, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// Every id that the node lists, page by page.
fn ids_in(served: &Served) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/api/v1/memories?limit=1000{cursor}");
        let page = served.http("GET", &path, None).expect(200).json();
        let rows = page["memories"].as_array().unwrap().iter();
        ids.extend(rows.map(|row| row["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return ids,
        }
    }
}

/// What one lane has done.
#[derive(Default)]
struct Tally {
    kills: usize,
    writes: usize,
    taken_back: usize,
}

/// Kills one database after the other until all kills of all lanes are given out.
fn lane(seed: u64, given_out: &AtomicUsize, total: usize) -> Option<Tally> {
    let mut dice = Dice(seed);
    let mut tally = Tally::default();
    while given_out.load(Ordering::SeqCst) < total {
        let node = Scratch::new();
        let cut = PowerCut::make(&node)?;
        let mut acknowledged = Vec::new();
        for _ in 0..KILLS_OF_ONE {
            let kill = given_out.fetch_add(1, Ordering::SeqCst);
            if kill >= total {
                break;
            }
            let served = cut.serve(&node, false);
            require_all(&served, &acknowledged);
            let count = usize::try_from(dice.below(150)).unwrap();
            let new = load_and_kill(served, count, dice.below(20_000));
            tally.kills += 1;
            tally.writes += new.len();
            acknowledged.extend(new);
            tally.taken_back += cut.take_back(&node);
            drop(std::fs::remove_file(node.data().join("memory.db-shm")));
            node.run(&["db", "check"]).ok();
            if kill % 20 == 19 {
                println!("{} of {total} kills", kill + 1);
            }
        }
        let served = node.serve();
        require_all(&served, &acknowledged);
        assert_eq!(served.stop(), 0);
    }
    Some(tally)
}

fn require_all(served: &Served, acknowledged: &[String]) {
    let there = ids_in(served);
    let lost: Vec<_> = acknowledged
        .iter()
        .filter(|id| !there.contains(*id))
        .collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
}

#[test]
fn a_power_cut_loses_no_acknowledged_write() {
    let total = number_from("HALLMARK_KILLS", 6);
    let seed = u64::try_from(number_from("HALLMARK_SEED", 1)).unwrap();
    let given_out = AtomicUsize::new(0);
    let started = Instant::now();
    let tallies: Option<Vec<Tally>> = std::thread::scope(|scope| {
        let lanes: Vec<_> = (1..)
            .take(LANES)
            .map(|number| {
                let given_out = &given_out;
                scope.spawn(move || lane(seed.wrapping_mul(1_000_003) + number, given_out, total))
            })
            .collect();
        lanes.into_iter().map(|lane| lane.join().unwrap()).collect()
    });
    // Without a compiler it was skipped, and said so.
    let Some(tallies) = tallies else { return };
    let sum = |part: fn(&Tally) -> usize| tallies.iter().map(part).sum::<usize>();
    let (kills, writes) = (sum(|t| t.kills), sum(|t| t.writes));
    let taken_back = sum(|t| t.taken_back);
    println!(
        "seed {seed}: {kills} kills in {:.0} s, {writes} acknowledged writes, \
         {taken_back} unsynced writes taken back, 0 lost, every check clean",
        started.elapsed().as_secs_f64()
    );
    assert_eq!(kills, total);
    assert!(
        writes > 0 && taken_back > 0,
        "{writes} writes, {taken_back} taken back"
    );
    put_rows(
        "HALLMARK_TABLE",
        &[
            ("kills", kills),
            ("acknowledged writes", writes),
            ("unsynced writes to files taken back", taken_back),
            ("acknowledged writes lost", 0),
        ],
    );
}

/// Rows of the document's table, where a long run asks for them.
fn put_rows(variable: &str, rows: &[(&str, usize)]) {
    if let Some(path) = std::env::var_os(variable) {
        let rows = rows.iter().map(|(what, n)| format!("| {what} | {n} |\n"));
        std::fs::write(path, rows.collect::<String>()).unwrap();
    }
}

#[test]
fn the_same_power_cut_without_syncs_loses_some() {
    let rounds = number_from("HALLMARK_KILLS", 6).div_ceil(20);
    let (mut writes, mut all_lost) = (0, 0);
    for _ in 0..rounds {
        let node = Scratch::new();
        let Some(cut) = PowerCut::make(&node) else {
            return;
        };
        let acknowledged = load_and_kill(cut.serve(&node, true), 50, 0);
        cut.take_back(&node);
        drop(std::fs::remove_file(node.data().join("memory.db-shm")));
        let served = node.serve_with(&["--accept-rollback"]);
        let there = ids_in(&served);
        let lost = acknowledged.iter().filter(|id| !there.contains(*id));
        let lost = lost.count();
        assert!(lost > 0, "the proof proves nothing");
        writes += acknowledged.len();
        all_lost += lost;
    }
    println!(
        "control without syncs: {rounds} kills, {writes} acknowledged writes, {all_lost} lost"
    );
    put_rows(
        "HALLMARK_CONTROL_TABLE",
        &[
            ("control, syncs ignored: kills", rounds),
            ("control: acknowledged writes", writes),
            ("control: acknowledged writes lost", all_lost),
        ],
    );
}
