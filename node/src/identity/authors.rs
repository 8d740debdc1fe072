//! The authors file: whose signed versions are taken in, and for which namespaces.
//!
//! ```text
//! # key               name   what it may do and when
//! ed25519:<64 hex>    alice  namespaces=team,global not-after=2027-01-01T00:00:00Z
//! ed25519:<64 hex>    bob    revoked=2026-05-01T00:00:00Z
//! rotation ed25519:<old> ed25519:<new> <time> <signature of the old key>
//! policy experiments  warn
//! shared team
//! ```
//! A bad line refuses the whole file. Nothing is said about a key: it is unknown, and what it
//! signed goes to quarantine, unless the namespace's policy says otherwise.

use std::collections::{BTreeMap, BTreeSet};

use super::keys::AuthorKey;
use super::rotation::Rotation;
use super::version::VerifiedVersion;
use crate::clock::Timestamp;
use crate::federation::allowlist::{BadLine, MAX_BYTES, check_name};

/// Seconds that a version's clock may be ahead of ours.
pub const FUTURE_S: i64 = 300;

/// One author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// Its key.
    pub key: AuthorKey,
    /// How people call it.
    pub name: String,
    /// Namespaces it may write to; `None`: all.
    pub namespaces: Option<BTreeSet<String>>,
    /// What it signed before is not taken.
    pub not_before: Option<Timestamp>,
    /// What it signed after is not taken.
    pub not_after: Option<Timestamp>,
    /// Since when nothing more of it is taken, whatever time that claims.
    pub revoked: Option<Timestamp>,
}

/// What happens to versions whose author is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// They go to quarantine.
    #[default]
    Require,
    /// They are taken, and the log says so.
    Warn,
    /// They are taken.
    Off,
}

/// Every author of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authors {
    authors: BTreeMap<[u8; 32], Author>,
    rotations: Vec<Rotation>,
    policies: BTreeMap<String, Policy>,
    shared: BTreeSet<String>,
}

/// Why a genuine version is not taken in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unwelcome {
    /// Nobody has named this key.
    #[error("no author has the key `{0}`")]
    UnknownAuthor(String),
    /// The key was taken back.
    #[error("the key of `{name}` was revoked at {at}")]
    RevokedAuthor {
        /// Whose.
        name: String,
        /// When.
        at: Timestamp,
    },
    /// It was signed outside the time that the key is for.
    #[error("the key of `{0}` was not in force when this was signed")]
    OutsideValidity(String),
    /// The author may not write there.
    #[error("`{name}` may not write to the namespace `{namespace}`")]
    Namespace {
        /// Who.
        name: String,
        /// Where.
        namespace: String,
    },
    /// Its clock is ahead of ours.
    #[error("it is dated {ahead_s} s in the future, more than {FUTURE_S} s")]
    Future {
        /// By how much.
        ahead_s: i64,
    },
}

impl Authors {
    /// Reads the text of the file.
    ///
    /// # Errors
    /// The first line that cannot be read.
    pub fn parse(text: &str) -> Result<Self, BadLine> {
        if text.len() > MAX_BYTES {
            return Err(BadLine {
                line: 1,
                why: format!("the file has more than {MAX_BYTES} bytes"),
            });
        }
        let mut this = Self::default();
        for (index, line) in text.lines().enumerate() {
            this.take(line.split('#').next().unwrap_or_default())
                .map_err(|why| BadLine {
                    line: index + 1,
                    why,
                })?;
        }
        this.follow_rotations()?;
        Ok(this)
    }

