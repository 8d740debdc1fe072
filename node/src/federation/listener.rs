//! The listener of the federation: who comes in is pinned, and is asked for again at every request.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::allowlist::Peer;
use super::hub::{Hub, facts};
use super::identity::Fingerprint;
use super::protocol::{
    BATCH_BYTES, Batch, Changes, Ids, MESSAGE_BYTES, Message, PAGE_BYTES, PAGE_VERSIONS,
    RangeQuestions,
};
use super::reconcile;
use super::set::VersionSet;
use super::status::count;
use crate::store::{StoreError, Way};
use crate::webhook::event::PeerEvent;

/// From the first byte to the end of the handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Connections that shake hands at once; more are dropped before a byte is read.
const UNAUTHENTICATED: usize = 64;
/// Connections of authenticated peers at once.
const CONNECTIONS: usize = 256;
/// Between two requests of one connection.
const IDLE: Duration = Duration::from_secs(120);
/// For the body of a request.
const BODY: Duration = Duration::from_secs(60);
/// Refusals are written to the transcript this often at most: strangers do not fill the disk.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// Accepts until it is told to stop.
pub async fn run(
    hub: Arc<Hub>,
    listener: TcpListener,
    acceptor: TlsAcceptor,
    stop: CancellationToken,
) {
    let shaking = Arc::new(Semaphore::new(UNAUTHENTICATED));
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let refusals = Arc::new(Refusals::default());
    let mut tasks = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = tasks.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Descriptors are used up: others' connections end, and then it goes on.
                tracing::warn!(%error, "federation: a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&shaking).try_acquire_owned() else {
            count(&hub.counters.crowded);
            continue;
        };
        let (hub, acceptor) = (Arc::clone(&hub), acceptor.clone());
        let (refusals, connections) = (Arc::clone(&refusals), Arc::clone(&connections));
        let stop = stop.clone();
        tasks.spawn(async move {
            let shaken = shake(&hub, &acceptor, stream).await;
            drop(permit);
            match shaken {
                Err(why) => refusals.note(&hub, address, why).await,
                Ok(connection) => {
                    let Ok(_held) = connections.try_acquire_owned() else {
                        return;
                    };
                    serve(hub, connection, stop).await;
                }
            }
        });
    }
    tasks.shutdown().await;
}

/// A connection whose peer has proved itself.
struct Accepted {
    stream: tokio_rustls::server::TlsStream<TcpStream>,
    peer: Peer,
    gone: CancellationToken,
}

async fn shake(hub: &Hub, acceptor: &TlsAcceptor, stream: TcpStream) -> Result<Accepted, String> {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY was refused");
    }
    let shaken = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await;
    let stream = match shaken {
        Err(_) => return Err(format!("no handshake within {} s", HANDSHAKE.as_secs())),
        Ok(Err(error)) => return Err(error.to_string()),
        Ok(Ok(stream)) => stream,
    };
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let [certificate] = certificates else {
        return Err("not exactly one certificate".to_owned());
    };
    // Between the verifier and here the peer may have been removed.
    let (peer, gone) = hub
        .trust
        .admit(&Fingerprint::of(certificate))
        .ok_or("the peer is not on the allowlist")?;
    Ok(Accepted { stream, peer, gone })
}

async fn serve(hub: Arc<Hub>, connection: Accepted, stop: CancellationToken) {
    let Accepted { stream, peer, gone } = connection;
    count(&hub.counters.accepted);
    let first = hub.board.get(&peer.fingerprint).contact.is_none();
    if first {
        tracing::info!(peer = %peer.name, "federation: the peer has come in");
        let noted = peer.clone();
        let recorded = hub
            .store
            .write(move |write| {
                let name = noted.fingerprint.to_string();
                write.note_peer(PeerEvent::Accepted, &name, facts(&noted))
            })
            .await;
        if let Err(error) = recorded {
            tracing::warn!(%error, "federation: the transcript was not written");
        }
    }
    let fingerprint = peer.fingerprint;
    let service = {
        let hub = Arc::clone(&hub);
        service_fn(move |request| {
            let hub = Arc::clone(&hub);
            async move { Ok::<_, Infallible>(answer(&hub, fingerprint, request).await) }
        })
    };
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        ended = served => if let Err(error) = ended {
            tracing::debug!(%error, peer = %peer.name, "federation: a connection broke");
        },
        () = gone.cancelled() => {
            count(&hub.counters.cut);
            tracing::warn!(peer = %peer.name, "federation: a connection was cut");
        }
        () = stop.cancelled() => {}
    }
}

