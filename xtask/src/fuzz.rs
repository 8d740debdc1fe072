//! Feeds spoilt documents to every parser of outside data: none may panic.
//!
//! The documents start good (this repository's own files, a bundle's where one was made) and are
//! spoilt by a generator with a seed, so that a run can be repeated. What makes a parser panic is
//! kept in `target/fuzz` for a test.

mod parsers;
mod spoil;

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;

use crate::bootstrap;
use crate::cli::FuzzArgs;
use crate::outcome::{HOLDS, Refused};
use crate::shell;
use crate::talk;
use crate::tidy;

/// One parser with good documents to begin from.
struct Parser {
    name: &'static str,
    seeds: Vec<Vec<u8>>,
    feed: fn(&[u8]),
    /// Every how many rounds this parser gets one: slow ones get fewer.
    every: u32,
}

/// Feeds every parser.
pub(crate) fn run(args: &FuzzArgs) -> anyhow::Result<ExitCode> {
    let root = tidy::workspace_root();
    let kept = root.join("target/fuzz");
    let mut because = Vec::new();
    // A panic is what we look for: its text belongs into the answer, not between the lines.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    for parser in parsers::all(&root) {
        let started = Instant::now();
        let rounds = args.rounds / parser.every;
        let broken = feed(&parser, rounds, args.seed);
        talk::say(&format!(
            "{:<24} {rounds:>8} documents in {:>5.1} s",
            parser.name,
            started.elapsed().as_secs_f64()
        ));
        if let Some((round, document)) = broken {
            fs::create_dir_all(&kept).with_context(|| format!("making `{}`", kept.display()))?;
            let file = kept.join(format!("{}-{}-{round}", parser.name, args.seed));
            fs::write(&file, document).with_context(|| format!("writing `{}`", file.display()))?;
            because.push(format!("`{}` panics on `{}`", parser.name, file.display()));
        }
    }
    panic::set_hook(hook);
    // What peers of the node send is fed by a program of that crate: xtask does not link it.
    let fed = shell::program(bootstrap::cargo())
        .folder(&root)
        .args(["run", "--locked", "--release", "--package", "node"])
        .args(["--example", "fuzz_node", "--"])
        .args(["--rounds", &args.rounds.to_string()])
        .args(["--seed", &args.seed.to_string()])
        .status()?;
    match fed.code() {
        Some(0) => {}
        Some(1) => because.push("a parser of the node fails: its program says on what".to_owned()),
        code => anyhow::bail!("the node's parsers could not be fed: {code:?}"),
    }
    if because.is_empty() {
        talk::answer(&format!("no parser panics (seed {})", args.seed))?;
        return Ok(ExitCode::from(HOLDS));
    }
    Err(Refused::for_all("parsers of outside data panic", because)
        .hint("make a test of the file, then repair the parser")
        .into())
}

/// The first document on which the parser panics, with its round.
fn feed(parser: &Parser, rounds: u32, seed: u64) -> Option<(u32, Vec<u8>)> {
    let mut random = spoil::Random::new(seed);
    for round in 0..rounds {
        let index = random.below(parser.seeds.len());
        let document = spoil::spoilt(&parser.seeds[index], &parser.seeds, &mut random);
        if panic::catch_unwind(AssertUnwindSafe(|| (parser.feed)(&document))).is_err() {
            return Some((round, document));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parser_that_panics_is_found() {
        let parser = Parser {
            name: "panics on two equal bytes",
            seeds: vec![b"abcdef".to_vec()],
            feed: |document| assert!(document.windows(2).all(|pair| pair[0] != pair[1])),
            every: 1,
        };
        assert!(feed(&parser, 2000, 1).is_some());
    }

    #[test]
    fn every_parser_takes_a_hundred_spoilt_documents() {
        for parser in parsers::all(&tidy::workspace_root()) {
            assert!(
                feed(&parser, 100 / parser.every, 7).is_none(),
                "{}",
                parser.name
            );
        }
    }
}
