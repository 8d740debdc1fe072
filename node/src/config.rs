//! Where the node's files are, and where it listens.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The files of one node, all in one folder.
#[derive(Clone, Debug)]
pub struct DataDir {
    root: PathBuf,
}

/// The address of a listener or of a running node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A loopback address.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// Why an address or a folder is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No folder was named, and none can be guessed.
    #[error(
        "no data directory was named, and neither `$STATE_DIRECTORY`, `$XDG_DATA_HOME` nor `$HOME` is set"
    )]
    NoDataDir,
    /// It is no address.
    #[error("`{0}` is no address: `127.0.0.1:PORT`, `[::1]:PORT` or `unix:PATH` is needed")]
    NotAnAddress(String),
    /// It is reachable from elsewhere.
    #[error("`{0}` is not a loopback address: the local API is for this machine only")]
    NotLoopback(SocketAddr),
}

/// What a running node writes for those who want to talk to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Running {
    /// Version of this format: 1.
    pub version: u32,
    /// The process.
    pub pid: u32,
    /// Where it listens.
    pub listen: Vec<String>,
}

impl DataDir {
    /// The folder that was named, else systemd's, else the user's own.
    ///
    /// # Errors
    /// When nothing is named and no variable says where.
    pub fn decide(
        named: Option<PathBuf>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let root = named
            .or_else(|| variable("STATE_DIRECTORY").map(PathBuf::from))
            .or_else(|| variable("XDG_DATA_HOME").map(|home| Path::new(&home).join("memory-node")))
            .or_else(|| {
                variable("HOME").map(|home| Path::new(&home).join(".local/share/memory-node"))
            })
            .ok_or(ConfigError::NoDataDir)?;
        // Absolute: the process may be told to go elsewhere, and SQLite reads `file:` as a URI.
        let root = std::path::absolute(&root).unwrap_or(root);
        Ok(Self { root })
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.root.join("memory.db")
    }

    /// The local token, mode 0600.
    #[must_use]
    pub fn token(&self) -> PathBuf {
        self.root.join("token")
    }

    /// The certificate that peers pin.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.root.join("federation.crt")
    }

    /// Its key, mode 0600.
    #[must_use]
    pub fn certificate_key(&self) -> PathBuf {
        self.root.join("federation.key")
    }

    /// The allowlist, unless another file is named.
    #[must_use]
    pub fn peers(&self) -> PathBuf {
        self.root.join("peers")
    }

    /// The authors file, unless another one is named.
    #[must_use]
    pub fn authors(&self) -> PathBuf {
        self.root.join("authors")
    }

    /// What a running node writes.
    #[must_use]
    pub fn running(&self) -> PathBuf {
        self.root.join("running.json")
    }
}

impl std::str::FromStr for Address {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        if let Some(path) = text.strip_prefix("unix:") {
            if path.is_empty() {
                return Err(ConfigError::NotAnAddress(text.to_owned()));
            }
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        let bare = text
            .strip_prefix("http://")
            .unwrap_or(text)
            .trim_end_matches('/');
        let bare = bare.replacen("localhost:", "127.0.0.1:", 1);
        let address: SocketAddr = bare
            .parse()
            .map_err(|_| ConfigError::NotAnAddress(text.to_owned()))?;
        if !address.ip().is_loopback() {
            return Err(ConfigError::NotLoopback(address));
        }
        Ok(Self::Tcp(address))
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_listened_to() {
        assert!("127.0.0.1:9077".parse::<Address>().is_ok());
        assert!("[::1]:9077".parse::<Address>().is_ok());
        assert!("localhost:9077".parse::<Address>().is_ok());
        assert!("unix:/run/x".parse::<Address>().is_ok());
        assert!(matches!(
            "0.0.0.0:9077".parse::<Address>(),
            Err(ConfigError::NotLoopback(_))
        ));
        assert!(matches!(
            "9077".parse::<Address>(),
            Err(ConfigError::NotAnAddress(_))
        ));
    }

    #[test]
    fn the_folder_that_is_named_wins() {
        let variable = |name: &str| (name == "HOME").then(|| "/home/u".to_owned());
        let named = DataDir::decide(Some("/d".into()), variable).unwrap();
        assert_eq!(named.database(), Path::new("/d/memory.db"));
        let guessed = DataDir::decide(None, variable).unwrap();
        assert_eq!(
            guessed.root(),
            Path::new("/home/u/.local/share/memory-node")
        );
        assert!(DataDir::decide(None, |_| None).is_err());
    }
}
