//! Delivering: takes what is due from the outbox, sends it, notes how it went.
//!
//! One worker for each subscriber, so that a slow one keeps nobody else waiting; a few connections
//! at once in each. No redirect is followed, no proxy is asked, and of an answer only the status
//! and a bounded part of the body is read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::sign;
use super::target::{Target, TargetPolicy};
use crate::model::MemoryId;
use crate::store::{Attempt, Delivery, Store, StoreError, Subscription};

/// How often the outbox is looked at.
const EVERY: Duration = Duration::from_millis(100);
/// From connecting to the end of the answer.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// Connections to one subscriber at once.
const AT_ONCE: usize = 8;
/// Announcements claimed in one write.
const CLAIMED: usize = 64;
/// Bytes of an answer that are read before it is taken as given.
const ANSWER_BYTES: usize = 16 * 1024;
/// Hours between clean-ups of what was delivered long ago.
const CLEAN_EVERY: Duration = Duration::from_secs(3600);

/// Why the dispatcher cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum DispatcherError {
    /// No certificate authority is known.
    #[error("no certificate authority can be loaded: {0}")]
    NoRoots(String),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// Sends deliveries, to where the policy allows.
#[derive(Clone)]
pub struct Sender {
    policy: Arc<TargetPolicy>,
    tls: TlsConnector,
}

impl Sender {
    /// A sender that believes the system's certificate authorities, and those in `extra` (PEM).
    ///
    /// # Errors
    /// When none can be loaded.
    pub fn new(policy: Arc<TargetPolicy>, extra: Option<&[u8]>) -> Result<Self, DispatcherError> {
        use rustls::pki_types::pem::PemObject as _;
        let mut roots = rustls::RootCertStore::empty();
        let native = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(native.certs);
        for certificate in
            rustls::pki_types::CertificateDer::pem_slice_iter(extra.unwrap_or_default())
        {
            let certificate =
                certificate.map_err(|error| DispatcherError::NoRoots(error.to_string()))?;
            roots.add(certificate)?;
        }
        // Named, so that no other provider can slip in through a feature of some dependency.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            policy,
            tls: TlsConnector::from(Arc::new(config)),
        })
    }

    /// One attempt, signed with a fresh timestamp. The status, or why there is none.
    async fn send(
        &self,
        subscription: &Subscription,
        delivery: &Delivery,
        timestamp: crate::clock::Timestamp,
    ) -> Result<u16, String> {
        let target =
            Target::parse(&subscription.url, &self.policy).map_err(|error| error.to_string())?;
        let addresses = target
            .resolve(&self.policy)
            .await
            .map_err(|error| error.to_string())?;
        let stream = TcpStream::connect(addresses.as_slice())
            .await
            .map_err(|error| format!("cannot connect: {error}"))?;
        let request = signed_request(&target, subscription, delivery, timestamp)?;
        if !target.is_tls() {
            return exchange(TokioIo::new(stream), request).await;
        }
        let name = ServerName::try_from(target.host()).map_err(|error| error.to_string())?;
        let stream = self
            .tls
            .connect(name, stream)
            .await
            .map_err(|error| format!("TLS failed: {error}"))?;
        exchange(TokioIo::new(stream), request).await
    }
}

fn signed_request(
    target: &Target,
    subscription: &Subscription,
    delivery: &Delivery,
    now: crate::clock::Timestamp,
) -> Result<Request<Full<Bytes>>, String> {
    let (body, timestamp) = (delivery.body.as_bytes(), now.as_secs());
    let secret = subscription.secret();
    let mut standard = sign::standard_signature(secret, &delivery.event_id, timestamp, body);
    if let Some(old) = subscription.old_secret(now) {
        standard.push(' ');
        standard.push_str(&sign::standard_signature(
            old,
            &delivery.event_id,
            timestamp,
            body,
        ));
    }
    let url = target.url();
    let path = url.query().map_or_else(
        || url.path().to_owned(),
        |query| format!("{}?{query}", url.path()),
    );
    let host = url.port().map_or_else(
        || url.host_str().unwrap_or_default().to_owned(),
        |port| format!("{}:{port}", url.host_str().unwrap_or_default()),
    );
    Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::HOST, host)
        .header(header::CONTENT_TYPE, "application/json")
        .header(
            header::USER_AGENT,
            concat!("memory-node/", env!("CARGO_PKG_VERSION")),
        )
        .header("x-ai-memory-timestamp", timestamp)
        .header(
            "x-ai-memory-signature",
            sign::memory_signature(secret, subscription.profile, timestamp, body),
        )
        .header("webhook-id", &delivery.event_id)
        .header("webhook-timestamp", timestamp)
        .header("webhook-signature", standard)
        .body(Full::new(Bytes::copy_from_slice(body)))
        .map_err(|error| error.to_string())
}

