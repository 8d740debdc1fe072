//! A disk that hangs, that fails, that turns read-only while the node serves: who waits is told,
//! reads go on, nothing that was acknowledged is lost.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};

use crate::preload;
use crate::support::{Http, Scratch, Served, receive};

/// More than the writer's queue and one group hold together.
const CROWD: usize = 1024 + 256 + 100;

/// The library that makes a disk hang, and the file that says so.
struct StuckDisk {
    library: PathBuf,
    state: PathBuf,
}

impl StuckDisk {
    /// `None`: there is no compiler.
    fn make(node: &Scratch) -> Option<Self> {
        let library = preload::library(node, "stuck_disk")?;
        let state = node.dir.path().join("stuck");
        Some(Self { library, state })
    }

    fn serve(&self, node: &Scratch) -> Served {
        let mut command = node.command();
        command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env("LD_PRELOAD", &self.library)
            .env("STUCK_DISK", &self.state);
        Served::start(command, node.token())
    }

    /// Renamed into place: the library never reads half of it.
    fn become_(&self, state: &str) {
        let aside = self.state.with_extension("new");
        std::fs::write(&aside, state).unwrap();
        std::fs::rename(&aside, &self.state).unwrap();
    }

    fn recover(&self) {
        std::fs::remove_file(&self.state).unwrap();
    }
}

/// One number out of `/metrics`.
fn metric(served: &Served, name: &str) -> u64 {
    let text = served.http("GET", "/metrics", None).expect(200).body;
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)).unwrap();
    value.trim().parse().unwrap()
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::yield_now();
    }
}

fn memory(number: usize) -> Value {
    json!({"title": format!("memory {number}"), "content": "c", "tier": "long"})
}

fn total(served: &Served) -> Value {
    let stats = served.http("GET", "/api/v1/stats", None).expect(200);
    stats.json()["total"].clone()
}

#[test]
fn a_full_queue_answers_503_with_retry_after_and_those_who_wait_are_served() {
    let node = Scratch::new();
    let Some(disk) = StuckDisk::make(&node) else {
        return;
    };
    let limit = getrlimit(Resource::Nofile);
    let more = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, more).unwrap();
    if limit.maximum.is_some_and(|files| files < 4096) {
        println!("skipped: {limit:?} files are too few for {CROWD} connections on both sides");
        return;
    }
    let served = disk.serve(&node);
    disk.become_("waits");
    let (answers, all) = mpsc::channel::<Http>();
    // One connection after the other: a crowd at once would already overflow the kernel's queue.
    let sent: Vec<_> = (0..CROWD)
        .map(|number| served.send("POST", "/api/v1/memories", &memory(number)))
        .collect();
    std::thread::scope(|scope| {
        for stream in sent {
            let answers = answers.clone();
            let read = move || drop(answers.send(receive(stream)));
            std::thread::Builder::new()
                .stack_size(256 * 1024)
                .spawn_scoped(scope, read)
                .unwrap();
        }
        // Nothing is committed: the first answers can only be refusals.
        let refused = all.recv_timeout(Duration::from_secs(60)).unwrap();
        let refused = refused.expect(503);
        assert_eq!(refused.json()["code"], "busy", "{refused:?}");
        assert_eq!(refused.header("retry-after"), Some("1"), "{refused:?}");
        assert_eq!(total(&served), 0, "reads go on");
        served.http("GET", "/livez", None).expect(200);
        disk.recover();
        let mut stored = 0;
        for _ in 1..CROWD {
            let answer = all.recv_timeout(Duration::from_secs(60)).unwrap();
            match answer.status {
                201 => stored += 1,
                503 => assert_eq!(answer.json()["code"], "busy", "{answer:?}"),
                _ => panic!("{answer:?}"),
            }
        }
        assert!(stored >= 1024, "{stored} were stored");
        assert_eq!(total(&served), stored);
    });
    served.http("GET", "/readyz", None).expect(200);
    assert_eq!(served.stop(), 0);
    node.run(&["db", "check"]).ok();
}

