//! Three processes in network namespaces of their own: 30 % loss, a partition, one killed.
//!
//! Needs root; where that is not to be had, it says that it was skipped. Where the kernel has no
//! netem, the partition and the kill are real all the same, and it says that the wire was not lossy.

use std::process::{Child, Command, Stdio};

use crate::peers::eventually;
use crate::support::Scratch;

/// Namespaces with a bridge between them; taken away when it goes out of scope.
struct Net {
    names: Vec<String>,
}

impl Drop for Net {
    fn drop(&mut self) {
        for name in &self.names {
            drop(ip(&["netns", "del", name]));
        }
    }
}

fn ip(args: &[&str]) -> Result<(), String> {
    let output = Command::new("ip")
        .args(args)
        .output()
        .map_err(|e| e.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

impl Net {
    /// `count` namespaces at 10.77.0.1 and on, each over a lossy wire to one bridge.
    fn new(count: usize) -> Result<Self, String> {
        let tag = std::process::id();
        let hub = format!("hm{tag}b");
        let mut this = Self { names: Vec::new() };
        ip(&["netns", "add", &hub])?;
        this.names.push(hub.clone());
        ip(&["-n", &hub, "link", "add", "br0", "type", "bridge"])?;
        ip(&["-n", &hub, "link", "set", "br0", "up"])?;
        for index in 0..count {
            let name = format!("hm{tag}n{index}");
            ip(&["netns", "add", &name])?;
            this.names.push(name.clone());
            let port = format!("p{index}");
            ip(&[
                "-n", &name, "link", "add", "eth0", "type", "veth", "peer", "name", &port, "netns",
                &hub,
            ])?;
            ip(&["-n", &hub, "link", "set", &port, "master", "br0"])?;
            ip(&["-n", &hub, "link", "set", &port, "up"])?;
            ip(&[
                "-n",
                &name,
                "addr",
                "add",
                &format!("10.77.0.{}/24", index + 1),
                "dev",
                "eth0",
            ])?;
            ip(&["-n", &name, "link", "set", "eth0", "up"])?;
            ip(&["-n", &name, "link", "set", "lo", "up"])?;
            let lossy = [
                "qdisc", "add", "dev", "eth0", "root", "netem", "loss", "30%", "delay", "2ms",
            ];
            if let Err(why) = this.wire(index, &lossy) {
                println!(
                    "skipped in part: the wire loses nothing, this kernel has no netem: {why}"
                );
            }
        }
        Ok(this)
    }

    fn wire(&self, index: usize, args: &[&str]) -> Result<(), String> {
        let output = Command::new("ip")
            .args(["netns", "exec", &self.names[index + 1], "tc"])
            .args(args)
            .output()
            .map_err(|e| e.to_string())?;
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        }
    }

    fn plug(&self, index: usize, state: &str) {
        ip(&[
            "-n",
            &self.names[0],
            "link",
            "set",
            &format!("p{index}"),
            state,
        ])
        .unwrap();
    }

    fn serve(&self, index: usize, node: &Scratch) -> Running {
        let child = Command::new("ip")
            .args([
                "netns",
                "exec",
                &self.names[index + 1],
                env!("CARGO_BIN_EXE_memory-node"),
            ])
            .arg("--data-dir")
            .arg(node.data())
            .arg("--passphrase-file")
            .arg(node.pass_file())
            .args([
                "serve",
                "--federation-listen",
                &format!("10.77.0.{}:7000", index + 1),
            ])
            .args([
                "--listen",
                &format!("unix:{}", node.dir.path().join("api").display()),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        eventually("the node answers", || {
            node.dir.path().join("api").exists().then_some(())
        });
        Running(child)
    }
}

/// `ip netns exec` becomes the node itself, so this is the node's process.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn titles(node: &Scratch) -> Vec<String> {
    let ran = node.run(&["list", "--limit", "1000", "--json"]);
    if ran.code != 0 {
        return Vec::new();
    }
    let list = ran.json();
    let rows = list["memories"].as_array().unwrap();
    let mut titles: Vec<String> = rows.iter().map(|row| row["title"].to_string()).collect();
    titles.sort();
    titles
}

fn digest(node: &Scratch) -> Option<String> {
    let peers = node.run(&["peers", "--json"]);
    (peers.code == 0).then(|| peers.json()["digest"].as_str().map(str::to_owned))?
}

#[test]
fn three_processes_agree_over_a_lossy_network_after_a_partition_and_a_kill() {
    let net = match Net::new(3) {
        Ok(net) => net,
        Err(why) => {
            println!("skipped: no network namespaces can be made: {why}");
            return;
        }
    };
    let nodes: Vec<Scratch> = (0..3).map(|_| Scratch::federated()).collect();
    let authors: String = nodes
        .iter()
        .enumerate()
        .map(|(i, n)| format!("{} n{i}\n", n.author()))
        .collect();
    let peers: Vec<String> = nodes
        .iter()
        .enumerate()
        .map(|(i, n)| format!("{} n{i} 10.77.0.{}:7000\n", n.fingerprint(), i + 1))
        .collect();
    for (index, node) in nodes.iter().enumerate() {
        node.write_authors(&authors);
        let others = peers
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index);
        node.write_peers(&others.map(|(_, line)| line.as_str()).collect::<String>());
    }
    let mut running: Vec<Option<Running>> = nodes
        .iter()
        .enumerate()
        .map(|(i, n)| Some(net.serve(i, n)))
        .collect();
    let gone = nodes[0].store("gone", "c");
    for (index, node) in nodes.iter().enumerate() {
        node.store(&format!("before {index}"), "c");
    }
    eventually("all have all, over a lossy wire", || {
        nodes.iter().all(|n| titles(n).len() == 4).then_some(())
    });
    // The third is cut off; both sides go on writing.
    net.plug(2, "down");
    for (index, node) in nodes.iter().enumerate() {
        node.store(&format!("apart {index}"), "c");
    }
    nodes[0].run(&["delete", &gone]).ok();
    eventually("the two that still see each other agree", || {
        (titles(&nodes[1]).len() == 5).then_some(())
    });
    // One of them is killed in the middle, and comes back.
    running[1].take();
    drop(std::fs::remove_file(nodes[1].dir.path().join("api")));
    running[1] = Some(net.serve(1, &nodes[1]));
    net.plug(2, "up");
    eventually("all agree, nothing is lost, nothing is back", || {
        let first = digest(&nodes[0])?;
        let same = nodes
            .iter()
            .all(|n| digest(n).as_ref() == Some(&first) && titles(n).len() == 6);
        same.then_some(())
    });
    assert!(
        nodes
            .iter()
            .all(|node| !titles(node).contains(&"\"gone\"".to_owned()))
    );
    drop(running);
    nodes
        .iter()
        .for_each(|node| drop(node.run(&["db", "check"]).ok()));
}
