//! `kill -9` again and again while memories are stored and announced: every announcement arrives
//! at least once, under one id, and the versions of a memory in their order.
//!
//! Short here, and long where `HALLMARK_WEBHOOK_KILLS` and `HALLMARK_WEBHOOK_EVENTS` say so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::receiver::{Got, Receiver, answer, subscribe};
use crate::support::{Scratch, Served};

const WRITERS: usize = 4;
/// Versions of each memory: one announcement each.
const VERSIONS: usize = 10;
/// Waits between attempts: as many as usual, only shorter.
const RETRIES: &str = "1,1,1,1,1,1,1,1,1";

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// What was acknowledged: of each memory its versions, in the order in which they were written.
type Written = BTreeMap<String, Vec<String>>;

fn serve(node: &Scratch) -> Served {
    node.serve_with(&[
        "--webhook-allow-network",
        "127.0.0.0/8",
        "--webhook-retry-s",
        RETRIES,
    ])
}

/// Writes until `count` versions are acknowledged, and kills the node in the middle of the next.
fn write_and_kill(served: Served, count: usize, kill: bool, written: &Mutex<Written>) -> usize {
    let (acknowledged, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let pid = rustix::process::Pid::from_child(&served.child);
    std::thread::scope(|scope| {
        for _ in 0..WRITERS {
            let (served, acknowledged, stop) = (&served, &acknowledged, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    write_one(served, stop, written, acknowledged);
                }
            });
        }
        let started = Instant::now();
        while acknowledged.load(Ordering::SeqCst) < count {
            assert!(
                started.elapsed() < Duration::from_secs(120),
                "nothing is acknowledged"
            );
            std::thread::sleep(Duration::from_micros(200));
        }
        if kill {
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
        stop.store(true, Ordering::SeqCst);
    });
    if kill {
        served.kill();
    } else {
        assert_eq!(served.stop(), 0);
    }
    acknowledged.into_inner()
}

/// One memory with all its versions, as far as the node lives.
fn write_one(
    served: &Served,
    stop: &AtomicBool,
    written: &Mutex<Written>,
    acknowledged: &AtomicUsize,
) {
    let mut id: Option<String> = None;
    for version in 0..VERSIONS {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let body = json!({"title": format!("v{version}"), "content": "c", "tier": "long"});
        let answer = match &id {
            None => served.try_http("POST", "/api/v1/memories", &body),
            Some(id) => served.try_http("PUT", &format!("/api/v1/memories/{id}"), &body),
        };
        // Not acknowledged: it may be there or not, and so may its announcement.
        let Some(answer) = answer else { return };
        assert!(answer.status < 300, "{answer:?}");
        let answer = answer.json();
        let memory = answer["id"].as_str().unwrap().to_owned();
        let title = format!("v{version}");
        written
            .lock()
            .unwrap()
            .entry(memory.clone())
            .or_default()
            .push(title);
        acknowledged.fetch_add(1, Ordering::SeqCst);
        id = Some(memory);
    }
}

