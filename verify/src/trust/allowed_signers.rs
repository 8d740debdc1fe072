//! Answers: which SSH keys may sign what, and when?
//!
//! The list is a file as `ssh-keygen -Y verify` reads it (ssh-keygen(1), ALLOWED SIGNERS): principals,
//! options, and a public key. A line that is not understood is an error: a list of whom to trust is
//! read as a whole or not at all.

use std::collections::BTreeSet;
use std::time::SystemTime;

use ssh_key::authorized_keys::ConfigOpts;
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, HashAlg, PublicKey};

use super::openpgp::Instant;
use super::ssh::SshRefusal;

/// Who may sign with SSH keys; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedSigners {
    signers: Vec<Signer>,
}

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signer {
    /// Who it is, as the list says.
    pub(super) principals: String,
    /// For what; `None` for everything.
    namespaces: Option<BTreeSet<String>>,
    /// From when on.
    after: Option<SystemTime>,
    /// Until when, exclusively.
    before: Option<SystemTime>,
    key: KeyData,
}

impl AllowedSigners {
    /// Reads a list. Certificate authorities are refused: nothing here checks SSH certificates.
    ///
    /// # Errors
    /// At the first line that is not understood, and when there is none.
    pub fn parse(text: &str) -> Result<Self, SshRefusal> {
        let mut signers = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            signers.push(Signer::parse(line).map_err(|why| SshRefusal::Signers {
                line: index + 1,
                why,
            })?);
        }
        if signers.is_empty() {
            Err(SshRefusal::NoSigners)
        } else {
            Ok(Self { signers })
        }
    }

    /// The line that lets this key sign for `namespace` at this time.
    pub(super) fn find(
        &self,
        key: &KeyData,
        namespace: &str,
        at: SystemTime,
    ) -> Result<&Signer, SshRefusal> {
        let mut named = self
            .signers
            .iter()
            .filter(|signer| signer.key == *key && signer.signs_for(namespace))
            .peekable();
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        if named.peek().is_none() {
            return Err(SshRefusal::UnknownKey { fingerprint });
        }
        named
            .find(|signer| signer.signs_at(at))
            .ok_or(SshRefusal::OutsideValidity {
                fingerprint,
                at: Instant(at),
            })
    }
}

impl Signer {
    fn signs_for(&self, namespace: &str) -> bool {
        let names = self.namespaces.as_ref();
        names.is_none_or(|names| names.contains(namespace))
    }

    fn signs_at(&self, at: SystemTime) -> bool {
        self.after.is_none_or(|after| at >= after) && self.before.is_none_or(|before| at < before)
    }

    fn parse(line: &str) -> Result<Self, String> {
        let words = words(line)?;
        let (principals, rest) = words.split_first().ok_or("it is empty")?;
        let (options, key) = match rest {
            [] => return Err(String::from("it names no key")),
            [kind, ..] if is_kind(kind) => (None, rest),
            [options, key @ ..] => (Some(options), key),
        };
        let mut signer = Self {
            principals: principals.clone(),
            namespaces: None,
            after: None,
            before: None,
            key: public_key(key)?,
        };
        if let Some(options) = options {
            let options = ConfigOpts::new(options.as_str())
                .map_err(|error| format!("its options are not understood: {error}"))?;
            for option in options.iter() {
                signer.option(option)?;
            }
        }
        Ok(signer)
    }

    fn option(&mut self, option: &str) -> Result<(), String> {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let value = value.trim_matches('"');
        match name.to_ascii_lowercase().as_str() {
            "namespaces" if value.contains(['*', '?', '!']) => {
                Err(String::from("patterns in `namespaces` are not read"))
            }
            "namespaces" => {
                self.namespaces = Some(value.split(',').map(str::to_owned).collect());
                Ok(())
            }
            "valid-after" => time_of(value).map(|time| self.after = Some(time)),
            "valid-before" => time_of(value).map(|time| self.before = Some(time)),
            _ => Err(format!("the option `{name}` is not known here")),
        }
    }
}

