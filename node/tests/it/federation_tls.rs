//! Who is let in: nobody without TLS 1.3, a pinned certificate, and its key.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;

use crate::peers::{Played, eventually, exchange, mismatched, runtime};
use crate::support::{Ran, Scratch};
use node::federation::tls;

const REQUEST: &str = "GET /fed/v1/changes?epoch=&after=0&limit=10";

/// `openssl s_client` with these options, and a request on its stdin.
fn s_client(address: &str, options: &[&str]) -> Ran {
    let mut child = Command::new("openssl")
        .args(["s_client", "-quiet", "-no_ign_eof", "-connect", address])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let request = format!("{REQUEST} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    // Whoever is refused cannot write any more.
    drop(std::io::Write::write_all(&mut stdin, request.as_bytes()));
    let waited = std::thread::spawn(move || {
        // The answer must have come before the end of stdin ends the client.
        std::thread::sleep(Duration::from_millis(700));
        drop(stdin);
    });
    let output = child.wait_with_output().unwrap();
    waited.join().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn openssl(args: &[&str], folder: &Path) {
    let output = Command::new("openssl")
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().unwrap().to_owned()
}

#[test]
fn only_tls_1_3_with_a_pinned_certificate_is_served() {
    let node = Scratch::federated();
    let friend = Played::new();
    node.write_peers(&format!("{} friend\n", friend.fingerprint()));
    let served = node.serve_federated();
    let address = served.federation();
    let dir = tempfile::tempdir().unwrap();
    let key = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
    ];
    let own = [
        &[
            "req",
            "-x509",
            "-keyout",
            "s.key",
            "-out",
            "s.crt",
            "-subj",
            "/CN=memory-node",
        ],
        &key[..],
    ]
    .concat();
    openssl(&own, dir.path());
    let ca = [
        &[
            "req", "-x509", "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=CA",
        ],
        &key[..],
    ]
    .concat();
    openssl(&ca, dir.path());
    let leaf = [
        &[
            "req", "-x509", "-CA", "ca.crt", "-CAkey", "ca.key", "-keyout", "l.key", "-out",
            "l.crt", "-subj", "/CN=leaf",
        ],
        &key[..],
    ]
    .concat();
    openssl(&leaf, dir.path());
    let stranger = [path(dir.path(), "s.crt"), path(dir.path(), "s.key")];
    let signed = [
        path(dir.path(), "l.crt"),
        path(dir.path(), "l.key"),
        path(dir.path(), "ca.crt"),
    ];
    let (crt, secret) = (
        path(friend.dir.path(), "crt"),
        path(friend.dir.path(), "key"),
    );
    let pinned = ["-cert", &crt, "-key", &secret];
    let refused: [Vec<&str>; 6] = [
        [&["-tls1_2"], &pinned[..]].concat(),
        [&["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"], &pinned[..]].concat(),
        vec!["-tls1_3"],
        vec!["-tls1_3", "-cert", &stranger[0], "-key", &stranger[1]],
        vec!["-tls1_3", "-cert", &signed[0], "-key", &signed[1]],
        vec![
            "-tls1_3",
            "-cert",
            &signed[0],
            "-key",
            &signed[1],
            "-cert_chain",
            &signed[2],
        ],
    ];
    for options in refused {
        let ran = s_client(&address, &options);
        assert_eq!(ran.stdout, "", "{options:?}: {ran:?}");
        assert!(
            ran.stderr.contains("alert") || ran.code != 0,
            "{options:?}: {ran:?}"
        );
    }
    let ran = s_client(&address, &[&["-tls1_3"], &pinned[..]].concat());
    assert!(ran.stdout.starts_with("HTTP/1.1 200"), "{ran:?}");
    assert!(ran.stdout.contains("\"versions\""), "{ran:?}");
}

#[test]
fn id_prints_what_openssl_prints() {
    let node = Scratch::new();
    let said = node.run(&["id"]).ok().stdout;
    let output = Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(node.data().join("federation.crt"))
        .output()
        .unwrap();
    let openssl = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        said.lines().next().unwrap().to_lowercase(),
        openssl.trim().to_lowercase()
    );
    use std::os::unix::fs::PermissionsExt as _;
    let key = node.data().join("federation.key");
    assert_eq!(
        std::fs::metadata(&key).unwrap().permissions().mode() & 0o777,
        0o600
    );
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(node.run(&["id", "--json"]).error_code(), "identity");
}

