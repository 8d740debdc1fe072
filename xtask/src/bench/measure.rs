//! Wall time and peak memory of programs, run in turn so that a busy moment hits all of them alike.
//!
//! A program that did not do its work has no time: each says which exit codes, and which words in
//! what it prints, show that it did.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::shell::{self, Program};
use crate::talk;

/// How often each program runs; the median counts.
pub(super) const RUNS: usize = 11;

/// GNU time, which tells a program's peak memory.
const GNU_TIME: &str = "/usr/bin/time";

/// One program that is measured.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    /// What it is asked, in the table.
    pub(super) question: &'static str,
    /// Its name in the table.
    pub(super) name: &'static str,
    /// Program and arguments.
    pub(super) command: Vec<String>,
    /// Where it runs.
    pub(super) folder: PathBuf,
    /// Further variables of its environment.
    pub(super) variables: Vec<(&'static str, String)>,
    /// Exit codes with which it has done its work.
    pub(super) ends_with: &'static [i32],
    /// Words that it prints when it has done its work; empty where the exit code says all.
    pub(super) says: &'static str,
}

/// What was measured of one program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Measured {
    /// Median of the wall times.
    pub(super) time: Duration,
    /// Peak of the resident memory, in KiB.
    pub(super) memory_kib: u64,
}

/// Runs every program [`RUNS`] times, in turn.
///
/// # Errors
/// When one of them did not do its work.
pub(super) fn all(subjects: &[Subject], scratch: &Path) -> anyhow::Result<Vec<Measured>> {
    let mut memory_kib = Vec::new();
    for subject in subjects {
        talk::say(&format!("    {}", subject.command.join(" ")));
        // This round also brings files into the page cache.
        memory_kib.push(subject.peak_memory_kib(scratch)?);
    }
    let mut times = vec![Vec::new(); subjects.len()];
    for _ in 0..RUNS {
        for (subject, times) in subjects.iter().zip(&mut times) {
            let start = Instant::now();
            let ended = subject.program(&subject.command[0]).outcome_of(subject)?;
            times.push(start.elapsed());
            ended.worked()?;
        }
    }
    Ok(times
        .iter_mut()
        .zip(memory_kib)
        .map(|(times, memory_kib)| {
            times.sort();
            Measured {
                time: times[times.len() / 2],
                memory_kib,
            }
        })
        .collect())
}

impl Subject {
    fn program(&self, name: &str) -> Run {
        let mut program = shell::program(name).folder(&self.folder);
        for (name, value) in &self.variables {
            program = program.env(name, value);
        }
        Run(program)
    }

    fn peak_memory_kib(&self, scratch: &Path) -> anyhow::Result<u64> {
        let file = scratch.join("peak-memory");
        let mut run = self.program(GNU_TIME);
        run.0 = run.0.args(["--quiet", "--format", "%M", "--output"]);
        run.0 = run.0.arg(&file).arg(&self.command[0]);
        run.outcome_of(self)?.worked()?;
        let text = fs::read_to_string(&file).context("reading what GNU time measured")?;
        let last = text.lines().last().unwrap_or_default().trim();
        last.parse()
            .with_context(|| format!("`{last}` is no measure of memory"))
    }
}

/// A program that is about to run with a subject's arguments.
struct Run(Program);

impl Run {
    fn outcome_of(self, subject: &Subject) -> anyhow::Result<Ended<'_>> {
        let (status, stdout, stderr) = self.0.args(&subject.command[1..]).outcome()?;
        Ok(Ended {
            subject,
            code: status.code(),
            said: String::from_utf8_lossy(&stdout).into_owned() + &stderr,
        })
    }
}

struct Ended<'a> {
    subject: &'a Subject,
    code: Option<i32>,
    said: String,
}

impl Ended<'_> {
    fn worked(&self) -> anyhow::Result<()> {
        let expected = self
            .code
            .is_some_and(|code| self.subject.ends_with.contains(&code));
        if expected && self.said.contains(self.subject.says) {
            return Ok(());
        }
        bail!(
            "`{}` did not do its work (exit code {:?}): {}",
            self.subject.command.join(" "),
            self.code,
            self.said.trim()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell_says(script: &str, ends_with: &'static [i32], says: &'static str) -> Subject {
        Subject {
            question: "",
            name: "",
            command: ["sh", "-c", script].map(str::to_owned).into(),
            folder: std::env::temp_dir(),
            variables: vec![("WORD", "done".to_owned())],
            ends_with,
            says,
        }
    }

    #[test]
    fn a_program_that_did_not_do_its_work_has_no_time() {
        let scratch = tempfile::tempdir().unwrap();
        let measured = |subject| all(&[subject], scratch.path());
        if !Path::new(GNU_TIME).is_file() {
            return talk::say("skipped: GNU time is not installed");
        }
        let good = measured(shell_says("echo $WORD; exit 1", &[0, 1], "done")).unwrap();
        assert!(good[0].memory_kib > 100, "{good:?}");
        for bad in [
            shell_says("echo $WORD; exit 2", &[0, 1], "done"),
            shell_says("echo nothing", &[0], "done"),
        ] {
            let refused = measured(bad).unwrap_err().to_string();
            assert!(refused.contains("did not do its work"), "{refused}");
        }
    }
}
