//! Counts what the test runner says: passed, failed, ignored, and what a test could not look at.
//!
//! To the runner a test that could not look is one that passed. Such a test says so in a line that
//! begins with `skipped`, and here it counts as what it is.

/// What was read out of the runner's output so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// The runner's closing lines, one for each program of tests.
    pub(super) closing: Vec<String>,
    /// Each test that could not look, and why.
    pub(super) skipped: Vec<(String, String)>,
    passed: usize,
    failed: usize,
    ignored: usize,
    place: Place,
}

/// Where in the output of one program of tests the last line stood.
#[derive(Debug, Default, PartialEq, Eq)]
enum Place {
    /// Outside of what the tests said themselves.
    #[default]
    Outside,
    /// In what the tests said that passed.
    Successes {
        /// The test whose words these are.
        test: Option<String>,
    },
    /// In what the tests said that failed.
    Failures,
}

impl Tally {
    /// Reads one line; `true`: it is worth showing. What passing tests said is not, but for skips.
    pub(super) fn read(&mut self, line: &str) -> bool {
        if line.starts_with("test result:") {
            self.place = Place::Outside;
            self.close(line);
            return true;
        }
        match line {
            "successes:" => {
                self.place = Place::Successes { test: None };
                return false;
            }
            "failures:" => self.place = Place::Failures,
            _ => {}
        }
        let Place::Successes { test } = &mut self.place else {
            if self.place == Place::Outside && line.starts_with("skipped") {
                self.skipped.push(("a test".to_owned(), line.to_owned()));
            }
            return true;
        };
        if let Some(name) = line
            .strip_prefix("---- ")
            .and_then(|rest| rest.strip_suffix(" stdout ----"))
        {
            *test = Some(name.to_owned());
            return false;
        }
        let Some(name) = test.as_ref().filter(|_| line.starts_with("skipped")) else {
            return false;
        };
        // A test may lack several things; it is one test.
        if self.skipped.last().is_none_or(|(last, _)| last != name) {
            self.skipped.push((name.clone(), line.to_owned()));
        }
        true
    }

    fn close(&mut self, line: &str) {
        for part in line.split([';', '.']) {
            let mut words = part.split_whitespace();
            if let (Some(number), Some(what)) = (words.next(), words.next())
                && let Ok(number) = number.parse::<usize>()
            {
                match what {
                    "passed" => self.passed += number,
                    "failed" => self.failed += number,
                    "ignored" => self.ignored += number,
                    _ => {}
                }
            }
        }
        self.closing.push(line.to_owned());
    }

    /// All of it in one line.
    pub(super) fn sum(&self) -> String {
        let skipped = self.skipped.len() + self.ignored;
        format!(
            "tests: {} passed, {} failed, {skipped} skipped",
            self.passed.saturating_sub(self.skipped.len()),
            self.failed
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Tally, Vec<&str>) {
        let mut tally = Tally::default();
        let shown = text.lines().filter(|line| tally.read(line)).collect();
        (tally, shown)
    }

    #[test]
    fn a_test_that_could_not_look_is_no_passed_one() {
        let (tally, shown) = read(
            "running 3 tests
test a::looks ... ok
test a::cannot ... ok
test b ... ignored

successes:

---- a::looks stdout ----
some words

---- a::cannot stdout ----
before
skipped: no such program
skipped: another one

successes:
    a::looks
    a::cannot

test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
        );
        assert_eq!(tally.sum(), "tests: 1 passed, 0 failed, 2 skipped");
        assert_eq!(
            tally.skipped,
            [(
                "a::cannot".to_owned(),
                "skipped: no such program".to_owned()
            )]
        );
        assert!(shown.contains(&"skipped: no such program"));
        assert!(!shown.contains(&"some words"), "{shown:?}");
        assert_eq!(tally.closing.len(), 1);
    }

    #[test]
    fn what_a_failing_test_said_is_shown_whole() {
        let (tally, shown) = read(
            "successes:

---- good stdout ----
quiet

successes:
    good

failures:

---- bad stdout ----
the reason
skipped: this is the failing test's own line

failures:
    bad

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        );
        assert_eq!(tally.sum(), "tests: 1 passed, 1 failed, 0 skipped");
        assert!(shown.contains(&"the reason"));
        assert!(!shown.contains(&"quiet"));
    }
}
