//! Starting the few programs that a rebuild needs, with their output kept for the error.

use std::{
    collections::VecDeque,
    io::{BufRead as _, BufReader, Read},
    process::{Command, Stdio},
};

use super::progress::Progress;

/// How many lines of a failed program's output an error carries.
const LOG_LINES: usize = 40;

/// What a program left when it ended.
pub(super) struct Ended {
    /// It exited with 0.
    pub success: bool,
    /// Its standard output.
    pub stdout: String,
    /// The last lines of its standard error.
    pub log: String,
}

/// Runs a program to its end; each line of its standard error goes to `progress.detail`.
pub(super) fn run(command: &mut Command, progress: &dyn Progress) -> std::io::Result<Ended> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take();
    let stderr = child.stderr.take();
    let (stdout, log) = std::thread::scope(|scope| {
        let answer = scope.spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut pipe) = stdout {
                pipe.read_to_end(&mut bytes)?;
            }
            std::io::Result::Ok(bytes)
        });
        let mut log = VecDeque::new();
        if let Some(pipe) = stderr {
            for line in BufReader::new(pipe).split(b'\n') {
                let line = String::from_utf8_lossy(&line?).trim_end().to_owned();
                progress.detail(line.trim_start());
                if log.len() == LOG_LINES {
                    log.pop_front();
                }
                log.push_back(line);
            }
        }
        let bytes = answer
            .join()
            .map_err(|_| std::io::Error::other("a reader stopped"))??;
        std::io::Result::Ok((bytes, log))
    })?;
    let status = child.wait()?;
    Ok(Ended {
        success: status.success(),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        log: log.into_iter().collect::<Vec<_>>().join("\n"),
    })
}
