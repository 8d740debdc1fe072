//! An OpenPGP key that lives in a folder of its own and is gone when the demo ends.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use anyhow::Context as _;
use tempfile::TempDir;

use crate::{shell, talk};

/// Nobody can have this address (RFC 2606).
pub(super) const EMAIL: &str = "demo@hallmark.invalid";

/// A key of one day in a GnuPG home of its own. Dropping it stops its agent and removes it.
pub(super) struct ThrowAwayKey {
    home: TempDir,
    fingerprint: String,
}

impl ThrowAwayKey {
    /// Makes the key with the machine's own gpg.
    pub(super) fn make() -> anyhow::Result<Self> {
        // Under /tmp: a socket's path must stay below 108 bytes.
        let home = tempfile::Builder::new()
            .prefix("demo-key-")
            .tempdir_in("/tmp");
        let home = home.context("making a folder for the throw-away key")?;
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700))?;
        let mut key = Self {
            home,
            fingerprint: String::new(),
        };
        let name = format!("Demo, a throw-away key <{EMAIL}>");
        key.gpg(&[
            "--passphrase",
            "",
            "--quick-generate-key",
            &name,
            "ed25519",
            "sign",
            "1d",
        ])?;
        let list = key.gpg(&["--list-secret-keys", "--with-colons"])?;
        let list = String::from_utf8_lossy(&list).into_owned();
        let line = list.lines().find(|line| line.starts_with("fpr:"));
        let fingerprint = line.and_then(|line| line.split(':').nth(9));
        key.fingerprint = fingerprint.context("gpg lists no fingerprint")?.to_owned();
        talk::say(&format!("    throw-away key {}", key.fingerprint));
        Ok(key)
    }

    /// `GNUPGHOME`.
    pub(super) fn home(&self) -> &Path {
        self.home.path()
    }

    /// 40 upper-case hexadecimal digits.
    pub(super) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The certificate, armored.
    pub(super) fn certificate(&self) -> anyhow::Result<Vec<u8>> {
        self.gpg(&["--armor", "--export", &self.fingerprint])
    }

    fn gpg(&self, arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
        shell::program("gpg")
            .arg("--homedir")
            .arg(self.home.path())
            .args(["--batch", "--quiet", "--no-tty"])
            .args(arguments)
            .read()
    }
}

impl Drop for ThrowAwayKey {
    fn drop(&mut self) {
        let stopped = shell::program("gpgconf")
            .arg("--homedir")
            .arg(self.home.path())
            .args(["--kill", "all"])
            .read();
        if let Err(error) = stopped {
            talk::say(&format!(
                "    the throw-away key's agent was not stopped: {error:#}"
            ));
        }
    }
}
