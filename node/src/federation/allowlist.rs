//! The allowlist: who may talk to this node, one peer a line.
//!
//! `sha256:<64 hex digits>  name  [host:port] [scopes]`, `#` begins a comment anywhere. A bad line
//! refuses the whole file: half a list is a list that nobody wrote. An empty file is nobody.

use std::collections::{BTreeMap, BTreeSet};

use super::identity::Fingerprint;

/// One peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// SHA-256 of its certificate.
    pub fingerprint: Fingerprint,
    /// How people call it.
    pub name: String,
    /// Where it listens; `None`: it only comes to us.
    pub address: Option<String>,
    /// What it may do.
    pub scopes: Scopes,
}

/// What a peer may do; both where nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scopes {
    /// It may read what this node has.
    pub read: bool,
    /// What it sends, or what is pulled from it, is taken in.
    pub write: bool,
}

/// Every peer of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowlist {
    peers: BTreeMap<Fingerprint, Peer>,
}

/// A line that cannot be read; the whole file is refused for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct BadLine {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

/// Bytes of a list: some thousand peers. More is not a list that somebody wrote.
pub const MAX_BYTES: usize = 1 << 20;

impl Allowlist {
    /// Reads the text of a list.
    ///
    /// # Errors
    /// The first line that cannot be read, or that names a peer for the second time.
    pub fn parse(text: &str) -> Result<Self, BadLine> {
        if text.len() > MAX_BYTES {
            return Err(BadLine {
                line: 1,
                why: format!("the file has more than {MAX_BYTES} bytes"),
            });
        }
        let mut list = Self::default();
        let mut names = BTreeSet::new();
        for (index, line) in text.lines().enumerate() {
            let bad = |why: String| BadLine {
                line: index + 1,
                why,
            };
            let Some(peer) = peer_of(line).map_err(bad)? else {
                continue;
            };
            if !names.insert(peer.name.clone()) {
                return Err(bad(format!("the name `{}` stands there twice", peer.name)));
            }
            let fingerprint = peer.fingerprint;
            if list.peers.insert(fingerprint, peer).is_some() {
                return Err(bad(format!("`{fingerprint}` stands there twice")));
            }
        }
        Ok(list)
    }

    /// The peer of this fingerprint; `None`: a stranger.
    #[must_use]
    pub fn get(&self, fingerprint: &Fingerprint) -> Option<&Peer> {
        self.peers.get(fingerprint)
    }

    /// Every peer, by fingerprint.
    pub fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.peers.values()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.peers.len()
    }

    /// Whether nobody is on it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }
}

/// A line without its comment: nothing, or a peer.
fn peer_of(line: &str) -> Result<Option<Peer>, String> {
    let line = line.split('#').next().unwrap_or_default();
    if let Some(odd) = line.chars().find(|c| c.is_control() && *c != '\t') {
        return Err(format!("it holds the control character {odd:?}"));
    }
    let mut words = line.split_ascii_whitespace();
    let Some(first) = words.next() else {
        return Ok(None);
    };
    let fingerprint: Fingerprint = first.parse().map_err(|e| format!("{e}"))?;
    let name = words.next().ok_or("the peer's name is missing")?;
    check_name(name)?;
    let (mut address, mut scopes) = (None, None);
    for word in words {
        let taken = match scopes_of(word) {
            Some(named) => scopes.replace(named).is_some(),
            None => address.replace(address_of(word)?).is_some(),
        };
        if taken {
            return Err(format!("`{word}` is one word too many"));
        }
    }
    Ok(Some(Peer {
        fingerprint,
        name: name.to_owned(),
        address,
        scopes: scopes.unwrap_or(Scopes {
            read: true,
            write: true,
        }),
    }))
}

/// Names stand in logs, in metrics and on the command line.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    if name.len() > 64 || name.is_empty() || !name.chars().all(good) {
        return Err(format!(
            "`{name}` is not a name: 1 to 64 letters, digits, `-`, `_`, `.` and `@`"
        ));
    }
    Ok(())
}

fn scopes_of(word: &str) -> Option<Scopes> {
    match word {
        "read" => Some(Scopes {
            read: true,
            write: false,
        }),
        "write" => Some(Scopes {
            read: false,
            write: true,
        }),
        "read,write" | "write,read" => Some(Scopes {
            read: true,
            write: true,
        }),
        _ => None,
    }
}

/// `host:port`, with `[…]` around an IPv6 address.
fn address_of(word: &str) -> Result<String, String> {
    let refused = || format!("`{word}` is neither `host:port` nor `read`, `write` or `read,write`");
    let (host, port) = word.rsplit_once(':').ok_or_else(refused)?;
    let port_good = port.parse::<u16>().is_ok_and(|port| port != 0);
    let host_good = match host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.len() <= 253
                && host
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.' || c == '_')
        }
    };
    if port_good && host_good {
        Ok(word.to_owned())
    } else {
        Err(refused())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(digit: char) -> String {
        format!("sha256:{}", digit.to_string().repeat(64))
    }

    #[test]
    fn a_list_with_every_freedom_of_the_format_is_read() {
        let text = format!(
            "# peers\n\n{}  alpha  192.0.2.1:7000 # the one in Ulm\n{} beta read\n\t{}\tgamma [::1]:7 write,read\n",
            pin('a'),
            pin('B'),
            pin('c')
        );
        let list = Allowlist::parse(&text).unwrap();
        assert_eq!(list.len(), 3);
        let names: Vec<_> = list.peers().map(|peer| peer.name.as_str()).collect();
        assert_eq!(names, ["alpha", "beta", "gamma"]);
        let beta = list.get(&pin('b').parse().unwrap()).unwrap();
        assert!(beta.scopes.read && !beta.scopes.write && beta.address.is_none());
    }

    #[test]
    fn an_empty_file_is_nobody() {
        assert!(Allowlist::parse("").unwrap().is_empty());
        assert!(Allowlist::parse("# nobody yet\n").unwrap().is_empty());
    }

    #[test]
    fn one_bad_line_refuses_the_file_with_its_number() {
        let good = format!("{} alpha\n", pin('a'));
        for (bad, why) in [
            ("nonsense", "not a fingerprint"),
            (&pin('b'), "name is missing"),
            (&format!("{} alpha", pin('b')), "twice"),
            (&format!("{} other", pin('A')), "twice"),
            (&format!("{} other host", pin('b')), "neither"),
            (&format!("{} other host:0", pin('b')), "neither"),
            (&format!("{} other h:1 h:2", pin('b')), "too many"),
            (&format!("{} other read write", pin('b')), "too many"),
            (&format!("{} o/ther", pin('b')), "not a name"),
        ] {
            let refused = Allowlist::parse(&format!("{good}{bad}\n")).unwrap_err();
            assert_eq!(refused.line, 2, "{bad}");
            assert!(refused.why.contains(why), "{bad}: {}", refused.why);
        }
    }
}
