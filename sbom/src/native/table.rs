//! The table of crates that carry C code: which library, which file tells its version, and how.
//! A new carrier is one entry here.

/// One C library in one crate.
pub(super) struct Entry {
    /// Crate that carries it.
    pub(super) crate_name: &'static str,
    /// Name of the library.
    pub(super) name: &'static str,
    /// File that tells the version, relative to the crate's folder.
    pub(super) file: &'static str,
    /// Finds the version in the text of that file.
    pub(super) version: fn(&str) -> Option<String>,
    /// SPDX expression.
    pub(super) licence: &'static str,
    /// Home page of the authors.
    pub(super) website: &'static str,
    /// `vendor:product` of CPE 2.3.
    pub(super) cpe: Option<&'static str>,
    /// The entry does not hold when this crate is in the graph too, because it then brings the code.
    pub(super) unless_crate: Option<&'static str>,
}

/// The libraries that the crate of this name carries; none for most crates.
pub(super) fn entries(crate_name: &str) -> impl Iterator<Item = &'static Entry> {
    TABLE
        .iter()
        .filter(move |entry| entry.crate_name == crate_name)
}

/// The first entry for the library of this name.
pub(super) fn named(name: &str) -> Option<&'static Entry> {
    TABLE.iter().find(|entry| entry.name == name)
}

const SQLITE_WEBSITE: &str = "https://sqlite.org/";

const TABLE: &[Entry] = &[
    Entry {
        crate_name: "aws-lc-sys",
        name: "aws-lc",
        file: "aws-lc/include/openssl/base.h",
        version: |text| quoted_define(text, "AWSLC_VERSION_NUMBER_STRING"),
        licence: "ISC AND (Apache-2.0 OR ISC) AND OpenSSL",
        website: "https://github.com/aws/aws-lc",
        cpe: Some("amazon:aws_libcrypto"),
        unless_crate: None,
    },
    Entry {
        crate_name: "bzip2-sys",
        name: "bzip2",
        file: "bzip2-1.0.8/bzlib_private.h",
        version: |text| {
            quoted_define(text, "BZ_VERSION")?
                .split(',')
                .next()
                .map(str::to_owned)
        },
        licence: "bzip2-1.0.6",
        website: "https://sourceware.org/bzip2/",
        cpe: Some("bzip:bzip2"),
        unless_crate: None,
    },
    Entry {
        crate_name: "liblzma-sys",
        name: "xz",
        file: "xz/src/liblzma/api/lzma/version.h",
        version: lzma_version,
        licence: "0BSD",
        website: "https://tukaani.org/xz/",
        cpe: Some("tukaani:xz"),
        unless_crate: None,
    },
    Entry {
        crate_name: "libsqlite3-sys",
        name: "sqlite",
        file: "sqlite3/sqlite3.h",
        version: |text| quoted_define(text, "SQLITE_VERSION"),
        licence: "blessing",
        website: SQLITE_WEBSITE,
        cpe: Some("sqlite:sqlite"),
        unless_crate: Some("sqlcipher-src"),
    },
    Entry {
        crate_name: "libz-sys",
        name: "zlib",
        file: "src/zlib/zlib.h",
        version: |text| quoted_define(text, "ZLIB_VERSION"),
        licence: "Zlib",
        website: "https://zlib.net/",
        cpe: Some("zlib:zlib"),
        unless_crate: None,
    },
    Entry {
        crate_name: "openssl-src",
        name: "openssl",
        file: "openssl/VERSION.dat",
        version: openssl_version,
        licence: "Apache-2.0",
        website: "https://openssl-library.org/",
        cpe: Some("openssl:openssl"),
        unless_crate: None,
    },
    Entry {
        crate_name: "sqlcipher-src",
        name: "sqlcipher",
        file: "sqlcipher/sqlcipher.c",
        version: |text| define(text, "CIPHER_VERSION_NUMBER").map(str::to_owned),
        licence: "BSD-3-Clause",
        website: "https://www.zetetic.net/sqlcipher/",
        cpe: Some("zetetic:sqlcipher"),
        unless_crate: None,
    },
    Entry {
        crate_name: "sqlcipher-src",
        name: "sqlite",
        file: "sqlcipher/sqlite3.h",
        version: |text| quoted_define(text, "SQLITE_VERSION"),
        licence: "blessing",
        website: SQLITE_WEBSITE,
        cpe: Some("sqlite:sqlite"),
        unless_crate: None,
    },
    Entry {
        crate_name: "zstd-sys",
        name: "zstd",
        file: "zstd/lib/zstd.h",
        version: zstd_version,
        licence: "BSD-3-Clause OR GPL-2.0-only",
        website: "https://facebook.github.io/zstd/",
        cpe: Some("facebook:zstandard"),
        unless_crate: None,
    },
];