/// Waits until nothing waits any more, sending again what was given up; returns how many that were.
fn drain(served: &Served, ids: &[String]) -> u64 {
    let mut replayed = 0;
    let started = Instant::now();
    loop {
        let mut left = 0;
        for id in ids {
            let path = format!("/api/v1/subscriptions/{id}");
            let count = |state: &str| {
                let path = format!("{path}/deliveries?limit=1&state={state}");
                let answer = served.http("GET", &path, None).expect(200).json();
                answer["count"].as_u64().unwrap()
            };
            left += count("pending");
            if count("dead") > 0 {
                let answer = served.http("POST", &format!("{path}/replay"), Some(&json!({})));
                replayed += answer.expect(200).json()["replayed"].as_u64().unwrap();
                left += 1;
            }
        }
        if left == 0 {
            return replayed;
        }
        assert!(
            started.elapsed() < Duration::from_secs(300),
            "something still waits"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What a receiver got of each memory: its versions in the order of arrival.
fn arrivals(got: &[Got]) -> BTreeMap<String, Vec<String>> {
    let mut arrived: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for got in got {
        let data = got.event()["data"].clone();
        let text = |name: &str| data[name].as_str().unwrap().to_owned();
        arrived.entry(text("id")).or_default().push(text("title"));
    }
    arrived
}

/// Each announcement has one id and one body, whatever happened.
fn assert_ids_are_stable(got: &[Got]) -> usize {
    let mut ids: BTreeMap<String, (String, String)> = BTreeMap::new();
    for got in got {
        let data = &got.event()["data"];
        let key = format!("{} {}", data["id"], data["version_id"]);
        let value = (got.id().to_owned(), got.body.clone());
        assert_eq!(ids.entry(key).or_insert_with(|| value.clone()), &value);
    }
    let distinct: BTreeSet<&str> = ids.values().map(|(id, _)| id.as_str()).collect();
    assert_eq!(distinct.len(), ids.len(), "two announcements have one id");
    ids.len()
}

fn assert_nothing_is_lost(written: &Written, arrived: &BTreeMap<String, Vec<String>>) {
    for (memory, versions) in written {
        let came: BTreeSet<&String> = arrived.get(memory).into_iter().flatten().collect();
        let lost: Vec<_> = versions
            .iter()
            .filter(|version| !came.contains(version))
            .collect();
        assert!(lost.is_empty(), "{memory}: {lost:?} never arrived");
    }
}

fn assert_in_order(arrived: &BTreeMap<String, Vec<String>>) {
    for (memory, versions) in arrived {
        let numbers: Vec<usize> = versions
            .iter()
            .map(|title| title[1..].parse().unwrap())
            .collect();
        assert!(numbers.is_sorted(), "{memory}: {versions:?}");
    }
}

/// Fails every other time, by chance, but the same chance in each run.
fn fails(number: usize) -> bool {
    let mixed = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 63 == 1
}

#[test]
fn a_node_that_is_killed_again_and_again_loses_no_announcement() {
    let kills = number("HALLMARK_WEBHOOK_KILLS", 4);
    let events = number("HALLMARK_WEBHOOK_EVENTS", 200);
    let started = Instant::now();
    let node = Scratch::new();
    let healthy = Receiver::accepting();
    let failures = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = failures.clone();
    let failing = Receiver::at("127.0.0.1:0", move |n, _| {
        let fails = fails(n);
        counted.fetch_add(usize::from(fails), Ordering::SeqCst);
        answer(if fails { 500 } else { 204 })
    });
    let served = serve(&node);
    let ids: Vec<String> = [&healthy, &failing]
        .map(|receiver| {
            let made = subscribe(&served, json!({"url": receiver.url}));
            made["id"].as_str().unwrap().to_owned()
        })
        .into();
    served.stop();
    let written = Mutex::new(Written::new());
    let mut acknowledged = 0;
    for kill in 1..=kills {
        // The next kill comes when its share of the events is written, give or take some.
        let wanted = (events * kill / kills).saturating_sub(acknowledged).max(1);
        acknowledged += write_and_kill(serve(&node), wanted, true, &written);
    }
    if acknowledged < events {
        acknowledged += write_and_kill(serve(&node), events - acknowledged, false, &written);
    }
    let served = serve(&node);
    let replayed = drain(&served, &ids);
    served.stop();
    node.run(&["db", "check"]).ok();
    let written = written.into_inner().unwrap();
    let (whole, half) = (healthy.got(), failing.got());
    let (to_healthy, to_failing) = (arrivals(&whole), arrivals(&half));
    assert_nothing_is_lost(&written, &to_healthy);
    assert_nothing_is_lost(&written, &to_failing);
    let distinct = assert_ids_are_stable(&whole);
    assert_ids_are_stable(&half);
    assert_in_order(&to_healthy);
    let failed = failures.load(Ordering::SeqCst);
    assert!(failed > half.len() / 3, "the receiver did not fail");
    let rows = [
        ("kills".to_owned(), kills),
        ("announcements acknowledged".to_owned(), acknowledged),
        (
            format!("memories, of up to {VERSIONS} versions each"),
            written.len(),
        ),
        ("announcements to the healthy receiver".to_owned(), distinct),
        ("deliveries to it".to_owned(), whole.len()),
        ("deliveries to the failing receiver".to_owned(), half.len()),
        ("of these refused by it".to_owned(), failed),
        (
            "sent again by a replay: dead, or waiting meanwhile".to_owned(),
            usize::try_from(replayed).unwrap(),
        ),
        ("lost".to_owned(), 0),
        ("out of order at the healthy receiver".to_owned(), 0),
        (
            "seconds".to_owned(),
            usize::try_from(started.elapsed().as_secs()).unwrap(),
        ),
    ];
    let mut table = "| | |\n|---|---:|\n".to_owned();
    for (what, number) in rows {
        table.push_str(&format!("| {what} | {number} |\n"));
    }
    println!("{table}");
    if let Some(path) = std::env::var_os("HALLMARK_TABLE") {
        std::fs::write(path, table).unwrap();
    }
}
