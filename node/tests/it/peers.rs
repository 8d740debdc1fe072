//! Nodes that federate: their certificates and lists, and peers that the tests play themselves.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Scratch, Served};
use node::federation::identity::NodeCertificate;
use node::federation::tls;

/// Waits until `found` says something; fails with `what` after 30 s.
pub(crate) fn eventually<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not within 30 s");
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl Scratch {
    pub(crate) fn id(&self) -> Value {
        self.run(&["id", "--json"]).ok().json()
    }

    pub(crate) fn fingerprint(&self) -> String {
        self.id()["fingerprint"].as_str().unwrap().to_owned()
    }

    pub(crate) fn author(&self) -> String {
        self.id()["author"].as_str().unwrap().to_owned()
    }

    pub(crate) fn peers_file(&self) -> PathBuf {
        self.data().join("peers")
    }

    pub(crate) fn write_peers(&self, text: &str) {
        std::fs::write(self.peers_file(), text).unwrap();
    }

    pub(crate) fn write_authors(&self, text: &str) {
        std::fs::write(self.data().join("authors"), text).unwrap();
    }

    /// A node that federates with nobody yet.
    pub(crate) fn federated() -> Self {
        let this = Self::new();
        this.write_peers("");
        this.write_authors("");
        this
    }

    pub(crate) fn serve_federated(&self) -> Served {
        self.serve_with(&["--federation-listen", "127.0.0.1:0"])
    }
}

impl Served {
    /// Where peers come in.
    pub(crate) fn federation(&self) -> String {
        let log = self.log.lock().unwrap();
        let (_, rest) = log.split_once("federation: listening on ").unwrap();
        rest.split(',').next().unwrap().to_owned()
    }

    pub(crate) fn peer(&self, name: &str) -> Value {
        let peers = self.http("GET", "/api/v1/peers", None).expect(200).json();
        let rows = peers["peers"].as_array().unwrap().clone();
        let found = rows.into_iter().find(|row| row["name"] == name);
        found.unwrap_or_else(|| panic!("{name} is not among {peers}"))
    }

    pub(crate) fn held(&self) -> Vec<Value> {
        let held = self
            .http("GET", "/api/v1/quarantine", None)
            .expect(200)
            .json();
        held["quarantine"].as_array().unwrap().clone()
    }

    pub(crate) fn titles(&self) -> Vec<String> {
        let list = self
            .http("GET", "/api/v1/memories?limit=1000", None)
            .expect(200)
            .json();
        let rows = list["memories"].as_array().unwrap();
        let mut titles: Vec<String> = rows
            .iter()
            .map(|row| row["title"].as_str().unwrap().to_owned())
            .collect();
        titles.sort();
        titles
    }

    pub(crate) fn create(&self, title: &str) -> String {
        let body = serde_json::json!({"title": title, "content": "c", "tier": "long"});
        let made = self
            .http("POST", "/api/v1/memories", Some(&body))
            .expect(201)
            .json();
        made["id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn digest(&self) -> String {
        let peers = self.http("GET", "/api/v1/peers", None).expect(200).json();
        peers["digest"].as_str().unwrap().to_owned()
    }
}

/// A peer that a test plays: a certificate with its key.
pub(crate) struct Played {
    pub(crate) own: NodeCertificate,
    pub(crate) dir: tempfile::TempDir,
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

impl Played {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let own = NodeCertificate::load_or_make(&dir.path().join("crt"), &dir.path().join("key"))
            .unwrap();
        Self { own, dir }
    }

    pub(crate) fn fingerprint(&self) -> String {
        self.own.fingerprint().to_string()
    }

    /// One request to a node whose certificate is pinned; the answer's head and body.
    pub(crate) async fn ask(
        &self,
        node: &str,
        address: &str,
        request: &str,
        body: &[u8],
    ) -> std::io::Result<String> {
        let config = tls::client_config(&self.own, node.parse().unwrap()).unwrap();
        exchange(config, address, request, body).await
    }
}

/// A configuration whose certificate is one party's and whose key is another's.
pub(crate) fn mismatched(
    certificate: &CertificateDer<'static>,
    key: &PrivateKeyDer<'static>,
) -> Arc<SingleCertAndKey> {
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(key).unwrap();
    let certified = CertifiedKey::new(vec![certificate.clone()], key);
    Arc::new(SingleCertAndKey::from(certified))
}

pub(crate) async fn exchange(
    config: rustls::ClientConfig,
    address: &str,
    request: &str,
    body: &[u8],
) -> std::io::Result<String> {
    let stream = tokio::net::TcpStream::connect(address).await?;
    let name = ServerName::try_from("memory-node.invalid").unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(name, stream).await?;
    let head = format!(
        "{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer).await {
        // rustls wants a farewell; an answer that is whole needs none.
        Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => return Err(error),
        _ => {}
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
