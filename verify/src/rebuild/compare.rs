//! Two binaries that should be one: whether they are, and if not, which sections differ and which
//! known cause of a differing rebuild fits.

use std::{collections::BTreeMap, fmt};

use object::{Object as _, ObjectSection as _};
use sbom::digest::Sha256Digest;
use serde::Serialize;

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// Digest of the first.
    pub left: Sha256Digest,
    /// Digest of the second.
    pub right: Sha256Digest,
    /// Size of the first in bytes.
    pub left_size_bytes: u64,
    /// Size of the second in bytes.
    pub right_size_bytes: u64,
    /// Sections that differ, in the order of the file; empty when identical or no ELF.
    pub sections: Vec<SectionDifference>,
    /// Causes that fit, most certain first.
    pub causes: Vec<Cause>,
}

/// One section that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SectionDifference {
    /// Its name, or `(headers)` for what lies outside all sections.
    pub name: String,
    /// Size in the first, `None` where it has no such section.
    pub left_size_bytes: Option<u64>,
    /// Size in the second.
    pub right_size_bytes: Option<u64>,
    /// Where in the section the first difference lies.
    pub first_difference: u64,
    /// How many bytes differ, a missing byte counted as different.
    pub differing_bytes: u64,
}

/// A known cause of a differing rebuild.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Only the build id differs.
    BuildIdOnly,
    /// Another compiler or linker (`.comment`).
    ToolchainVersion,
    /// Another list of dependencies (`.dep-v0`).
    Dependencies,
    /// Paths of two build folders.
    BuildPath,
    /// A date or time: `__DATE__`, `__TIME__`, «built on», a clock in a build script.
    Timestamp,
    /// A git commit or its state, written by a build script.
    GitState,
    /// The code differs in a few bytes while all sizes agree: altered, or a CPU-dependent build.
    PatchedBytes,
    /// Code of another size: other flags, CPU features, or another order of code generation.
    CodeGeneration,
}

impl Comparison {
    /// Whether the two are the same bytes.
    #[must_use]
    pub fn identical(&self) -> bool {
        self.left == self.right
    }
}

/// `sections .text (1 byte from offset 0x3e8), .rodata (…); likely cause: …`; `identical` if so.
impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.identical() {
            return f.write_str("identical");
        }
        let named: Vec<String> = self.sections.iter().map(ToString::to_string).collect();
        write!(f, "{}", named.join(", "))?;
        for cause in &self.causes {
            write!(f, "; likely cause: {cause}")?;
        }
        Ok(())
    }
}

impl fmt::Display for SectionDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.escape_debug();
        match (self.left_size_bytes, self.right_size_bytes) {
            (Some(_), None) => write!(f, "{name} is missing in the second"),
            (None, _) => write!(f, "{name} is missing in the first"),
            (Some(a), Some(b)) => {
                write!(
                    f,
                    "{name} ({} bytes differ from offset {:#x}",
                    self.differing_bytes, self.first_difference
                )?;
                if a != b {
                    write!(f, "; {a} bytes against {b}")?;
                }
                f.write_str(")")
            }
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BuildIdOnly => "only the build id differs: link with `--build-id=none`",
            Self::ToolchainVersion => "another compiler or linker: compare the toolchain pins",
            Self::Dependencies => "another list of dependencies: compare Cargo.lock",
            Self::BuildPath => "paths of the build folder are in it: remap them",
            Self::Timestamp => "a date or time of the build is in it: use SOURCE_DATE_EPOCH",
            Self::GitState => "the state of a git checkout is in it: pass the commit instead",
            Self::PatchedBytes => {
                "the sizes agree and only some bytes differ: altered after the build, or an \
                 embedded value that changes"
            }
            Self::CodeGeneration => {
                "machine code of another size: other flags, CPU features, or an unstable order \
                 (hash maps in procedural macros, parallel code generation)"
            }
        })
    }
}

