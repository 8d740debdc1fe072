//! Answers: what does this auditor ask for, and whom does the auditor trust with what?
//!
//! A policy is always said: read from `policy.toml`, or [`Policy::strict`]. There is no `Default`,
//! and a key or a check that is not known is an error, because a misspelt rule protects nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::SystemTime;

use sbom::advisories::Ignore;
use serde::Deserialize;

use super::advisory_origin::ORIGIN;
use crate::check::CheckId;
use crate::trust::keyring::Fingerprint;
use crate::trust::openpgp::SignatureRules;
use crate::trust::tag::Authorised;

/// The largest policy that is read, in bytes.
pub const MAX_POLICY_BYTES: u64 = 1 << 20;

/// From which age of the advisory database on the auditor is warned, in days.
pub const WARN_AGE_DAYS: u32 = 7;

/// The age of the advisory database beyond which it proves nothing, unless the policy says
/// otherwise, in days.
pub const MAX_AGE_DAYS: u32 = 90;

/// The fewest advisories that a whole database has, unless the policy says otherwise.
pub const MIN_COUNT: usize = 500;

/// What keys may be trusted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// To sign the tag that is released.
    Tag,
    /// To sign the list of checksums.
    Release,
    /// To sign the provenance.
    Provenance,
    /// To sign what a rebuilder got.
    Rebuild,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 4] = [Self::Tag, Self::Release, Self::Provenance, Self::Rebuild];
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tag => "tag",
            Self::Release => "release",
            Self::Provenance => "provenance",
            Self::Rebuild => "rebuild",
        })
    }
}

/// Why a policy is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// Not TOML, or a field is not known or of the wrong kind.
    #[error("the policy cannot be read: {0}")]
    Syntax(String),
    /// A format version that this program does not know.
    #[error("the policy has version `{0}`; this program reads version `1`")]
    Version(u32),
    /// A check that does not exist.
    #[error("the policy requires something unknown: {0}")]
    UnknownCheck(String),
    /// A role with an empty list of keys: nobody could ever sign.
    #[error("the policy lists no key for `{0}`; leave the role out to take the whole keyring")]
    NoKey(Role),
    /// A threshold of zero, or one that its keys cannot reach.
    #[error(
        "the threshold for `{role}` is {threshold}; it must be from 1 to the number of its keys"
    )]
    Threshold {
        /// Which role.
        role: Role,
        /// What the policy says.
        threshold: usize,
    },
    /// An address that anybody on the way could answer for.
    #[error("the advisory database's origin `{0}` is not an https address")]
    Origin(String),
    /// A date that is none.
    #[error("`{0}` is not a date of the form YYYY-MM-DD")]
    Date(String),
}

/// How advisories are judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdvisoryRules {
    /// The age of the database beyond which it proves nothing, in days.
    pub max_age_days: u32,
    /// The fewest advisories that it must hold.
    pub min_count: usize,
    /// Whether the ignores in the release's own report count while they run.
    pub accept_release_ignores: bool,
    /// The auditor's own ignores.
    pub ignores: Vec<Ignore>,
    /// The `https:` address from which the database is fetched where that is asked for.
    pub origin: String,
}

/// What an auditor asks for. Always consistent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    required: BTreeSet<CheckId>,
    keys: BTreeMap<Role, BTreeSet<Fingerprint>>,
    thresholds: BTreeMap<Role, usize>,
    operators: BTreeMap<Fingerprint, String>,
    advisories: AdvisoryRules,
    sha1_until: Option<SystemTime>,
    accept_expired_since: bool,
    accept_retired_since: bool,
}

impl Policy {
    /// What is asked where no policy is given: every check but the rebuild, which takes long and is
    /// asked for by name; any key of the keyring may sign, and one is enough.
    #[must_use]
    pub fn strict() -> Self {
        use CheckId::{Advisories, Manifest, Provenance, Sbom, Tag};
        Self {
            required: BTreeSet::from([Manifest, Tag, Provenance, Sbom, Advisories]),
            keys: BTreeMap::new(),
            thresholds: BTreeMap::new(),
            operators: BTreeMap::new(),
            advisories: AdvisoryRules {
                max_age_days: MAX_AGE_DAYS,
                min_count: MIN_COUNT,
                accept_release_ignores: true,
                ignores: Vec::new(),
                origin: ORIGIN.to_owned(),
            },
            sha1_until: None,
            accept_expired_since: false,
            accept_retired_since: false,
        }
    }