async fn exchange<T>(io: TokioIo<T>, request: Request<Full<Bytes>>) -> Result<u16, String>
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| format!("the connection broke: {error}");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io)
        .await
        .map_err(broken)?;
    let driver = tokio::spawn(connection);
    let answered = sender.send_request(request).await.map_err(broken);
    let status = match answered {
        Err(error) => Err(error),
        Ok(response) => {
            let status = response.status().as_u16();
            // The status decides; an endless body is cut off and does no harm.
            drop(
                Limited::new(response.into_body(), ANSWER_BYTES)
                    .collect()
                    .await,
            );
            Ok(status)
        }
    };
    driver.abort();
    status
}

/// Delivers until it is told to stop; attempts under way then are given up and made again later.
///
/// # Errors
/// When the store cannot be read or written any more.
pub async fn run(store: Store, sender: Sender, stop: CancellationToken) -> Result<(), StoreError> {
    let released = store.write(|write| write.release_leases()).await?;
    if released > 0 {
        tracing::info!(released, "deliveries that were cut off are made again");
    }
    let mut workers: BTreeMap<MemoryId, CancellationToken> = BTreeMap::new();
    let mut tasks = JoinSet::new();
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut cleaned = tokio::time::Instant::now();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = every.tick() => {}
        }
        let subscriptions = match store.read(|read| read.subscriptions()).await {
            Ok(subscriptions) => subscriptions,
            Err(StoreError::Closed) => break,
            Err(error) => {
                tracing::warn!(%error, "the subscriptions cannot be read");
                continue;
            }
        };
        let active: Vec<MemoryId> = subscriptions
            .iter()
            .filter(|sub| sub.active)
            .map(|sub| sub.id)
            .collect();
        workers.retain(|id, token| {
            let keep = active.contains(id);
            if !keep {
                token.cancel();
            }
            keep
        });
        for id in active {
            workers.entry(id).or_insert_with(|| {
                let token = stop.child_token();
                tasks.spawn(serve_one(store.clone(), sender.clone(), id, token.clone()));
                token
            });
        }
        while tasks.try_join_next().is_some() {}
        if cleaned.elapsed() >= CLEAN_EVERY {
            cleaned = tokio::time::Instant::now();
            if let Err(error) = store.write(|write| write.forget_delivered()).await {
                tracing::warn!(%error, "old deliveries were not cleaned up");
            }
        }
    }
    tasks.shutdown().await;
    Ok(())
}

/// One subscriber's worker.
async fn serve_one(store: Store, sender: Sender, id: MemoryId, stop: CancellationToken) {
    loop {
        let claimed = store.read(move |read| read.subscription(id)).await;
        let subscription = match claimed {
            Ok(subscription) => Arc::new(subscription),
            Err(_) => return,
        };
        let due = match has_due(&store, id).await {
            true => store
                .write(move |write| write.claim(id, CLAIMED))
                .await
                .unwrap_or_default(),
            false => Vec::new(),
        };
        if due.is_empty() {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => continue,
            }
        }
        let mut waiting = due.into_iter();
        let mut attempts: JoinSet<()> = JoinSet::new();
        loop {
            while attempts.len() < AT_ONCE {
                let Some(delivery) = waiting.next() else {
                    break;
                };
                let (store, sender) = (store.clone(), sender.clone());
                let subscription = Arc::clone(&subscription);
                attempts.spawn(async move {
                    attempt(&store, &sender, &subscription, delivery).await;
                });
            }
            tokio::select! {
                () = stop.cancelled() => return,
                ended = attempts.join_next() => if ended.is_none() { break },
            }
        }
    }
}

/// Asks a reader first: an idle subscriber costs no write.
async fn has_due(store: &Store, id: MemoryId) -> bool {
    store
        .read(move |read| read.has_due(id))
        .await
        .unwrap_or(false)
}

async fn attempt(store: &Store, sender: &Sender, subscription: &Subscription, delivery: Delivery) {
    let now = store.clock().now();
    let sent = tokio::time::timeout(TIME_LIMIT, sender.send(subscription, &delivery, now)).await;
    let outcome = match sent {
        Err(_) => Attempt {
            seq: delivery.seq,
            status: None,
            error: Some(format!("no answer within {} s", TIME_LIMIT.as_secs())),
        },
        Ok(Err(error)) => Attempt {
            seq: delivery.seq,
            status: None,
            error: Some(error),
        },
        Ok(Ok(status)) if (200..300).contains(&status) => Attempt {
            seq: delivery.seq,
            status: Some(status),
            error: None,
        },
        Ok(Ok(status)) => Attempt {
            seq: delivery.seq,
            status: Some(status),
            error: Some(format!("the receiver answered {status}")),
        },
    };
    // Where this fails, the lease runs out and the same delivery is made again.
    if let Err(error) = store.write(move |write| write.finish(&outcome)).await {
        tracing::warn!(%error, "the end of a delivery was not noted");
    }
}
