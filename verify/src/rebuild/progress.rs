//! What a long build says while it runs: one line a step, a spinner on a terminal.

use std::{
    io::{IsTerminal as _, Write as _},
    sync::Mutex,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// Where the steps of a long task are announced. Steps follow each other; a new one ends the last.
pub trait Progress: Sync {
    /// A step begins that may take more than a second.
    fn step(&self, what: &str);
    /// Something happened within the step, such as a crate being compiled.
    fn detail(&self, what: &str);
    /// The last step has ended.
    fn done(&self);
}

/// Says nothing; for tests and for machine-read output.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn step(&self, _: &str) {}
    fn detail(&self, _: &str) {}
    fn done(&self) {}
}

/// Writes to standard error: a spinner with the elapsed time on a terminal, else a line a step.
#[derive(Debug)]
pub struct Standard {
    current: Mutex<Option<(String, Instant, Option<ProgressBar>)>>,
}

impl Default for Standard {
    fn default() -> Self {
        Self::new()
    }
}

impl Standard {
    /// Nothing is shown until the first step.
    #[must_use]
    pub fn new() -> Self {
        Self {
            current: Mutex::new(None),
        }
    }

    fn end(&self) {
        let Ok(mut current) = self.current.lock() else {
            return;
        };
        if let Some((what, since, bar)) = current.take() {
            let seconds = since.elapsed().as_secs_f64();
            if let Some(bar) = bar {
                bar.finish_and_clear();
                say(&format!("  {what} ({seconds:.1} s)"));
            } else if seconds >= 1.0 {
                say(&format!("  … done in {seconds:.1} s"));
            }
        }
    }
}

impl Progress for Standard {
    fn step(&self, what: &str) {
        self.end();
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("  {spinner} {msg} [{elapsed}]") {
                bar.set_style(style);
            }
            bar.set_message(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        if bar.is_none() {
            say(&format!("  {what}"));
        }
        if let Ok(mut current) = self.current.lock() {
            *current = Some((what.to_owned(), Instant::now(), bar));
        }
    }

    fn detail(&self, text: &str) {
        if let Ok(current) = self.current.lock()
            && let Some((what, _, Some(bar))) = current.as_ref()
        {
            let short: String = text.chars().filter(|c| !c.is_control()).take(60).collect();
            bar.set_message(format!("{what}: {short}"));
        }
    }

    fn done(&self) {
        self.end();
    }
}

impl Drop for Standard {
    fn drop(&mut self) {
        self.end();
    }
}

fn say(line: &str) {
    // Talk that cannot be written is no reason to stop a build.
    writeln!(std::io::stderr().lock(), "{line}").ok();
}