    /// Reads the text of a `policy.toml`.
    ///
    /// # Errors
    /// The first thing in it that is not understood or cannot be meant.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let raw: Raw =
            toml::from_str(text).map_err(|error| PolicyError::Syntax(error.to_string()))?;
        if raw.version != 1 {
            return Err(PolicyError::Version(raw.version));
        }
        let strict = Self::strict();
        let required = match raw.required {
            None => strict.required.clone(),
            Some(names) => names
                .iter()
                .map(|name| name.parse())
                .collect::<Result<_, String>>()
                .map_err(PolicyError::UnknownCheck)?,
        };
        if let Some((role, _)) = raw.keys.iter().find(|(_, keys)| keys.is_empty()) {
            return Err(PolicyError::NoKey(*role));
        }
        for (role, threshold) in &raw.thresholds {
            let reachable = raw.keys.get(role).map_or(usize::MAX, BTreeSet::len);
            if *threshold == 0 || *threshold > reachable {
                return Err(PolicyError::Threshold {
                    role: *role,
                    threshold: *threshold,
                });
            }
        }
        Ok(Self {
            required,
            keys: raw.keys,
            thresholds: raw.thresholds,
            operators: raw.operators,
            advisories: AdvisoryRules {
                max_age_days: raw.advisories.max_age_days.unwrap_or(MAX_AGE_DAYS),
                min_count: raw.advisories.min_count.unwrap_or(MIN_COUNT),
                accept_release_ignores: raw.advisories.accept_release_ignores.unwrap_or(true),
                ignores: raw.advisories.ignore,
                origin: match raw.advisories.origin {
                    Some(origin) if !origin.starts_with("https://") => {
                        return Err(PolicyError::Origin(origin));
                    }
                    origin => origin.unwrap_or_else(|| ORIGIN.to_owned()),
                },
            },
            sha1_until: raw
                .signatures
                .sha1_until
                .as_deref()
                .map(midnight)
                .transpose()?,
            accept_expired_since: raw.signatures.accept_expired_since,
            accept_retired_since: raw.signatures.accept_retired_since,
        })
    }

    /// The same policy, with one more check required.
    #[must_use]
    pub fn requiring(mut self, check: CheckId) -> Self {
        self.required.insert(check);
        self
    }

    /// Whether there is no pass without this check.
    #[must_use]
    pub fn requires(&self, check: CheckId) -> bool {
        self.required.contains(&check)
    }

    /// Which keys of the keyring may do this.
    #[must_use]
    pub fn authorised(&self, role: Role) -> Authorised {
        self.keys
            .get(&role)
            .map_or(Authorised::WholeKeyring, |keys| {
                Authorised::Only(keys.clone())
            })
    }

    /// How many distinct keys must do this; at least 1.
    #[must_use]
    pub fn threshold(&self, role: Role) -> usize {
        self.thresholds.get(&role).copied().unwrap_or(1)
    }

    /// Who runs the builder that signs with this key; `None` where the policy does not say, and
    /// then each key is taken for an operator of its own.
    #[must_use]
    pub fn operator(&self, certificate: &Fingerprint) -> Option<&str> {
        self.operators.get(certificate).map(String::as_str)
    }

    /// The certificates of which the policy says who runs their builder, with that name.
    pub fn operators(&self) -> impl Iterator<Item = (&Fingerprint, &str)> {
        self.operators
            .iter()
            .map(|(certificate, operator)| (certificate, operator.as_str()))
    }

    /// How advisories are judged.
    #[must_use]
    pub fn advisories(&self) -> &AdvisoryRules {
        &self.advisories
    }

    /// How signatures are judged at this time.
    #[must_use]
    pub fn signature_rules(&self, now: SystemTime) -> SignatureRules {
        SignatureRules::strict(now)
            .accept_sha1_until(self.sha1_until)
            .accept_expired_since(self.accept_expired_since)
            .accept_retired_since(self.accept_retired_since)
    }

    /// What signatures are taken beyond the strict rules, in words; empty where none.
    #[must_use]
    pub fn leniencies(&self) -> Vec<String> {
        let mut words = Vec::new();
        if let Some(until) = self.sha1_until {
            words.push(format!(
                "SHA-1 signatures count until {}",
                crate::trust::openpgp::Instant(until)
            ));
        }
        if self.accept_expired_since {
            words.push(String::from("keys that expired after they signed count"));
        }
        if self.accept_retired_since {
            words.push(String::from(
                "keys that were retired after they signed count",
            ));
        }
        words
    }
}

