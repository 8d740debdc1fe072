//! `verify` against the tools that each do a part of it: wall time and memory, in one run, and
//! whether the aims are reached.
//!
//! Measured is the `verify` that is named behind the workspace, else the one that was shipped in the
//! release that is looked at, or where that one ships none, this repository's own from the profile
//! `release`. The tools of others are installed
//! in pinned versions; without one of them there is no comparison and no verdict.

mod released;
mod subjects;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::document;
use super::measure::{self, Measured, RUNS, Subject};
use crate::outcome::{FALSE, HOLDS};
use crate::talk;
use crate::tidy;
use released::Released;

/// A start may take this long.
const START_UP: Duration = Duration::from_millis(10);

/// How many times faster than `cargo audit` the advisories must be.
const ADVISORIES_FASTER: u32 = 5;

/// Measures, writes the table into the document, and judges.
pub(super) fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let root = tidy::workspace_root();
    let workspace = arguments
        .first()
        .map_or_else(|| root.join("target/demo/clone"), PathBuf::from);
    let program = arguments.get(1).map(PathBuf::from);
    let released = Released::find(&workspace, program.as_deref())?;
    let subjects = subjects::all(&released)?;
    let measured = talk::step("measuring", || {
        measure::all(&subjects, released.scratch.path())
    })?;
    let aims = aims(&subjects, &measured);
    let table = table(&released, &subjects, &measured, &aims)?;
    document::put("bench verify", "Verifying", &table)?;
    talk::answer(&table)?;
    let reached = aims.iter().all(|aim| aim.reached);
    Ok(ExitCode::from(if reached { HOLDS } else { FALSE }))
}

/// Something that is to be reached.
#[derive(Debug, PartialEq, Eq)]
struct Aim {
    what: String,
    reached: bool,
}

fn aims(subjects: &[Subject], measured: &[Measured]) -> Vec<Aim> {
    let time = |name: &str| -> Duration {
        let of = subjects.iter().zip(measured);
        of.filter(|(subject, _)| subject.name == name)
            .map(|(_, measured)| measured.time)
            .sum()
    };
    let others: Duration = subjects
        .iter()
        .zip(measured)
        .filter(|(subject, _)| !subject.name.starts_with("verify "))
        .map(|(_, measured)| measured.time)
        .sum();
    let (start, whole) = (time("verify --version"), time("verify release"));
    let (advisories, audit) = (time("verify advisories"), time("cargo audit"));
    let factor = audit.as_secs_f64() / advisories.as_secs_f64();
    vec![
        Aim {
            what: format!(
                "`verify advisories` takes at most a fifth of the time of `cargo audit`: {} to {}, {factor:.1} times faster",
                shown(advisories),
                shown(audit)
            ),
            reached: advisories * ADVISORIES_FASTER <= audit,
        },
        Aim {
            what: format!(
                "the whole `verify release` takes less time than the others' tools together: {} to {}",
                shown(whole),
                shown(others)
            ),
            reached: whole < others,
        },
        Aim {
            what: format!("it starts in less than 10 ms: {}", shown(start)),
            reached: start < START_UP,
        },
    ]
}

fn table(
    released: &Released,
    subjects: &[Subject],
    measured: &[Measured],
    aims: &[Aim],
) -> anyhow::Result<String> {
    let mut table = format!(
        "{}. {}. Median of {RUNS} runs, taken in turn, files in the page cache; memory is the peak.\n\n\
         | question | tool | time | memory |\n|---|---|---:|---:|\n",
        document::machine()?,
        released.describe()?
    );
    for (subject, measured) in subjects.iter().zip(measured) {
        table.push_str(&format!(
            "| {} | `{}` | {} | {:.0} MiB |\n",
            subject.question,
            subject.name,
            shown(measured.time),
            measured.memory_kib as f64 / 1024.0
        ));
    }
    table.push('\n');
    for aim in aims {
        let word = if aim.reached { "Reached" } else { "Missed" };
        table.push_str(&format!("- {word}: {}\n", aim.what));
    }
    Ok(table)
}

fn shown(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(name: &'static str) -> Subject {
        Subject {
            question: "",
            name,
            command: Vec::new(),
            folder: PathBuf::new(),
            variables: Vec::new(),
            ends_with: &[],
            says: "",
        }
    }

    #[test]
    fn an_aim_is_missed_by_the_numbers_and_by_nothing_else() {
        let names = [
            "verify --version",
            "verify release",
            "verify advisories",
            "cargo audit",
            "sha256sum -c",
        ];
        let subjects = names.map(subject);
        let reached = |times_ms: [u64; 5]| {
            let measured = times_ms.map(|time_ms| Measured {
                time: Duration::from_millis(time_ms),
                memory_kib: 1,
            });
            aims(&subjects, &measured)
                .iter()
                .map(|aim| aim.reached)
                .collect::<Vec<_>>()
        };
        assert_eq!(reached([2, 50, 10, 50, 1]), [true, true, true]);
        assert_eq!(reached([2, 50, 11, 50, 1]), [false, true, true]);
        assert_eq!(reached([2, 51, 10, 50, 1]), [true, false, true]);
        assert_eq!(reached([10, 50, 10, 50, 1]), [true, true, false]);
    }
}