    fn take(&mut self, line: &str) -> Result<(), String> {
        if let Some(odd) = line.chars().find(|c| c.is_control() && *c != '\t') {
            return Err(format!("it holds the control character {odd:?}"));
        }
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words.as_slice() {
            [] => Ok(()),
            ["rotation", ..] => {
                let rotation = line.parse::<Rotation>().map_err(|e| e.to_string())?;
                if self.rotations.iter().any(|known| known.new_key() == rotation.new_key()) {
                    return Err("a rotation to this key stands there twice".to_owned());
                }
                self.rotations.push(rotation);
                Ok(())
            }
            ["policy", namespace, policy] => {
                let policy = match *policy {
                    "require" => Policy::Require,
                    "warn" => Policy::Warn,
                    "off" => Policy::Off,
                    other => return Err(format!("`{other}` is not `require`, `warn` or `off`")),
                };
                match self.policies.insert((*namespace).to_owned(), policy) {
                    None => Ok(()),
                    Some(_) => Err(format!("the policy of `{namespace}` stands there twice")),
                }
            }
            ["shared", namespace] => {
                self.shared.insert((*namespace).to_owned());
                Ok(())
            }
            [key, name, options @ ..] if key.starts_with("ed25519:") => {
                let author = author_of(key, name, options)?;
                if self.authors.values().any(|known| known.name == author.name) {
                    return Err(format!("the name `{name}` stands there twice"));
                }
                match self.authors.insert(*author.key.as_bytes(), author) {
                    None => Ok(()),
                    Some(_) => Err(format!("the key `{key}` stands there twice")),
                }
            }
            _ => Err(
                "neither an author (`ed25519:<64 hex digits> name …`) nor a `rotation`, `policy` or `shared`"
                    .to_owned(),
            ),
        }
    }

    /// The key that comes after gets the name and the rights of the one before, which ends.
    fn follow_rotations(&mut self) -> Result<(), BadLine> {
        let mut left = self.rotations.clone();
        while !left.is_empty() {
            let before = left.len();
            left.retain(|rotation| {
                let Some(old) = self.authors.get(rotation.old().as_bytes()).cloned() else {
                    return true;
                };
                // A key that was taken back has no successor: its thief would name one.
                if old.revoked.is_none() {
                    let new = Author {
                        key: rotation.new_key(),
                        name: old.name.clone(),
                        not_before: Some(rotation.at()),
                        ..old.clone()
                    };
                    self.authors.entry(*new.key.as_bytes()).or_insert(new);
                    if let Some(old) = self.authors.get_mut(rotation.old().as_bytes()) {
                        let ends = old
                            .not_after
                            .map_or(rotation.at(), |t| t.min(rotation.at()));
                        old.not_after = Some(ends);
                    }
                }
                false
            });
            if left.len() == before {
                return Err(BadLine {
                    line: 1,
                    why: format!("nobody has the key `{}` that is rotated", left[0].old()),
                });
            }
        }
        Ok(())
    }

    /// Every author.
    pub fn authors(&self) -> impl Iterator<Item = &Author> {
        self.authors.values()
    }

    /// The author of this key; `None`: unknown.
    #[must_use]
    pub fn get(&self, key: &AuthorKey) -> Option<&Author> {
        self.authors.get(key.as_bytes())
    }

    /// Every rotation, checked.
    #[must_use]
    pub fn rotations(&self) -> &[Rotation] {
        &self.rotations
    }

    /// Namespaces whose new memories may be changed by everyone who may write there.
    #[must_use]
    pub fn shared(&self) -> &BTreeSet<String> {
        &self.shared
    }

