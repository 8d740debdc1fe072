//! The names that a released tag may have.

use std::fmt;
use std::str::FromStr;

/// The longest tag name, in bytes.
const MAX_NAME_BYTES: usize = 200;

/// The name of a tag, without `refs/tags/`: letters, digits, `.`, `_`, `+`, `-` and `/`, and a
/// name that git itself takes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagName(String);

/// Text that cannot be the name of a tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a tag name: letters, digits and `._+-/` are taken, beginning with a letter or digit"
)]
pub struct InvalidTagName(String);

impl TagName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The full name of its ref.
    #[must_use]
    pub fn full_ref(&self) -> String {
        format!("refs/tags/{}", self.0)
    }

    /// The version that the name states: the name without its path and without a leading `v`.
    #[must_use]
    pub fn version(&self) -> &str {
        let last = self.0.rsplit('/').next().unwrap_or(&self.0);
        last.strip_prefix('v').unwrap_or(last)
    }
}

impl fmt::Display for TagName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TagName {
    type Err = InvalidTagName;

    fn from_str(text: &str) -> Result<Self, InvalidTagName> {
        let refused = || InvalidTagName(text.to_owned());
        let part_holds = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_alphanumeric())
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "._+-".contains(c))
                && !part.contains("..")
                && !part.ends_with('.')
                && !part.ends_with(".lock")
        };
        if text.len() <= MAX_NAME_BYTES && text.split('/').all(part_holds) {
            Ok(Self(text.to_owned()))
        } else {
            Err(refused())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_git_or_a_path_would_read_otherwise_are_refused() {
        for good in ["v0.1.0", "1.0", "verify/v1.2.3-rc.1+b4"] {
            assert!(good.parse::<TagName>().is_ok(), "{good}");
        }
        for bad in [
            "", "-v1", "../v1", "v1/../x", "v1..2", "v 1", "v1.lock", "/v1", "v1/", "v1~1", "v1:",
            "v1\n", "@{-1}",
        ] {
            assert!(bad.parse::<TagName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_version_is_the_name_without_path_and_v() {
        assert_eq!(
            "verify/v0.1.0".parse::<TagName>().unwrap().version(),
            "0.1.0"
        );
    }
}
