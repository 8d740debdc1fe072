//! Webhooks: signed the way they are documented, delivered once trusted, and nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use node::webhook::sign::{self, Profile};
use serde_json::{Value, json};

use crate::pytools;
use crate::support::{Scratch, Served};

/// What a receiver got.
#[derive(Clone, Debug)]
struct Got {
    headers: BTreeMap<String, String>,
    body: String,
}

impl Got {
    fn timestamp(&self) -> i64 {
        self.headers["x-ai-memory-timestamp"].parse().unwrap()
    }

    fn event(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A receiver on loopback; `answer` says what it answers to the n-th request.
struct Receiver {
    url: String,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Receiver {
    fn start(answer: impl Fn(usize) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let got = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&got);
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (sink, answer) = (Arc::clone(&sink), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(stream);
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
                    let number = {
                        let mut sink = sink.lock().unwrap();
                        sink.push(Got {
                            headers,
                            body: String::from_utf8(body).unwrap(),
                        });
                        sink.len() - 1
                    };
                    drop(reader.into_inner().write_all(answer(number).as_bytes()));
                });
            }
        });
        Self { url, got }
    }

    fn accepting() -> Self {
        Self::start(|_| answer(204))
    }

    fn wait_for(&self, count: usize) -> Vec<Got> {
        let started = Instant::now();
        loop {
            let got = self.got.lock().unwrap().clone();
            if got.len() >= count {
                return got;
            }
            assert!(
                started.elapsed() < Duration::from_secs(40),
                "{} of {count}",
                got.len()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn answer(status: u16) -> String {
    format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

fn serve(node: &Scratch) -> Served {
    node.serve_with(&["--webhook-allow-network", "127.0.0.0/8"])
}

fn subscribe(served: &Served, body: Value) -> Value {
    served
        .http("POST", "/api/v1/subscriptions", Some(&body))
        .expect(201)
        .json()
}

fn store(served: &Served, title: &str) -> String {
    let body = json!({"title": title, "content": "c"});
    let made = served
        .http("POST", "/api/v1/memories", Some(&body))
        .expect(201)
        .json();
    made["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_delivery_carries_both_signatures_over_the_exact_bytes() {
    let node = Scratch::new();
    let served = serve(&node);
    let receiver = Receiver::accepting();
    let made = subscribe(&served, json!({"url": receiver.url}));
    let secret = made["secret"].as_str().unwrap();
    let id = store(&served, "announced");
    let got = receiver.wait_for(1).remove(0);
    let event = got.event();
    assert_eq!(
        (&event["event"], &event["data"]["id"]),
        (&json!("memory.created"), &json!(id))
    );
    assert!(
        !got.body.contains("\"content\""),
        "texts are not announced: {}",
        got.body
    );
    let at = got.timestamp();
    let signature = &got.headers["x-ai-memory-signature"];
    sign::verify(
        secret,
        Profile::Standard,
        signature,
        at,
        got.body.as_bytes(),
        at,
        0,
    )
    .unwrap();
    assert_eq!(got.headers["webhook-timestamp"], at.to_string());
    let standard =
        sign::standard_signature(secret, &got.headers["webhook-id"], at, got.body.as_bytes());
    assert_eq!(got.headers["webhook-signature"], standard);
}

#[test]
fn the_same_delivery_verifies_in_python_and_node_js() {
    let Some(bin) = pytools::bin() else { return };
    let node = Scratch::new();
    let served = serve(&node);
    let receiver = Receiver::accepting();
    let legacy = Receiver::accepting();
    let made = subscribe(&served, json!({"url": receiver.url}));
    let old = subscribe(
        &served,
        json!({"url": legacy.url, "profile": "legacy-sha256", "secret": "a-secret-of-the-receiver"}),
    );
    assert_eq!(old["profile"], "legacy-sha256");
    store(&served, "announced");
    let got = receiver.wait_for(1).remove(0);
    let other = legacy.wait_for(1).remove(0);
    let headers = serde_json::to_string(&got.headers).unwrap();
    let other_headers = serde_json::to_string(&other.headers).unwrap();
    let variables = [
        ("SECRET", made["secret"].as_str().unwrap()),
        ("HEADERS", headers.as_str()),
        ("BODY", got.body.as_str()),
        ("OLD_SECRET", "a-secret-of-the-receiver"),
        ("OLD_HEADERS", other_headers.as_str()),
        ("OLD_BODY", other.body.as_str()),
    ];
    pytools::script(bin, include_str!("python/webhooks.py"), &variables);
    let script = include_str!("python/webhooks.mjs");
    match Command::new("node")
        .args(["--input-type=module", "-e", script])
        .envs(variables)
        .output()
    {
        Ok(output) => assert!(output.status.success(), "{output:?}"),
        Err(error) => println!("skipped in part: no Node.js: {error}"),
    }
}

#[test]
fn the_command_line_checks_a_delivery() {
    use std::process::Stdio;
    let node = Scratch::empty();
    let secret = node.dir.path().join("secret");
    crate::support::write_private(&secret, "whsec-test-secret-0123456789abcdef");
    let check = |body: &str, window: &str| {
        let signature = "sha256=5247fff4e8aec8930354fdcd9496b508141525acab14ddb620f29a1e86a6bb3e";
        let mut child = node
            .bare()
            .args([
                "webhook",
                "verify",
                "--timestamp",
                "1700000000",
                "--signature",
                signature,
            ])
            .args([
                "--window-s",
                window,
                "--secret-file",
                secret.to_str().unwrap(),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(body.as_bytes())
            .unwrap();
        child.wait().unwrap().code().unwrap()
    };
    let body = r#"{"event":"memory.created","id":"mem_01"}"#;
    assert_eq!(check(body, "9999999999"), 0);
    assert_eq!(check(body, "300"), 1, "an old timestamp");
    assert_eq!(
        check(&body.replace("01", "02"), "9999999999"),
        1,
        "a changed byte"
    );
}

#[test]
fn a_failed_delivery_is_made_again_under_the_same_id_with_a_fresh_timestamp() {
    let node = Scratch::new();
    let served = serve(&node);
    let receiver = Receiver::start(|n| answer(if n == 0 { 500 } else { 200 }));
    let made = subscribe(&served, json!({"url": receiver.url}));
    store(&served, "announced");
    let got = receiver.wait_for(2);
    assert_eq!(got[0].headers["webhook-id"], got[1].headers["webhook-id"]);
    assert_eq!(got[0].body, got[1].body);
    assert!(
        got[1].timestamp() >= got[0].timestamp() + 5,
        "it was made again too early"
    );
    let path = format!(
        "/api/v1/subscriptions/{}/deliveries",
        made["id"].as_str().unwrap()
    );
    let started = Instant::now();
    loop {
        let row = served.http("GET", &path, None).expect(200).json()["deliveries"][0].clone();
        if row["state"] == "delivered" {
            assert_eq!(row["attempts"], 2);
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "{row}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_slow_a_flooding_and_a_redirecting_receiver_keep_nobody_waiting() {
    let node = Scratch::new();
    let served = serve(&node);
    let trap = Receiver::accepting();
    let slow = Receiver::start(|_| {
        std::thread::sleep(Duration::from_secs(30));
        answer(200)
    });
    let flood = Receiver::start(|_| {
        format!(
            "HTTP/1.1 200 x\r\nContent-Length: 900000000\r\n\r\n{}",
            "x".repeat(4_000_000)
        )
    });
    let location = trap.url.clone();
    let redirect = Receiver::start(move |_| {
        format!("HTTP/1.1 302 x\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
    });
    let good = Receiver::accepting();
    let mut redirected = String::new();
    for receiver in [&slow, &flood, &redirect, &good] {
        let made = subscribe(&served, json!({"url": receiver.url}));
        if receiver.url == redirect.url {
            redirected = made["id"].as_str().unwrap().to_owned();
        }
    }
    let started = Instant::now();
    for n in 0..20 {
        store(&served, &format!("n{n}"));
    }
    good.wait_for(20);
    assert!(
        started.elapsed() < Duration::from_secs(25),
        "{:?}",
        started.elapsed()
    );
    redirect.wait_for(1);
    flood.wait_for(20);
    assert!(
        trap.got.lock().unwrap().is_empty(),
        "a redirect was followed"
    );
    let path = format!("/api/v1/subscriptions/{redirected}/deliveries?state=pending");
    let rows = served.http("GET", &path, None).json();
    assert!(rows["deliveries"].to_string().contains("302"), "{rows}");
    let order: Vec<Value> = good
        .got
        .lock()
        .unwrap()
        .iter()
        .map(|got| got.event()["data"]["title"].clone())
        .collect();
    assert_eq!(order.iter().collect::<Vec<_>>().len(), 20);
}

#[test]
fn no_connection_ever_reaches_what_was_not_allowed() {
    let node = Scratch::new();
    let trap = Receiver::accepting();
    let port = trap
        .url
        .rsplit(':')
        .next()
        .unwrap()
        .trim_end_matches("/hook")
        .to_owned();
    let mut command = node.command();
    for variable in [
        "http_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
    ] {
        command.env(variable, format!("http://127.0.0.1:{port}"));
    }
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    let served = Served::start(command, node.token());
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "0.0.0.0",
    ] {
        for scheme in ["http", "https"] {
            let url = json!({"url": format!("{scheme}://{host}:{port}/hook")});
            let refused = served
                .http("POST", "/api/v1/subscriptions", Some(&url))
                .expect(400);
            assert_eq!(refused.json()["field"], "url", "{host}");
        }
    }
    for url in [
        "file:///etc/passwd",
        "data:,x",
        "https://user:pw@example.com/",
        "nonsense",
    ] {
        served
            .http("POST", "/api/v1/subscriptions", Some(&json!({"url": url})))
            .expect(400);
    }
    // A name that turns out to be this machine: refused at each delivery, after resolving.
    let made = subscribe(
        &served,
        json!({"url": format!("https://localhost:{port}/hook")}),
    );
    store(&served, "announced");
    let path = format!(
        "/api/v1/subscriptions/{}/deliveries",
        made["id"].as_str().unwrap()
    );
    let started = Instant::now();
    loop {
        let rows = served.http("GET", &path, None).expect(200).json();
        let error = rows["deliveries"][0]["last_error"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if error.contains("not public") {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{rows}");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(trap.got.lock().unwrap().is_empty());
}

#[test]
fn a_secret_is_shown_once_and_found_nowhere_after() {
    let node = Scratch::new();
    let served = serve(&node);
    let receiver = Receiver::accepting();
    let secret = "kanarien-secret-0123456789";
    let body = json!({"url": receiver.url, "secret": secret});
    let made = subscribe(&served, body);
    assert_eq!(made["secret"], secret);
    store(&served, "announced");
    receiver.wait_for(1);
    let id = made["id"].as_str().unwrap().to_owned();
    for path in [
        "/api/v1/subscriptions".to_owned(),
        format!("/api/v1/subscriptions/{id}/deliveries"),
        "/api/v1/export".to_owned(),
        "/metrics".to_owned(),
    ] {
        let answer = served.http("GET", &path, None).expect(200);
        assert!(!answer.body.contains(secret), "{path}: {answer:?}");
    }
    let rotated = served
        .http(
            "POST",
            &format!("/api/v1/subscriptions/{id}/rotate"),
            Some(&json!({})),
        )
        .expect(200)
        .json();
    assert!(rotated["secret"].as_str().unwrap().starts_with("whsec_"));
    store(&served, "after the rotation");
    let got = receiver.wait_for(2).remove(1);
    let both: Vec<&str> = got.headers["webhook-signature"].split(' ').collect();
    let (event, at, bytes) = (
        &got.headers["webhook-id"],
        got.timestamp(),
        got.body.as_bytes(),
    );
    let new = sign::standard_signature(rotated["secret"].as_str().unwrap(), event, at, bytes);
    let old = sign::standard_signature(secret, event, at, bytes);
    assert_eq!(both, [new.as_str(), old.as_str()]);
    assert!(!served.log.lock().unwrap().contains(secret));
    served.stop();
    for (path, bytes) in node.snapshot() {
        assert!(
            !bytes.windows(secret.len()).any(|w| w == secret.as_bytes()),
            "{}",
            path.display()
        );
    }
}

#[test]
fn filters_pauses_and_tests_do_what_they_say() {
    let node = Scratch::new();
    let served = serve(&node);
    let receiver = Receiver::accepting();
    let made = subscribe(
        &served,
        json!({"url": receiver.url, "events": ["memory.deleted"], "namespace_filter": "global"}),
    );
    let id = made["id"].as_str().unwrap().to_owned();
    let memory = store(&served, "not announced");
    served
        .http("POST", &format!("/api/v1/subscriptions/{id}/pause"), None)
        .expect(200);
    served
        .http("DELETE", &format!("/api/v1/memories/{memory}"), None)
        .expect(200);
    served
        .http("POST", &format!("/api/v1/subscriptions/{id}/test"), None)
        .expect(200);
    let path = format!("/api/v1/subscriptions/{id}/deliveries");
    assert_eq!(served.http("GET", &path, None).json()["count"], 2);
    assert!(receiver.got.lock().unwrap().is_empty());
    served
        .http("POST", &format!("/api/v1/subscriptions/{id}/resume"), None)
        .expect(200);
    let events: BTreeSet<String> = receiver
        .wait_for(2)
        .iter()
        .map(|got| got.event()["event"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        events,
        BTreeSet::from(["memory.deleted".to_owned(), "test".to_owned()])
    );
    served
        .http("DELETE", &format!("/api/v1/subscriptions/{id}"), None)
        .expect(200);
    served.http("GET", &path, None).expect(404);
}

#[test]
fn a_node_that_is_killed_loses_no_announcement() {
    let node = Scratch::new();
    let receiver = Receiver::start(|n| answer(if n % 2 == 0 { 500 } else { 200 }));
    let mut served = serve(&node);
    subscribe(&served, json!({"url": receiver.url}));
    let mut announced = BTreeSet::new();
    let kills = std::env::var("HALLMARK_KILLS")
        .ok()
        .map_or(3, |text| text.parse().unwrap());
    for round in 0..kills {
        for n in 0..5 {
            announced.insert(store(&served, &format!("r{round} n{n}")));
        }
        served.kill();
        served = serve(&node);
    }
    let started = Instant::now();
    loop {
        let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for got in receiver.got.lock().unwrap().iter() {
            let memory = got.event()["data"]["id"].as_str().unwrap().to_owned();
            ids.entry(memory)
                .or_default()
                .insert(got.headers["webhook-id"].clone());
        }
        if announced.iter().all(|id| ids.contains_key(id)) {
            assert!(
                ids.values().all(|ids| ids.len() == 1),
                "an id changed between attempts"
            );
            return;
        }
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "{} of {}",
            ids.len(),
            announced.len()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}
