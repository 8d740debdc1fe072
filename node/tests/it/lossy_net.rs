//! Network namespaces with a bridge between them, whose wires lose packets and can be unplugged.
//!
//! The loss is netem's where the kernel has it; else a rule of nftables on the bridge drops frames
//! by a random number. Either one counts, so a test can see that packets were really lost.

use std::process::Command;

use serde_json::Value;

/// Percent of the packets of each direction that are lost.
pub(crate) const LOSS_PERCENT: u32 = 30;

/// Namespaces at 10.77.0.1 and on; taken away when it goes out of scope.
pub(crate) struct Net {
    names: Vec<String>,
    loss: Loss,
}

/// What loses the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    Netem,
    Nftables,
    Nothing,
}

impl Drop for Net {
    fn drop(&mut self) {
        for name in &self.names {
            drop(ip(&["netns", "del", name]));
        }
    }
}

fn run(program: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(args)
        .output()
        .map_err(|error| format!("`{program}` cannot be started: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

fn ip(args: &[&str]) -> Result<String, String> {
    run("ip", args)
}

impl Net {
    /// `count` namespaces, each over a wire of its own to one bridge.
    ///
    /// # Errors
    /// When no namespaces can be made here.
    pub(crate) fn new(count: usize) -> Result<Self, String> {
        let tag = std::process::id();
        let hub = format!("hm{tag}b");
        let mut this = Self {
            names: Vec::new(),
            loss: Loss::Nothing,
        };
        ip(&["netns", "add", &hub])?;
        this.names.push(hub.clone());
        ip(&["-n", &hub, "link", "add", "br0", "type", "bridge"])?;
        ip(&["-n", &hub, "link", "set", "br0", "up"])?;
        for index in 0..count {
            let name = format!("hm{tag}n{index}");
            ip(&["netns", "add", &name])?;
            this.names.push(name.clone());
            let (port, address) = (format!("p{index}"), format!("10.77.0.{}/24", index + 1));
            ip(&[
                "-n", &name, "link", "add", "eth0", "type", "veth", "peer", "name", &port, "netns",
                &hub,
            ])?;
            ip(&["-n", &hub, "link", "set", &port, "master", "br0"])?;
            ip(&["-n", &hub, "link", "set", &port, "up"])?;
            ip(&["-n", &name, "addr", "add", &address, "dev", "eth0"])?;
            ip(&["-n", &name, "link", "set", "eth0", "up"])?;
            ip(&["-n", &name, "link", "set", "lo", "up"])?;
        }
        Ok(this)
    }

    /// From now on the wires lose packets.
    ///
    /// # Errors
    /// When this machine has nothing that loses packets: why not, for each way that was tried.
    pub(crate) fn begin_to_lose(&mut self) -> Result<(), String> {
        let percent = format!("{LOSS_PERCENT}%");
        let netem = (1..self.names.len()).try_for_each(|index| {
            let args = [
                "qdisc", "add", "dev", "eth0", "root", "netem", "loss", &percent, "delay", "2ms",
            ];
            self.inside(index, "tc", &args).map(drop)
        });
        let Err(no_netem) = netem else {
            self.loss = Loss::Netem;
            return Ok(());
        };
        let rules = format!(
            "add table bridge lossy; \
             add chain bridge lossy wire {{ type filter hook forward priority 0; policy accept; }}; \
             add rule bridge lossy wire numgen random mod 100 < {LOSS_PERCENT} counter drop; \
             add rule bridge lossy wire counter"
        );
        self.inside(0, "nft", &[&rules])
            .map_err(|no_nft| format!("netem: {no_netem}; nftables: {no_nft}"))?;
        self.loss = Loss::Nftables;
        Ok(())
    }

    /// Packets that were lost and that came through, since [`Net::begin_to_lose`].
    pub(crate) fn counted(&self) -> (u64, u64) {
        match self.loss {
            Loss::Nothing => (0, 0),
            Loss::Nftables => {
                let text = self.inside(0, "nft", &["-j", "list", "ruleset"]).unwrap();
                let rules: Value = serde_json::from_str(&text).unwrap();
                let mut counters = Vec::new();
                for rule in rules["nftables"].as_array().unwrap() {
                    for part in rule["rule"]["expr"].as_array().into_iter().flatten() {
                        counters.extend(part["counter"]["packets"].as_u64());
                    }
                }
                (counters[0], counters[1])
            }
            Loss::Netem => (1..self.names.len()).fold((0, 0), |sum, index| {
                let text = self
                    .inside(index, "tc", &["-s", "-j", "qdisc", "show", "dev", "eth0"])
                    .unwrap();
                let rows: Value = serde_json::from_str(&text).unwrap();
                let of = |name: &str| rows[0][name].as_u64().unwrap_or_default();
                (sum.0 + of("drops"), sum.1 + of("packets"))
            }),
        }
    }

    /// Runs a program in a namespace; 0 is the bridge's, then come the nodes'.
    fn inside(&self, index: usize, program: &str, args: &[&str]) -> Result<String, String> {
        let words = [&["netns", "exec", &self.names[index], program], args].concat();
        ip(&words)
    }

    /// The words before a program that let it run at the address `10.77.0.{node + 1}`.
    pub(crate) fn at(&self, node: usize) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.names[node + 1]]);
        command
    }

    /// Pulls a node's wire out of the bridge, or puts it in.
    pub(crate) fn plug(&self, node: usize, is_in: bool) {
        let (port, state) = (format!("p{node}"), if is_in { "up" } else { "down" });
        ip(&["-n", &self.names[0], "link", "set", &port, state]).unwrap();
    }
}
