//! Where the database's passphrase comes from: a file, a systemd credential, a descriptor, a
//! command, or, with a warning, an environment variable. Never the command line.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use secrecy::SecretString;
use zeroize::{Zeroize as _, Zeroizing};

use crate::store::{EmptyPassphrase, Passphrase};

/// The credential's name under `$CREDENTIALS_DIRECTORY`.
pub const CREDENTIAL: &str = "db-passphrase";
/// The environment variable that is taken with a warning.
pub const VARIABLE: &str = "MEMORY_NODE_PASSPHRASE";
/// A passphrase longer than this is a mistake: some other file was named.
const MAX_BYTES: u64 = 4096;

/// One place to take the passphrase from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file that only its owner can read.
    File(PathBuf),
    /// A credential that systemd has put there.
    Credential(PathBuf),
    /// An open descriptor, read to its end.
    Descriptor(u32),
    /// A command for `sh -c`; its standard output.
    Command(String),
    /// The environment variable [`VARIABLE`].
    Environment,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file `{}`", path.display()),
            Self::Credential(path) => write!(f, "the systemd credential `{}`", path.display()),
            Self::Descriptor(fd) => write!(f, "the descriptor {fd}"),
            Self::Command(_) => f.write_str("the passphrase command"),
            Self::Environment => write!(f, "the environment variable `{VARIABLE}`"),
        }
    }
}

/// Why there is no passphrase.
#[derive(Debug, thiserror::Error)]
pub enum PassphraseError {
    /// No source was named and none is there.
    #[error("no passphrase was given")]
    NoSource,
    /// More than one was named.
    #[error("more than one source of the passphrase was named")]
    Ambiguous,
    /// It is empty.
    #[error("{0} is empty: the passphrase must not be")]
    Empty(Source),
    /// Others may read it.
    #[error("{origin} can be read by others: its mode is {mode:o}")]
    Exposed {
        /// Where.
        origin: Source,
        /// The permission bits.
        mode: u32,
    },
    /// It is not text.
    #[error("{0} is not UTF-8 text")]
    NotText(Source),
    /// It is too long to be one.
    #[error("{0} is longer than 4096 bytes: that is no passphrase")]
    TooLong(Source),
    /// It cannot be read.
    #[error("cannot read {origin}: {error}")]
    Unreadable {
        /// Where.
        origin: Source,
        /// What the system says.
        error: io::Error,
    },
    /// The command did not succeed.
    #[error("the passphrase command failed: {0}")]
    CommandFailed(String),
}

impl PassphraseError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoSource => {
                "make one with `(umask 077; head -c 32 /dev/urandom | base64 > FILE)` and pass `--passphrase-file FILE`".to_owned()
            }
            Self::Ambiguous => "name exactly one".to_owned(),
            Self::Exposed { origin: Source::File(path), .. } => {
                format!("`chmod 600 {}`", path.display())
            }
            _ => return None,
        })
    }

    /// A short name of the reason that programs may rely on.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoSource => "passphrase_missing",
            Self::Ambiguous => "passphrase_ambiguous",
            Self::Empty(_) => "passphrase_empty",
            Self::Exposed { .. } => "passphrase_exposed",
            Self::NotText(_) | Self::TooLong(_) => "passphrase_malformed",
            Self::Unreadable { .. } => "passphrase_unreadable",
            Self::CommandFailed(_) => "passphrase_command_failed",
        }
    }
}

/// What the operator said; everything `None` leaves it to the environment.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// `--passphrase-file`.
    pub file: Option<PathBuf>,
    /// `--passphrase-fd`.
    pub fd: Option<u32>,
    /// `--passphrase-command`.
    pub command: Option<String>,
}

/// Decides where the passphrase is to be taken from.
///
/// What is named wins; then the systemd credential, then the variable.
///
/// # Errors
/// When two are named, or nothing is.
pub fn decide(
    choice: &Choice,
    credentials: Option<&Path>,
    variable_is_set: bool,
) -> Result<Source, PassphraseError> {
    let mut named = Vec::new();
    named.extend(choice.file.clone().map(Source::File));
    named.extend(choice.fd.map(Source::Descriptor));
    named.extend(choice.command.clone().map(Source::Command));
    if named.len() > 1 {
        return Err(PassphraseError::Ambiguous);
    }
    if let Some(source) = named.pop() {
        return Ok(source);
    }
    // One that is there and cannot be looked at is taken too: reading it says what is wrong.
    if let Some(path) = credentials.map(|folder| folder.join(CREDENTIAL))
        && !matches!(path.try_exists(), Ok(false))
    {
        return Ok(Source::Credential(path));
    }
    if variable_is_set {
        return Ok(Source::Environment);
    }
    Err(PassphraseError::NoSource)
}