/// Value of the first `#define NAME value` that stands on one line, with blanks before and after `#`
/// allowed.
fn define<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let rest = line
            .trim_start()
            .strip_prefix('#')?
            .trim_start()
            .strip_prefix("define")?;
        let rest = rest.trim_start().strip_prefix(name)?;
        let value = rest.strip_prefix([' ', '\t'])?.trim();
        (!value.is_empty()).then_some(value)
    })
}

fn quoted_define(text: &str, name: &str) -> Option<String> {
    let value = define(text, name)?.strip_prefix('"')?;
    let (version, _) = value.split_once('"')?;
    (!version.is_empty()).then(|| version.to_owned())
}

fn number(text: &str, name: &str) -> Option<u32> {
    define(text, name)?.split_whitespace().next()?.parse().ok()
}

fn zstd_version(text: &str) -> Option<String> {
    let part = |name: &str| number(text, &format!("ZSTD_VERSION_{name}"));
    Some(format!(
        "{}.{}.{}",
        part("MAJOR")?,
        part("MINOR")?,
        part("RELEASE")?
    ))
}

fn lzma_version(text: &str) -> Option<String> {
    let part = |name: &str| number(text, &format!("LZMA_VERSION_{name}"));
    Some(format!(
        "{}.{}.{}",
        part("MAJOR")?,
        part("MINOR")?,
        part("PATCH")?
    ))
}

/// `VERSION.dat` of OpenSSL 3: one `NAME=value` a line.
fn openssl_version(text: &str) -> Option<String> {
    let part = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .map(|v| v.trim().trim_matches('"'))
    };
    let tag = part("PRE_RELEASE_TAG").unwrap_or_default();
    let dash = if tag.is_empty() { "" } else { "-" };
    let (major, minor, patch) = (part("MAJOR")?, part("MINOR")?, part("PATCH")?);
    let number = |text: &str| text.parse::<u32>().is_ok();
    (number(major) && number(minor) && number(patch))
        .then(|| format!("{major}.{minor}.{patch}{dash}{tag}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_the_forms_that_the_libraries_use() {
        assert_eq!(
            openssl_version("MAJOR=3\nMINOR=6\nPATCH=3\nPRE_RELEASE_TAG=\n").as_deref(),
            Some("3.6.3")
        );
        assert_eq!(
            openssl_version("MAJOR=4\nMINOR=0\nPATCH=0\nPRE_RELEASE_TAG=beta1\n").as_deref(),
            Some("4.0.0-beta1")
        );
        let sqlite =
            "#define SQLITE_VERSION_NUMBER 3054001\n#define SQLITE_VERSION        \"3.54.1\"\n";
        assert_eq!(
            quoted_define(sqlite, "SQLITE_VERSION").as_deref(),
            Some("3.54.1")
        );
        let cipher =
            "#ifndef CIPHER_VERSION_NUMBER\n#define CIPHER_VERSION_NUMBER 4.20.0\n#endif\n";
        assert_eq!(define(cipher, "CIPHER_VERSION_NUMBER"), Some("4.20.0"));
        let zstd = "#define ZSTD_VERSION_MAJOR    1\n# define ZSTD_VERSION_MINOR 5\n#define ZSTD_VERSION_RELEASE  7\n";
        assert_eq!(zstd_version(zstd).as_deref(), Some("1.5.7"));
    }

    #[test]
    fn a_file_of_another_form_gives_no_version() {
        assert_eq!(openssl_version("MAJOR=three\nMINOR=6\nPATCH=3"), None);
        assert_eq!(
            quoted_define("#define ZLIB_VERSION 13", "ZLIB_VERSION"),
            None
        );
        assert_eq!(zstd_version("#define ZSTD_VERSION_MAJOR 1"), None);
    }
}
