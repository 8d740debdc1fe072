//! Webhooks go nowhere but where they may: a trap listens on loopback, and no connection ever
//! reaches it.

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use node::webhook::resolve::{Answer, Resolve};
use serde_json::json;

use crate::authority::Authority;
use crate::receiver::{Receiver, answer, deliveries_once, serve_to_loopback, store, subscribe};
use crate::support::{Scratch, Served};
use crate::webhook_outages::InProcess;

/// A node with every variable set that leads HTTP clients through a proxy: the trap.
fn behind_a_proxy(node: &Scratch, trap: &Receiver, args: &[&str]) -> Served {
    let mut command = node.command();
    for name in ["http_proxy", "https_proxy", "all_proxy"] {
        let value = format!("http://127.0.0.1:{}", trap.port);
        command.env(name, &value).env(name.to_uppercase(), &value);
    }
    command
        .args(["serve", "--listen", "127.0.0.1:0"])
        .args(args);
    Served::start(command, node.token())
}

#[test]
fn no_spelling_of_a_forbidden_address_can_be_subscribed() {
    let node = Scratch::new();
    let trap = Receiver::accepting();
    let served = behind_a_proxy(&node, &trap, &[]);
    for host in [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "017700000001",
        "0177.0.0.1",
        "0x7f000001",
        "0x7f.0.0.1",
        "0x7F.1",
        "%31%32%37.0.0.1",
        "１２７.0.0.1",
        "127。0。0。1",
        "127.0.0.1.",
        "0",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[2002:7f00:0001::1]",
        "[2001:0:53aa:64c::80ff:fffe]",
        "[fe80::1]",
        "[fe80::1%25lo]",
        "[::1%25lo]",
        "[::1%lo]",
        "[fc00::1]",
        "[fec0::1]",
        "[ff02::1]",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "198.18.0.1",
        "192.0.2.1",
        "224.0.0.1",
        "255.255.255.255",
    ] {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:{}/hook", trap.port);
            let asked = json!({ "url": url });
            let refused = served.http("POST", "/api/v1/subscriptions", Some(&asked));
            assert_eq!(refused.status, 400, "{url}: {refused:?}");
            assert_eq!(refused.json()["field"], "url", "{url}");
        }
    }
    let port = trap.port;
    for url in [
        "file:///etc/passwd".to_owned(),
        "data:application/json,{}".to_owned(),
        format!("ftp://127.0.0.1:{port}/"),
        format!("gopher://127.0.0.1:{port}/"),
        format!("unix:/tmp/x:{port}"),
        format!("https://user@127.0.0.1:{port}/"),
        format!("https://example.com:pw@127.0.0.1:{port}/"),
        format!("https://user:pw@example.com:{port}/"),
        format!("https://example.com@127.0.0.1:{port}/"),
        format!("https://example.com%2f@127.0.0.1:{port}/"),
        format!("https:\\\\127.0.0.1:{port}/"),
        format!("https:127.0.0.1:{port}/"),
        format!(" https://127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        format!("//127.0.0.1:{port}/"),
        "nonsense".to_owned(),
        String::new(),
    ] {
        served
            .http("POST", "/api/v1/subscriptions", Some(&json!({"url": url})))
            .expect(400);
    }
    assert_eq!(trap.connections(), 0);
}

#[test]
fn a_name_is_judged_by_what_it_resolves_to_and_a_proxy_is_never_asked() {
    let node = Scratch::new();
    let trap = Receiver::accepting();
    let served = behind_a_proxy(&node, &trap, &[]);
    let mut subscriptions = Vec::new();
    for host in ["localhost", "LOCALHOST", "localhost."] {
        let url = json!({"url": format!("https://{host}:{}/hook", trap.port)});
        let made = subscribe(&served, url);
        subscriptions.push(made["id"].as_str().unwrap().to_owned());
    }
    store(&served, "announced");
    for id in subscriptions {
        deliveries_once(&served, &id, |rows| {
            let error = rows[0]["last_error"].as_str().unwrap_or_default();
            error.contains("not public") || error.contains("cannot be resolved")
        });
    }
    assert_eq!(trap.connections(), 0);
}