/// Reads the passphrase: everything but one line end at its end.
///
/// # Errors
/// When it cannot be read, is exposed, empty, too long or no text.
pub fn read(source: &Source) -> Result<Passphrase, PassphraseError> {
    let unreadable = |error| PassphraseError::Unreadable {
        origin: source.clone(),
        error,
    };
    let bytes = match source {
        Source::File(path) | Source::Credential(path) => {
            let file = File::open(path).map_err(unreadable)?;
            let about = file.metadata().map_err(unreadable)?;
            let mode = about.mode() & 0o777;
            if about.is_file() && mode & 0o077 != 0 && !matches!(source, Source::Credential(_)) {
                return Err(PassphraseError::Exposed {
                    origin: source.clone(),
                    mode,
                });
            }
            limited(file, source)?
        }
        // /proc/self/fd opens what the descriptor is, without taking it over.
        Source::Descriptor(fd) => {
            let file = File::open(format!("/proc/self/fd/{fd}")).map_err(unreadable)?;
            limited(file, source)?
        }
        Source::Command(line) => run(line)?,
        Source::Environment => {
            tracing::warn!(
                "the passphrase comes from the environment, which other processes of this user can read"
            );
            let text = std::env::var(VARIABLE)
                .map_err(|error| unreadable(io::Error::other(error.to_string())))?;
            Zeroizing::new(text.into_bytes())
        }
    };
    to_passphrase(&bytes, source)
}

fn to_passphrase(bytes: &[u8], source: &Source) -> Result<Passphrase, PassphraseError> {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|_| PassphraseError::NotText(source.clone()))?;
    if text.contains('\0') {
        return Err(PassphraseError::NotText(source.clone()));
    }
    Passphrase::new(SecretString::from(text))
        .map_err(|EmptyPassphrase| PassphraseError::Empty(source.clone()))
}

fn limited(mut from: impl Read, source: &Source) -> Result<Zeroizing<Vec<u8>>, PassphraseError> {
    // Reserved at once, so that no half of a secret stays behind in a buffer that grew.
    let mut bytes = Zeroizing::new(Vec::with_capacity(8192));
    let mut chunk = [0_u8; 1024];
    loop {
        let count = from
            .read(&mut chunk)
            .map_err(|error| PassphraseError::Unreadable {
                origin: source.clone(),
                error,
            })?;
        if count == 0 {
            break;
        }
        bytes.extend_from_slice(chunk.get(..count).unwrap_or_default());
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_BYTES {
            chunk.zeroize();
            return Err(PassphraseError::TooLong(source.clone()));
        }
    }
    chunk.zeroize();
    Ok(bytes)
}

/// The operator's own words, by the operator's own shell: that is what the option is for.
fn run(line: &str) -> Result<Zeroizing<Vec<u8>>, PassphraseError> {
    let output = Command::new("/bin/sh")
        .args(["-c", line])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| PassphraseError::CommandFailed(error.to_string()))?;
    let bytes = Zeroizing::new(output.stdout);
    if !output.status.success() {
        return Err(PassphraseError::CommandFailed(output.status.to_string()));
    }
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_BYTES {
        return Err(PassphraseError::TooLong(Source::Command(line.to_owned())));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_wins_and_two_names_are_refused() {
        let mut choice = Choice {
            fd: Some(3),
            ..Choice::default()
        };
        assert_eq!(decide(&choice, None, true).unwrap(), Source::Descriptor(3));
        choice.command = Some("true".to_owned());
        assert!(matches!(
            decide(&choice, None, true),
            Err(PassphraseError::Ambiguous)
        ));
        assert!(matches!(
            decide(&Choice::default(), None, false),
            Err(PassphraseError::NoSource)
        ));
    }

    #[test]
    fn only_one_line_end_is_taken_off() {
        let source = Source::Descriptor(0);
        assert!(matches!(
            to_passphrase(b"\n", &source),
            Err(PassphraseError::Empty(_))
        ));
        assert!(to_passphrase(b" \n", &source).is_ok());
        assert!(matches!(
            to_passphrase(b"\xff", &source),
            Err(PassphraseError::NotText(_))
        ));
    }

    #[test]
    fn a_command_that_fails_gives_no_passphrase() {
        let failed = read(&Source::Command("echo secret; exit 3".to_owned()));
        assert!(matches!(failed, Err(PassphraseError::CommandFailed(_))));
    }
}