#[test]
fn a_pinned_certificate_without_its_key_is_refused_by_the_listener() {
    let node = Scratch::federated();
    let (friend, thief) = (Played::new(), Played::new());
    let both = format!(
        "{} friend\n{} other\n",
        friend.fingerprint(),
        thief.fingerprint()
    );
    node.write_peers(&both);
    let served = node.serve_federated();
    let (address, fingerprint) = (served.federation(), node.fingerprint());
    let rt = runtime();
    // The thief is a peer itself, but shows the friend's certificate.
    let mut config = tls::client_config(&thief.own, fingerprint.parse().unwrap()).unwrap();
    config.client_auth_cert_resolver = mismatched(friend.own.certificate(), &thief.own.key());
    let answer = rt.block_on(exchange(config, &address, REQUEST, b""));
    assert!(
        !answer.as_ref().is_ok_and(|text| text.contains("HTTP")),
        "{answer:?}"
    );
    // The control: the same certificate with its own key.
    let answer = rt
        .block_on(friend.ask(&fingerprint, &address, REQUEST, b""))
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// Serves one handshake after another; true as soon as one succeeds.
async fn impostor(listener: tokio::net::TcpListener, config: rustls::ServerConfig) -> bool {
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    for _ in 0..2 {
        let (stream, _) = listener.accept().await.unwrap();
        if let Ok(mut stream) = acceptor.accept(stream).await {
            // In TLS 1.3 the server is done when the client's part has come: only a client that
            // believed in it sends that.
            drop(stream.write_all(b"x").await);
            return true;
        }
    }
    false
}

#[test]
fn whoever_answers_a_dial_must_be_that_very_peer() {
    let node = Scratch::federated();
    let (friend, other) = (Played::new(), Played::new());
    let rt = runtime();
    let trust = |file: &str| {
        let dir = tempfile::tempdir().unwrap();
        let (peers, authors) = (dir.path().join("p"), dir.path().join("a"));
        std::fs::write(&peers, file).unwrap();
        std::fs::write(&authors, "").unwrap();
        Arc::new(node::federation::trust::Trust::load(&peers, &authors).unwrap())
    };
    let list = format!("{} node\n", node.fingerprint());
    // First: another pinned peer answers at the friend's address. Second: the friend's certificate,
    // signed for with another key.
    let honest = tls::server_config(&other.own, trust(&list)).unwrap();
    let mut forged = tls::server_config(&other.own, trust(&list)).unwrap();
    forged.cert_resolver = mismatched(friend.own.certificate(), &other.own.key());
    let good = tls::server_config(&friend.own, trust(&list)).unwrap();
    for (config, expected) in [(honest, false), (forged, false), (good, true)] {
        let listener = rt
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = listener.local_addr().unwrap();
        let peers = format!(
            "{} friend {address}\n{} other\n",
            friend.fingerprint(),
            other.fingerprint()
        );
        node.write_peers(&peers);
        let served = node.serve_federated();
        let believed = rt.block_on(impostor(listener, config));
        assert_eq!(believed, expected);
        let error = eventually("the node says why", || {
            served.peer("friend")["last_error"]
                .as_str()
                .map(str::to_owned)
        });
        assert_eq!(error.contains("handshake"), !expected, "{error}");
        served.stop();
    }
}

/// Names of certificates, and from which day to which they are valid.
const DATES: [(&str, i64, i64); 3] = [("old", -20, -10), ("new", 10, 20), ("good", -10, 10)];

fn dated(
    folder: &Path,
    name: &str,
    from: i64,
    to: i64,
) -> node::federation::identity::NodeCertificate {
    let mut wanted = rcgen::CertificateParams::new(vec!["x.invalid".to_owned()]).unwrap();
    let now = time::OffsetDateTime::now_utc();
    wanted.not_before = now + time::Duration::days(from);
    wanted.not_after = now + time::Duration::days(to);
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let made = wanted.self_signed(&key).unwrap();
    let (crt, secret) = (
        folder.join(format!("{name}.crt")),
        folder.join(format!("{name}.key")),
    );
    std::fs::write(&crt, made.pem()).unwrap();
    crate::support::write_private(&secret, &key.serialize_pem());
    node::federation::identity::NodeCertificate::load_or_make(&crt, &secret).unwrap()
}

#[test]
fn a_dialled_peer_whose_pinned_certificate_is_not_in_force_is_refused() {
    let node = Scratch::federated();
    let rt = runtime();
    let dir = tempfile::tempdir().unwrap();
    let (peers, authors) = (dir.path().join("p"), dir.path().join("a"));
    std::fs::write(&peers, format!("{} node\n", node.fingerprint())).unwrap();
    std::fs::write(&authors, "").unwrap();
    let trust = Arc::new(node::federation::trust::Trust::load(&peers, &authors).unwrap());
    for (name, from, to) in DATES {
        let own = dated(dir.path(), name, from, to);
        let config = tls::server_config(&own, Arc::clone(&trust)).unwrap();
        let listener = rt
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        let address = listener.local_addr().unwrap();
        node.write_peers(&format!("{} {name} {address}\n", own.fingerprint()));
        let served = node.serve_federated();
        let believed = rt.block_on(impostor(listener, config));
        assert_eq!(believed, name == "good", "{name}");
        served.stop();
    }
}

#[test]
fn an_expired_or_not_yet_valid_certificate_is_refused_though_it_is_pinned() {
    let node = Scratch::federated();
    let dir = tempfile::tempdir().unwrap();
    let mut list = String::new();
    for (name, from, to) in DATES {
        let own = dated(dir.path(), name, from, to);
        list.push_str(&format!("{} {name}\n", own.fingerprint()));
    }
    node.write_peers(&list);
    let served = node.serve_federated();
    let address = served.federation();
    for (name, good) in [("old", false), ("new", false), ("good", true)] {
        let (crt, key) = (
            path(dir.path(), &format!("{name}.crt")),
            path(dir.path(), &format!("{name}.key")),
        );
        let ran = s_client(&address, &["-tls1_3", "-cert", &crt, "-key", &key]);
        assert_eq!(
            ran.stdout.starts_with("HTTP/1.1 200"),
            good,
            "{name}: {ran:?}"
        );
    }
}

#[test]
fn a_peer_that_is_removed_is_cut_off_within_a_second_and_the_others_are_not_touched() {
    let node = Scratch::federated();
    let (leaver, stayer) = (Played::new(), Played::new());
    let stays = format!("{} stayer\n", stayer.fingerprint());
    node.write_peers(&format!("{stays}{} leaver\n", leaver.fingerprint()));
    let served = node.serve_federated();
    let (address, fingerprint) = (served.federation(), node.fingerprint());
    let rt = runtime();
    let open = |peer: &Played| {
        let config = tls::client_config(&peer.own, fingerprint.parse().unwrap()).unwrap();
        let address = address.clone();
        rt.block_on(async move {
            let stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let name = rustls::pki_types::ServerName::try_from("x.invalid").unwrap();
            let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
            let mut stream = connector.connect(name, stream).await.unwrap();
            // Half a request: the stream is open, and stays open.
            stream
                .write_all(b"POST /fed/v1/push HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx")
                .await
                .unwrap();
            stream
        })
    };
    let (mut leaving, mut staying) = (open(&leaver), open(&stayer));
    eventually("both have come in", || {
        served
            .log
            .lock()
            .unwrap()
            .contains("has come in")
            .then_some(())
    });
    let mut byte = [0_u8; 1];
    use tokio::io::AsyncReadExt as _;
    node.write_peers(&stays);
    let removed = Instant::now();
    let ended = rt.block_on(async {
        tokio::time::timeout(Duration::from_secs(5), leaving.read(&mut byte)).await
    });
    let took = removed.elapsed();
    assert!(ended.is_ok_and(|read| read.map_or(true, |n| n == 0)));
    assert!(took < Duration::from_secs(1), "{took:?}");
    println!("a removed peer was cut off after {} ms", took.as_millis());
    let again = rt.block_on(leaver.ask(&fingerprint, &address, REQUEST, b""));
    assert!(
        !again.as_ref().is_ok_and(|text| text.contains("HTTP")),
        "{again:?}"
    );
    let quiet = rt.block_on(async {
        tokio::time::timeout(Duration::from_millis(300), staying.read(&mut byte)).await
    });
    assert!(quiet.is_err(), "the other peer's stream is open");
    // A broken file keeps the list and is told.
    node.write_peers("nonsense\n");
    eventually("the broken file is told", || {
        let ready = served.http("GET", "/readyz", None).expect(200).json();
        let warned = ready["warnings"][0]
            .as_str()
            .unwrap_or_default()
            .contains("line 1");
        let peers = served.http("GET", "/api/v1/peers", None).expect(200).json();
        let listed = peers["problems"][0]
            .as_str()
            .unwrap_or_default()
            .contains("line 1");
        (warned && listed).then_some(())
    });
    let answer = rt
        .block_on(stayer.ask(&fingerprint, &address, REQUEST, b""))
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn a_missing_or_broken_list_refuses_to_start() {
    let node = Scratch::federated();
    let start = |node: &Scratch| {
        node.run(&[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--federation-listen",
            "127.0.0.1:0",
            "--json",
        ])
    };
    node.write_peers("sha256:zz nobody\n");
    assert_eq!(start(&node).error_code(), "lists");
    let doctor = node.run(&["doctor"]);
    assert_eq!(doctor.code, 1, "{doctor:?}");
    assert!(doctor.stdout.contains("BAD      federation"), "{doctor:?}");
    assert!(doctor.stdout.contains("line 1"), "{doctor:?}");
    std::fs::remove_file(node.peers_file()).unwrap();
    let ran = start(&node);
    assert_eq!((ran.code, ran.error_code().as_str()), (2, "lists"));
}

#[test]
fn sslyze_finds_1_3_alone_no_tickets_no_resumption_no_early_data() {
    let Some(bin) = crate::pytools::federation() else {
        return;
    };
    let node = Scratch::federated();
    let friend = Played::new();
    node.write_peers(&format!("{} friend\n", friend.fingerprint()));
    let served = node.serve_federated();
    let script = include_str!("python/scan.py");
    let address = served.federation();
    let (crt, key) = (
        path(friend.dir.path(), "crt"),
        path(friend.dir.path(), "key"),
    );
    let said = crate::pytools::script(
        bin,
        script,
        &[("ADDRESS", &address), ("CRT", &crt), ("KEY", &key)],
    );
    println!("{said}");
    assert!(said.contains("everything holds"), "{said}");
}
