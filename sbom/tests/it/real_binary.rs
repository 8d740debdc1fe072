//! Real programs, linked by rustc, with a dependency list as `cargo auditable` puts it in.

use std::path::Path;
use std::process::Command;

use sbom::source::dep_v0::{self, DepV0Error};

use crate::support::pack;

fn rustc(folder: &Path, source: &str) -> Vec<u8> {
    let file = folder.join("main.rs");
    std::fs::write(&file, source).unwrap();
    let program = folder.join("program");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--edition=2024", "-Copt-level=0", "-Cdebuginfo=0", "-o"])
        .arg(&program)
        .arg(&file)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    std::fs::read(program).unwrap()
}

#[test]
fn a_linked_program_tells_its_packages_and_its_compiler() {
    let folder = tempfile::tempdir().unwrap();
    let json = r#"{"packages":[{"name":"app","version":"1.2.3","source":"local","root":true,"dependencies":[1]},
        {"name":"leaf","version":"0.1.0","source":"crates.io"}],"format":1}"#;
    let packed = pack(json.as_bytes());
    let source = format!(
        "#[unsafe(link_section = \".dep-v0\")]\n#[used]\nstatic LIST: [u8; {}] = {packed:?};\nfn main() {{}}\n",
        packed.len()
    );
    let binary = rustc(folder.path(), &source);
    let graph = dep_v0::read(&binary).unwrap();
    assert_eq!(graph.root().id.to_string(), "app 1.2.3");
    assert_eq!(graph.packages().len(), 2);
    let compiler = sbom::native::in_binary(&binary);
    assert!(
        compiler
            .iter()
            .any(|w| w.name == "rust-std" && w.version.is_some()),
        "{compiler:?}"
    );
}

#[test]
fn a_program_of_plain_rustc_has_no_list() {
    let folder = tempfile::tempdir().unwrap();
    let binary = rustc(folder.path(), "fn main() {}\n");
    assert!(matches!(dep_v0::read(&binary), Err(DepV0Error::NoSection)));
}