/// The kind of a key and the key; what follows is a comment.
fn public_key(words: &[String]) -> Result<KeyData, String> {
    let [kind, key, ..] = words else {
        return Err(String::from("it has no key"));
    };
    if !is_read(kind) {
        return Err(format!("`{kind}` is no kind of key that is read here"));
    }
    PublicKey::from_openssh(&format!("{kind} {key}"))
        .map(|key| key.key_data().clone())
        .map_err(|error| format!("its key is not a key of the kind `{kind}`: {error}"))
}

/// Whether this is the kind of a key, and not options.
fn is_kind(word: &str) -> bool {
    Algorithm::new(word).is_ok_and(|algorithm| !matches!(algorithm, Algorithm::Other(_)))
}

/// Kinds that may stand in the list: no DSA, no certificates, nothing that is not known.
fn is_read(kind: &str) -> bool {
    matches!(
        Algorithm::new(kind),
        Ok(Algorithm::Ed25519
            | Algorithm::SkEd25519
            | Algorithm::Ecdsa { .. }
            | Algorithm::SkEcdsaSha2NistP256
            | Algorithm::Rsa { hash: None })
    )
}

/// `YYYYMMDD[HHMM[SS]][Z]`. OpenSSH reads a time without `Z` in the machine's own zone; here each
/// is UTC, so that the answer is the same everywhere.
fn time_of(text: &str) -> Result<SystemTime, String> {
    let wrong = || format!("`{text}` is not a time of the form YYYYMMDD[HHMM[SS]]Z");
    let digits = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    if ![8, 12, 14].contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let whole = format!("{digits:0<14}");
    let format = time::macros::format_description!("[year][month][day][hour][minute][second]");
    let time = time::PrimitiveDateTime::parse(&whole, &format).map_err(|_| wrong())?;
    Ok(time.assume_utc().into())
}

/// Splits at white space outside quotes.
fn words(line: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        quoted ^= c == '"';
        if c.is_ascii_whitespace() && !quoted {
            words.push(std::mem::take(&mut word));
        } else {
            word.push(c);
        }
    }
    if quoted {
        return Err(String::from("a quote is not closed"));
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    #[test]
    fn lines_of_allowed_signers_are_read_with_their_options() {
        let text = format!(
            "# comment\na@example.org {KEY} a comment\n\
             \"b and c\"\tnamespaces=\"git,file\",valid-before=\"20260101Z\" {KEY}\n"
        );
        let list = AllowedSigners::parse(&text).unwrap();
        assert_eq!(list.signers.len(), 2);
        assert_eq!(list.signers[1].principals, "\"b and c\"");
        assert!(list.signers[1].namespaces.as_ref().unwrap().contains("git"));
        assert!(list.signers[1].before.is_some() && list.signers[1].after.is_none());
    }

    #[test]
    fn what_is_not_understood_is_refused_and_not_skipped() {
        for (bad, why) in [
            (String::new(), "empty"),
            (String::from("a@example.org"), "names no key"),
            (
                format!("a@example.org cert-authority {KEY}"),
                "cert-authority",
            ),
            (format!("a@example.org namespaces=\"*\" {KEY}"), "patterns"),
            (format!("a@example.org valid-after=soon {KEY}"), "soon"),
            (format!("a@example.org namespaces=\"git {KEY}"), "quote"),
            (
                String::from("a@example.org ssh-dss AAAAB3NzaC1kc3M="),
                "ssh-dss",
            ),
            (
                String::from("a@example.org ssh-rsa AAAAC3NzaC1lZDI1NTE5"),
                "ssh-rsa",
            ),
            (
                String::from("a@example.org namespaces=\"git\" ssh-rsa"),
                "no key",
            ),
        ] {
            let refusal = AllowedSigners::parse(&bad).unwrap_err().to_string();
            assert!(refusal.contains(why), "{bad}: {refusal}");
        }
    }
}