#[test]
fn what_was_allowed_once_is_judged_again_by_the_options_of_today() {
    let node = Scratch::new();
    let receiver = Receiver::accepting();
    let served = serve_to_loopback(&node);
    let made = subscribe(&served, json!({"url": receiver.url}));
    store(&served, "while it is allowed");
    receiver.wait_for(1);
    assert_eq!(served.stop(), 0);
    let before = receiver.connections();
    let elsewhere = ["--webhook-allow-network", "10.0.0.0/8"];
    let served = behind_a_proxy(&node, &receiver, &elsewhere);
    store(&served, "when it is not");
    let rows = deliveries_once(&served, made["id"].as_str().unwrap(), |rows| {
        rows[0]["attempts"] == 1
    });
    let error = rows[0]["last_error"].as_str().unwrap();
    assert!(error.contains("not public"), "{error}");
    assert_eq!(receiver.connections(), before);
}

#[test]
fn a_redirect_is_not_followed() {
    let node = Scratch::new();
    let served = serve_to_loopback(&node);
    let trap = Receiver::accepting();
    let mut subscriptions = Vec::new();
    for status in [301, 302, 303, 307, 308, 300, 304] {
        let location = trap.url.clone();
        let redirecting = Receiver::start(move |_| {
            format!("HTTP/1.1 {status} x\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
                .into_bytes()
        });
        let made = subscribe(&served, json!({"url": redirecting.url}));
        subscriptions.push((made["id"].as_str().unwrap().to_owned(), status));
    }
    store(&served, "announced");
    for (id, status) in subscriptions {
        let rows = deliveries_once(&served, &id, |rows| rows[0]["attempts"] == 1);
        assert_eq!(
            (&rows[0]["last_status"], &rows[0]["state"]),
            (&json!(status), &json!("pending"))
        );
    }
    assert_eq!(trap.connections(), 0);
}

/// Answers each question with the next of these, the last one for ever.
struct Changing {
    answers: Mutex<VecDeque<Vec<SocketAddr>>>,
    asked: AtomicUsize,
}

impl Resolve for Changing {
    fn resolve<'a>(&'a self, _host: &'a str, _port: u16) -> Answer<'a> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let next = if answers.len() > 1 {
            answers.pop_front().unwrap()
        } else {
            answers[0].clone()
        };
        Box::pin(async move { Ok(next) })
    }
}

#[test]
fn a_name_that_answers_differently_the_next_time_gets_nowhere() {
    let authority = Authority::new();
    // 127.0.0.2 plays the public address: it is the only one that is allowed.
    let good = Receiver::with_tls("127.0.0.2:0", authority.server("rebind.test"));
    let trap = Receiver::at(&format!("127.0.0.1:{}", good.port), |_, _| answer(204));
    let at = |address: &str| -> SocketAddr { format!("{address}:{}", good.port).parse().unwrap() };
    let (allowed, private) = (at("127.0.0.2"), at("127.0.0.1"));
    let mapped: SocketAddr = format!("[::ffff:127.0.0.1]:{}", good.port).parse().unwrap();
    let resolver = Arc::new(Changing {
        answers: Mutex::new(VecDeque::from([
            vec![allowed],
            vec![private],
            vec![allowed, private],
            vec![mapped],
            Vec::new(),
            vec![allowed],
        ])),
        asked: AtomicUsize::new(0),
    });
    let node = InProcess::new(&["127.0.0.2/32"], Some(&authority), Some(resolver.clone()));
    let url = format!("https://rebind.test:{}/hook", good.port);
    let id = node.subscribe(&url);
    let mut errors = Vec::new();
    for round in 0..6 {
        node.store("one", 1);
        node.settle();
        let row = node.deliveries(id).remove(0);
        errors.push(row.last_error.unwrap_or_default());
        // Each announcement is of another memory, so each is tried at once.
        assert_eq!(
            resolver.asked.load(Ordering::SeqCst),
            round + 1,
            "one question an attempt"
        );
    }
    assert_eq!(good.got().len(), 2, "{errors:?}");
    assert_eq!(
        (errors[0].as_str(), errors[5].as_str()),
        ("", ""),
        "{errors:?}"
    );
    for refused in [1, 2, 3] {
        assert!(
            errors[refused].contains("127.0.0.1 is not public"),
            "{errors:?}"
        );
    }
    assert!(errors[4].contains("cannot be resolved"), "{errors:?}");
    assert_eq!(trap.connections(), 0);
}

