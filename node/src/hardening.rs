//! Keeps secrets out of core dumps and out of other users' files. Called first of all.

use rustix::process::{DumpableBehavior, Resource, Rlimit};

/// No core dumps, no `ptrace` by the same user, and files of mode 0600 from here on.
///
/// # Errors
/// What the kernel says when it refuses; a program with secrets should not go on then.
pub fn apply() -> std::io::Result<()> {
    rustix::process::setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    )?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    Ok(())
}
