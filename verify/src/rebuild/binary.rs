//! What a built binary needs at run time and what it must not hold: shared libraries, glibc
//! symbol versions, build ids, paths of the machine.

use std::collections::BTreeSet;

use object::{
    Object as _, ObjectSection as _, elf,
    read::elf::{Dyn as _, ElfFile64, FileHeader as _, SectionHeader as _},
};

use crate::plan::{GlibcVersion, Limits};

/// What was found in an ELF file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// `DT_NEEDED` entries.
    pub libraries: BTreeSet<String>,
    /// Highest `GLIBC_x.y` that a symbol asks for; `None` where none does.
    pub glibc: Option<GlibcVersion>,
    /// Whether there is a GNU build id.
    pub has_build_id: bool,
    /// Whether it carries a dependency list (`.dep-v0`).
    pub has_dependency_list: bool,
    /// Store paths and host paths in it, each once, at most [`MAX_PATHS`].
    pub leaked_paths: BTreeSet<String>,
}

/// One way in which a binary breaks the plan's limits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitBroken {
    /// A library that the plan does not allow.
    #[error("needs the shared library `{0}`, which `limits.libraries` does not name")]
    Library(String),
    /// A glibc newer than the plan allows.
    #[error("needs glibc {needed}, and `limits.glibc` is {limit}")]
    Glibc {
        /// What a symbol asks for.
        needed: GlibcVersion,
        /// What the plan allows.
        limit: GlibcVersion,
    },
    /// A build id, which could differ while nothing else does.
    #[error("carries a build id")]
    BuildId,
    /// No dependency list.
    #[error("carries no dependency list (section `.dep-v0`)")]
    NoDependencyList,
    /// A path of the machine that built it.
    #[error("holds the path `{0}` of the machine that built it")]
    Path(String),
}

/// A file that is no 64-bit little-endian ELF program.
#[derive(Debug, thiserror::Error)]
#[error("not a 64-bit ELF program: {0}")]
pub struct NotElf(String);

/// More leaked paths than these tell nothing new.
pub const MAX_PATHS: usize = 20;

/// Beginnings of paths that no shipped binary may hold: Nix's store, home folders, the folders in
/// which the recipe builds.
const FORBIDDEN: [&str; 6] = [
    "/nix/store/",
    "/home/",
    "/root/",
    "/build/",
    "/crates/",
    "/tmp/",
];

/// Reads what a binary needs and holds.
///
/// # Errors
/// [`NotElf`] for anything but a 64-bit ELF file.
pub fn needs(bytes: &[u8]) -> Result<Needs, NotElf> {
    let broken = |e: object::read::Error| NotElf(e.to_string());
    let file = ElfFile64::<object::Endianness>::parse(bytes).map_err(broken)?;
    let endian = file.endian();
    let header = file.elf_header();
    let sections = header.sections(endian, bytes).map_err(broken)?;
    let mut libraries = BTreeSet::new();
    let mut glibc = None;
    if let Some((entries, strings)) = sections.dynamic(endian, bytes).map_err(broken)? {
        let strings = sections.strings(endian, bytes, strings).map_err(broken)?;
        for entry in entries {
            if entry.tag(endian) == elf::DT_NEEDED {
                let name = entry.string(endian, strings).map_err(broken)?;
                libraries.insert(String::from_utf8_lossy(name).into_owned());
            }
        }
    }
    for section in sections.iter() {
        let Some((mut needed, strings)) = section.gnu_verneed(endian, bytes).map_err(broken)?
        else {
            continue;
        };
        let strings = sections.strings(endian, bytes, strings).map_err(broken)?;
        while let Some((_, mut versions)) = needed.next().map_err(broken)? {
            while let Some(version) = versions.next().map_err(broken)? {
                let name = version.name(endian, strings).map_err(broken)?;
                let name = String::from_utf8_lossy(name);
                if let Some(v) = name.strip_prefix("GLIBC_").and_then(parse_glibc) {
                    glibc = glibc.max(Some(v));
                }
            }
        }
    }
    Ok(Needs {
        libraries,
        glibc,
        has_build_id: file.build_id().map_err(broken)?.is_some(),
        has_dependency_list: file.sections().any(|s| s.name() == Ok(".dep-v0")),
        leaked_paths: leaked_paths(bytes),
    })
}

/// Every way in which an ELF file breaks the limits; empty when it keeps them.
///
/// # Errors
/// [`NotElf`] for anything but a 64-bit ELF file.
pub fn breaches(bytes: &[u8], limits: &Limits) -> Result<Vec<LimitBroken>, NotElf> {
    Ok(broken_limits(&needs(bytes)?, limits))
}