/// Counts refusals and tells of them, now and then.
#[derive(Debug, Default)]
struct Refusals(Mutex<(Option<Instant>, u64)>);

impl Refusals {
    async fn note(&self, hub: &Hub, address: SocketAddr, why: String) {
        count(&hub.counters.refused);
        let since = {
            let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            told.1 += 1;
            if told.0.is_some_and(|last| last.elapsed() < TOLD_EVERY) {
                return;
            }
            let since = told.1;
            *told = (Some(Instant::now()), 0);
            since
        };
        tracing::warn!(%address, because = %why, since, "federation: a connection was refused");
        let facts = [
            ("address", address.to_string()),
            ("because", why),
            ("count", since.to_string()),
        ];
        let recorded = hub
            .store
            .write(move |write| {
                // Nobody knows who it was: only where it came from.
                write.note_peer(PeerEvent::Refused, &address.to_string(), facts)
            })
            .await;
        if let Err(error) = recorded {
            tracing::warn!(%error, "federation: the transcript was not written");
        }
    }
}

/// What a request ends in when it is not answered.
enum Refusal {
    Status(StatusCode, String),
    Store(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<super::protocol::BadMessage> for Refusal {
    fn from(bad: super::protocol::BadMessage) -> Self {
        Self::Status(StatusCode::BAD_REQUEST, bad.to_string())
    }
}

async fn answer(
    hub: &Hub,
    fingerprint: Fingerprint,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let (status, body) = match dispatch(hub, fingerprint, request).await {
        Ok(body) => (StatusCode::OK, body),
        Err(Refusal::Status(status, why)) => (status, Bytes::from(why)),
        Err(Refusal::Store(error)) => {
            tracing::warn!(%error, "federation: a request failed");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                Bytes::from(error.to_string()),
            )
        }
    };
    let sent = u64::try_from(body.len()).unwrap_or(u64::MAX);
    let now = hub.store.clock().now();
    hub.board.note(fingerprint, |noted| {
        noted.bytes_out += sent;
        if status == StatusCode::OK {
            noted.contact = Some(now);
        }
    });
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let kind = if status == StatusCode::OK {
        "application/json"
    } else {
        "text/plain; charset=utf-8"
    };
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

async fn dispatch(
    hub: &Hub,
    fingerprint: Fingerprint,
    request: Request<Incoming>,
) -> Result<Bytes, Refusal> {
    let forbidden = |why: &str| Refusal::Status(StatusCode::FORBIDDEN, why.to_owned());
    let (peer, _) = hub
        .trust
        .admit(&fingerprint)
        .ok_or_else(|| forbidden("not on the allowlist"))?;
    let may_read = || match peer.scopes.read {
        true => Ok(()),
        false => Err(forbidden("the allowlist does not let this peer read")),
    };
    let path = request.uri().path().to_owned();
    match (request.method(), path.as_str()) {
        (&Method::GET, "/fed/v1/changes") => {
            may_read()?;
            changes(hub, &peer, request.uri().query().unwrap_or_default()).await
        }
        (&Method::POST, "/fed/v1/poke") => {
            hub.poke_of(fingerprint).notify_one();
            Ok(Bytes::from_static(b"{}"))
        }
        (&Method::POST, "/fed/v1/ranges") => {
            may_read()?;
            let body = body_of(hub, fingerprint, request, MESSAGE_BYTES).await?;
            let questions = RangeQuestions::read(&body)?;
            let answers = hub
                .with_set(|set| reconcile::answer(set, &questions))
                .await?;
            json(&answers)
        }
        (&Method::POST, "/fed/v1/versions") => {
            may_read()?;
            let body = body_of(hub, fingerprint, request, MESSAGE_BYTES).await?;
            versions(hub, &Ids::read(&body)?).await
        }
        (&Method::POST, "/fed/v1/push") => {
            if !peer.scopes.write {
                return Err(forbidden("the allowlist does not let this peer write"));
            }
            let body = body_of(hub, fingerprint, request, BATCH_BYTES).await?;
            let batch = Batch::read(&body)?;
            let done = hub
                .take_in(fingerprint, Way::Pushed, batch.versions, None)
                .await?;
            json(&done)
        }
        _ => Err(Refusal::Status(
            StatusCode::NOT_FOUND,
            "there is nothing at this path".to_owned(),
        )),
    }
}

/// `epoch=…&after=…&limit=…`, each once; what is absent is the beginning.
fn query_of(query: &str) -> Result<(String, u64, usize), Refusal> {
    let bad = || {
        let why = "the query is not `epoch=…&after=…&limit=…`".to_owned();
        Refusal::Status(StatusCode::BAD_REQUEST, why)
    };
    let (mut epoch, mut after, mut limit) = (String::new(), 0, PAGE_VERSIONS);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=').ok_or_else(bad)? {
            ("epoch", value) if value.len() <= 32 => epoch = value.to_owned(),
            ("after", value) => after = value.parse().map_err(|_| bad())?,
            ("limit", value) => limit = value.parse().map_err(|_| bad())?,
            _ => return Err(bad()),
        }
    }
    Ok((epoch, after, limit.clamp(1, PAGE_VERSIONS)))
}

