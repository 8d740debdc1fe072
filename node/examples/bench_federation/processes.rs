//! Two processes of the shipped program over two databases that are almost the same.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use node::federation::identity::{Fingerprint, NodeCertificate};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::{PASSPHRASE, fill, open};

/// Makes 50 more versions on each side, hides them from a pull, and lets both processes repair it.
pub(crate) async fn repairs(program: &Path, folders: &[TempDir; 2]) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    for (what, is_met) in [
        (
            "repair of 100 differences, two processes, both know the other's log to its end",
            true,
        ),
        ("100 differences, two processes that never met", false),
    ] {
        let versions = make_differ(folders, is_met).await;
        let (bytes, took) = agree(program, folders).await;
        rows.push((
            what,
            format!(
                "{:.0} KB on the wire in both directions, {:.1} s until {versions} versions are equal",
                bytes / 1000.0,
                took.as_secs_f64()
            ),
        ));
    }
    rows
}

/// How many versions both will have.
async fn make_differ(folders: &[TempDir; 2], is_met: bool) -> u64 {
    let stores = [open(folders[0].path()), open(folders[1].path())];
    let mut last = 0;
    for store in &stores {
        fill(store, 50).await;
        last = store.health().last_seq.load(Ordering::SeqCst);
    }
    for (here, there) in [(0, 1), (1, 0)] {
        let peer = fingerprint(&folders[there]);
        let epoch = is_met.then(|| stores[there].epoch().to_owned());
        let place = if is_met { last } else { 0 };
        stores[here]
            .write(move |write| write.set_peer_cursor(&peer, &epoch.unwrap_or_default(), place))
            .await
            .unwrap();
    }
    stores.iter().for_each(node::store::Store::close);
    last + 50
}

fn fingerprint(folder: &TempDir) -> Fingerprint {
    let (crt, key) = (
        folder.path().join("federation.crt"),
        folder.path().join("federation.key"),
    );
    NodeCertificate::load_or_make(&crt, &key)
        .unwrap()
        .fingerprint()
}

/// Starts both, and takes the time and the bytes until their digests are equal.
async fn agree(program: &Path, folders: &[TempDir; 2]) -> (f64, Duration) {
    let bytes = Arc::new(AtomicU64::new(0));
    let mut ports = Vec::new();
    for _ in folders {
        // Free a moment ago, and nobody else is measuring here.
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
        ports.push(port.local_addr().unwrap().to_string());
    }
    for (here, there) in [(0, 1), (1, 0)] {
        let wire = relay(ports[there].clone(), Arc::clone(&bytes)).await;
        let line = format!("{} peer {wire}\n", fingerprint(&folders[there]));
        std::fs::write(folders[here].path().join("peers"), line).unwrap();
    }
    let mut nodes: Vec<Node<'_>> = Vec::new();
    for (folder, port) in folders.iter().zip(&ports) {
        nodes.push(Node::start(program, folder, port));
    }
    let started = Instant::now();
    loop {
        let digests: Vec<Option<String>> = nodes.iter().map(Node::digest).collect();
        if digests[0].is_some() && digests[0] == digests[1] {
            break;
        }
        assert!(
            started.elapsed() < Duration::from_secs(120),
            "they do not agree"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let took = started.elapsed();
    // What is still under way counts too.
    tokio::time::sleep(Duration::from_secs(2)).await;
    nodes.iter_mut().for_each(Node::stop);
    let bytes = u32::try_from(bytes.load(Ordering::SeqCst)).unwrap();
    (f64::from(bytes), took)
}

/// One process.
struct Node<'a> {
    program: &'a Path,
    folder: &'a TempDir,
    child: Child,
}

impl Drop for Node<'_> {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl<'a> Node<'a> {
    fn start(program: &'a Path, folder: &'a TempDir, port: &str) -> Self {
        let passphrase = folder.path().join("passphrase");
        std::fs::write(&passphrase, PASSPHRASE).unwrap();
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&passphrase, std::fs::Permissions::from_mode(0o600)).unwrap();
        let token = Self::command(program, folder)
            .arg("token")
            .output()
            .unwrap();
        assert!(token.status.success(), "{token:?}");
        let child = Self::command(program, folder)
            .args(["serve", "--federation-listen", port, "--listen"])
            .arg(format!("unix:{}", folder.path().join("api").display()))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.path().join("log")).unwrap())
            .spawn();
        let child = child.unwrap_or_else(|error| panic!("`{}`: {error}", program.display()));
        Self {
            program,
            folder,
            child,
        }
    }

    fn command(program: &Path, folder: &TempDir) -> Command {
        let mut command = Command::new(program);
        command.arg("--data-dir").arg(folder.path());
        command.arg("--passphrase-file");
        command.arg(folder.path().join("passphrase"));
        command
    }

    fn digest(&self) -> Option<String> {
        let socket = format!("unix:{}", self.folder.path().join("api").display());
        let output = Self::command(self.program, self.folder)
            .args(["--connect", &socket, "peers", "--json"])
            .output()
            .unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        answer["digest"].as_str().map(str::to_owned)
    }

    fn stop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(std::fs::remove_file(self.folder.path().join("api")));
    }
}

/// Passes connections on to `target`, and counts the bytes of both directions.
async fn relay(target: String, bytes: Arc<AtomicU64>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((inward, _)) = listener.accept().await {
            let Ok(outward) = TcpStream::connect(&target).await else {
                continue;
            };
            let ((from_in, to_in), (from_out, to_out)) =
                (inward.into_split(), outward.into_split());
            tokio::spawn(pass(from_in, to_out, Arc::clone(&bytes)));
            tokio::spawn(pass(from_out, to_in, Arc::clone(&bytes)));
        }
    });
    address
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    bytes: Arc<AtomicU64>,
) {
    let mut buffer = vec![0_u8; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        bytes.fetch_add(u64::try_from(count).unwrap(), Ordering::SeqCst);
        if to.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
}
