//! Finding the node that a command is meant for.

use std::path::Path;
use std::sync::Arc;

use secrecy::SecretString;

use crate::api::access::Access;
use crate::api::metrics::Counters;
use crate::api::{self, ApiState};
use crate::cli::Common;
use crate::client::{self, Node};
use crate::clock::SystemClock;
use crate::config::{Address, ConfigError, DataDir, Running};
use crate::exit::Failure;
use crate::passphrase::{self, Choice};
use crate::store::{OpenOptions, Passphrase, Store};

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::no_verdict("configuration", error)
    }
}

impl From<client::ClientError> for Failure {
    fn from(error: client::ClientError) -> Self {
        Self::no_verdict("unreachable", error)
    }
}

/// The folder that the command line or the environment names.
///
/// # Errors
/// When nothing names one.
pub fn data_dir(common: &Common) -> Result<DataDir, Failure> {
    Ok(DataDir::decide(common.data_dir.clone(), |name| {
        std::env::var(name).ok()
    })?)
}

/// Where the passphrase is to come from.
///
/// # Errors
/// When nothing names a source, or two do.
pub fn passphrase_source(common: &Common) -> Result<passphrase::Source, Failure> {
    let choice = Choice {
        file: common.passphrase_file.clone(),
        fd: common.passphrase_fd,
        command: common.passphrase_command.clone(),
    };
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(std::path::PathBuf::from);
    let variable = std::env::var_os(passphrase::VARIABLE).is_some();
    Ok(passphrase::decide(
        &choice,
        credentials.as_deref(),
        variable,
    )?)
}

/// The passphrase itself.
///
/// # Errors
/// When there is none.
pub fn passphrase(common: &Common) -> Result<Passphrase, Failure> {
    Ok(passphrase::read(&passphrase_source(common)?)?)
}

/// Opens the database of the data directory in this process.
///
/// # Errors
/// When it cannot be opened.
pub fn open_store(common: &Common) -> Result<Store, Failure> {
    let data = data_dir(common)?;
    let path = data.database();
    if !path.exists() {
        return Err(crate::store::OpenError::Missing(path).into());
    }
    let passphrase = passphrase(common)?;
    let options = OpenOptions {
        accept_rollback: common.accept_rollback,
        ..OpenOptions::default()
    };
    Ok(Store::open(
        &path,
        &passphrase,
        options,
        Arc::new(SystemClock),
    )?)
}

/// A node, and the store to be closed behind it where it was opened for this command.
pub struct Reached {
    /// Whom to ask.
    pub node: Node,
    store: Option<Store>,
}

impl Reached {
    /// Closes what was opened.
    pub fn close(self) {
        if let Some(store) = self.store {
            store.close();
        }
    }
}

/// The running node: the one that was named, or the one that has written where it listens.
///
/// # Errors
/// When one was named and there is no token for it.
pub async fn running(common: &Common) -> Result<Option<Node>, Failure> {
    let token_of = |address| {
        // A node that is named together with its token needs no data directory.
        let file = match &common.token_file {
            Some(file) => file.clone(),
            None => data_dir(common)?.token(),
        };
        let token = read_token(&file)?;
        Ok(Some(Node::Running { address, token }))
    };
    if let Some(named) = &common.connect {
        return token_of(named.parse::<Address>()?);
    }
    for address in written_addresses(&data_dir(common)?.running()) {
        if client::answers(&address).await {
            return token_of(address);
        }
    }
    Ok(None)
}

fn written_addresses(path: &Path) -> Vec<Address> {
    let Ok(bytes) = std::fs::read(path) else {
        return Vec::new();
    };
    let Ok(running) = serde_json::from_slice::<Running>(&bytes) else {
        return Vec::new();
    };
    running
        .listen
        .iter()
        .filter_map(|address| address.parse().ok())
        .collect()
}

/// Reads a token file.
///
/// # Errors
/// When it cannot be read.
pub fn read_token(path: &Path) -> Result<SecretString, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::no_verdict(
            "token_missing",
            format!("cannot read the token `{}`", path.display()),
        )
        .because(error)
        .hint("name it with `--token-file`, or make a new one with `memory-node token`")
    })?;
    Ok(SecretString::from(text.trim().to_owned()))
}

/// The running node, else the database itself, opened for this one command.
///
/// # Errors
/// When neither is to be had.
pub async fn node(common: &Common) -> Result<Reached, Failure> {
    if let Some(node) = running(common).await? {
        return Ok(Reached { node, store: None });
    }
    let store = open_store(common)?;
    // Nobody comes in through a socket here, so no token is let in.
    let access = Arc::new(Access::new([0; 32], [], []));
    let state = ApiState {
        store: store.clone(),
        access,
        counters: Arc::new(Counters::default()),
        federation: None,
        webhook_targets: Arc::default(),
    };
    Ok(Reached {
        node: Node::Here(api::router(state)),
        store: Some(store),
    })
}

/// The runtime of one command.
///
/// # Errors
/// When the system gives no threads.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::no_verdict("runtime", "no threads can be started").because(error))
}
