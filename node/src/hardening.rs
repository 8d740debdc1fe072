//! What the process asks of the kernel: no core dumps, private files, as many files as it may have.

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, setrlimit};

/// No core dumps, no `ptrace` by the same user, and files of mode 0600 from here on.
///
/// # Errors
/// What the kernel says when it refuses; a program with secrets should not go on then.
pub fn apply() -> std::io::Result<()> {
    setrlimit(
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

/// Lets the process open as many files as it ever may: every connection is one.
///
/// # Errors
/// What the kernel says when it refuses; fewer connections are possible then.
pub fn allow_many_files() -> std::io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    )?;
    Ok(())
}
