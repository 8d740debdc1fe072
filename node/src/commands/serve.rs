//! `serve`: the node in the foreground.

use std::time::Duration;

use super::reach;
use crate::cli::{Common, Serve};
use crate::config::Address;
use crate::exit::Failure;
use crate::hardening;
use crate::serve::{self, FederationOptions, ServeError, ServeOptions};
use crate::webhook::backoff::RetrySchedule;
use crate::webhook::target::{Network, TargetPolicy};

/// Runs until it is told to stop.
///
/// # Errors
/// When it cannot begin, or ends by itself.
pub fn run(common: &Common, args: &Serve) -> Result<(), Failure> {
    let listen = args
        .listen
        .iter()
        .map(|text| text.parse::<Address>())
        .collect::<Result<Vec<_>, _>>()?;
    let data = reach::data_dir(common)?;
    let store = reach::open_store(common)?;
    let networks = args
        .webhook_allow_network
        .iter()
        .map(|text| text.parse())
        .collect::<Result<Vec<Network>, String>>()
        .map_err(|why| Failure::no_verdict("configuration", why))?;
    let webhook_ca = match &args.webhook_ca_file {
        None => None,
        Some(file) => Some(std::fs::read(file).map_err(|error| {
            Failure::no_verdict("io", format!("cannot read `{}`", file.display())).because(error)
        })?),
    };
    let federation = (args.federation_listen.is_some() || args.peers_file.is_some()).then(|| {
        FederationOptions {
            listen: args.federation_listen.clone(),
            peers: args.peers_file.clone().unwrap_or_else(|| data.peers()),
            authors: args.authors_file.clone().unwrap_or_else(|| data.authors()),
        }
    });
    let webhook_retries = match &args.webhook_retry_s {
        None => RetrySchedule::default(),
        Some(text) => text
            .parse()
            .map_err(|error| Failure::no_verdict("configuration", error))?,
    };
    let options = ServeOptions {
        federation,
        webhook_retries,
        webhook_targets: TargetPolicy { networks },
        webhook_ca,
        listen,
        origins: args
            .allow_origin
            .iter()
            .map(|origin| origin.to_ascii_lowercase())
            .collect(),
        drain: Duration::from_secs(args.drain_timeout_s),
    };
    if let Err(error) = hardening::allow_many_files() {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    let outcome = reach::runtime()?.block_on(serve::run(store.clone(), &data, options));
    store.close();
    outcome.map_err(|error| match error {
        ServeError::NoToken => {
            Failure::no_verdict("token_missing", error).hint("make one with `memory-node token`")
        }
        ServeError::Listen { .. } => Failure::no_verdict("listen", error)
            .hint("another program may listen there: choose another `--listen`"),
        ServeError::Trust(_) => Failure::no_verdict("lists", error).hint(
            "one peer a line, `sha256:<fingerprint> name [host:port]`; authors by `memory-node author new`; an empty file is nobody",
        ),
        other => Failure::no_verdict("serve", other),
    })
}