/// Compares two files, section by section where both are ELF, Mach-O or PE.
#[must_use]
pub fn compare(left: &[u8], right: &[u8]) -> Comparison {
    let mut comparison = Comparison {
        left: Sha256Digest::of(left),
        right: Sha256Digest::of(right),
        left_size_bytes: left.len() as u64,
        right_size_bytes: right.len() as u64,
        sections: Vec::new(),
        causes: Vec::new(),
    };
    if !comparison.identical() {
        comparison.sections = differing_sections(left, right);
        comparison.causes = causes(&comparison.sections, left, right);
    }
    comparison
}

type Sections<'a> = BTreeMap<String, &'a [u8]>;

/// Sections by name; a name that is there twice gets a number.
fn sections(bytes: &[u8]) -> Option<(Vec<String>, Sections<'_>)> {
    let file = object::File::parse(bytes).ok()?;
    let mut order = Vec::new();
    let mut map = BTreeMap::new();
    for section in file.sections() {
        let mut name = section.name().unwrap_or("(unnamed)").to_owned();
        while map.contains_key(&name) {
            name.push('+');
        }
        order.push(name.clone());
        map.insert(name, section.data().unwrap_or(&[]));
    }
    Some((order, map))
}

fn differing_sections(left: &[u8], right: &[u8]) -> Vec<SectionDifference> {
    let (Some((mut order, a)), Some((b_order, b))) = (sections(left), sections(right)) else {
        return vec![difference("(file)", Some(left), Some(right))];
    };
    order.extend(b_order.into_iter().filter(|name| !a.contains_key(name)));
    let mut found: Vec<SectionDifference> = order
        .iter()
        .filter(|name| a.get(*name) != b.get(*name))
        .map(|name| difference(name, a.get(name).copied(), b.get(name).copied()))
        .collect();
    if found.is_empty() {
        found.push(difference("(headers)", Some(left), Some(right)));
    }
    found
}

fn difference(name: &str, left: Option<&[u8]>, right: Option<&[u8]>) -> SectionDifference {
    let (a, b) = (left.unwrap_or(&[]), right.unwrap_or(&[]));
    let common = a.len().min(b.len());
    let first = a.iter().zip(b).position(|(x, y)| x != y).unwrap_or(common);
    let differing = a.iter().zip(b).filter(|(x, y)| x != y).count() + a.len().max(b.len()) - common;
    SectionDifference {
        name: name.to_owned(),
        left_size_bytes: left.map(|s| s.len() as u64),
        right_size_bytes: right.map(|s| s.len() as u64),
        first_difference: first as u64,
        differing_bytes: differing as u64,
    }
}

fn causes(found: &[SectionDifference], left: &[u8], right: &[u8]) -> Vec<Cause> {
    let names: Vec<&str> = found.iter().map(|s| s.name.as_str()).collect();
    let mut causes = Vec::new();
    if names.iter().all(|n| *n == ".note.gnu.build-id") {
        return vec![Cause::BuildIdOnly];
    }
    if names.contains(&".comment") {
        causes.push(Cause::ToolchainVersion);
    }
    if names.contains(&".dep-v0") {
        causes.push(Cause::Dependencies);
    }
    let (a, b) = (
        texts_that_differ(left, right, found),
        texts_that_differ(right, left, found),
    );
    for (cause, fits) in [
        (Cause::BuildPath, looks_like_path as fn(&str) -> bool),
        (Cause::Timestamp, looks_like_time),
        (Cause::GitState, looks_like_commit),
    ] {
        if a.iter().any(|t| fits(t)) && b.iter().any(|t| fits(t)) {
            causes.push(cause);
        }
    }
    let code = |s: &&SectionDifference| s.name == ".text" || s.name.starts_with("__text");
    let same_sizes = found
        .iter()
        .all(|s| s.left_size_bytes == s.right_size_bytes);
    if causes.is_empty() && same_sizes {
        causes.push(Cause::PatchedBytes);
    } else if found
        .iter()
        .any(|s| code(&s) && s.left_size_bytes != s.right_size_bytes)
    {
        causes.push(Cause::CodeGeneration);
    }
    causes
}

