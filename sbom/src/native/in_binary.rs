//! Version strings of C libraries in the bytes of a binary: the second witness. It knows only
//! strings that name their library, so that a bare `1.5.7` is never taken for anything.

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

/// Lists the version strings in a binary, in order of place, each text once.
#[must_use]
pub fn in_binary(binary: &[u8]) -> Vec<FoundInBinary> {
    let mut found: Vec<FoundInBinary> = Vec::new();
    for (offset, text) in strings(binary) {
        for witness in witnesses(text) {
            if !found
                .iter()
                .any(|other| other.name == witness.0 && other.version == witness.1)
            {
                let (name, version, text) = witness;
                found.push(FoundInBinary {
                    name: name.to_owned(),
                    version,
                    text,
                    offset,
                });
            }
        }
    }
    found
}

/// Longest run of printable characters that is looked at; longer ones are no version strings, but
/// adjacent Rust literals may run together, so that they are searched in pieces.
const MAX_PIECE: usize = 4096;

fn strings(binary: &[u8]) -> impl Iterator<Item = (usize, &str)> {
    let mut place = 0;
    binary
        .split(|byte| !matches!(byte, 0x20..=0x7e))
        .map(move |run| {
            let start = place;
            place += run.len() + 1;
            (start, run)
        })
        .filter(|(_, run)| run.len() >= 12)
        .flat_map(|(start, run)| {
            run.chunks(MAX_PIECE)
                .enumerate()
                .map(move |(n, piece)| (start + n * MAX_PIECE, piece))
        })
        .filter_map(|(start, piece)| Some((start, std::str::from_utf8(piece).ok()?)))
}

type Witness = (&'static str, Option<String>, String);

fn witnesses(text: &str) -> Vec<Witness> {
    let mut out = Vec::new();
    // `AWS-LC 1.61.0`, `AWS-LC FIPS 3.0.0`; its `OPENSSL_VERSION_TEXT` names OpenSSL 1.1.1 as well.
    for (name, prefix) in [("aws-lc", "AWS-LC "), ("aws-lc", "AWS-LC FIPS ")] {
        if let Some((version, rest)) = after(text, prefix)
            && rest.starts_with([')', ' ']) | rest.is_empty()
        {
            out.push((name, Some(version.to_owned()), format!("{prefix}{version}")));
        }
    }
    // `OpenSSL 3.6.3 9 Jun 2026`: the date tells it from prose about OpenSSL.
    if let Some((version, rest)) = after(text, "OpenSSL ")
        && is_date(rest)
    {
        out.push((
            "openssl",
            Some(version.to_owned()),
            format!("OpenSSL {version}{}", date_of(rest)),
        ));
    }
    // `rustc version 1.95.0 (…)` in `.comment`: the compiler is the one that made the standard library.
    if let Some((version, rest)) = after(text, "rustc version ")
        && rest.starts_with(" (")
    {
        out.push((
            "rust-std",
            Some(version.to_owned()),
            format!("rustc version {version}"),
        ));
    }
    // `SQLITE_SOURCE_ID`: `2026-06-05 13:48:00 <64 hex digits>`.
    if let Some(id) = sqlite_source_id(text) {
        out.push(("sqlite", None, id.to_owned()));
    }
    out
}

/// The version right after `prefix`, and what follows it.
fn after<'a>(text: &'a str, prefix: &str) -> Option<(&'a str, &'a str)> {
    text.match_indices(prefix).find_map(|(at, _)| {
        let rest = &text[at + prefix.len()..];
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '-'))
            .unwrap_or(rest.len());
        let (version, rest) = rest.split_at(end);
        let digits = version.starts_with(|c: char| c.is_ascii_digit());
        (digits && version.contains('.')).then_some((version, rest))
    })
}

/// ` 9 Jun 2026` at the start of the text.
fn is_date(text: &str) -> bool {
    let mut words = text.strip_prefix(' ').unwrap_or_default().split(' ');
    let (day, month, year) = (words.next(), words.next(), words.next());
    day.is_some_and(|d| (1..=2).contains(&d.len()) && d.bytes().all(|b| b.is_ascii_digit()))
        && month.is_some_and(|m| m.len() == 3 && m.bytes().all(|b| b.is_ascii_alphabetic()))
        && year.is_some_and(|y| y.len() >= 4 && y.bytes().take(4).all(|b| b.is_ascii_digit()))
}

fn date_of(text: &str) -> String {
    let mut words = text.trim_start().splitn(3, ' ');
    let (day, month) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let year: String = words.next().unwrap_or_default().chars().take(4).collect();
    format!(" {day} {month} {year}")
}

fn sqlite_source_id(text: &str) -> Option<&str> {
    const PATTERN: &[u8] = b"dddd-dd-dd dd:dd:dd ";
    let bytes = text.as_bytes();
    let length = PATTERN.len() + 64;
    bytes
        .windows(length)
        .position(|window| {
            let (time, hash) = window.split_at(PATTERN.len());
            time.iter().zip(PATTERN).all(|(b, p)| {
                if *p == b'd' {
                    b.is_ascii_digit()
                } else {
                    b == p
                }
            }) && hash.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        })
        .map(|at| &text[at..at + length])
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
