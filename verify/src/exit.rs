//! The exit codes, in one place. Only [`HOLDS`] is a pass.

use std::process::ExitCode;

/// All that was asked holds.
pub const HOLDS: u8 = 0;
/// Something was checked and is false.
pub const FALSE: u8 = 1;
/// No verdict: an input is missing, a tool is not there, the command line is wrong, or the output
/// could not be written.
pub const NO_VERDICT: u8 = 2;

/// The code for a verdict.
#[must_use]
pub fn code(verdict: crate::verdict::Verdict) -> ExitCode {
    use crate::verdict::Verdict;
    ExitCode::from(match verdict {
        Verdict::Pass => HOLDS,
        Verdict::Fail => FALSE,
        Verdict::NoVerdict => NO_VERDICT,
    })
}
