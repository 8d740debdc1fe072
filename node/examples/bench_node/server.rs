//! The servers under test: started on a scratch folder, watched through `/proc`.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Ticks of `/proc/PID/stat` in a second; the same on every Linux that Rust runs on.
const TICKS_A_SECOND: u64 = 100;

/// Counts the syncs of a server by a preloaded library; without a C compiler nothing is counted.
pub(crate) struct SyncCounter {
    library: PathBuf,
    _dir: tempfile::TempDir,
}

impl SyncCounter {
    pub(crate) fn compile() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let library = dir.path().join("count_syncs.so");
        let source =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/bench_node/count_syncs.c");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .arg(source)
            .status();
        match compiled {
            Ok(status) if status.success() => Some(Self { library, _dir: dir }),
            _ => {
                eprintln!("syncs are not counted: `cc` did not compile the counter");
                None
            }
        }
    }
}

/// A server under test; killed when it goes out of scope.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) address: String,
    /// The headers that every request needs, each with its line end.
    pub(crate) headers: String,
    child: Child,
    syncs: Option<std::fs::File>,
    _dir: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What a server has used up by now.
#[derive(Clone, Copy)]
pub(crate) struct Used {
    pub(crate) cpu: Duration,
    /// `None`: nobody counts.
    pub(crate) syncs: Option<u64>,
}

impl Server {
    /// `memory-node` as it is: encrypted, signed, `synchronous=FULL`.
    pub(crate) fn node(binary: &Path, counter: Option<&SyncCounter>) -> Self {
        let dir = scratch();
        let pass = passphrase_in(dir.path());
        let base = || {
            let mut command = Command::new(binary);
            command.arg("--data-dir").arg(dir.path().join("data"));
            command.arg("--passphrase-file").arg(&pass);
            command
        };
        let made = base().arg("init").stdout(Stdio::null()).status().unwrap();
        assert!(made.success(), "`memory-node init` failed");
        let mut serve = base();
        let syncs = counted(&mut serve, counter, dir.path());
        let mut child = serve
            .args(["serve", "--listen", "127.0.0.1:0"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let address = lines
            .find_map(|line| {
                let (_, rest) = line.split_once("api: listening on ")?;
                rest.split(',').next().map(str::to_owned)
            })
            .unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        let token = std::fs::read_to_string(dir.path().join("data/token")).unwrap();
        let headers = format!(
            "Host: {address}\r\nAuthorization: Bearer {}\r\n",
            token.trim()
        );
        Self {
            name: "memory-node",
            address,
            headers,
            child,
            syncs,
            _dir: dir,
        }
    }

    /// `ai-memory` with SQLCipher and its own defaults.
    pub(crate) fn ai_memory(binary: &Path, counter: Option<&SyncCounter>) -> Self {
        let dir = scratch();
        let pass = passphrase_in(dir.path());
        let probe = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = probe.local_addr().unwrap();
        drop(probe);
        let mut serve = Command::new(binary);
        let syncs = counted(&mut serve, counter, dir.path());
        let child = serve
            .env("HOME", dir.path())
            .env("AI_MEMORY_NO_CONFIG", "1")
            .arg("--db")
            .arg(dir.path().join("ai.db"))
            .arg("--db-passphrase-file")
            .arg(&pass)
            .args(["serve", "--host", "127.0.0.1", "--port"])
            .arg(address.port().to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            let waited = started.elapsed();
            assert!(
                waited < Duration::from_secs(60),
                "ai-memory does not listen"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        Self {
            name: "ai-memory",
            address: address.to_string(),
            headers: format!("Host: {address}\r\n"),
            child,
            syncs,
            _dir: dir,
        }
    }

    pub(crate) fn used(&self) -> Used {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // The name in brackets may hold anything; utime and stime are fields 14 and 15.
        let after_name = stat.rsplit_once(')').unwrap().1;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let ticks: u64 = fields[11..13]
            .iter()
            .map(|field| field.parse::<u64>().unwrap())
            .sum();
        let syncs = self.syncs.as_ref().map(|file| {
            let mut bytes = [0_u8; 8];
            file.read_exact_at(&mut bytes, 0).unwrap();
            u64::from_ne_bytes(bytes)
        });
        Used {
            cpu: Duration::from_millis(ticks * 1000 / TICKS_A_SECOND),
            syncs,
        }
    }

    /// The most memory that it has had resident since [`Server::forget_peak`], in KiB.
    pub(crate) fn peak_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let mut lines = status.lines();
        let line = lines.find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Begins the peak anew (proc(5), `clear_refs`, 5); without root it stays the peak since the
    /// start, because the node lets nobody else into its memory.
    pub(crate) fn forget_peak(&self) {
        drop(std::fs::write(
            format!("/proc/{}/clear_refs", self.child.id()),
            "5",
        ));
    }
}

/// On the disk of the working folder: a temporary folder may be memory, where a sync costs nothing.
fn scratch() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix(".bench-")
        .tempdir_in(".")
        .unwrap()
}

fn passphrase_in(folder: &Path) -> PathBuf {
    let path = folder.join("pass");
    std::fs::write(&path, "bench passphrase").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn counted(
    command: &mut Command,
    counter: Option<&SyncCounter>,
    folder: &Path,
) -> Option<std::fs::File> {
    let counter = counter?;
    let path = folder.join("syncs");
    std::fs::write(&path, [0; 8]).unwrap();
    command.env("LD_PRELOAD", &counter.library);
    command.env("COUNT_SYNCS", path.canonicalize().unwrap());
    Some(std::fs::File::open(&path).unwrap())
}
