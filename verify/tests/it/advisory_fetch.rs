//! `--fetch`: the advisory database from a real HTTPS server, as real git packs it; whatever is
//! wrong with it or on the way leaves the folder as it is, and there is no pass.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::fixture::release::{LOCK, add_advisory, advisory_text, write_db};
use crate::fixture::{Repo, run, text};

/// A server on loopback that answers every request with what it is told, over TLS.
struct Server {
    address: String,
    certificate: PathBuf,
    answer: Arc<Mutex<Vec<u8>>>,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let openssl = |args: &[&str]| {
            run(Command::new("openssl")
                .current_dir(folder.path())
                .args(args));
        };
        let elliptic = [
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ];
        openssl(
            &[
                &[
                    "req",
                    "-x509",
                    "-subj",
                    "/CN=test authority",
                    "-days",
                    "2",
                    "-keyout",
                    "ca.key",
                    "-out",
                    "ca.pem",
                ][..],
                &elliptic,
            ]
            .concat(),
        );
        openssl(
            &[
                &[
                    "req",
                    "-subj",
                    "/CN=localhost",
                    "-keyout",
                    "key.pem",
                    "-out",
                    "request.pem",
                ][..],
                &elliptic,
            ]
            .concat(),
        );
        fs::write(at("names"), "subjectAltName = DNS:localhost\n").unwrap();
        openssl(&[
            "x509",
            "-req",
            "-in",
            "request.pem",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-days",
            "1",
            "-extfile",
            "names",
            "-out",
            "certificate.pem",
        ]);
        let chain = vec![CertificateDer::from_pem_file(at("certificate.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(at("key.pem")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!(
            "https://localhost:{}/db.tar.gz",
            listener.local_addr().unwrap().port()
        );
        let answer = Arc::new(Mutex::new(Vec::new()));
        let (config, told) = (Arc::new(config), Arc::clone(&answer));
        // It ends with the test's process; each connection is one request and one answer.
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let Ok(socket) = socket else { continue };
                let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut stream = rustls::StreamOwned::new(connection, socket);
                let mut lines = BufReader::new(&mut stream).lines();
                // A client that does not trust this server is gone before its first line.
                while lines
                    .next()
                    .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
                {}
                let answer = told.lock().unwrap().clone();
                stream.write_all(&answer).and_then(|()| stream.flush()).ok();
                stream.conn.send_close_notify();
                stream.flush().ok();
            }
        });
        Self {
            address,
            certificate: at("ca.pem"),
            answer,
            _folder: folder,
        }
    }

    fn says(&self, bytes: &[u8]) {
        *self.answer.lock().unwrap() = bytes.to_vec();
    }

    fn sends(&self, body: &[u8]) {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        self.says(&[head.as_bytes(), body].concat());
    }
}

/// An advisory database in a real repository.
struct Origin {
    repo: Repo,
}

impl Origin {
    fn of(count: usize, date: &str) -> Self {
        let repo = Repo::new();
        write_db(repo.path(), count, date);
        repo.commit_all();
        Self { repo }
    }

    fn add(&self, id: &str, date: &str) {
        let text = advisory_text(id, "leaf", date);
        add_advisory(self.repo.path(), &format!("crates/leaf/{id}.md"), &text);
        self.repo.commit_all();
    }

    fn packed(&self) -> Vec<u8> {
        let mut git = self.repo.git();
        git.args([
            "archive",
            "--format=tar.gz",
            "--prefix=advisory-db-main/",
            "HEAD",
        ]);
        run(&mut git).stdout
    }
}

struct Auditor {
    folder: tempfile::TempDir,
    certificate: PathBuf,
}

impl Auditor {
    fn new(server: &Server, origin: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("Cargo.lock"), LOCK).unwrap();
        let policy =
            format!("version = 1\n[advisories]\nmax_age_days = 36500\norigin = \"{origin}\"\n");
        fs::write(folder.path().join("policy.toml"), policy).unwrap();
        Self {
            folder,
            certificate: server.certificate.clone(),
        }
    }

    fn db(&self) -> PathBuf {
        self.folder.path().join("kept/db")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            .env_clear()
            .env("SSL_CERT_FILE", &self.certificate);
        command
    }

    const ASK: [&'static str; 7] = [
        "advisories",
        "Cargo.lock",
        "--policy",
        "policy.toml",
        "--fetch",
        "--db",
        "kept/db",
    ];

    fn ask(&self) -> (Option<i32>, String) {
        let output = self
            .command(env!("CARGO_BIN_EXE_verify"))
            .args(Self::ASK)
            .output()
            .unwrap();
        let said = format!(
            "{}{}",
            text(&output),
            String::from_utf8_lossy(&output.stderr)
        );
        (output.status.code(), said)
    }
}

