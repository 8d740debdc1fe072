//! A node in a scratch folder: its files, its command line, its running process, its HTTP.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// The passphrase of every scratch node; nothing that a file may hold by chance.
pub(crate) const PASSPHRASE: &str = "correct horse battery staple ÄÖ";

/// A data directory with a passphrase file.
pub(crate) struct Scratch {
    pub(crate) dir: TempDir,
}

/// What a command gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// The short name of the error, out of `--json`.
    pub(crate) fn error_code(&self) -> String {
        let line = self.stderr.lines().last().unwrap_or_default();
        let document: Value =
            serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {self:?}"));
        document["error"]["code"].as_str().unwrap().to_owned()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Scratch {
    /// An empty folder and a passphrase file; nothing is initialised.
    pub(crate) fn empty() -> Self {
        let this = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        write_private(&this.pass_file(), &format!("{PASSPHRASE}\n"));
        this
    }

    /// An initialised node.
    pub(crate) fn new() -> Self {
        let this = Self::empty();
        this.run(&["init"]).ok();
        this
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn db(&self) -> PathBuf {
        self.data().join("memory.db")
    }

    pub(crate) fn pass_file(&self) -> PathBuf {
        self.dir.path().join("pass")
    }

    pub(crate) fn token(&self) -> String {
        std::fs::read_to_string(self.data().join("token"))
            .unwrap()
            .trim()
            .to_owned()
    }

    /// The binary with the data directory, without a passphrase and a clean environment.
    pub(crate) fn bare(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_memory-node"));
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .arg("--data-dir")
            .arg(self.data())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = self.bare();
        command.arg("--passphrase-file").arg(self.pass_file());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.command().args(args).output().unwrap().into()
    }

    pub(crate) fn store(&self, title: &str, content: &str) -> String {
        let ran = self
            .run(&["store", "--title", title, "--content", content])
            .ok();
        ran.stdout.trim().to_owned()
    }

    pub(crate) fn serve(&self) -> Served {
        self.serve_with(&[])
    }

    pub(crate) fn serve_with(&self, args: &[&str]) -> Served {
        let mut command = self.command();
        command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(args);
        Served::start(command, self.token())
    }

    /// Every file of the data directory with its bytes.
    pub(crate) fn snapshot(&self) -> Vec<(PathBuf, Vec<u8>)> {
        snapshot(&self.data())
    }

    /// Every file with its length and digest, for "nothing was modified".
    pub(crate) fn digests(&self) -> Vec<String> {
        use sha2::{Digest as _, Sha256};
        let line = |(path, bytes): (PathBuf, Vec<u8>)| {
            let digest = hex::encode(Sha256::digest(&bytes));
            format!("{} {} {digest}", path.display(), bytes.len())
        };
        self.snapshot().into_iter().map(line).collect()
    }
}

pub(crate) fn snapshot(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            (path, bytes)
        })
        .collect();
    files.sort();
    files
}

pub(crate) fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// A running node; killed when it goes out of scope.
pub(crate) struct Served {
    pub(crate) child: Child,
    pub(crate) address: String,
    pub(crate) token: String,
    pub(crate) log: std::sync::Arc<std::sync::Mutex<String>>,
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Http {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Http {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

impl Served {
    pub(crate) fn start(mut command: Command, token: String) -> Self {
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let mut text = String::new();
        // The listener's line is the last that `serve` says when it begins.
        let address = lines.by_ref().find_map(|line| {
            text.push_str(&line);
            text.push('\n');
            let (_, rest) = line.split_once("api: listening on 127")?;
            rest.split(',').next().map(|rest| format!("127{rest}"))
        });
        let log = std::sync::Arc::new(std::sync::Mutex::new(text));
        let sink = std::sync::Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines {
                let mut log = sink.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let address = address.unwrap_or_else(|| panic!("{}", log.lock().unwrap()));
        Self {
            child,
            address,
            token,
            log,
        }
    }

    pub(crate) fn http(&self, method: &str, path: &str, body: Option<&Value>) -> Http {
        self.http_with(method, path, body, &[])
    }

    pub(crate) fn http_with(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Http {
        let bearer = format!("Bearer {}", self.token);
        let mut all = vec![("Host", self.address.as_str()), ("Authorization", &bearer)];
        all.extend_from_slice(headers);
        self.http_raw(method, path, body.map(Value::to_string).as_deref(), &all)
    }

    /// Sends exactly these headers (and what a body needs).
    pub(crate) fn http_raw(
        &self,
        method: &str,
        path: &str,
        body: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Http {
        receive(self.send_raw(method, path, body, headers))
    }

    /// Sends a request and does not wait for the answer; [`receive`] gives it.
    pub(crate) fn send(&self, method: &str, path: &str, body: &Value) -> TcpStream {
        let bearer = format!("Bearer {}", self.token);
        let headers = [("Host", self.address.as_str()), ("Authorization", &bearer)];
        self.send_raw(method, path, Some(&body.to_string()), &headers)
    }

    fn send_raw(
        &self,
        method: &str,
        path: &str,
        body: Option<&str>,
        headers: &[(&str, &str)],
    ) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = body {
            if !headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
            {
                request.push_str("Content-Type: application/json\r\n");
            }
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        if let Some(body) = body {
            // A refusal may come before the whole body was taken.
            drop(stream.write_all(body.as_bytes()));
        }
        stream
    }

    /// A request to a node that may be killed meanwhile: `None` then.
    pub(crate) fn try_http(&self, method: &str, path: &str, body: &Value) -> Option<Http> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        let body = body.to_string();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nConnection: close\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            self.token,
            body.len()
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        // Cut off in the middle: it was not acknowledged.
        let complete = answer.ends_with(b"}") && answer.windows(4).any(|four| four == b"\r\n\r\n");
        complete.then(|| parse_http(&answer))
    }

    pub(crate) fn stop(mut self) -> i32 {
        let pid = rustix::process::Pid::from_child(&self.child);
        let told = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        assert!(told.is_ok(), "{told:?}");
        self.child.wait().unwrap().code().unwrap()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The answer to what was sent.
pub(crate) fn receive(mut stream: TcpStream) -> Http {
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    parse_http(&answer)
}

pub(crate) fn parse_http(answer: &[u8]) -> Http {
    let split = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap_or_else(|| panic!("no head in {:?}", String::from_utf8_lossy(answer)));
    let head = String::from_utf8(answer[..split].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut body = answer[split + 4..].to_vec();
    if headers
        .iter()
        .any(|(n, v)| n == "transfer-encoding" && v == "chunked")
    {
        body = dechunk(&body);
    }
    Http {
        status,
        headers,
        body: String::from_utf8(body).unwrap(),
    }
}

fn dechunk(mut body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(end) = body.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&body[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            break;
        }
        out.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[end + 2 + size + 2..];
    }
    out
}
