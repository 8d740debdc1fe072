//! A release that is built on another machine: Nix over SSH to a builder of the test's own. The
//! builder is an SSH daemon on loopback in a mount namespace with its own, empty `/nix`: as far as
//! Nix can see, a machine that shares nothing with this one.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::fixture::{TAG, Workspace, advisory_db, answer, talk};
use crate::peers::said;

/// An SSH daemon that goes with the test.
struct Builder {
    folder: tempfile::TempDir,
    daemon: Child,
    port: u16,
}

impl Builder {
    /// `None`, and a line that says why, where this machine cannot have one.
    fn start() -> Option<Self> {
        let sshd = Path::new("/usr/sbin/sshd");
        if !sshd.is_file() {
            println!("skipped: no SSH daemon is installed; `apt-get install openssh-server`");
            return None;
        }
        let user = Command::new("id").arg("-u").output().unwrap();
        if answer(&user).trim() != "0" {
            println!("skipped: a builder with its own `/nix` needs root");
            return None;
        }
        let folder = tempfile::Builder::new()
            .prefix("builder")
            .tempdir()
            .unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        for key in ["host", "client"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-f", &at(key)]);
            said(&keygen.output().unwrap());
        }
        fs::create_dir(folder.path().join("nix")).unwrap();
        fs::copy(at("client.pub"), at("authorized_keys")).unwrap();
        let port = {
            let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            listener.local_addr().unwrap().port()
        };
        let nix =
            "sandbox = true\\nsandbox-fallback = false\\nsubstitute = false\\nbuild-users-group =";
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             PermitRootLogin prohibit-password\nLogLevel VERBOSE\nSetEnv NIX_CONF_DIR={}\n",
            at("host"),
            at("authorized_keys"),
            at("conf"),
        );
        fs::create_dir(at("conf")).unwrap();
        fs::write(at("conf/nix.conf"), nix.replace("\\n", "\n")).unwrap();
        fs::write(at("sshd_config"), config).unwrap();
        fs::create_dir_all("/run/sshd").unwrap();
        fs::create_dir_all("/nix").unwrap();
        // The folder is hidden to others, the store in it is not: builders may be other users.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut daemon = Command::new("unshare")
            .args(["--mount", "--kill-child", "sh", "-euc"])
            .arg("mount --bind \"$1\" /nix; exec /usr/sbin/sshd -D -e -f \"$2\"")
            .args(["builder", &at("nix"), &at("sshd_config")])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(daemon.stderr.take().unwrap()).lines();
        let mut seen = Vec::new();
        while let Some(Ok(line)) = lines.next() {
            seen.push(line);
            if seen.iter().any(|line| line.contains("Server listening on")) {
                // Goes on reading, so that the daemon can go on writing.
                std::thread::spawn(move || lines.map_while(Result::ok).count());
                return Some(Self {
                    folder,
                    daemon,
                    port,
                });
            }
        }
        println!(
            "skipped: the SSH daemon does not start here: {}",
            seen.join("; ")
        );
        daemon.wait().unwrap();
        None
    }

    /// What ssh needs to find it and to know it.
    fn options(&self) -> String {
        let at = |name: &str| self.folder.path().join(name).display().to_string();
        let host = fs::read_to_string(at("host.pub")).unwrap();
        let known = format!("[127.0.0.1]:{} {host}", self.port);
        fs::write(at("known_hosts"), known).unwrap();
        format!(
            "-F none -p {} -i {} -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile={}",
            self.port,
            at("client"),
            at("known_hosts"),
        )
    }

    /// Store paths of the builder with this name.
    fn store(&self, name: &str) -> Vec<PathBuf> {
        fs::read_dir(self.folder.path().join("nix/store"))
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_string_lossy().ends_with(name))
            .collect()
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        // `--kill-child` takes the daemon along.
        self.daemon.kill().ok();
        self.daemon.wait().ok();
    }
}

#[test]
fn a_remote_builder_makes_the_bytes_that_this_machine_makes() {
    let Some(builder) = Builder::start() else {
        return;
    };
    let workspace = Workspace::new();
    // Nobody has built this source before.
    let unique = builder.port;
    workspace.write(
        "src/main.rs",
        &format!(
            "//! Prints one line.\nfn main() {{\n    println!(\"built far away, {unique}\");\n}}\n"
        ),
    );
    workspace.commit("Other words");
    workspace.sign_tag(TAG, &workspace.engineer);
    let database = advisory_db();
    let output = workspace.xtask_with(
        &[("NIX_SSHOPTS", &builder.options())],
        &[
            "release",
            TAG,
            "--sign-with",
            &workspace.engineer,
            "--advisory-db",
            database.path().to_str().unwrap(),
            "--builders",
            "ssh-ng://root@127.0.0.1 x86_64-linux - 1 1",
        ],
    );
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}\n{}",
        answer(&output),
        talk(&output)
    );
    let built = builder.store("-binaries");
    assert_eq!(built.len(), 1, "the builder has built: {built:?}");
    let remote = fs::read(built[0].join("bin/tiny")).unwrap();
    let bundle = workspace
        .path()
        .join("target/release-out/v1.0.0/tiny-1.0.0-x86_64-linux/bin/tiny");
    assert!(remote == fs::read(bundle).unwrap());
    // The second build, in this machine's namespaces, gave the same: else there were no release.
    assert!(
        answer(&output).contains("engine namespaces"),
        "{}",
        answer(&output)
    );
}
