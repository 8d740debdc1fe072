//! Running the node: listeners, the hourly work, and a stop that lets requests end.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::api::access::Access;
use crate::api::metrics::Counters;
use crate::api::{self, ApiState};
use crate::config::{Address, DataDir, Running};
use crate::federation::hub::Hub;
use crate::federation::identity::{IdentityError, NodeCertificate};
use crate::federation::serve::{self as federation, FederationError};
use crate::federation::trust::{Trust, TrustError};
use crate::store::{Store, StoreError};
use crate::webhook::backoff::RetrySchedule;
use crate::webhook::dispatcher::{self, Delivering};
use crate::webhook::sender::{Sender, SenderError};
use crate::webhook::target::TargetPolicy;

/// Why the node does not run, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Cannot listen.
    #[error("cannot listen on `{address}`: {source}")]
    Listen {
        /// Where.
        address: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// No token was ever made.
    #[error("the database knows no token")]
    NoToken,
    /// A file beside the database cannot be written.
    #[error("cannot write `{path}`: {source}")]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The federation cannot begin, or ended.
    #[error("the federation: {0}")]
    Federation(#[from] FederationError),
    /// Nobody says whom to trust.
    #[error("the federation does not begin: {0}")]
    Trust(#[from] TrustError),
    /// The node has no certificate.
    #[error("the federation does not begin: {0}")]
    Identity(#[from] IdentityError),
    /// Webhooks cannot be sent.
    #[error(transparent)]
    Webhooks(#[from] SenderError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A listener or a signal handler ended by itself.
    #[error("the node ended by itself: {0}")]
    Ended(String),
}

/// How the node runs.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Where to listen.
    pub listen: Vec<Address>,
    /// Origins of pages that may talk to the node.
    pub origins: Vec<String>,
    /// How long open requests may take when the node stops.
    pub drain: Duration,
    /// Where webhooks may go.
    pub webhook_targets: TargetPolicy,
    /// Certificate authorities (PEM) that webhooks believe besides the system's.
    pub webhook_ca: Option<Vec<u8>>,
    /// When a failed delivery is tried again.
    pub webhook_retries: RetrySchedule,
    /// The federation; `None`: off.
    pub federation: Option<FederationOptions>,
}

/// How the node federates.
#[derive(Clone, Debug)]
pub struct FederationOptions {
    /// Where peers come in, on any interface; `None`: this node only dials.
    pub listen: Option<String>,
    /// The allowlist.
    pub peers: PathBuf,
    /// The authors file.
    pub authors: PathBuf,
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

/// How often what has expired is deleted.
const GC_EVERY: Duration = Duration::from_secs(60);

/// Serves until SIGTERM or SIGINT; then open requests end, the queue is committed, files are synced.
///
/// # Errors
/// When it cannot begin, or ends by itself.
pub async fn run(store: Store, data: &DataDir, options: ServeOptions) -> Result<(), ServeError> {
    let signals = StopSignals::listen()?;
    let mut listeners = Vec::new();
    for address in &options.listen {
        listeners.push(bind(address).await?);
    }
    let names: Vec<String> = listeners.iter().map(Listener::name).collect();
    let token = store
        .read(|read| read.token_digest())
        .await?
        .ok_or(ServeError::NoToken)?;
    let mut hosts = vec!["localhost".to_owned()];
    for listener in &listeners {
        hosts.extend(listener.hosts());
    }
    let access = Arc::new(Access::new(token, hosts, options.origins));
    let targets = Arc::new(options.webhook_targets);
    let sender = Sender::new(Arc::clone(&targets), options.webhook_ca.as_deref())?;
    let federation = match &options.federation {
        None => None,
        Some(options) => Some(join(&store, data, options).await?),
    };
    let counters = Arc::new(Counters::default());
    let delivering = Delivering {
        sender,
        schedule: options.webhook_retries,
        counters: Arc::clone(&counters.webhooks),
    };
    let state = ApiState {
        federation: federation.as_ref().map(|(hub, _)| Arc::clone(hub)),
        store: store.clone(),
        access,
        counters,
        webhook_targets: targets,
    };
    let router = api::router(state);
    let stop = CancellationToken::new();
    let mut tasks: JoinSet<Result<(), ServeError>> = JoinSet::new();
    write_running(data, &names)?;
    let subscriptions = store.read(|read| read.subscriptions()).await?.len();
    announce(&store, subscriptions);
    match federation {
        None => tracing::info!("federation: off"),
        Some((hub, socket)) => {
            announce_federation(&hub, socket.as_ref());
            tasks.spawn(federate(hub, socket, stop.clone()));
        }
    }
    for listener in listeners {
        tracing::info!("api: listening on {}, bearer token needed", listener.name());
        tasks.spawn(accept(listener, router.clone(), stop.clone()));
    }
    tasks.spawn(collect_expired(store.clone(), stop.clone()));
    tasks.spawn(deliver(store.clone(), delivering, stop.clone()));
    let outcome = until_stopped(&mut tasks, &stop, signals).await;
    drain(&mut tasks, options.drain).await;
    remove(&data.running());
    // Closing blocks until the last commit is on the disk.
    let closing = tokio::task::spawn_blocking(move || store.close()).await;
    if let Err(error) = closing {
        return Err(ServeError::Ended(error.to_string()));
    }
    tracing::info!("stopped: everything that was acknowledged is on the disk");
    outcome
}

fn announce(store: &Store, subscriptions: usize) {
    tracing::info!(
        "storage: {} encrypted with SQLCipher 4 (AES-256-CBC, HMAC-SHA512), epoch {}",
        store.path().display(),
        store.epoch()
    );
    tracing::info!("identity: versions are signed by {}", store.author());
    tracing::info!("webhooks: on, {subscriptions} subscriptions, https to public addresses");
}

/// Reads the lists and the certificate, and opens the listener.
async fn join(
    store: &Store,
    data: &DataDir,
    options: &FederationOptions,
) -> Result<(Arc<Hub>, Option<TcpListener>), ServeError> {
    let trust = Trust::load(&options.peers, &options.authors)?;
    let own = NodeCertificate::load_or_make(&data.certificate(), &data.certificate_key())?;
    let socket = match &options.listen {
        None => None,
        Some(address) => {
            let bound = TcpListener::bind(address).await;
            Some(bound.map_err(|source| ServeError::Listen {
                address: address.clone(),
                source,
            })?)
        }
    };
    let hub = Hub::new(store.clone(), Arc::new(trust), own);
    Ok((Arc::new(hub), socket))
}

fn announce_federation(hub: &Hub, socket: Option<&TcpListener>) {
    let place = socket.and_then(|socket| socket.local_addr().ok());
    let place = place.map_or_else(
        || "dialling only".to_owned(),
        |address| format!("listening on {address}"),
    );
    tracing::info!(
        "federation: {place}, TLS 1.3 with pinned peers only, {} on the allowlist, this node is {}",
        hub.trust.allowlist().len(),
        hub.own.fingerprint()
    );
}

async fn federate(
    hub: Arc<Hub>,
    socket: Option<TcpListener>,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    Ok(federation::run(hub, socket, stop).await?)
}

fn write_running(data: &DataDir, names: &[String]) -> Result<(), ServeError> {
    let running = Running {
        version: 1,
        pid: std::process::id(),
        listen: names.to_vec(),
    };
    let path = data.running();
    let write = |source| ServeError::Write {
        path: path.clone(),
        source,
    };
    let json = serde_json::to_vec(&running).map_err(|error| write(std::io::Error::other(error)))?;
    // Written aside and renamed: whoever reads it reads a whole one.
    let aside = path.with_extension("json.new");
    std::fs::write(&aside, json).map_err(write)?;
    std::fs::rename(&aside, &path).map_err(write)
}

/// The signals that stop the node.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// From here on these signals do not kill the process.
    fn listen() -> Result<Self, ServeError> {
        let handler = |kind| signal(kind).map_err(|error| ServeError::Ended(error.to_string()));
        Ok(Self {
            terminate: handler(SignalKind::terminate())?,
            interrupt: handler(SignalKind::interrupt())?,
        })
    }
}

async fn until_stopped(
    tasks: &mut JoinSet<Result<(), ServeError>>,
    stop: &CancellationToken,
    mut signals: StopSignals,
) -> Result<(), ServeError> {
    let outcome = tokio::select! {
        _ = signals.terminate.recv() => Ok(()),
        _ = signals.interrupt.recv() => Ok(()),
        Some(ended) = tasks.join_next() => match ended {
            Ok(Ok(())) => Err(ServeError::Ended("a service returned".to_owned())),
            Ok(Err(error)) => Err(error),
            Err(panicked) => Err(ServeError::Ended(panicked.to_string())),
        },
    };
    tracing::info!("stopping: no new requests are taken");
    stop.cancel();
    outcome
}

async fn drain(tasks: &mut JoinSet<Result<(), ServeError>>, limit: Duration) {
    let drained = tokio::time::timeout(limit, async {
        while let Some(ended) = tasks.join_next().await {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "a service ended badly"),
                Err(error) => tracing::error!(%error, "a service ended in a panic"),
            }
        }
    });
    if drained.await.is_err() {
        tracing::warn!(
            limit_s = limit.as_secs(),
            "requests were still open and are cut off"
        );
        tasks.shutdown().await;
    }
}

async fn bind(address: &Address) -> Result<Listener, ServeError> {
    let failed = |source| ServeError::Listen {
        address: address.to_string(),
        source,
    };
    match address {
        Address::Tcp(at) => Ok(Listener::Tcp(TcpListener::bind(at).await.map_err(failed)?)),
        Address::Unix(path) => {
            // A socket that nobody listens on is left over from a node that was killed.
            if path.exists() && tokio::net::UnixStream::connect(path).await.is_err() {
                std::fs::remove_file(path).map_err(failed)?;
            }
            let listener = UnixListener::bind(path).map_err(failed)?;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
                .map_err(failed)?;
            Ok(Listener::Unix(listener, path.clone()))
        }
    }
}

impl Listener {
    fn name(&self) -> String {
        match self {
            Self::Tcp(listener) => listener.local_addr().map_or_else(
                |error| format!("(unknown: {error})"),
                |address| address.to_string(),
            ),
            Self::Unix(_, path) => format!("unix:{}", path.display()),
        }
    }

    fn hosts(&self) -> Vec<String> {
        match self {
            Self::Tcp(listener) => listener
                .local_addr()
                .map(|address| Access::loopback_hosts(address.port()))
                .unwrap_or_default(),
            Self::Unix(..) => Vec::new(),
        }
    }
}

async fn accept(
    listener: Listener,
    router: Router,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let ended = |error: std::io::Error| ServeError::Ended(error.to_string());
    let stopped = stop.cancelled_owned();
    match listener {
        Listener::Tcp(listener) => {
            use axum::serve::ListenerExt as _;
            let listener = listener.tap_io(|stream| {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY was refused");
                }
            });
            axum::serve(listener, router)
                .with_graceful_shutdown(stopped)
                .await
                .map_err(ended)
        }
        Listener::Unix(listener, path) => {
            let served = axum::serve(listener, router)
                .with_graceful_shutdown(stopped)
                .await;
            remove(&path);
            served.map_err(ended)
        }
    }
}

async fn deliver(
    store: Store,
    delivering: Delivering,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    Ok(dispatcher::run(store, delivering, stop).await?)
}

async fn collect_expired(store: Store, stop: CancellationToken) -> Result<(), ServeError> {
    let first = tokio::time::Instant::now() + GC_EVERY;
    let mut every = tokio::time::interval_at(first, GC_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = every.tick() => match api::bulk::delete_expired(&store).await {
                Ok(0) => {}
                Ok(deleted) => tracing::info!(deleted, "expired memories were deleted"),
                Err(error) => tracing::warn!(%error, "expired memories were not deleted"),
            },
        }
    }
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, path = %path.display(), "could not be taken away");
    }
}
