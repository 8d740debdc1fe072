//! Receivers that misbehave keep nobody else waiting, and TLS is believed only where it is due.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::authority::Authority;
use crate::receiver::{Receiver, answer, deliveries_once, serve_to_loopback, store, subscribe};
use crate::support::{Scratch, Served};

/// A node whose webhooks believe this authority, and may go to this machine.
fn serve_believing(node: &Scratch, authority: &Authority) -> Served {
    let ca = node.dir.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    node.serve_with(&[
        "--webhook-allow-network",
        "127.0.0.0/8",
        "--webhook-allow-network",
        "::1/128",
        "--webhook-ca-file",
        ca.to_str().unwrap(),
    ])
}

#[test]
fn a_receiver_with_a_certificate_is_reached_by_name_and_by_address() {
    let authority = Authority::new();
    let node = Scratch::new();
    let served = serve_believing(&node, &authority);
    let by_address = Receiver::with_tls("127.0.0.1:0", authority.server("127.0.0.1"));
    let by_name = Receiver::with_tls("127.0.0.1:0", authority.server("localhost"));
    subscribe(&served, json!({"url": by_address.url}));
    let url = by_name.url.replace("127.0.0.1", "localhost");
    subscribe(&served, json!({"url": url}));
    for n in 0..20 {
        store(&served, &format!("n{n}"));
    }
    for receiver in [&by_address, &by_name] {
        let got = receiver.wait_for(20);
        assert!(got[0].headers["host"].ends_with(&receiver.port.to_string()));
    }
    assert!(by_name.got()[0].headers["host"].starts_with("localhost"));
}

#[test]
fn an_unknown_an_expired_and_another_ones_certificate_are_not_believed() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let node = Scratch::new();
    let served = serve_believing(&node, &authority);
    let address = "127.0.0.1";
    let receivers = [
        ("an unknown authority", stranger.server(address)),
        ("expired", authority.server_within(address, -30, -1)),
        ("not valid yet", authority.server_within(address, 2, 30)),
        ("another name", authority.server("hook.example")),
        ("another address", authority.server("127.0.0.9")),
    ]
    .map(|(what, acceptor)| (what, Receiver::with_tls("127.0.0.1:0", acceptor)));
    let subscriptions: Vec<_> = receivers
        .iter()
        .map(|(what, receiver)| {
            let made = subscribe(&served, json!({"url": receiver.url}));
            (*what, made["id"].as_str().unwrap().to_owned())
        })
        .collect();
    // One that speaks no TLS at all.
    let plain = Receiver::accepting();
    let url = plain.url.replace("http://", "https://");
    let made = subscribe(&served, json!({"url": url}));
    let plain_id = made["id"].as_str().unwrap().to_owned();
    store(&served, "announced");
    let all = subscriptions.iter().map(|(what, id)| (*what, id));
    for (what, id) in all.chain([("no TLS", &plain_id)]) {
        let rows = deliveries_once(&served, id, |rows| rows[0]["attempts"] == 1);
        let error = rows[0]["last_error"].as_str().unwrap();
        assert!(error.contains("TLS failed"), "{what}: {error}");
    }
    for (what, receiver) in &receivers {
        assert!(receiver.got().is_empty(), "{what} was told something");
    }
    assert!(plain.got().is_empty());
}

/// A listener whose queue is full: a connection is neither taken nor refused.
struct Unreachable {
    url: String,
    _listener: TcpListener,
    _queued: Vec<std::net::TcpStream>,
}

impl Unreachable {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let wait = Duration::from_millis(200);
        let mut queued = Vec::new();
        while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, wait) {
            queued.push(stream);
            assert!(queued.len() < 10_000, "the queue does not fill up");
        }
        Self {
            url: format!("http://{address}/hook"),
            _listener: listener,
            _queued: queued,
        }
    }
}

