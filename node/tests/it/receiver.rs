//! Receivers of webhooks on loopback, plain or with TLS: they note what comes and answer as told.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use openssl::ssl::SslAcceptor;
use serde_json::{Value, json};

use crate::support::{Scratch, Served};

/// What a receiver got.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Got {
    pub(crate) fn timestamp(&self) -> i64 {
        self.headers["x-ai-memory-timestamp"].parse().unwrap()
    }

    pub(crate) fn event(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }
}

/// What it answers to the n-th request.
type Answering = dyn Fn(usize, &Got) -> Vec<u8> + Send + Sync;

#[derive(Default)]
struct Noted {
    got: Mutex<Vec<Got>>,
    came: Condvar,
    connections: AtomicUsize,
}

/// A receiver on loopback.
pub(crate) struct Receiver {
    pub(crate) url: String,
    pub(crate) port: u16,
    noted: Arc<Noted>,
}

impl Receiver {
    /// Takes everything.
    pub(crate) fn accepting() -> Self {
        Self::start(|_| answer(204))
    }

    /// Answers the n-th request as told.
    pub(crate) fn start(answer: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::at("127.0.0.1:0", move |n, _| answer(n))
    }

    /// Listens at this very address.
    pub(crate) fn at(
        address: &str,
        answer: impl Fn(usize, &Got) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        Self::over(TcpListener::bind(address).unwrap(), None, Arc::new(answer))
    }

    /// Speaks TLS as `acceptor` says, and takes everything.
    pub(crate) fn with_tls(address: &str, acceptor: SslAcceptor) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let answering = |_: usize, _: &Got| answer(204);
        Self::over(listener, Some(acceptor), Arc::new(answering))
    }

    fn over(listener: TcpListener, tls: Option<SslAcceptor>, answering: Arc<Answering>) -> Self {
        let address = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let noted = Arc::new(Noted::default());
        let sink = Arc::clone(&noted);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                sink.connections.fetch_add(1, Ordering::SeqCst);
                let (sink, answering, tls) = (sink.clone(), answering.clone(), tls.clone());
                std::thread::spawn(move || match tls {
                    None => serve(stream, &sink, &*answering),
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream) {
                            serve(stream, &sink, &*answering);
                        }
                    }
                });
            }
        });
        Self {
            url: format!("{scheme}://{address}/hook"),
            port: address.port(),
            noted,
        }
    }

    /// Everything so far.
    pub(crate) fn got(&self) -> Vec<Got> {
        self.noted.got.lock().unwrap().clone()
    }

    /// Connections that were ever opened to it.
    pub(crate) fn connections(&self) -> usize {
        self.noted.connections.load(Ordering::SeqCst)
    }

    /// Waits until so many requests have come.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Got> {
        self.wait_until(&format!("{count} deliveries"), |got| got.len() >= count)
    }

    /// Waits until what has come is enough.
    pub(crate) fn wait_until(&self, what: &str, enough: impl Fn(&[Got]) -> bool) -> Vec<Got> {
        let (started, limit) = (Instant::now(), Duration::from_secs(60));
        let mut got = self.noted.got.lock().unwrap();
        while !enough(&got) {
            let left = limit.saturating_sub(started.elapsed());
            assert!(!left.is_zero(), "not {what}: {} came", got.len());
            got = self.noted.came.wait_timeout(got, left).unwrap().0;
        }
        got.clone()
    }
}

/// One request after the other, as long as the other side keeps the connection.
fn serve(stream: impl Read + Write, noted: &Noted, answering: &Answering) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut headers = BTreeMap::new();
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|count| count > 2) {
            if let Some((name, value)) = line.trim_end().split_once(": ") {
                headers.insert(name.to_ascii_lowercase(), value.to_owned());
            }
            line.clear();
        }
        let Some(length) = headers.get("content-length") else {
            return;
        };
        let mut body = vec![0; length.parse().unwrap()];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let body = String::from_utf8(body).unwrap();
        let got = Got { headers, body };
        let number = {
            let mut all = noted.got.lock().unwrap();
            all.push(got.clone());
            all.len() - 1
        };
        noted.came.notify_all();
        let answer = answering(number, &got);
        let head = &answer[..answer.len().min(200)];
        let again = head.windows(10).any(|ten| ten == b"keep-alive");
        if reader.get_mut().write_all(&answer).is_err() || !again {
            return;
        }
    }
}

/// An answer of this status without a body; the connection is kept.
pub(crate) fn answer(status: u16) -> Vec<u8> {
    format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n")
        .into_bytes()
}

/// A node whose webhooks may go to this machine.
pub(crate) fn serve_to_loopback(node: &Scratch) -> Served {
    node.serve_with(&["--webhook-allow-network", "127.0.0.0/8"])
}

pub(crate) fn subscribe(served: &Served, body: Value) -> Value {
    served
        .http("POST", "/api/v1/subscriptions", Some(&body))
        .expect(201)
        .json()
}

/// Stores a memory and gives its id.
pub(crate) fn store(served: &Served, title: &str) -> String {
    let body = json!({"title": title, "content": "c"});
    let made = served
        .http("POST", "/api/v1/memories", Some(&body))
        .expect(201)
        .json();
    made["id"].as_str().unwrap().to_owned()
}

/// The last deliveries to a subscription, once they are as wanted.
pub(crate) fn deliveries_once(
    served: &Served,
    subscription: &str,
    wanted: impl Fn(&[Value]) -> bool,
) -> Vec<Value> {
    let path = format!("/api/v1/subscriptions/{subscription}/deliveries?limit=1000");
    let started = Instant::now();
    loop {
        let answer = served.http("GET", &path, None).expect(200).json();
        let rows = answer["deliveries"].as_array().unwrap().clone();
        if wanted(&rows) {
            return rows;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{answer}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
