//! Puts a measured table into docs/benchmarks.md, between the marks of its own measurement.

use std::fs;

use anyhow::Context as _;

use crate::shell;
use crate::tidy;

const DOCUMENT: &str = "docs/benchmarks.md";

/// Replaces what an earlier run of the same task wrote; the first time it goes to the end. `task` is
/// what stands behind `cargo xtask`, such as `bench build`.
pub(super) fn put(task: &str, heading: &str, table: &str) -> anyhow::Result<()> {
    let document = tidy::workspace_root().join(DOCUMENT);
    let text = match fs::read_to_string(&document) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "# Benchmarks\n".to_owned(),
        read => read.with_context(|| format!("reading `{DOCUMENT}`"))?,
    };
    if let Some(folder) = document.parent() {
        fs::create_dir_all(folder).context("making the folder of the documents")?;
    }
    fs::write(&document, placed(&text, task, heading, table))
        .with_context(|| format!("writing `{DOCUMENT}`"))
}

/// The machine in one line.
pub(super) fn machine() -> anyhow::Result<String> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let system = shell::program("uname").args(["-sr"]).read_line()?;
    let rustc = shell::program("rustc").arg("--version").read_line()?;
    Ok(format!("{cores} cores, {system}, {rustc}"))
}

fn placed(text: &str, task: &str, heading: &str, table: &str) -> String {
    let begin = format!("<!-- cargo xtask {task} -->");
    let end = format!("<!-- end of cargo xtask {task} -->");
    let block = format!("{begin}\n{table}{end}");
    match text.split_once(&begin) {
        Some((before, rest)) => {
            let after = rest.split_once(&end).map_or("\n", |(_, after)| after);
            format!("{before}{block}{after}")
        }
        None => format!("{}\n\n## {heading}\n\n{block}\n", text.trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_measurement_replaces_the_first_and_nothing_else() {
        let once = placed(
            "# Benchmarks\n\nWords.\n",
            "bench build",
            "Building",
            "| a |\n",
        );
        let more = placed(&once, "bench verify", "Verifying", "| c |\n");
        let twice = placed(&more, "bench build", "Building", "| b |\n");
        for kept in ["Words.", "| b |", "| c |", "## Verifying"] {
            assert!(twice.contains(kept), "{kept} is not in {twice}");
        }
        assert!(!twice.contains("| a |"), "{twice}");
        assert_eq!(twice.matches("## Building").count(), 1);
    }
}
