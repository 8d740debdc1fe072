//! The hybrid logical clock: milliseconds of the wall clock and a counter, in one text that sorts.

use std::fmt;
use std::str::FromStr;

/// A moment of the hybrid logical clock. As text: 12 hex digits, `-`, 4 hex digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hlc {
    /// Milliseconds since 1970, below 2^48.
    pub ms: u64,
    /// Counts what happens within one millisecond.
    pub counter: u16,
}

/// The text is not a value of the clock.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a clock value: 12 lower-case hex digits, `-` and 4 more are needed")]
pub struct NotAnHlc(String);

impl fmt::Display for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012x}-{:04x}", self.ms, self.counter)
    }
}

impl FromStr for Hlc {
    type Err = NotAnHlc;

    fn from_str(text: &str) -> Result<Self, NotAnHlc> {
        let refused = || NotAnHlc(text.chars().take(40).collect());
        let (ms, counter) = text.split_once('-').ok_or_else(refused)?;
        let parsed = Self {
            ms: u64::from_str_radix(ms, 16).map_err(|_| refused())?,
            counter: u16::from_str_radix(counter, 16).map_err(|_| refused())?,
        };
        // One spelling only: texts must sort as the moments do.
        if parsed.ms >> 48 != 0 || parsed.to_string() != text {
            return Err(refused());
        }
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::Hlc;

    #[test]
    fn there_is_one_spelling() {
        let good: Hlc = "0199abcdef01-000a".parse().unwrap();
        assert_eq!(good.to_string(), "0199abcdef01-000a");
        for bad in [
            "",
            "0199ABCDEF01-000a",
            "199abcdef01-000a",
            "+199abcdef01-000a",
            "0199abcdef01-a",
            "10199abcdef01-000a",
        ] {
            assert!(bad.parse::<Hlc>().is_err(), "{bad}");
        }
    }
}
