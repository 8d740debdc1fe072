//! Version strings of C libraries in the bytes of a binary: the second witness. It knows only
//! strings that name their library, so that a bare `1.5.7` is never taken for anything.

use std::collections::BTreeSet;

use memchr::memmem;
use serde::Serialize;

/// A version string that a library compiled into the binary.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FoundInBinary {
    /// Name of the library, as in [`super::NativeComponent`].
    pub name: String,
    /// Version as the binary spells it; for `sqlite` `None`, whose string is a date and a hash.
    pub version: Option<String>,
    /// The whole string.
    pub text: String,
    /// Its place in the file, in bytes.
    pub offset: usize,
}

/// Lists the version strings in a binary, in order of place; each library and version once.
#[must_use]
pub fn in_binary(binary: &[u8]) -> Vec<FoundInBinary> {
    let mut found: Vec<FoundInBinary> = Vec::new();
    for mark in MARKS {
        for offset in memmem::find_iter(binary, mark.prefix) {
            let rest = window(binary, offset + mark.prefix.len());
            if let Some((version, after)) = version(rest)
                && (mark.follows)(after)
            {
                let prefix = String::from_utf8_lossy(mark.prefix);
                found.push(FoundInBinary {
                    name: mark.name.to_owned(),
                    text: format!("{prefix}{version}"),
                    version: Some(version.to_owned()),
                    offset,
                });
            }
        }
    }
    found.extend(sqlite_source_ids(binary));
    found.sort_by_key(|witness| witness.offset);
    let mut seen = BTreeSet::new();
    found.retain(|witness| seen.insert((witness.name.clone(), witness.version.clone())));
    found
}

/// A text that names its library and stands before its version.
struct Mark {
    name: &'static str,
    prefix: &'static [u8],
    /// Whether what follows the version is what follows it in the library's own string.
    follows: fn(&str) -> bool,
}

const MARKS: &[Mark] = &[
    // `AWS-LC 1.61.0`, `AWS-LC FIPS 3.0.0`; its `OPENSSL_VERSION_TEXT` names OpenSSL 1.1.1 as well.
    Mark {
        name: "aws-lc",
        prefix: b"AWS-LC ",
        follows: ends_or_closes,
    },
    Mark {
        name: "aws-lc",
        prefix: b"AWS-LC FIPS ",
        follows: ends_or_closes,
    },
    // `OpenSSL 3.6.3 9 Jun 2026`: the date tells it from prose about OpenSSL.
    Mark {
        name: "openssl",
        prefix: b"OpenSSL ",
        follows: is_date,
    },
    // `rustc version 1.95.0 (…)` in `.comment`: the compiler is the one of the standard library.
    Mark {
        name: "rust-std",
        prefix: b"rustc version ",
        follows: |rest| rest.starts_with(" ("),
    },
];

/// The printable text from a place on, 64 bytes at most.
fn window(binary: &[u8], start: usize) -> &str {
    let rest = &binary[start..binary.len().min(start + 64)];
    let end = rest
        .iter()
        .position(|byte| !matches!(byte, 0x20..=0x7e))
        .unwrap_or(rest.len());
    std::str::from_utf8(&rest[..end]).unwrap_or_default()
}

/// The version at the start of a text, and what follows it.
fn version(text: &str) -> Option<(&str, &str)> {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '-'))
        .unwrap_or(text.len());
    let (version, rest) = text.split_at(end);
    let digits = version.starts_with(|c: char| c.is_ascii_digit());
    (digits && version.contains('.')).then_some((version, rest))
}

fn ends_or_closes(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with([')', ' '])
}

/// ` 9 Jun 2026` at the start of the text.
fn is_date(text: &str) -> bool {
    let mut words = text.strip_prefix(' ').unwrap_or_default().split(' ');
    let (day, month, year) = (words.next(), words.next(), words.next());
    day.is_some_and(|d| (1..=2).contains(&d.len()) && d.bytes().all(|b| b.is_ascii_digit()))
        && month.is_some_and(|m| m.len() == 3 && m.bytes().all(|b| b.is_ascii_alphabetic()))
        && year.is_some_and(|y| y.len() >= 4 && y.bytes().take(4).all(|b| b.is_ascii_digit()))
}

/// `SQLITE_SOURCE_ID`: `2026-06-05 13:48:00 <64 hex digits>`.
fn sqlite_source_ids(binary: &[u8]) -> impl Iterator<Item = FoundInBinary> {
    const TIME: &[u8] = b"dddd-dd-dd dd:dd:dd ";
    const FIRST_COLON: usize = 13;
    memchr::memchr_iter(b':', binary).filter_map(|colon| {
        let offset = colon.checked_sub(FIRST_COLON)?;
        let text = binary.get(offset..offset + TIME.len() + 64)?;
        let (time, hash) = text.split_at(TIME.len());
        let fits = |(byte, mark): (&u8, &u8)| {
            if *mark == b'd' {
                byte.is_ascii_digit()
            } else {
                byte == mark
            }
        };
        let whole = time.iter().zip(TIME).all(fits)
            && hash
                .iter()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        whole.then(|| FoundInBinary {
            name: "sqlite".to_owned(),
            version: None,
            text: String::from_utf8_lossy(text).into_owned(),
            offset,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(binary: &[u8]) -> Vec<(String, Option<String>)> {
        in_binary(binary)
            .into_iter()
            .map(|f| (f.name, f.version))
            .collect()
    }

    #[test]
    fn libraries_that_name_themselves_are_found_with_their_place() {
        let hash = "0123456789abcdef".repeat(4);
        let binary = format!(
            "\x7fELF\0\0OpenSSL 3.6.3 9 Jun 2026\0junk\0AWS-LC 1.61.0\x002026-06-05 13:48:00 {hash}\0"
        );
        let found = in_binary(binary.as_bytes());
        assert_eq!(
            names(binary.as_bytes()),
            [
                ("openssl".into(), Some("3.6.3".into())),
                ("aws-lc".into(), Some("1.61.0".into())),
                ("sqlite".into(), None)
            ]
        );
        for one in &found {
            assert!(binary[one.offset..].contains(&one.text), "{one:?}");
        }
    }

    #[test]
    fn prose_and_the_compatibility_name_of_aws_lc_are_not_taken_for_openssl() {
        assert_eq!(names(b"needs OpenSSL 1.1.1 or newer to be installed\0"), []);
        assert_eq!(
            names(b"\0OpenSSL 1.1.1 (compatible; AWS-LC 1.61.0)\0"),
            [("aws-lc".into(), Some("1.61.0".into()))]
        );
        assert_eq!(names(&[0xff; 10_000]), []);
    }
}