fn broken_limits(needs: &Needs, limits: &Limits) -> Vec<LimitBroken> {
    let mut broken: Vec<LimitBroken> = needs
        .libraries
        .difference(&limits.libraries)
        .map(|name| LimitBroken::Library(name.clone()))
        .collect();
    if let (Some(needed), Some(limit)) = (needs.glibc, limits.glibc)
        && needed > limit
    {
        broken.push(LimitBroken::Glibc { needed, limit });
    }
    if needs.has_build_id {
        broken.push(LimitBroken::BuildId);
    }
    if !needs.has_dependency_list {
        broken.push(LimitBroken::NoDependencyList);
    }
    broken.extend(needs.leaked_paths.iter().cloned().map(LimitBroken::Path));
    broken
}

/// `2.17` and `2.2.5` alike; the third part never decides.
fn parse_glibc(text: &str) -> Option<GlibcVersion> {
    let mut parts = text.split('.');
    Some(GlibcVersion {
        major: parts.next()?.parse().ok()?,
        minor: parts.next()?.parse().ok()?,
    })
}

/// Printable runs that begin with a forbidden path. A program may name `/tmp/` itself, so a path
/// counts only where it is one of the store's, or where a file of source or object code follows.
/// Constants of a program stand one after the other without a gap; that makes no path.
fn leaked_paths(bytes: &[u8]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for start in memchr::memchr_iter(b'/', bytes) {
        let rest = &bytes[start..];
        let Some(prefix) = FORBIDDEN.iter().find(|p| rest.starts_with(p.as_bytes())) else {
            continue;
        };
        let end = rest
            .iter()
            .position(|b| !is_path_byte(*b))
            .unwrap_or(rest.len())
            .min(300);
        let text = String::from_utf8_lossy(&rest[..end]).into_owned();
        let preceded = start > 0 && is_path_byte(bytes[start - 1]) && bytes[start - 1] != b'=';
        let certain = *prefix == "/nix/store/" && names_store_object(&text[prefix.len()..]);
        if certain || (!preceded && names_source(&text)) {
            found.insert(text);
        }
        if found.len() == MAX_PATHS {
            break;
        }
    }
    found
}

fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/._-+".contains(&byte)
}

/// 32 digits of Nix's base 32, a hyphen, and a name.
fn names_store_object(name: &str) -> bool {
    let digit = |b: &u8| b"0123456789abcdfghijklmnpqrsvwxyz".contains(b);
    let name = name.as_bytes();
    name.len() > 33 && name[..32].iter().all(digit) && name[32] == b'-'
}

/// A file's name with one of these endings, in a folder whose path has no empty part.
fn names_source(path: &str) -> bool {
    [".rs", ".c", ".h", ".S", ".o", ".so", ".a", ".rlib"]
        .iter()
        .any(|ending| {
            path.match_indices(ending).any(|(at, _)| {
                let word = |c: char| c.is_ascii_alphanumeric();
                path[..at].ends_with(|c| word(c) || c == '_' || c == '-')
                    && !path[..at].contains("//")
                    && !path[at + ending.len()..].starts_with(word)
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_build_are_found_and_paths_of_the_program_are_not() {
        let found = leaked_paths(b"\0/home/me/src/lib.rs\0/tmp/socket\0/usr/x.rs\0");
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            ["/home/me/src/lib.rs"]
        );
        let store = b"\0/nix/store/2ywsxk102dglmm9fklvqspmmbsfjr8qf-root/lib\0";
        assert_eq!(leaked_paths(store).len(), 1);
        // Constants that stand side by side: this very table, as a compiler may lay it out.
        for constants in [
            &b"\0/nix/store//home//root//build//tmp/.rs.c.h.S.o.so.a.rlibGLIBC_firstsecondthe\0"[..],
            b"\0/nix/store//private/var//var/folders//tmp//github/workspace/._-\0",
        ] {
            assert_eq!(leaked_paths(constants), BTreeSet::new());
        }
        // The standard library names its own dependencies so; that is no path of a machine.
        assert!(leaked_paths(b"\0/rust/deps/gimli/src/read.rs\0").is_empty());
    }

    #[test]
    fn this_test_program_needs_libc() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let needs = needs(&own).unwrap();
        assert!(needs.libraries.contains("libc.so.6"));
        assert!(needs.glibc > Some(GlibcVersion { major: 2, minor: 2 }));
        let limits = Limits {
            glibc: None,
            libraries: BTreeSet::new(),
        };
        let broken = broken_limits(&needs, &limits);
        assert!(broken.contains(&LimitBroken::Library("libc.so.6".into())));
        assert!(broken.contains(&LimitBroken::NoDependencyList));
    }
}
