//! Who is trusted at this moment: the allowlist and the authors file, reloaded while the node runs.
//!
//! A file that cannot be read keeps the list before it; what is wrong with it is told. Each peer has
//! a cancellation token, which everything that serves or asks it holds: when a peer goes from the
//! list, or may do less, its token is cancelled and whatever is open breaks off.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio_util::sync::CancellationToken;

use super::allowlist::{Allowlist, BadLine, Peer};
use super::identity::Fingerprint;
use crate::identity::authors::Authors;

/// Why a file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// It cannot be read.
    #[error("cannot read `{path}`: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A line is wrong.
    #[error("`{path}`, {source}")]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, and why.
        source: BadLine,
    },
}

/// What a reload has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Names of peers that are new, or may do something else.
    pub added: Vec<Peer>,
    /// Peers that are gone, or may do something else.
    pub removed: Vec<Peer>,
    /// Another set of authors.
    pub authors: bool,
}

impl Changed {
    /// Whether nothing has changed.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && !self.authors
    }
}

/// The two lists, live.
#[derive(Debug)]
pub struct Trust {
    peers_file: PathBuf,
    authors_file: PathBuf,
    allowlist: RwLock<Arc<Allowlist>>,
    authors: RwLock<Arc<Authors>>,
    tokens: Mutex<BTreeMap<Fingerprint, CancellationToken>>,
    seen: Mutex<[Seen; 2]>,
}

/// What was last read of a file, and what was wrong with it.
#[derive(Debug, Default)]
struct Seen {
    text: Option<String>,
    problem: Option<String>,
}

impl Trust {
    /// Reads both files.
    ///
    /// # Errors
    /// When one is missing or wrong: a node that does not know whom to trust does not begin.
    pub fn load(peers_file: &Path, authors_file: &Path) -> Result<Self, TrustError> {
        let (peers_text, allowlist) = read(peers_file, Allowlist::parse)?;
        let (authors_text, authors) = read(authors_file, Authors::parse)?;
        let tokens = allowlist
            .peers()
            .map(|peer| (peer.fingerprint, CancellationToken::new()))
            .collect();
        let seen = |text| Seen {
            text: Some(text),
            problem: None,
        };
        Ok(Self {
            peers_file: peers_file.to_owned(),
            authors_file: authors_file.to_owned(),
            allowlist: RwLock::new(Arc::new(allowlist)),
            authors: RwLock::new(Arc::new(authors)),
            tokens: Mutex::new(tokens),
            seen: Mutex::new([seen(peers_text), seen(authors_text)]),
        })
    }

    /// The peers of this moment.
    #[must_use]
    pub fn allowlist(&self) -> Arc<Allowlist> {
        let list = self.allowlist.read();
        Arc::clone(&list.unwrap_or_else(PoisonError::into_inner))
    }

    /// The authors of this moment.
    #[must_use]
    pub fn authors(&self) -> Arc<Authors> {
        let list = self.authors.read();
        Arc::clone(&list.unwrap_or_else(PoisonError::into_inner))
    }

    /// The peer with the token that is cancelled when it goes; `None`: it is not on the list.
    #[must_use]
    pub fn admit(&self, fingerprint: &Fingerprint) -> Option<(Peer, CancellationToken)> {
        // List and token under one lock: a reload changes both under it.
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = self.allowlist().get(fingerprint).cloned()?;
        let token = tokens.get(fingerprint)?.clone();
        Some((peer, token))
    }

    /// What is wrong with the files as they are now; empty: they are what is in force.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter()
            .filter_map(|seen| seen.problem.clone())
            .collect()
    }

    /// Reads what has changed since the last time.
    pub fn reload(&self) -> Changed {
        let mut changed = Changed::default();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let [peers, authors] = &mut *seen;
        if let Some(list) = peers.again(&self.peers_file, Allowlist::parse) {
            self.take(list, &mut changed);
        }
        if let Some(list) = authors.again(&self.authors_file, Authors::parse) {
            let mut current = self.authors.write().unwrap_or_else(PoisonError::into_inner);
            changed.authors = **current != list;
            *current = Arc::new(list);
        }
        changed
    }

    fn take(&self, list: Allowlist, changed: &mut Changed) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.allowlist();
        for old in before.peers() {
            if list.get(&old.fingerprint) != Some(old) {
                changed.removed.push(old.clone());
                if let Some(token) = tokens.remove(&old.fingerprint) {
                    token.cancel();
                }
            }
        }
        for new in list.peers() {
            if before.get(&new.fingerprint) != Some(new) {
                changed.added.push(new.clone());
                tokens.insert(new.fingerprint, CancellationToken::new());
            }
        }
        let mut current = self
            .allowlist
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(list);
    }
}

impl Seen {
    /// The file's new content; `None`: it is as it was, or cannot be taken.
    fn again<T>(&mut self, path: &Path, parse: fn(&str) -> Result<T, BadLine>) -> Option<T> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(source) => {
                let problem = TrustError::Io {
                    path: path.to_owned(),
                    source,
                };
                self.refuse(None, problem.to_string());
                return None;
            }
        };
        if self.text.as_ref() == Some(&text) {
            return None;
        }
        match parse(&text) {
            Ok(list) => {
                if self.problem.take().is_some() {
                    tracing::info!("federation: `{}` can be read again", path.display());
                }
                self.text = Some(text);
                Some(list)
            }
            Err(source) => {
                let problem = TrustError::Line {
                    path: path.to_owned(),
                    source,
                };
                self.refuse(Some(text), problem.to_string());
                None
            }
        }
    }

    fn refuse(&mut self, text: Option<String>, problem: String) {
        if self.problem.as_ref() != Some(&problem) {
            tracing::error!("federation: {problem}; the list before it stays in force");
        }
        self.text = text;
        self.problem = Some(problem);
    }
}

fn read<T>(path: &Path, parse: fn(&str) -> Result<T, BadLine>) -> Result<(String, T), TrustError> {
    let text = std::fs::read_to_string(path).map_err(|source| TrustError::Io {
        path: path.to_owned(),
        source,
    })?;
    let list = parse(&text).map_err(|source| TrustError::Line {
        path: path.to_owned(),
        source,
    })?;
    Ok((text, list))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(digit: char) -> String {
        format!("sha256:{}", digit.to_string().repeat(64))
    }

    #[test]
    fn who_is_removed_is_cut_off_and_the_others_are_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let (peers, authors) = (dir.path().join("peers"), dir.path().join("authors"));
        std::fs::write(&peers, format!("{} a\n{} b\n", pin('a'), pin('b'))).unwrap();
        assert!(Trust::load(&peers, &authors).is_err());
        std::fs::write(&authors, "").unwrap();
        let trust = Trust::load(&peers, &authors).unwrap();
        let (a, b) = (pin('a').parse().unwrap(), pin('b').parse().unwrap());
        let (token_a, token_b) = (trust.admit(&a).unwrap().1, trust.admit(&b).unwrap().1);
        std::fs::write(&peers, "nonsense\n").unwrap();
        assert!(trust.reload().is_nothing());
        assert!(trust.problems()[0].contains("line 1"));
        assert!(trust.admit(&a).is_some());
        std::fs::write(&peers, format!("{} b\n", pin('b'))).unwrap();
        assert_eq!(trust.reload().removed.len(), 1);
        assert!(trust.problems().is_empty());
        assert!(token_a.is_cancelled() && !token_b.is_cancelled());
        assert!(trust.admit(&a).is_none());
        std::fs::remove_file(&peers).unwrap();
        trust.reload();
        assert!(trust.admit(&b).is_some() && !trust.problems().is_empty());
    }
}
