//! A full disk, a read-only file system, no more descriptors: clear errors, reads go on.

use std::net::TcpStream;
use std::process::Command;

use serde_json::json;

use crate::support::{Scratch, Served};

/// A small file system of its own for the node; `None` (and a line on stdout) without root.
fn on_tmpfs(node: &Scratch, mebibytes: u32) -> Option<Served> {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: mounting a small file system needs root");
        return None;
    }
    let small = node.dir.path().join("small");
    std::fs::create_dir(&small).unwrap();
    let script = format!(
        "mount -t tmpfs -o size={mebibytes}m none {0} && cp -a {1}/. {0} && exec {2} --data-dir {0} --passphrase-file {3} serve --listen 127.0.0.1:0",
        small.display(),
        node.data().display(),
        env!("CARGO_BIN_EXE_memory-node"),
        node.pass_file().display(),
    );
    let probe = Command::new("unshare")
        .args(["-m", "mount", "-t", "tmpfs", "none"])
        .arg(&small)
        .output();
    if !probe.is_ok_and(|output| output.status.success()) {
        println!("skipped: this machine lets nobody mount a file system");
        return None;
    }
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &script]);
    Some(Served::start(command, node.token()))
}

/// Runs a command inside the node's mount namespace.
fn inside(served: &Served, args: &[&str]) -> std::process::Output {
    let pid = served.child.id().to_string();
    Command::new("nsenter")
        .args(["-m", "-t", &pid])
        .args(args)
        .output()
        .unwrap()
}

#[test]
fn a_full_disk_stops_writes_and_not_reads() {
    let node = Scratch::new();
    let id = node.store("kept", "before the flood");
    let Some(served) = on_tmpfs(&node, 3) else {
        return;
    };
    let body = json!({"title": "t", "content": "incompressible? no matter ".repeat(2000)});
    let refused = (0..200)
        .map(|_| served.http("POST", "/api/v1/memories", Some(&body)))
        .find(|answer| answer.status != 201)
        .expect("3 MiB hold everything");
    assert!(matches!(refused.status, 503 | 507), "{refused:?}");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    assert!(refused.body.contains("full"), "{refused:?}");
    served
        .http("GET", &format!("/api/v1/memories/{id}"), None)
        .expect(200);
    assert_eq!(
        served
            .http("GET", "/api/v1/search?q=flood", None)
            .expect(200)
            .json()["count"],
        1
    );
    let ready = served.http("GET", "/readyz", None).expect(503);
    assert!(ready.body.contains("full"), "{ready:?}");
    served.http("GET", "/livez", None).expect(200);
    // Room again: the next write turns it back.
    let small = node.dir.path().join("small");
    let grown = inside(
        &served,
        &["mount", "-o", "remount,size=64m", small.to_str().unwrap()],
    );
    assert!(grown.status.success(), "{grown:?}");
    served
        .http("POST", "/api/v1/memories", Some(&body))
        .expect(201);
    served.http("GET", "/readyz", None).expect(200);
    let checked = inside(
        &served,
        &[
            env!("CARGO_BIN_EXE_memory-node"),
            "--data-dir",
            small.to_str().unwrap(),
            "--passphrase-file",
            node.pass_file().to_str().unwrap(),
            "db",
            "check",
        ],
    );
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn a_database_on_a_read_only_file_system_is_refused_in_clear_words() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: mounting needs root");
        return;
    }
    let node = Scratch::new();
    let data = node.data();
    let script = format!(
        "mount --bind {0} {0} && mount -o remount,bind,ro {0} && exec {1} --data-dir {0} --passphrase-file {2} list --json",
        data.display(),
        env!("CARGO_BIN_EXE_memory-node"),
        node.pass_file().display(),
    );
    let before = node.digests();
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", &script])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("read-only") || text.contains("unable to open"),
        "{text}"
    );
    assert_eq!(node.digests(), before);
}

#[test]
fn a_node_without_descriptors_recovers_when_clients_leave() {
    let node = Scratch::new();
    let id = node.store("kept", "before");
    let script = format!(
        "ulimit -n 40; exec {} --data-dir {} --passphrase-file {} serve --listen 127.0.0.1:0",
        env!("CARGO_BIN_EXE_memory-node"),
        node.data().display(),
        node.pass_file().display(),
    );
    let mut command = Command::new("sh");
    command.args(["-c", &script]);
    let served = Served::start(command, node.token());
    let path = format!("/api/v1/memories/{id}");
    served.http("GET", &path, None).expect(200);
    let crowd: Vec<_> = (0..60)
        .filter_map(|_| TcpStream::connect(&served.address).ok())
        .collect();
    assert!(crowd.len() >= 40);
    drop(crowd);
    served.http("GET", &path, None).expect(200);
    let body = json!({"title": "t", "content": "c"});
    served
        .http("POST", "/api/v1/memories", Some(&body))
        .expect(201);
    assert_eq!(served.stop(), 0);
    node.run(&["db", "check"]).ok();
}

#[test]
fn a_stop_lets_requests_end_and_loses_nothing() {
    use std::io::{Read as _, Write as _};
    let node = Scratch::new();
    let served = node.serve();
    let batch = json!(vec![
        json!({"title": "t", "content": "words ".repeat(500)});
        1000
    ])
    .to_string();
    let (first, rest) = batch.split_at(batch.len() / 2);
    let mut stream = TcpStream::connect(&served.address).unwrap();
    let head = format!(
        "POST /api/v1/memories/bulk HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        served.address,
        served.token,
        batch.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(first.as_bytes()).unwrap();
    // Another answer on another connection: the node has seen the first half by then.
    served.http("GET", "/livez", None).expect(200);
    let pid = rustix::process::Pid::from_child(&served.child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    while TcpStream::connect(&served.address).is_ok() {
        std::thread::yield_now();
    }
    stream.write_all(rest.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert_eq!(served.stop(), 0);
    assert_eq!(node.run(&["stats", "--json"]).ok().json()["total"], 1000);
    assert!(
        !node.data().join("memory.db-wal").exists(),
        "a stopped node is one file"
    );
}

#[test]
fn a_unix_socket_is_for_its_owner_alone_and_goes_with_the_node() {
    use std::os::unix::fs::PermissionsExt as _;
    let node = Scratch::new();
    let socket = node.dir.path().join("node.sock");
    let listen = format!("unix:{}", socket.display());
    let served = node.serve_with(&["--listen", &listen]);
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let stored = node
        .bare()
        .args([
            "--connect",
            &listen,
            "store",
            "--title",
            "t",
            "--content",
            "c",
        ])
        .output()
        .unwrap();
    assert!(stored.status.success(), "{stored:?}");
    assert_eq!(served.stop(), 0);
    assert!(!socket.exists());
}
