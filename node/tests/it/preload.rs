//! Libraries that stand between the node and the system: C sources beside the tests, compiled where
//! a test wants one.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Scratch;

/// Compiles `tests/it/NAME.c` into the scratch folder; `None` (and a line on stdout) where there is
/// no compiler.
pub(crate) fn library(scratch: &Scratch, name: &str) -> Option<PathBuf> {
    let library = scratch.dir.path().join(name).with_extension("so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it")
        .join(name)
        .with_extension("c");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .arg(source)
        .output();
    match compiled {
        Ok(output) if output.status.success() => Some(library),
        Ok(output) => panic!("{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => {
            println!("skipped: no C compiler: {error}");
            None
        }
    }
}
