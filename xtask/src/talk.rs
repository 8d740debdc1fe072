//! How a task speaks: the talk goes to stderr, the answer to stdout.
//!
//! Talk that nobody can read is dropped; an answer that cannot be written is an error, because an
//! answer that did not arrive is never a pass.

use std::io::{self, Write as _};
use std::time::Instant;

/// One line of talk on stderr.
pub(crate) fn say(text: &str) {
    let mut stderr = io::stderr().lock();
    if writeln!(stderr, "{text}").is_err() {
        // The reader of the talk has gone; the exit code still tells the outcome.
    }
}

/// One line of the answer on stdout.
///
/// # Errors
/// When stdout cannot be written: then the task has no verdict.
pub(crate) fn answer(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")?;
    stdout.flush()
}

/// Runs one named piece of work, saying when it starts and how long it took.
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    say(&format!("==> {name}"));
    let start = Instant::now();
    let done = work()?;
    let seconds = start.elapsed().as_secs_f64();
    if seconds >= 1.0 {
        say(&format!("    {name}: done in {seconds:.1} s"));
    }
    Ok(done)
}
