//! Nothing is ever resumed: no ticket is given, and who offers a session shakes hands anew.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::peers::{Played, eventually};
use crate::support::{Ran, Scratch};

/// `openssl s_client` with a request; it ends when the server ends the connection.
fn ask(address: &str, own: &Played, options: &[&str]) -> Ran {
    let mut child = Command::new("openssl")
        .args(["s_client", "-ign_eof", "-tls1_3", "-connect", address])
        .arg("-cert")
        .arg(own.dir.path().join("crt"))
        .arg("-key")
        .arg(own.dir.path().join("key"))
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let request = b"GET /fed/v1/changes HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    // Whoever is refused cannot write any more.
    drop(child.stdin.take().unwrap().write_all(request));
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Another TLS 1.3 server, which does give tickets, with the node's own certificate and key.
struct Giver(Child, String);

impl Drop for Giver {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn giver(node: &Scratch) -> Giver {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    drop(socket);
    let child = Command::new("openssl")
        .args(["s_server", "-www", "-tls1_3", "-accept", &address])
        .arg("-cert")
        .arg(node.data().join("federation.crt"))
        .arg("-key")
        .arg(node.data().join("federation.key"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let giver = Giver(child, address);
    eventually("openssl listens", || {
        std::net::TcpStream::connect(&giver.1).ok()
    });
    giver
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

#[test]
fn no_ticket_is_given_and_a_session_that_is_offered_is_not_resumed() {
    let node = Scratch::federated();
    let (leaver, stayer) = (Played::new(), Played::new());
    let stays = format!("{} stayer\n", stayer.fingerprint());
    node.write_peers(&format!("{stays}{} leaver\n", leaver.fingerprint()));
    let served = node.serve_federated();
    let address = served.federation();
    let dir = tempfile::tempdir().unwrap();
    // A pinned peer is served, and gets nothing to resume with.
    let session = dir.path().join("of-the-node");
    let ran = ask(&address, &leaver, &["-sess_out", &text(&session)]);
    assert!(ran.stdout.contains("HTTP/1.1 200"), "{ran:?}");
    assert!(ran.stdout.contains("New, TLSv1.3"), "{ran:?}");
    assert!(!ran.stdout.contains("New Session Ticket"), "{ran:?}");
    assert!(!session.exists(), "openssl has a session to write down");
    // The control: elsewhere the same client gets a ticket, and resumes with it.
    let session = text(&dir.path().join("of-another"));
    let giver = giver(&node);
    let ran = ask(&giver.1, &leaver, &["-sess_out", &session]);
    assert!(ran.stdout.contains("New Session Ticket"), "{ran:?}");
    let ran = ask(&giver.1, &leaver, &["-sess_in", &session]);
    assert!(ran.stdout.contains("Reused, TLSv1.3"), "{ran:?}");
    // At the node the same offer ends in a full handshake: the certificate is asked for again.
    let ran = ask(&address, &leaver, &["-sess_in", &session]);
    assert!(ran.stdout.contains("New, TLSv1.3"), "{ran:?}");
    assert!(!ran.stdout.contains("Reused"), "{ran:?}");
    assert!(ran.stdout.contains("HTTP/1.1 200"), "{ran:?}");
    // So whoever was removed is refused, and nobody else is.
    node.write_peers(&stays);
    eventually("the list is read", || {
        let peers = served.http("GET", "/api/v1/peers", None).json();
        (peers["peers"].as_array().unwrap().len() == 1).then_some(())
    });
    let ran = ask(&address, &leaver, &["-sess_in", &session]);
    assert!(!ran.stdout.contains("HTTP/1.1"), "{ran:?}");
    assert!(!ran.stdout.contains("Reused"), "{ran:?}");
    assert!(ran.code != 0 && ran.stderr.contains("alert"), "{ran:?}");
    let ran = ask(&address, &stayer, &["-sess_in", &session]);
    assert!(ran.stdout.contains("HTTP/1.1 200"), "{ran:?}");
}
