//! A network of rebuilders: rebuilderd's own daemon, worker and client, on loopback, run
//! `verify rebuild` through the backend script and come to the right status.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::fixture::{TAG, Workspace, advisory_db, answer, talk, verify_folder};
use crate::peers::{self, said};

/// Nothing that is waited for here takes longer.
const PATIENCE: Duration = Duration::from_secs(300);

fn backend() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../verify/rebuilderd/rebuilder-hallmark.sh")
}

/// A shelf with a published release: the bundle as one file, and each binary beside it.
struct Shelf {
    folder: tempfile::TempDir,
    keyring: PathBuf,
}

const BUNDLE: &str = "tiny-1.0.0-x86_64-linux.tar.zst";

impl Shelf {
    fn new() -> Self {
        let workspace = Workspace::new();
        workspace.sign_tag(TAG, &workspace.engineer);
        let database = advisory_db();
        let released = workspace.release(database.path(), &["--engine", "namespaces"]);
        assert_eq!(released.status.code(), Some(0), "{}", talk(&released));
        let folder = tempfile::tempdir().unwrap();
        let out = workspace.path().join("target/release-out/v1.0.0");
        let packed = Command::new("tar")
            .args(["--zstd", "-cf"])
            .arg(folder.path().join(BUNDLE))
            .arg("-C")
            .arg(&out)
            .arg("tiny-1.0.0-x86_64-linux")
            .output();
        said(&packed.unwrap());
        for version in ["good", "altered"] {
            let bin = folder.path().join(version);
            fs::create_dir(&bin).unwrap();
            let mut bytes = fs::read(out.join("tiny-1.0.0-x86_64-linux/bin/tiny")).unwrap();
            if version == "altered" {
                *bytes.last_mut().unwrap() ^= 1;
            }
            fs::write(bin.join("tiny"), bytes).unwrap();
            // One source of several packages is built once for all of them.
            fs::copy(folder.path().join(BUNDLE), bin.join(BUNDLE)).unwrap();
        }
        let keyring = folder.path().join("keyring.asc");
        fs::write(&keyring, workspace.gnupg.export(&[&workspace.engineer])).unwrap();
        Self { folder, keyring }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Runs the backend as the worker does, and gives its exit code, what it handed over, and its talk.
fn run_backend(bundle: &Path, keyring: &Path) -> (Option<i32>, Vec<String>, String) {
    let out = tempfile::tempdir().unwrap();
    let path = std::env::var("PATH").unwrap();
    let output = Command::new(backend())
        .arg(bundle)
        .env("REBUILDERD_OUTDIR", out.path())
        .env("HALLMARK_KEYRING", keyring)
        .env("HALLMARK_ENGINE", "namespaces")
        .env("PATH", format!("{}:{path}", verify_folder().display()))
        .output()
        .unwrap();
    let handed = fs::read_dir(out.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        talk(&output)
    );
    (output.status.code(), handed, said)
}

#[test]
fn the_backend_hands_over_only_what_was_built_from_a_trusted_tag() {
    let shelf = Shelf::new();
    let bundle = shelf.path().join(BUNDLE);
    let (code, handed, said) = run_backend(&bundle, &shelf.keyring);
    assert_eq!((code, handed), (Some(0), vec!["tiny".to_owned()]), "{said}");

    let stranger = Workspace::new();
    let keyring = shelf.path().join("stranger.asc");
    fs::write(&keyring, stranger.gnupg.export(&[&stranger.engineer])).unwrap();
    let (code, handed, said) = run_backend(&bundle, &keyring);
    assert_eq!((code, handed), (Some(1), Vec::new()), "{said}");

    let (code, handed, said) = run_backend(&shelf.path().join("nothing.tar.zst"), &shelf.keyring);
    assert_eq!((code, handed), (Some(2), Vec::new()), "{said}");
}

/// A program that goes with the test.
struct Running {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (send, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// Waits for a line with these words.
    fn wait_for(&mut self, words: &str) {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    let found = line.contains(words);
                    self.seen.push(line);
                    if found {
                        return;
                    }
                }
                Err(_) => panic!("«{words}» never came:\n{}", self.seen.join("\n")),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Serves the files of a folder on loopback until the test's process ends; gives the port.
fn serve(folder: PathBuf) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            answer_one(stream.unwrap(), &folder);
        }
    });
    port
}