fn midnight(date: &str) -> Result<SystemTime, PolicyError> {
    let format = time::macros::format_description!("[year]-[month]-[day]");
    let date = time::Date::parse(date, &format).map_err(|_| PolicyError::Date(date.to_owned()))?;
    Ok(date.midnight().assume_utc().into())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    version: u32,
    required: Option<Vec<String>>,
    #[serde(default)]
    keys: BTreeMap<Role, BTreeSet<Fingerprint>>,
    #[serde(default)]
    thresholds: BTreeMap<Role, usize>,
    #[serde(default)]
    operators: BTreeMap<Fingerprint, String>,
    #[serde(default)]
    advisories: RawAdvisories,
    #[serde(default)]
    signatures: RawSignatures,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawAdvisories {
    max_age_days: Option<u32>,
    min_count: Option<usize>,
    accept_release_ignores: Option<bool>,
    origin: Option<String>,
    #[serde(default)]
    ignore: Vec<Ignore>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawSignatures {
    sha1_until: Option<String>,
    #[serde(default)]
    accept_expired_since: bool,
    #[serde(default)]
    accept_retired_since: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789ABCDEF0123456789ABCDEF01234567";

    #[test]
    fn a_policy_says_who_may_do_what() {
        let text = format!(
            "version = 1\nrequired = [\"manifest\", \"tag\"]\n[keys]\ntag = [\"{KEY}\"]\n[advisories]\nmax_age_days = 120\n\
             [[advisories.ignore]]\nid = \"RUSTSEC-2023-0071\"\nreason = \"r\"\nexpires = \"2027-01-01\"\ndecided_by = \"me\"\n"
        );
        let policy = Policy::parse(&text).unwrap();
        assert!(policy.requires(CheckId::Tag) && !policy.requires(CheckId::Advisories));
        assert_eq!(policy.advisories().max_age_days, 120);
        assert!(policy.authorised(Role::Tag).holds(&KEY.parse().unwrap()));
        assert!(
            !policy
                .authorised(Role::Tag)
                .holds(&KEY.replace('0', "1").parse().unwrap())
        );
        assert_eq!(policy.authorised(Role::Release), Authorised::WholeKeyring);
        assert_eq!(policy.advisories().ignores[0].id(), "RUSTSEC-2023-0071");
    }

    #[test]
    fn a_rule_that_is_misspelt_or_cannot_be_meant_is_refused() {
        for bad in [
            "",
            "version = 2",
            "version = 1\nrequire = []",
            "version = 1\nrequired = [\"tags\"]",
            "version = 1\n[keys]\ntag = []",
            "version = 1\n[keys]\ntags = [\"0123456789ABCDEF0123456789ABCDEF01234567\"]",
            "version = 1\n[keys]\ntag = [\"89ABCDEF\"]",
            "version = 1\n[thresholds]\nrelease = 0",
            "version = 1\n[keys]\nrelease = [\"0123456789ABCDEF0123456789ABCDEF01234567\"]\n[thresholds]\nrelease = 2",
            "version = 1\n[advisories]\nmax_age = 3",
            "version = 1\n[advisories]\norigin = \"http://example.org/db.tar.gz\"",
            "version = 1\n[signatures]\nsha1_until = \"soon\"",
        ] {
            assert!(Policy::parse(bad).is_err(), "{bad:?} was taken");
        }
    }
}