/// Printable texts around the first difference of each differing section of `of`.
fn texts_that_differ(of: &[u8], other: &[u8], found: &[SectionDifference]) -> Vec<String> {
    let (Some((_, a)), Some((_, b))) = (sections(of), sections(other)) else {
        return Vec::new();
    };
    let mut texts = Vec::new();
    for section in found {
        let (Some(x), Some(y)) = (a.get(&section.name), b.get(&section.name)) else {
            continue;
        };
        let mut last = 0;
        for (at, _) in x
            .iter()
            .zip(*y)
            .enumerate()
            .filter(|(_, (p, q))| p != q)
            .take(4096)
        {
            if at < last {
                continue;
            }
            let printable = |byte: &u8| (b' '..=b'~').contains(byte);
            let start = x[..at]
                .iter()
                .rposition(|c| !printable(c))
                .map_or(0, |p| p + 1);
            let end = x[at..]
                .iter()
                .position(|c| !printable(c))
                .map_or(x.len(), |p| at + p);
            last = end.max(at + 1);
            if end > start + 3 {
                texts.push(String::from_utf8_lossy(&x[start..end.min(start + 400)]).into_owned());
            }
        }
    }
    texts
}

fn looks_like_path(text: &str) -> bool {
    text.split_whitespace()
        .any(|word| word.matches('/').count() >= 2)
}

fn looks_like_time(text: &str) -> bool {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let clock = text.as_bytes().windows(8).any(|w| {
        w[2] == b':'
            && w[5] == b':'
            && [0, 1, 3, 4, 6, 7]
                .iter()
                .all(|i: &usize| w[*i].is_ascii_digit())
    });
    let day = text.as_bytes().windows(10).any(|w| {
        w[4] == b'-'
            && w[7] == b'-'
            && [0, 1, 2, 3, 5, 6, 8, 9]
                .iter()
                .all(|i: &usize| w[*i].is_ascii_digit())
    });
    clock
        || day
        || MONTHS
            .iter()
            .any(|m| text.split_whitespace().any(|word| word == *m))
}

fn looks_like_commit(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| word.len() == 40 && word.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The section headers of this test program say where a section lies in the file.
    fn own_with(section: &str, change: impl Fn(&mut [u8])) -> (Vec<u8>, Vec<u8>) {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let range = {
            let file = object::File::parse(own.as_slice()).unwrap();
            let (start, size) = file.section_by_name(section).unwrap().file_range().unwrap();
            start as usize..(start + size) as usize
        };
        let mut other = own.clone();
        change(&mut other[range]);
        (own, other)
    }

    #[test]
    fn one_changed_byte_of_code_names_the_section_and_the_place() {
        let (a, b) = own_with(".text", |code| code[1000] ^= 1);
        let found = compare(&a, &b);
        assert!(!found.identical());
        assert_eq!(found.sections.len(), 1);
        assert_eq!(found.sections[0].name, ".text");
        assert_eq!(found.sections[0].first_difference, 1000);
        assert_eq!(found.sections[0].differing_bytes, 1);
        assert_eq!(found.causes, [Cause::PatchedBytes]);
    }

    #[test]
    fn a_change_outside_all_sections_is_named_too() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let mut other = own.clone();
        // e_ident[EI_PAD]: no section covers it.
        other[12] ^= 1;
        let found = compare(&own, &other);
        assert_eq!(found.sections[0].name, "(headers)");
    }

    #[test]
    fn causes_are_told_from_the_texts_that_differ() {
        assert!(looks_like_time("built on: Mon Nov 23 15:29:36 2026 UTC"));
        assert!(looks_like_time("2026-11-23"));
        assert!(!looks_like_time("no time at all"));
        assert!(looks_like_path("/home/a/src/lib.rs"));
        assert!(looks_like_commit(
            "rev 8a1d28a0000000000000000000000000000000aa"
        ));
    }

    #[test]
    fn files_that_are_no_programs_are_compared_as_a_whole() {
        let found = compare(b"hello", b"hallo");
        assert_eq!(found.sections[0].name, "(file)");
        assert_eq!(found.sections[0].first_difference, 1);
    }
}
