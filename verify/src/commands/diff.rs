//! `verify diff`: are two binaries the same, and if not, where and probably why not?

use super::Answer;
use super::answer::SingleReport;
use crate::check::Evidence;
use crate::cli::DiffArgs;
use crate::rebuild::compare::compare;

/// The largest binary, in bytes.
const MAX_BINARY_BYTES: u64 = 2 << 30;

/// Runs the command.
///
/// # Errors
/// When a file cannot be read.
pub fn run(args: &DiffArgs) -> anyhow::Result<Answer> {
    let (left, right) = (
        super::read(&args.left, MAX_BINARY_BYTES)?,
        super::read(&args.right, MAX_BINARY_BYTES)?,
    );
    let found = compare(&left, &right);
    let mut evidence = Evidence::default();
    evidence.fact(
        "first",
        format!("{} ({} bytes)", found.left, found.left_size_bytes),
    );
    evidence.fact(
        "second",
        format!("{} ({} bytes)", found.right, found.right_size_bytes),
    );
    for section in &found.sections {
        evidence.problem(section);
    }
    for cause in &found.causes {
        evidence.fact("likely cause", cause);
    }
    let outcome = if found.identical() {
        evidence.judged()
    } else {
        evidence.failed("the files differ")
    };
    let subject = format!("{} and {}", args.left.display(), args.right.display());
    SingleReport::new("diff", subject, outcome, Some(found))
        .answer("the files are identical", args.json)
}