    /// Whether a genuine version, dated `hlc_ms`, is welcome at the moment `now`.
    ///
    /// # Errors
    /// Why it is not.
    pub fn judge(
        &self,
        version: &VerifiedVersion,
        hlc_ms: u64,
        now: Timestamp,
    ) -> Result<(), Unwelcome> {
        let dated_ms = i64::try_from(hlc_ms).unwrap_or(i64::MAX);
        let ahead_ms = dated_ms.saturating_sub(now.as_millis());
        if ahead_ms > FUTURE_S * 1000 {
            return Err(Unwelcome::Future {
                ahead_s: ahead_ms / 1000,
            });
        }
        let namespace = version.payload().ns.as_str();
        let Some(author) = self.get(&version.author()) else {
            return match self.policies.get(namespace).copied().unwrap_or_default() {
                Policy::Require => Err(Unwelcome::UnknownAuthor(version.author().to_string())),
                Policy::Off => Ok(()),
                Policy::Warn => {
                    tracing::warn!(author = %version.author(), namespace, "a version of an unknown author is taken");
                    Ok(())
                }
            };
        };
        if let Some(at) = author.revoked {
            return Err(Unwelcome::RevokedAuthor {
                name: author.name.clone(),
                at,
            });
        }
        let dated = Timestamp::from_micros(dated_ms.saturating_mul(1000));
        // A clock value has milliseconds; the file may say microseconds.
        let early = author
            .not_before
            .is_some_and(|first| dated_ms < first.as_millis());
        if early || author.not_after.is_some_and(|last| dated > last) {
            return Err(Unwelcome::OutsideValidity(author.name.clone()));
        }
        match &author.namespaces {
            Some(names) if !names.contains(namespace) => Err(Unwelcome::Namespace {
                name: author.name.clone(),
                namespace: namespace.to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

fn author_of(key: &str, name: &str, options: &[&str]) -> Result<Author, String> {
    let key: AuthorKey = key
        .trim_start_matches("ed25519:")
        .parse()
        .map_err(|e: super::keys::NotAKey| e.to_string())?;
    check_name(name)?;
    let mut author = Author {
        key,
        name: name.to_owned(),
        namespaces: None,
        not_before: None,
        not_after: None,
        revoked: None,
    };
    for option in options {
        let (field, value) = option
            .split_once('=')
            .ok_or_else(|| format!("`{option}` is not `field=value`"))?;
        let moment = || value.parse::<Timestamp>().map_err(|e| e.to_string());
        match field {
            "namespaces" => {
                let names = value.split(',').map(str::to_owned).collect::<BTreeSet<_>>();
                if names.contains("") {
                    return Err("an empty namespace is named".to_owned());
                }
                author.namespaces = Some(names);
            }
            "not-before" => author.not_before = Some(moment()?),
            "not-after" => author.not_after = Some(moment()?),
            "revoked" => author.revoked = Some(moment()?),
            other => {
                return Err(format!(
                    "`{other}` is not `namespaces`, `not-before`, `not-after` or `revoked`"
                ));
            }
        }
    }
    Ok(author)
}

#[cfg(test)]
mod tests {
    use super::super::keys::AuthorSecret;
    use super::*;

    fn secret(byte: u8) -> AuthorSecret {
        AuthorSecret::from_seed(&[byte; 32])
    }

    #[test]
    fn a_rotation_gives_name_and_rights_to_the_next_key_and_ends_the_one_before() {
        let at: Timestamp = "2026-05-01T00:00:00Z".parse().unwrap();
        let record = Rotation::sign(&secret(1), &secret(2).public(), at);
        let text = format!(
            "{record}\ned25519:{} alice namespaces=team # first\n",
            secret(1).public()
        );
        let authors = Authors::parse(&text).unwrap();
        let new = authors.get(&secret(2).public()).unwrap();
        assert_eq!(new.name, "alice");
        assert_eq!(new.not_before, Some(at));
        assert!(new.namespaces.as_ref().unwrap().contains("team"));
        let old = authors.get(&secret(1).public()).unwrap();
        assert_eq!(old.not_after, Some(at));
    }

    #[test]
    fn a_revoked_key_names_no_successor() {
        let at: Timestamp = "2026-05-01T00:00:00Z".parse().unwrap();
        let record = Rotation::sign(&secret(1), &secret(2).public(), at);
        let text = format!(
            "ed25519:{} alice revoked=2026-06-01T00:00:00Z\n{record}\n",
            secret(1).public()
        );
        let authors = Authors::parse(&text).unwrap();
        assert!(authors.get(&secret(2).public()).is_none());
    }

    #[test]
    fn one_bad_line_refuses_the_file() {
        let key = secret(1).public();
        let at: Timestamp = "2026-05-01T00:00:00Z".parse().unwrap();
        let mut forged = Rotation::sign(&secret(1), &secret(2).public(), at).to_string();
        forged = forged.replace(
            &secret(2).public().to_string(),
            &secret(3).public().to_string(),
        );
        for bad in [
            "alice".to_owned(),
            format!("ed25519:{key}"),
            format!("ed25519:{key} alice colour=blue"),
            format!("ed25519:{key} alice not-after=tomorrow"),
            format!("ed25519:{} alice", "00".repeat(32)),
            format!("ed25519:{key} alice\ned25519:{key} bob"),
            "policy team maybe".to_owned(),
            format!("ed25519:{key} alice\n{forged}"),
            Rotation::sign(&secret(5), &secret(6).public(), at).to_string(),
        ] {
            assert!(Authors::parse(&bad).is_err(), "{bad}");
        }
    }
}
