//! How the command line and the MCP bridge reach the node: over its socket where one runs, else by
//! opening the database and asking the very same router inside this process.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpStream, UnixStream};
use tower::ServiceExt as _;

use crate::api::access::InProcess;
use crate::config::Address;

/// A way to the node.
#[derive(Clone)]
pub enum Node {
    /// One that runs.
    Running {
        /// Where it listens.
        address: Address,
        /// The token, sent with every request.
        token: secrecy::SecretString,
    },
    /// One inside this process.
    Here(Router),
}

/// What the node answered.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; `Null`: there was none.
    pub body: Value,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error("no node answers at `{address}`: {source}")]
    Unreachable {
        /// Where.
        address: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// It took too long.
    #[error("the node did not answer within {0} s")]
    TimedOut(u64),
    /// What came is no HTTP.
    #[error("the node's answer cannot be read: {0}")]
    Broken(String),
}

/// How long an answer may take, export and import included.
const TIMEOUT_S: u64 = 300;
/// How long connecting may take.
const CONNECT_TIMEOUT_S: u64 = 5;

impl Node {
    /// Asks the node; `path` begins with a slash and holds the query.
    ///
    /// # Errors
    /// When it cannot be reached, or its answer cannot be read.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&'static str, String)],
    ) -> Result<Answer, ClientError> {
        let (status, bytes) = self.ask_raw(method, path, body, headers).await?;
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()))
        };
        Ok(Answer { status, body })
    }

    /// Asks the node and gives the body as it came.
    ///
    /// # Errors
    /// When it cannot be reached, or its answer breaks off.
    pub async fn ask_raw(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&'static str, String)],
    ) -> Result<(u16, Bytes), ClientError> {
        let broken = |error: &dyn std::fmt::Display| ClientError::Broken(error.to_string());
        let mut request = Request::builder().method(method).uri(path);
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let bytes = body
            .map(|body| Bytes::from(body.to_string()))
            .unwrap_or_default();
        let request = request
            .body(Full::new(bytes))
            .map_err(|error| broken(&error))?;
        let answer = async {
            match self {
                Self::Here(router) => in_process(router, request).await,
                Self::Running { address, token } => over_socket(address, token, request).await,
            }
        };
        tokio::time::timeout(Duration::from_secs(TIMEOUT_S), answer)
            .await
            .map_err(|_| ClientError::TimedOut(TIMEOUT_S))?
    }
}

async fn in_process(
    router: &Router,
    request: Request<Full<Bytes>>,
) -> Result<(u16, Bytes), ClientError> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(InProcess);
    let response = match router.clone().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let status = response.status().as_u16();
    let bytes = response
        .into_body()
        .collect()
        .await
        .map_err(|error| ClientError::Broken(error.to_string()))?
        .to_bytes();
    Ok((status, bytes))
}

async fn over_socket(
    address: &Address,
    token: &secrecy::SecretString,
    mut request: Request<Full<Bytes>>,
) -> Result<(u16, Bytes), ClientError> {
    use secrecy::ExposeSecret as _;
    let broken = |error: &dyn std::fmt::Display| ClientError::Broken(error.to_string());
    let host = match address {
        Address::Tcp(address) => address.to_string(),
        Address::Unix(_) => "localhost".to_owned(),
    };
    let headers = request.headers_mut();
    headers.insert(header::HOST, host.parse().map_err(|error| broken(&error))?);
    let bearer = format!("Bearer {}", token.expose_secret());
    let mut bearer: hyper::header::HeaderValue = bearer.parse().map_err(|error| broken(&error))?;
    bearer.set_sensitive(true);
    headers.insert(header::AUTHORIZATION, bearer);
    match address {
        Address::Tcp(at) => {
            let stream = connected(address, TcpStream::connect(at)).await?;
            exchange(TokioIo::new(stream), request).await
        }
        Address::Unix(path) => {
            let stream = connected(address, UnixStream::connect(path)).await?;
            exchange(TokioIo::new(stream), request).await
        }
    }
}

/// Whether somebody listens there.
pub async fn answers(address: &Address) -> bool {
    match address {
        Address::Tcp(at) => connected(address, TcpStream::connect(at)).await.is_ok(),
        Address::Unix(path) => connected(address, UnixStream::connect(path)).await.is_ok(),
    }
}

async fn connected<T>(
    address: &Address,
    connecting: impl Future<Output = std::io::Result<T>>,
) -> Result<T, ClientError> {
    let limit = Duration::from_secs(CONNECT_TIMEOUT_S);
    let outcome = tokio::time::timeout(limit, connecting).await;
    outcome
        .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
        .map_err(|source| ClientError::Unreachable {
            address: address.to_string(),
            source,
        })
}

async fn exchange<T>(
    io: TokioIo<T>,
    request: Request<Full<Bytes>>,
) -> Result<(u16, Bytes), ClientError>
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| ClientError::Broken(error.to_string());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io)
        .await
        .map_err(broken)?;
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status().as_u16();
    let bytes = response
        .into_body()
        .collect()
        .await
        .map_err(broken)?
        .to_bytes();
    driver.abort();
    Ok((status, bytes))
}

/// Percent-encodes everything but the unreserved characters of RFC 3986.
#[must_use]
pub fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
