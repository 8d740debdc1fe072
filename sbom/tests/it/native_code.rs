//! Versions of C code in the real crates that cargo has at hand.

use sbom::native::from_crates;
use sbom::source::dep_v0;

use crate::support::registry_sources;

/// Each crate that carries C code, with what its version is known to say about the library.
fn carriers() -> Vec<(String, String, std::path::PathBuf)> {
    let names = [
        "aws-lc-sys",
        "liblzma-sys",
        "libsqlite3-sys",
        "openssl-src",
        "sqlcipher-src",
        "zstd-sys",
        "libz-sys",
        "bzip2-sys",
    ];
    let mut found = Vec::new();
    for folder in registry_sources() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_str().unwrap().to_owned();
            for name in names {
                if let Some(version) = file.strip_prefix(&format!("{name}-"))
                    && version.starts_with(|c: char| c.is_ascii_digit())
                {
                    found.push((name.to_owned(), version.to_owned(), folder.clone()));
                }
            }
        }
    }
    found
}

#[test]
fn the_version_is_read_from_the_sources_of_every_real_carrier_at_hand() {
    for (name, version, folder) in carriers() {
        let json = format!(
            r#"{{"packages":[{{"name":"{name}","version":"{version}","source":"crates.io","root":true}}]}}"#
        );
        let graph = dep_v0::parse(&json).unwrap();
        let inventory = from_crates(&graph, &|path| std::fs::read(folder.join(path)).ok());
        assert_eq!(inventory.gaps, [], "{name} {version}");
        assert!(!inventory.components.is_empty(), "{name} {version}");
        for component in &inventory.components {
            println!(
                "{name} {version} carries {} {}",
                component.name, component.version
            );
            // Where the crate's build metadata name the library's version, both agree.
            let metadata = version
                .split_once('+')
                .map(|(_, rest)| rest)
                .unwrap_or_default();
            if matches!(component.name.as_str(), "openssl" | "zstd" | "sqlcipher")
                && !metadata.is_empty()
            {
                assert!(
                    metadata.contains(&component.version),
                    "{metadata} and {}",
                    component.version
                );
            }
        }
    }
}

#[test]
fn sqlite_is_counted_once_when_sqlcipher_brings_it() {
    let json = r#"{"packages":[
        {"name":"libsqlite3-sys","version":"1.0.0","source":"crates.io","root":true,"dependencies":[1]},
        {"name":"sqlcipher-src","version":"2.0.0","source":"crates.io","kind":"build"}]}"#;
    let graph = dep_v0::parse(json).unwrap();
    let files = |path: &str| -> Option<Vec<u8>> {
        let text = match path {
            "libsqlite3-sys/Cargo.toml" => "[package]\nversion='1.0.0'\n",
            "sqlcipher-src/Cargo.toml" => "[package]\nversion='2.0.0'\n",
            "libsqlite3-sys/sqlite3/sqlite3.h" => "#define SQLITE_VERSION \"3.1.0\"\n",
            "sqlcipher-src/sqlcipher/sqlite3.h" => "#define SQLITE_VERSION \"3.2.0\"\n",
            "sqlcipher-src/sqlcipher/sqlcipher.c" => "#define CIPHER_VERSION_NUMBER 4.20.0\n",
            _ => return None,
        };
        Some(text.as_bytes().to_vec())
    };
    let found: Vec<String> = from_crates(&graph, &files)
        .components
        .iter()
        .map(|c| format!("{} {}", c.name, c.version))
        .collect();
    assert_eq!(found, ["sqlcipher 4.20.0", "sqlite 3.2.0"]);
}