/// A name server that knows one name; its n-th answer for an IPv4 address is the n-th of these.
fn name_server(at: &str, addresses: Vec<[u8; 4]>) -> std::io::Result<Arc<AtomicUsize>> {
    let socket = UdpSocket::bind(at)?;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let question = &buffer[..length];
            // After the header stands the name, then type and class.
            let end = 12 + question[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
            let is_a = question[end - 4..end - 2] == [0, 1];
            let mut reply = question[..end].to_vec();
            reply[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
            if is_a {
                let number = count.fetch_add(1, Ordering::SeqCst);
                let address = addresses[number.min(addresses.len() - 1)];
                // The name again, A, IN, no time to live, four bytes.
                reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
                reply.extend(address);
            }
            drop(socket.send_to(&reply, from));
        }
    });
    Ok(asked)
}

#[test]
fn a_real_name_server_that_rebinds_between_answers_gets_nowhere() {
    const NAME_SERVER: &str = "127.53.53.53";
    let addresses = vec![[127, 0, 0, 2], [127, 0, 0, 1]];
    let asked = match name_server(&format!("{NAME_SERVER}:53"), addresses) {
        Ok(asked) => asked,
        Err(error) => {
            println!("skipped: no name server can be started on port 53: {error}");
            return;
        }
    };
    let node = Scratch::new();
    let file = |name: &str, text: &str| {
        let path = node.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let resolv = file("resolv.conf", &format!("nameserver {NAME_SERVER}\n"));
    let switch = file("nsswitch.conf", "hosts: dns\n");
    let authority = Authority::new();
    let ca = file("ca.pem", &authority.pem());
    let good = Receiver::with_tls("127.0.0.2:0", authority.server("rebind.test"));
    let trap = Receiver::at(&format!("127.0.0.1:{}", good.port), |_, _| answer(204));
    // A mount namespace of its own, in which the system's resolver asks that name server.
    let script = format!(
        "mount --bind {} /etc/resolv.conf && {{ [ ! -e /etc/nsswitch.conf ] || mount --bind {} /etc/nsswitch.conf; }} && exec \"$@\"",
        resolv.display(),
        switch.display()
    );
    let mut probe = Command::new("unshare");
    probe.args(["--mount", "sh", "-c", &script, "sh", "true"]);
    if !probe.output().is_ok_and(|output| output.status.success()) {
        println!("skipped: no mount namespace can be made here");
        return;
    }
    let inner = node.command();
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", &script, "sh"])
        .arg(inner.get_program())
        .args(inner.get_args())
        .args(["serve", "--listen", "127.0.0.1:0", "--webhook-retry-s", "0"])
        .args(["--webhook-allow-network", "127.0.0.2/32"])
        .arg("--webhook-ca-file")
        .arg(ca);
    let served = Served::start(command, node.token());
    let url = format!("https://rebind.test:{}/hook", good.port);
    let made = subscribe(&served, json!({"url": url}));
    let id = made["id"].as_str().unwrap();
    store(&served, "while the answer is allowed");
    good.wait_for(1);
    deliveries_once(&served, id, |rows| rows[0]["state"] == "delivered");
    store(&served, "when it is not any more");
    let rows = deliveries_once(&served, id, |rows| rows[0]["state"] == "dead");
    let error = rows[0]["last_error"].as_str().unwrap();
    assert!(error.contains("127.0.0.1 is not public"), "{error}");
    assert_eq!((good.got().len(), trap.connections()), (1, 0));
    assert_eq!(asked.load(Ordering::SeqCst), 3, "one question an attempt");
}