/// All files below a folder with their bytes.
fn content(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push((path.clone(), fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn database_is_fetched_and_brought_up_to_date_and_its_commit_is_named() {
    let server = Server::start();
    let auditor = Auditor::new(&server, &server.address);
    let origin = Origin::of(510, "2026-05-30");
    server.sends(&origin.packed());
    let (code, said) = auditor.ask();
    assert_eq!(code, Some(0), "{said}");
    let commit = origin.repo.rev("HEAD").to_string();
    assert!(
        said.contains(&commit) && said.contains("510 advisories"),
        "{said}"
    );

    origin.add("RUSTSEC-2026-0900", "2026-05-31");
    server.sends(&origin.packed());
    let (code, said) = auditor.ask();
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("RUSTSEC-2026-0900") && said.contains("511 advisories"),
        "{said}"
    );
    // What was fetched is a database for every other command.
    let lone = auditor
        .command(env!("CARGO_BIN_EXE_verify"))
        .args([
            "advisories",
            "Cargo.lock",
            "--policy",
            "policy.toml",
            "--db",
            "kept/db",
        ])
        .output()
        .unwrap();
    assert_eq!(lone.status.code(), Some(1));
    let beside: Vec<_> = fs::read_dir(auditor.folder.path().join("kept"))
        .unwrap()
        .collect();
    assert_eq!(beside.len(), 1, "nothing is left beside the database");
}

#[test]
fn what_is_wrong_with_the_answer_replaces_nothing_and_is_no_pass() {
    let server = Server::start();
    let auditor = Auditor::new(&server, &server.address);
    let origin = Origin::of(510, "2026-05-30");
    let good = origin.packed();
    server.sends(&good);
    assert_eq!(auditor.ask().0, Some(0));
    let before = content(&auditor.db());
    let refused = |what: &str, words: &str| {
        let (code, said) = auditor.ask();
        assert_eq!(code, Some(2), "{what}: {said}");
        assert!(said.contains(words), "{what}: {said}");
        assert_eq!(content(&auditor.db()), before, "{what}");
    };
    server.says(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    refused("not there", "cannot be fetched");
    server.says(b"HTTP/1.1 302 Found\r\nLocation: http://localhost/x\r\nContent-Length: 0\r\n\r\n");
    refused("sent on to a place without TLS", "cannot be fetched");
    server.says(b"");
    refused("hung up", "cannot be fetched");
    server.sends(b"<html>please log in</html>");
    refused("another page", "cannot be unpacked");
    server.sends(&good[..good.len() / 2]);
    refused("an archive that is cut", "cannot be unpacked");
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", good.len());
    server.says(&[head.as_bytes(), &good[..good.len() / 2]].concat());
    refused("a transfer that is cut", "cannot be fetched");
    let empty = Repo::new();
    let mut git = empty.git();
    server.sends(&run(git.args(["archive", "--format=tar.gz", "HEAD"])).stdout);
    refused("no advisory in it", "is no advisory database");
    add_advisory(
        empty.path(),
        "crates/leaf/RUSTSEC-2026-0900.md",
        "```toml\n[advisory]\n",
    );
    empty.commit_all();
    let mut git = empty.git();
    server.sends(&run(git.args(["archive", "--format=tar.gz", "HEAD"])).stdout);
    refused("an advisory that is cut", "is no advisory database");
    std::os::unix::fs::symlink("/etc/passwd", empty.path().join("crates/link")).unwrap();
    empty.commit_all();
    let mut git = empty.git();
    server.sends(&run(git.args(["archive", "--format=tar.gz", "HEAD"])).stdout);
    refused("a link in it", "cannot be unpacked");
    server.sends(&Origin::of(509, "2026-05-30").packed());
    refused("fewer advisories than before", "`kept/db` has 510");
    server.sends(&Origin::of(520, "2026-05-01").packed());
    refused("an older state than before", "the newest of 2026-05-30");
}

#[test]
fn without_a_trusted_server_or_a_network_there_is_no_pass() {
    let server = Server::start();
    server.sends(&Origin::of(510, "2026-05-30").packed());
    let mut stranger = Auditor::new(&server, &server.address);
    let other = Server::start();
    stranger.certificate.clone_from(&other.certificate);
    let (code, said) = stranger.ask();
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("cannot be fetched") && !stranger.db().exists(),
        "{said}"
    );

    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let (code, said) = Auditor::new(&server, &format!("https://localhost:{gone}/x")).ask();
    assert_eq!(code, Some(2), "{said}");

    let auditor = Auditor::new(&server, &server.address);
    assert_eq!(auditor.ask().0, Some(0));
    let offline = auditor
        .command("/usr/bin/unshare")
        .args(["--user", "--map-root-user", "--net"])
        .arg(env!("CARGO_BIN_EXE_verify"))
        .args(Auditor::ASK)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&offline.stderr).into_owned();
    if said.contains("unshare") {
        println!("skipped in part: the network cannot be taken away here: {said}");
        return;
    }
    assert_eq!(
        offline.status.code(),
        Some(2),
        "a young database in the folder is not asked: {said}"
    );
}

#[test]
fn folder_that_was_not_fetched_is_not_replaced() {
    let server = Server::start();
    server.sends(&Origin::of(510, "2026-05-30").packed());
    let auditor = Auditor::new(&server, &server.address);
    fs::create_dir_all(auditor.db()).unwrap();
    fs::write(auditor.db().join("thesis.txt"), "years of work").unwrap();
    let (code, said) = auditor.ask();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("was not fetched by this program"), "{said}");
    assert_eq!(
        fs::read(auditor.db().join("thesis.txt")).unwrap(),
        b"years of work"
    );
}
