//! Makes shell completions and man pages out of the command line's own definition.
#![expect(clippy::expect_used, reason = "a build script reports by panicking")]

use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::Shell;

#[path = "src/cli.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    reason = "only the definition is used here"
)]
mod cli;

fn main() {
    println!("cargo::rerun-if-changed=src/cli.rs");
    let out = std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    let out = Path::new(&out);
    let mut command = cli::Cli::command();
    for (shell, name) in [
        (Shell::Bash, "bash"),
        (Shell::Zsh, "zsh"),
        (Shell::Fish, "fish"),
    ] {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut command, "memory-node", &mut text);
        std::fs::write(out.join(format!("completions.{name}")), text)
            .expect("OUT_DIR can be written");
    }
    // One file for all pages, so that the program can carry them: a line `.\" FILE name` before each.
    command.build();
    let mut pages = Vec::new();
    page(&command, &mut pages);
    std::fs::write(out.join("man.txt"), pages).expect("OUT_DIR can be written");
}

fn page(command: &clap::Command, pages: &mut Vec<u8>) {
    let name = command
        .get_display_name()
        .unwrap_or(command.get_name())
        .replace(' ', "-");
    pages.extend_from_slice(format!(".\\\" FILE {name}.1\n").as_bytes());
    clap_mangen::Man::new(command.clone())
        .title(name.to_uppercase())
        .render(pages)
        .expect("a Vec takes everything");
    for child in command
        .get_subcommands()
        .filter(|child| child.get_name() != "help")
    {
        page(child, pages);
    }
}