#[test]
fn a_failed_commit_fails_all_who_wait_and_turns_readyz_until_one_succeeds() {
    const WAITING: usize = 20;
    let node = Scratch::new();
    let Some(disk) = StuckDisk::make(&node) else {
        return;
    };
    let served = disk.serve(&node);
    let before = served.http("POST", "/api/v1/memories", Some(&memory(0)));
    let before = before.expect(201).json();
    disk.become_("waits");
    let refused: Vec<Http> = std::thread::scope(|scope| {
        let served = &served;
        let stores: Vec<_> = (1..=WAITING)
            .map(|n| scope.spawn(move || served.http("POST", "/api/v1/memories", Some(&memory(n)))))
            .collect();
        wait_until("all are in the queue", || {
            metric(served, "memory_node_writes_waiting ") == WAITING as u64
        });
        disk.become_("fails");
        stores
            .into_iter()
            .map(|store| store.join().unwrap())
            .collect()
    });
    for answer in refused {
        let answer = answer.expect(503);
        assert_eq!(answer.json()["code"], "commit_failed", "{answer:?}");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
    }
    // One commit for the first, one for all who queued behind it.
    let failures = metric(&served, "memory_node_commit_failures_total ");
    assert!((1..=3).contains(&failures), "{failures} commits failed");
    let ready = served.http("GET", "/readyz", None).expect(503);
    assert!(ready.body.contains("the last commit failed"), "{ready:?}");
    let path = format!("/api/v1/memories/{}", before["id"].as_str().unwrap());
    served.http("GET", &path, None).expect(200);
    assert_eq!(total(&served), 1, "what failed is not there");
    disk.recover();
    served
        .http("POST", "/api/v1/memories", Some(&memory(99)))
        .expect(201);
    served.http("GET", "/readyz", None).expect(200);
    assert_eq!(total(&served), 2);
    assert_eq!(served.stop(), 0);
    node.run(&["db", "check"]).ok();
}

/// A script that mounts the image of a file system and goes on with `then` inside.
fn on_image(image: &Path, mountpoint: &Path, then: &str) -> Command {
    let script = format!(
        "mount -o loop {} {} && {then}",
        image.display(),
        mountpoint.display()
    );
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &script]);
    command
}

#[test]
fn a_file_system_that_turns_read_only_stops_writes_and_not_reads() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: mounting a file system needs root");
        return;
    }
    let node = Scratch::new();
    let id = node.store("kept", "before the disk failed");
    let (image, mountpoint) = (node.dir.path().join("image"), node.dir.path().join("disk"));
    std::fs::create_dir(&mountpoint).unwrap();
    let file = std::fs::File::create(&image).unwrap();
    file.set_len(32 << 20).unwrap();
    let copy = format!("cp -a {}/. {}", node.data().display(), mountpoint.display());
    let made = Command::new("mkfs.ext4").arg("-q").arg(&image).output();
    let copied = on_image(&image, &mountpoint, &copy).output();
    for tried in [made, copied] {
        if !tried.as_ref().is_ok_and(|output| output.status.success()) {
            println!("skipped: no ext4 on a loop device is to be had here: {tried:?}");
            return;
        }
    }
    let binary = format!(
        "exec {} --data-dir {} --passphrase-file {}",
        env!("CARGO_BIN_EXE_memory-node"),
        mountpoint.display(),
        node.pass_file().display()
    );
    let serve = format!("{binary} serve --listen 127.0.0.1:0");
    let served = Served::start(on_image(&image, &mountpoint, &serve), node.token());
    served
        .http("POST", "/api/v1/memories", Some(&memory(1)))
        .expect(201);
    // What ext4 does when its journal cannot be written: nothing can be written from here on.
    let aborted = Command::new("nsenter")
        .args(["-m", "-t", &served.child.id().to_string()])
        .args(["mount", "-o", "remount,abort"])
        .arg(&mountpoint)
        .output()
        .unwrap();
    let refused = served.http("POST", "/api/v1/memories", Some(&memory(2)));
    let refused = refused.expect(503);
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    let ready = served.http("GET", "/readyz", None).expect(503);
    assert!(
        ready.body.contains("Read-only file system"),
        "{ready:?} {aborted:?}"
    );
    let path = format!("/api/v1/memories/{id}");
    served.http("GET", &path, None).expect(200);
    let found = served.http("GET", "/api/v1/search?q=failed", None);
    assert_eq!(found.expect(200).json()["count"], 1);
    assert_eq!(total(&served), 2);
    assert_eq!(served.stop(), 0);
    // The disk comes back, its own journal is replayed, and all that was acknowledged is there.
    let checked = on_image(&image, &mountpoint, &format!("{binary} db check")).output();
    let checked = checked.unwrap();
    assert!(checked.status.success(), "{checked:?}");
    let stats = on_image(&image, &mountpoint, &format!("{binary} stats --json")).output();
    let stats: Value = serde_json::from_slice(&stats.unwrap().stdout).unwrap();
    assert_eq!(stats["total"], 2);
}
