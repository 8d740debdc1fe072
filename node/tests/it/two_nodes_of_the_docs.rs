//! The commands of docs/federation.md, run as they stand there.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::peers::eventually;

const PAGE: &str = include_str!("../../../docs/federation.md");

/// The shell of the section's blocks, with ports that are free here.
fn commands() -> String {
    let (_, section) = PAGE.split_once("## Two nodes in five minutes").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let mut script: String = section
        .split("```sh\n")
        .skip(1)
        .map(|block| block.split_once("```").unwrap().0)
        .collect();
    for port in ["9177", "9178", "9277", "9278"] {
        assert!(script.contains(port), "{port} is not in the page any more");
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let free = socket.local_addr().unwrap().port().to_string();
        script = script.replace(port, &free);
    }
    script
}

/// The shell and the nodes that it leaves running.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_child(&self.0);
        let killed = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        if let Err(error) = killed {
            println!("the nodes were not ended: {error}");
        }
    }
}

#[test]
fn the_commands_of_the_page_make_two_nodes_that_agree() {
    let dir = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_memory-node"));
    let folder = program.parent().unwrap().display();
    let out = std::fs::File::create(dir.path().join("out")).unwrap();
    let started = Instant::now();
    let shell = Command::new("sh")
        .args(["-euc", &commands()])
        .current_dir(dir.path())
        .env_clear()
        .env("PATH", format!("{folder}:/usr/bin:/bin"))
        .stdin(Stdio::null())
        .stdout(out.try_clone().unwrap())
        .stderr(out)
        .process_group(0)
        .spawn()
        .unwrap();
    let mut group = Group(shell);
    let said = || std::fs::read_to_string(dir.path().join("out")).unwrap();
    let ended = loop {
        if let Some(status) = group.0.try_wait().unwrap() {
            break status;
        }
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "not within a minute: {}",
            said()
        );
        std::thread::sleep(Duration::from_millis(50));
    };
    println!("two nodes in {:.1} s", started.elapsed().as_secs_f64());
    assert!(ended.success(), "{}", said());
    assert!(
        said().contains("Kettle") && said().contains("a  connected"),
        "{}",
        said()
    );
    for node in ["a", "b"] {
        eventually("both say that they are equal", || {
            let output = Command::new(program)
                .args(["--data-dir", node, "peers"])
                .current_dir(dir.path())
                .output()
                .unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            text.contains("digest        equal").then_some(())
        });
    }
}

#[test]
fn id_gives_no_line_that_a_peer_cannot_read() {
    let node = crate::support::Scratch::new();
    let line = |args: &[&str]| node.run(&[&["id"], args].concat());
    let plain = line(&[]).ok().stdout;
    assert!(plain.contains("  NAME  HOST:PORT\n"), "{plain}");
    let named = line(&["--name", "alpha"]).ok().stdout;
    assert!(
        named.contains(&format!("  {}  alpha\n", node.fingerprint())),
        "{named}"
    );
    for bad in [["--name", "two words"], ["--address", "nowhere"]] {
        let ran = line(&[&bad[..], &["--json"]].concat());
        assert_eq!(
            (ran.code, ran.error_code().as_str()),
            (2, "usage"),
            "{bad:?}"
        );
    }
}