fn answer_one(mut stream: TcpStream, folder: &Path) {
    let mut request = BufReader::new(stream.try_clone().unwrap());
    let mut first = String::new();
    request.read_line(&mut first).unwrap();
    let mut line = String::new();
    while request.read_line(&mut line).unwrap() > 2 {
        line.clear();
    }
    let path = first.split(' ').nth(1).unwrap().trim_start_matches('/');
    let (status, body) = match fs::read(folder.join(path)) {
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", Vec::new()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    // Who asked may have gone.
    stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(&body))
        .ok();
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// The packages as `rebuildctl pkgs sync-stdin` takes them: one good, one whose binary was altered
/// after the release.
fn packages(files: u16) -> String {
    let package = |version: &str| {
        serde_json::json!({
            "name": format!("tiny-{version}"),
            "version": "1.0.0",
            "url": format!("http://127.0.0.1:{files}/{version}/{BUNDLE}"),
            "artifacts": [{
                "name": format!("tiny-{version}"),
                "version": "1.0.0",
                "component": null,
                "architecture": "x86_64",
                "url": format!("http://127.0.0.1:{files}/{version}/tiny"),
            }],
        })
    };
    serde_json::json!({
        "distribution": "hallmark",
        "release": null,
        "architecture": "x86_64",
        "packages": [package("good"), package("altered")],
    })
    .to_string()
}

#[test]
fn rebuilderd_says_good_of_a_release_and_bad_of_an_altered_binary() {
    let Some(tools) = peers::compiled("rebuilderd") else {
        return;
    };
    let tool = |name: &str| tools.join("bin").join(name);
    let shelf = Shelf::new();
    let files = serve(shelf.path().to_path_buf());
    let place = tempfile::tempdir().unwrap();
    let (port, cookie) = (free_port(), place.path().join("cookie"));
    let endpoint = format!("http://127.0.0.1:{port}");
    let mut daemon = Running::start(
        Command::new(tool("rebuilderd"))
            .current_dir(place.path())
            .env("HTTP_ADDR", format!("127.0.0.1:{port}"))
            .env("REBUILDERD_COOKIE_PATH", &cookie),
    );
    daemon.wait_for("Listening on");
    let client = |arguments: &[&str], input: &str| {
        let mut child = Command::new(tool("rebuildctl"))
            .args(["--endpoint", &endpoint])
            .args(arguments)
            .env("REBUILDERD_COOKIE_PATH", &cookie)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        said(&output);
        answer(&output)
    };
    client(&["pkgs", "sync-stdin"], &packages(files));

    let conf = place.path().join("worker.conf");
    let shipped = fs::read_to_string(backend().with_file_name("rebuilderd-worker.conf")).unwrap();
    let placed = "/usr/local/lib/rebuilderd/rebuilder-hallmark.sh";
    assert!(shipped.contains(placed), "{shipped}");
    fs::write(&conf, shipped.replace(placed, backend().to_str().unwrap())).unwrap();
    let home = place.path().join("worker");
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut worker = Running::start(
        Command::new(tool("rebuilderd-worker"))
            .arg("--config")
            .arg(&conf)
            .args(["connect", &endpoint])
            .current_dir(&home)
            .env("REBUILDERD_COOKIE_PATH", &cookie)
            .env("HALLMARK_KEYRING", &shelf.keyring)
            .env("HALLMARK_ENGINE", "namespaces")
            .env("PATH", format!("{}:{path}", verify_folder().display())),
    );
    // Two builds are reported; only then there is nothing to do.
    worker.wait_for("Sending build report");
    worker.wait_for("Sending build report");
    worker.wait_for("No pending tasks");

    let listed = client(&["pkgs", "ls", "--json"], "");
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let status = |name: &str| {
        let mut rows = listed.as_array().unwrap().iter();
        let row = rows.find(|row| row["name"] == name);
        row.unwrap_or_else(|| panic!("{listed}"))["status"].clone()
    };
    let seen = worker.seen.join("\n");
    assert_eq!(status("tiny-good"), "GOOD", "{listed}\n{seen}");
    assert_eq!(status("tiny-altered"), "BAD", "{listed}\n{seen}");
}