#[test]
fn slow_dead_flooding_and_silent_receivers_keep_nobody_waiting() {
    let node = Scratch::new();
    let served = serve_to_loopback(&node);
    let slow = Receiver::start(|_| {
        std::thread::sleep(Duration::from_secs(40));
        answer(200)
    });
    // Success by its status, and then a body without an end.
    let flood = Receiver::start(|_| {
        let head = "HTTP/1.1 200 x\r\nContent-Length: 900000000\r\n\r\n";
        [head.as_bytes(), &vec![b'x'; 4_000_000]].concat()
    });
    let endless_head = Receiver::start(|_| {
        let head = "HTTP/1.1 200 x\r\n".to_owned() + &"X-More: more\r\n".repeat(400_000);
        head.into_bytes()
    });
    let nonsense = Receiver::start(|_| vec![b'\0'; 100_000]);
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/hook", listener.local_addr().unwrap())
    };
    let unreachable = Unreachable::start();
    let mut ids = Vec::new();
    for url in [
        &slow.url,
        &flood.url,
        &endless_head.url,
        &nonsense.url,
        &closed,
        &unreachable.url,
    ] {
        let made = subscribe(&served, json!({"url": url}));
        ids.push(made["id"].as_str().unwrap().to_owned());
    }
    let good = Receiver::accepting();
    subscribe(&served, json!({"url": good.url}));
    for n in 0..60 {
        store(&served, &format!("n{n}"));
    }
    // From here on the slow, the dead and the unreachable one hold all that they can.
    slow.wait_for(1);
    let started = Instant::now();
    for n in 0..20 {
        store(&served, &format!("while they hold n{n}"));
    }
    good.wait_for(80);
    let took = started.elapsed();
    assert!(
        took < Duration::from_secs(8),
        "a bad receiver delayed a good one: {took:?}"
    );
    assert!(slow.got().len() <= 8, "more than eight at once");
    // What is said before the flood counts; what is no HTTP does not.
    flood.wait_for(80);
    deliveries_once(&served, &ids[1], |rows| {
        rows.iter().all(|row| row["state"] == "delivered")
    });
    for (id, why) in [
        (&ids[2], "the connection broke"),
        (&ids[3], "the connection broke"),
        (&ids[4], "cannot connect"),
        (&ids[5], "no answer within 10 s"),
    ] {
        deliveries_once(&served, id, |rows| {
            let first = rows.last().unwrap();
            let error = first["last_error"].as_str().unwrap_or_default();
            first["state"] == "pending" && error.contains(why)
        });
    }
    let slowed = deliveries_once(&served, &ids[0], |rows| {
        rows.last().unwrap()["attempts"].as_u64() >= Some(1)
    });
    let error = &slowed.last().unwrap()["last_error"];
    assert_eq!(error, &Value::from("no answer within 10 s"));
}

#[test]
fn a_connection_serves_many_deliveries_and_a_receiver_may_hang_up_any_time() {
    let node = Scratch::new();
    let served = serve_to_loopback(&node);
    let lasting = Receiver::accepting();
    let hanging_up = Receiver::start(|_| {
        // It says that it keeps the connection, and does not.
        b"HTTP/1.1 200 x\r\nContent-Length: 0\r\n\r\n".to_vec()
    });
    for receiver in [&lasting, &hanging_up] {
        subscribe(&served, json!({"url": receiver.url}));
    }
    let batch: Vec<Value> = (0..300)
        .map(|n| json!({"title": format!("n{n}"), "content": "c"}))
        .collect();
    served
        .http("POST", "/api/v1/memories/bulk", Some(&Value::from(batch)))
        .expect(201);
    lasting.wait_for(300);
    hanging_up.wait_for(300);
    assert!(lasting.connections() <= 16, "{}", lasting.connections());
}

#[test]
fn a_stop_lets_an_attempt_end_and_nothing_is_sent_twice() {
    let node = Scratch::new();
    let served = serve_to_loopback(&node);
    let receiver = Receiver::start(|_| {
        std::thread::sleep(Duration::from_millis(700));
        answer(204)
    });
    let made = subscribe(&served, json!({"url": receiver.url}));
    store(&served, "announced");
    receiver.wait_for(1);
    assert_eq!(served.stop(), 0);
    let served = serve_to_loopback(&node);
    let rows = deliveries_once(&served, made["id"].as_str().unwrap(), |rows| {
        rows[0]["state"] == "delivered"
    });
    assert_eq!((&rows[0]["attempts"], receiver.got().len()), (&json!(1), 1));
}