async fn changes(hub: &Hub, peer: &Peer, query: &str) -> Result<Bytes, Refusal> {
    let (epoch, after, limit) = query_of(query)?;
    let own_epoch = hub.store.epoch().to_owned();
    // Places in a log of another name mean nothing here.
    let after = if epoch == own_epoch { after } else { 0 };
    // Who begins anew may have lost what it brought itself.
    let begins = after == 0;
    let total = hub.with_set(VersionSet::total).await?;
    let found = hub
        .store
        .read(move |read| read.changes(after, limit, PAGE_BYTES))
        .await?;
    let next = found
        .last()
        .and_then(|(seq, _)| u64::try_from(*seq).ok())
        .unwrap_or(after);
    let versions = found
        .into_iter()
        // What the peer brought itself is not carried back to it.
        .filter(|(seq, _)| {
            let from = |seq| hub.is_from(peer.fingerprint, seq);
            begins || u64::try_from(*seq).is_ok_and(|seq| !from(seq))
        })
        .map(|(_, wire)| wire)
        .collect();
    json(&Changes {
        epoch: own_epoch,
        next,
        more: next < total.count,
        count: total.count,
        digest: total.digest(),
        dials_back: peer.address.is_some(),
        versions,
    })
}

async fn versions(hub: &Hub, ids: &Ids) -> Result<Bytes, Refusal> {
    let places: Vec<i64> = hub
        .with_set(|set| {
            let known = ids.ids.iter().filter_map(|text| {
                let mut id = [0_u8; 32];
                hex::decode_to_slice(text, &mut id).ok()?;
                set.find(&id)
            });
            known.collect()
        })
        .await?;
    let versions = hub
        .store
        .read(move |read| read.versions_at(&places, PAGE_BYTES))
        .await?;
    json(&Batch { versions })
}

async fn body_of(
    hub: &Hub,
    peer: Fingerprint,
    request: Request<Incoming>,
    limit: usize,
) -> Result<Bytes, Refusal> {
    let refused = |status, why: String| Refusal::Status(status, why);
    let collected = Limited::new(request.into_body(), limit).collect();
    let body = tokio::time::timeout(BODY, collected)
        .await
        .map_err(|_| {
            refused(
                StatusCode::REQUEST_TIMEOUT,
                "the body is too slow".to_owned(),
            )
        })?
        .map_err(|error| refused(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()))?
        .to_bytes();
    let came = u64::try_from(body.len()).unwrap_or(u64::MAX);
    hub.board.note(peer, |noted| noted.bytes_in += came);
    Ok(body)
}

fn json(message: &impl Serialize) -> Result<Bytes, Refusal> {
    serde_json::to_vec(message)
        .map(Bytes::from)
        .map_err(|e| Refusal::Status(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))
}
