//! Dialling exactly one peer, and asking it.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde::Serialize;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::allowlist::Peer;
use super::hub::Hub;
use super::identity::Fingerprint;
use super::protocol::{BATCH_BYTES, BadMessage, Message};
use super::tls;
use crate::store::StoreError;

/// For connecting, and for the handshake.
const CONNECT: Duration = Duration::from_secs(5);
/// For an answer.
const ANSWER: Duration = Duration::from_secs(60);

/// Why a peer could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// Nobody answers there.
    #[error("cannot connect to `{address}`: {why}")]
    Unreachable {
        /// Where.
        address: String,
        /// What the system says.
        why: String,
    },
    /// Whoever answers is not the peer, or does not let this node in.
    #[error("the handshake failed: {0}")]
    Handshake(String),
    /// TLS cannot be set up at all.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// It takes too long.
    #[error("no answer within {} s", ANSWER.as_secs())]
    TimedOut,
    /// The peer refuses.
    #[error("the peer answers {status}: {why}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The peer's words.
        why: String,
    },
    /// The peer's answer is none.
    #[error(transparent)]
    BadMessage(#[from] BadMessage),
    /// The own database fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An open connection to one peer.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: tokio::task::JoinHandle<()>,
    ended: CancellationToken,
    peer: Fingerprint,
    host: String,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    /// Dials a peer; only the holder of the pinned certificate's key can answer.
    ///
    /// # Errors
    /// When nobody answers, or somebody else does.
    pub async fn dial(hub: &Hub, peer: &Peer, address: &str) -> Result<Self, DialError> {
        let config = tls::client_config(&hub.own, peer.fingerprint)?;
        let unreachable = |why: String| DialError::Unreachable {
            address: address.to_owned(),
            why,
        };
        let connecting = tokio::time::timeout(CONNECT, TcpStream::connect(address));
        let stream = connecting
            .await
            .map_err(|_| unreachable("it takes too long".to_owned()))?
            .map_err(|error| unreachable(error.to_string()))?;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY was refused");
        }
        let name = ServerName::try_from("memory-node.invalid")
            .map_err(|error| DialError::Handshake(error.to_string()))?;
        let connector = TlsConnector::from(Arc::new(config));
        let shaking = tokio::time::timeout(CONNECT, connector.connect(name, stream));
        let stream = shaking
            .await
            .map_err(|_| DialError::Handshake("it takes too long".to_owned()))?
            .map_err(|error| DialError::Handshake(error.to_string()))?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| DialError::Broken(error.to_string()))?;
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        let driver = tokio::spawn(async move {
            let _guard = guard;
            if let Err(error) = connection.await {
                tracing::debug!(%error, "federation: a dialled connection broke");
            }
        });
        Ok(Self {
            sender,
            driver,
            ended,
            peer: peer.fingerprint,
            host: address.to_owned(),
        })
    }

    /// Whether the peer has ended it.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Is cancelled when it has ended, whoever ended it.
    pub(super) fn ended(&self) -> CancellationToken {
        self.ended.clone()
    }

    /// Asks with `GET`.
    ///
    /// # Errors
    /// When there is no answer, or not one that belongs here.
    pub async fn get<A: Message>(&mut self, hub: &Hub, path: &str) -> Result<A, DialError> {
        let bytes = self.exchange(hub, Method::GET, path, Bytes::new()).await?;
        Ok(A::read(&bytes)?)
    }

    /// Asks with `POST`.
    ///
    /// # Errors
    /// When there is no answer, or not one that belongs here.
    pub async fn post<A: Message>(
        &mut self,
        hub: &Hub,
        path: &str,
        question: &impl Serialize,
    ) -> Result<A, DialError> {
        let body = serde_json::to_vec(question)
            .map_err(|error| BadMessage::Malformed(error.to_string()))?;
        let bytes = self.exchange(hub, Method::POST, path, body.into()).await?;
        Ok(A::read(&bytes)?)
    }

    /// Tells the peer that there is something new.
    ///
    /// # Errors
    /// When the peer cannot be told.
    pub async fn poke(&mut self, hub: &Hub) -> Result<(), DialError> {
        self.exchange(hub, Method::POST, "/fed/v1/poke", Bytes::new())
            .await
            .map(drop)
    }

    async fn exchange(
        &mut self,
        hub: &Hub,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Bytes, DialError> {
        let broken = |error: &dyn std::fmt::Display| DialError::Broken(error.to_string());
        let sent = u64::try_from(body.len()).unwrap_or(u64::MAX);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.host)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| broken(&error))?;
        let asked = async {
            self.sender.ready().await.map_err(|error| broken(&error))?;
            let response = self
                .sender
                .send_request(request)
                .await
                .map_err(|error| broken(&error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), BATCH_BYTES)
                .collect()
                .await
                .map_err(|error| broken(&error))?
                .to_bytes();
            if status == StatusCode::OK {
                return Ok(body);
            }
            let why = String::from_utf8_lossy(&body).chars().take(200).collect();
            Err(DialError::Refused {
                status: status.as_u16(),
                why,
            })
        };
        let answered = tokio::time::timeout(ANSWER, asked)
            .await
            .unwrap_or(Err(DialError::TimedOut));
        let came = answered.as_ref().map_or(0, Bytes::len);
        hub.board.note(self.peer, |noted| {
            noted.bytes_out += sent;
            noted.bytes_in += u64::try_from(came).unwrap_or(u64::MAX);
        });
        answered
    }
}
