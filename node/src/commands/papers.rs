//! `completions`, `man`, `openapi`: what the build has made of the program itself.

use std::path::Path;

use serde_json::json;

use super::output;
use crate::cli::{Common, ShellArg};
use crate::exit::Failure;

const PAGES: &str = include_str!(concat!(env!("OUT_DIR"), "/man.txt"));
/// What stands before each page in [`PAGES`].
const MARK: &str = ".\\\" FILE ";

/// Prints the completions of a shell.
///
/// # Errors
/// When stdout cannot be written.
pub fn completions(common: &Common, shell: ShellArg) -> Result<(), Failure> {
    let script = match shell {
        ShellArg::Bash => include_str!(concat!(env!("OUT_DIR"), "/completions.bash")),
        ShellArg::Zsh => include_str!(concat!(env!("OUT_DIR"), "/completions.zsh")),
        ShellArg::Fish => include_str!(concat!(env!("OUT_DIR"), "/completions.fish")),
    };
    if common.json {
        return output::answer(true, "", json!({ "script": script }));
    }
    output::raw(script.as_bytes())
}

/// Writes the man pages into a folder.
///
/// # Errors
/// When they cannot be written.
pub fn man(common: &Common, dir: &Path) -> Result<(), Failure> {
    let unwritable = |error| {
        Failure::no_verdict("io", format!("cannot write into `{}`", dir.display())).because(error)
    };
    std::fs::create_dir_all(dir).map_err(unwritable)?;
    let mut files = Vec::new();
    for page in PAGES.split(MARK).filter(|page| !page.is_empty()) {
        let Some((name, text)) = page.split_once('\n') else {
            continue;
        };
        let file = dir.join(name);
        std::fs::write(&file, text).map_err(unwritable)?;
        files.push(file);
    }
    let text = format!("{} man pages are in {}", files.len(), dir.display());
    output::answer(common.json, &text, json!({ "files": files }))
}

/// Prints the OpenAPI document.
///
/// # Errors
/// When stdout cannot be written.
pub fn openapi() -> Result<(), Failure> {
    let text = crate::api::openapi::openapi()
        .to_pretty_json()
        .map_err(|error| Failure::no_verdict("openapi", error))?;
    output::raw(format!("{text}\n").as_bytes())
}
