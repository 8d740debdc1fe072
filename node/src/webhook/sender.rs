//! One attempt: judged, connected to what was judged, signed, sent; only the status counts.
//!
//! No redirect is followed and no proxy is asked, whatever the environment says.

use std::sync::Arc;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Method, Request, header};
use rustls::pki_types::ServerName;
use secrecy::ExposeSecret as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::connection::{Connection, Kept};
use super::resolve::{Resolve, SystemResolver};
use super::sign;
use super::target::{Target, TargetPolicy};
use crate::clock::Timestamp;
use crate::store::{Delivery, Subscription};

/// Why there is no sender.
#[derive(Debug, thiserror::Error)]
pub enum SenderError {
    /// A certificate authority cannot be read.
    #[error("a certificate authority cannot be loaded: {0}")]
    NoRoots(String),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// Sends deliveries, to where the policy allows.
#[derive(Clone)]
pub struct Sender {
    policy: Arc<TargetPolicy>,
    resolver: Arc<dyn Resolve>,
    tls: TlsConnector,
}

impl Sender {
    /// A sender that believes the system's certificate authorities, and those in `extra` (PEM).
    ///
    /// # Errors
    /// When `extra` cannot be read.
    pub fn new(policy: Arc<TargetPolicy>, extra: Option<&[u8]>) -> Result<Self, SenderError> {
        use rustls::pki_types::pem::PemObject as _;
        let mut roots = rustls::RootCertStore::empty();
        let native = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(native.certs);
        for certificate in
            rustls::pki_types::CertificateDer::pem_slice_iter(extra.unwrap_or_default())
        {
            let certificate =
                certificate.map_err(|error| SenderError::NoRoots(error.to_string()))?;
            roots.add(certificate)?;
        }
        if roots.is_empty() {
            tracing::warn!(
                "webhooks: this system has no certificate authority, so no receiver can be believed; name some with `--webhook-ca-file`"
            );
        }
        // Named, so that no other provider can slip in through a feature of some dependency.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            policy,
            resolver: Arc::new(SystemResolver::default()),
            tls: TlsConnector::from(Arc::new(config)),
        })
    }

    /// The same sender, asking another resolver. What it answers is judged all the same.
    #[must_use]
    pub fn with_resolver(self, resolver: Arc<dyn Resolve>) -> Self {
        Self { resolver, ..self }
    }

    /// One attempt, signed with a fresh timestamp. The status, or why there is none.
    pub(super) async fn send(
        &self,
        kept: &Kept,
        subscription: &Subscription,
        delivery: &Delivery,
        timestamp: Timestamp,
    ) -> Result<u16, String> {
        let target =
            Target::parse(&subscription.url, &self.policy).map_err(|error| error.to_string())?;
        if let Some(connection) = kept.take() {
            let request = signed_request(&target, subscription, delivery, timestamp)?;
            // The receiver may have hung up meanwhile: then a new connection tells.
            if let Ok((status, again)) = connection.exchange(request).await {
                again
                    .into_iter()
                    .for_each(|connection| kept.put(connection));
                return Ok(status);
            }
        }
        let connection = self.connect(kept, &target).await?;
        let request = signed_request(&target, subscription, delivery, timestamp)?;
        let (status, again) = connection.exchange(request).await?;
        again
            .into_iter()
            .for_each(|connection| kept.put(connection));
        Ok(status)
    }

    async fn connect(&self, kept: &Kept, target: &Target) -> Result<Connection, String> {
        let addresses = {
            let _asking = kept.asking.lock().await;
            target
                .resolve(self.resolver.as_ref(), &self.policy)
                .await
                .map_err(|error| error.to_string())?
        };
        // To the very addresses that were judged: the name is not asked for a second time.
        let stream = TcpStream::connect(addresses.as_slice())
            .await
            .map_err(|error| format!("cannot connect: {error}"))?;
        stream
            .set_nodelay(true)
            .map_err(|error| format!("cannot connect: {error}"))?;
        if !target.is_tls() {
            return Connection::begin(stream).await;
        }
        let name = ServerName::try_from(target.host()).map_err(|error| error.to_string())?;
        let stream = self
            .tls
            .connect(name, stream)
            .await
            .map_err(|error| format!("TLS failed: {error}"))?;
        Connection::begin(stream).await
    }
}

fn signed_request(
    target: &Target,
    subscription: &Subscription,
    delivery: &Delivery,
    now: Timestamp,
) -> Result<Request<Full<Bytes>>, String> {
    let (body, timestamp) = (delivery.body.as_bytes(), now.as_secs());
    let standard: Vec<String> = [Some(subscription.secret()), subscription.old_secret(now)]
        .into_iter()
        .flatten()
        .map(|secret| {
            sign::standard_signature(secret.expose_secret(), &delivery.event_id, timestamp, body)
        })
        .collect();
    let own = sign::memory_signature(
        subscription.secret().expose_secret(),
        subscription.profile,
        timestamp,
        body,
    );
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
        .header("x-ai-memory-signature", own)
        .header("webhook-id", &delivery.event_id)
        .header("webhook-timestamp", timestamp)
        .header("webhook-signature", standard.join(" "))
        .body(Full::new(Bytes::copy_from_slice(body)))
        .map_err(|error| error.to_string())
}
