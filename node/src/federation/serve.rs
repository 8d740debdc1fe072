//! The federation's services of a running node: listener, dialers, and the watch over the lists.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::hub::Hub;
use super::identity::Fingerprint;
use super::{listener, sync, tls};
use crate::store::StoreError;

/// How often the lists are looked at: who is removed is cut off well within a second.
const WATCH: Duration = Duration::from_millis(250);
/// How often quarantine is looked through for what was dated ahead and is due now.
const QUARANTINE: Duration = Duration::from_secs(60);

/// Why the federation cannot begin, or ended.
#[derive(Debug, thiserror::Error)]
pub enum FederationError {
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// A signal cannot be waited for.
    #[error("SIGHUP cannot be waited for: {0}")]
    Signal(std::io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Runs until it is told to stop.
///
/// # Errors
/// When it cannot begin.
pub async fn run(
    hub: Arc<Hub>,
    socket: Option<TcpListener>,
    stop: CancellationToken,
) -> Result<(), FederationError> {
    let mut hangup = signal(SignalKind::hangup()).map_err(FederationError::Signal)?;
    hub.apply_author_rules().await?;
    hub.judge_anew().await?;
    let mut tasks = JoinSet::new();
    if let Some(socket) = socket {
        let config = tls::server_config(&hub.own, Arc::clone(&hub.trust))?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tasks.spawn(listener::run(
            Arc::clone(&hub),
            socket,
            acceptor,
            stop.clone(),
        ));
    }
    let mut dialers: BTreeMap<Fingerprint, CancellationToken> = BTreeMap::new();
    let mut every = tokio::time::interval(WATCH);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut looked = Instant::now();
    loop {
        dial_everyone(&hub, &mut dialers, &mut tasks, &stop);
        tokio::select! {
            () = stop.cancelled() => break,
            _ = hangup.recv() => {}
            _ = every.tick() => {}
        }
        let changed = hub.trust.reload();
        if !changed.is_nothing()
            && let Err(error) = hub.follow(&changed).await
        {
            tracing::warn!(%error, "federation: a change of the lists was not noted in the store");
        }
        if looked.elapsed() >= QUARANTINE {
            looked = Instant::now();
            if let Err(error) = hub.judge_anew().await {
                tracing::warn!(%error, "federation: quarantine was not looked through");
            }
        }
        while tasks.try_join_next().is_some() {}
    }
    tasks.shutdown().await;
    Ok(())
}

/// Starts a dialer for each peer with an address that has none, and forgets those that were cut.
fn dial_everyone(
    hub: &Arc<Hub>,
    dialers: &mut BTreeMap<Fingerprint, CancellationToken>,
    tasks: &mut JoinSet<()>,
    stop: &CancellationToken,
) {
    dialers.retain(|_, token| !token.is_cancelled());
    for peer in hub.trust.allowlist().peers() {
        let Some(address) = peer.address.clone() else {
            continue;
        };
        if dialers.contains_key(&peer.fingerprint) {
            continue;
        }
        let Some((peer, gone)) = hub.trust.admit(&peer.fingerprint) else {
            continue;
        };
        dialers.insert(peer.fingerprint, gone.clone());
        let (hub, stop) = (Arc::clone(hub), stop.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = sync::keep_in_step(hub, peer, address, gone) => {}
            }
        });
    }
}
