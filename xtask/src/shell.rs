//! The only place that starts a process.
//!
//! Every call names its program and arguments one by one: no shell splits or expands them. What
//! runs visibly is announced on stderr first.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context as _, bail};

use crate::talk;

/// A program to run, with its arguments, folder and environment.
#[derive(Debug)]
pub(crate) struct Program {
    command: Command,
    shown: String,
}

/// Names a program; nothing runs yet.
pub(crate) fn program(name: impl AsRef<OsStr>) -> Program {
    Program {
        shown: name.as_ref().to_string_lossy().into_owned(),
        command: Command::new(name),
    }
}

impl Program {
    /// Adds one argument.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.shown.push(' ');
        self.shown.push_str(&quoted(arg.as_ref()));
        self.command.arg(arg);
        self
    }

    /// Adds several arguments.
    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        for arg in args {
            self = self.arg(arg);
        }
        self
    }

    /// Runs in this folder instead of the current one.
    pub(crate) fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Sets one variable of the environment.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Announces the command, lets it speak to the terminal, and gives its exit status.
    pub(crate) fn status(mut self) -> anyhow::Result<ExitStatus> {
        talk::say(&format!("$ {}", self.shown));
        self.command
            .status()
            .with_context(|| not_started(&self.shown))
    }

    /// Announces the command, lets it speak to the terminal, and wants it to succeed.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let shown = self.shown.clone();
        let status = self.status()?;
        if !status.success() {
            bail!("`{shown}` ended with {status}");
        }
        Ok(())
    }

    /// Runs silently and gives stdout, or an error with what the program said on stderr.
    pub(crate) fn read(mut self) -> anyhow::Result<Vec<u8>> {
        self.command.stdin(Stdio::null());
        self.read_as_prepared()
    }

    fn read_as_prepared(self) -> anyhow::Result<Vec<u8>> {
        let shown = self.shown.clone();
        let (status, stdout, stderr) = self.ended()?;
        if !status.success() {
            bail!("`{shown}` ended with {status}: {}", stderr.trim());
        }
        Ok(stdout)
    }

    /// Runs silently and gives stdout as one trimmed line of text.
    pub(crate) fn read_line(self) -> anyhow::Result<String> {
        let shown = self.shown.clone();
        let text = String::from_utf8(self.read()?)
            .with_context(|| format!("`{shown}` did not write UTF-8"))?;
        Ok(text.trim().to_owned())
    }

    /// Runs silently with these bytes on stdin, and gives stdout.
    #[cfg(feature = "engineer")]
    pub(crate) fn read_with_input(mut self, input: &[u8]) -> anyhow::Result<Vec<u8>> {
        use std::io::{Seek as _, Write as _};
        // A file, not a pipe: a program that writes before it has read all cannot block us.
        let mut stdin = tempfile::tempfile().context("keeping the program's input")?;
        stdin
            .write_all(input)
            .context("keeping the program's input")?;
        stdin.rewind().context("keeping the program's input")?;
        self.command.stdin(stdin);
        self.read_as_prepared()
    }

    /// Runs silently and gives status, stdout and stderr, whatever the status.
    pub(crate) fn outcome(mut self) -> anyhow::Result<(ExitStatus, Vec<u8>, String)> {
        self.command.stdin(Stdio::null());
        self.ended()
    }

    fn ended(mut self) -> anyhow::Result<(ExitStatus, Vec<u8>, String)> {
        let output = self
            .command
            .output()
            .with_context(|| not_started(&self.shown))?;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok((output.status, output.stdout, stderr))
    }

    /// Announces the command, shows each line of its stdout to `look`, and passes on those for
    /// which it says `true`.
    pub(crate) fn tee(mut self, mut look: impl FnMut(&str) -> bool) -> anyhow::Result<ExitStatus> {
        talk::say(&format!("$ {}", self.shown));
        let mut child = self
            .command
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| not_started(&self.shown))?;
        let stdout = child
            .stdout
            .take()
            .context("the child's stdout was not piped")?;
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.context("reading the program's output")?;
            let line = String::from_utf8_lossy(&line);
            if look(&line) {
                talk::answer(&line)?;
            }
        }
        child.wait().context("waiting for the program's end")
    }
}

/// Whether a program of this name can be found on `PATH`.
pub(crate) fn exists(name: &str) -> bool {
    find(name).is_some()
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin"));
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
}

fn not_started(shown: &str) -> String {
    format!("`{shown}` could not be started")
}

fn quoted(arg: &OsStr) -> String {
    let text = arg.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%^".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_is_an_error_that_carries_its_stderr() {
        let error = program("sh")
            .args(["-c", "echo broken >&2; exit 3"])
            .read()
            .expect_err("exit 3 is a failure");
        assert!(error.to_string().contains("broken"), "{error}");
        assert!(error.to_string().contains("exit status: 3"), "{error}");
    }

    #[test]
    fn an_argument_with_a_space_is_passed_whole() {
        let line = program("printf")
            .args(["%s|", "a b", "c"])
            .read_line()
            .expect("printf runs");
        assert_eq!(line, "a b|c|");
    }
}
