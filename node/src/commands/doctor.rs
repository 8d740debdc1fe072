//! `doctor`: looks at everything a node needs, all at once, and says what to do about each fault.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde_json::{Value, json};

use super::{output, reach};
use crate::cli::Common;
use crate::client::Node;
use crate::config::DataDir;
use crate::exit::{Failure, REFUTED};
use crate::federation::trust::Trust;
use crate::passphrase;
use crate::store::{self, OpenError};

/// How one thing is.
enum State {
    Good,
    Warning,
    Bad,
}

struct Line {
    what: &'static str,
    state: State,
    detail: String,
    hint: Option<String>,
}

struct Examination {
    lines: Vec<Line>,
}

impl Examination {
    fn note(
        &mut self,
        what: &'static str,
        state: State,
        detail: impl Into<String>,
        hint: Option<String>,
    ) {
        self.lines.push(Line {
            what,
            state,
            detail: detail.into(),
            hint,
        });
    }

    fn good(&mut self, what: &'static str, detail: impl Into<String>) {
        self.note(what, State::Good, detail, None);
    }
}

/// Free space below which a node is warned about.
const LITTLE_SPACE_BYTES: u64 = 256 * 1024 * 1024;

/// Examines; exit 0 when nothing is bad, 1 when something is.
///
/// # Errors
/// When something is bad, or no data directory can be found.
pub fn run(common: &Common) -> Result<(), Failure> {
    let data = reach::data_dir(common)?;
    let mut found = Examination { lines: Vec::new() };
    folder(&mut found, &data);
    let running = node(&mut found, common);
    if let Some(source) = secret(&mut found, common, &data, running.is_some())
        && running.is_none()
    {
        database(&mut found, &data, &source);
    }
    token(&mut found, &data);
    lists(&mut found, &data);
    show(common, &found)
}

fn folder(found: &mut Examination, data: &DataDir) {
    let root = data.root();
    match std::fs::metadata(root) {
        Err(error) => found.note(
            "data directory",
            State::Bad,
            format!("{}: {error}", root.display()),
            Some("make it with `memory-node init`".to_owned()),
        ),
        Ok(about) if about.mode() & 0o077 != 0 => found.note(
            "data directory",
            State::Warning,
            format!(
                "{} is open to others: its mode is {:o}",
                root.display(),
                about.mode() & 0o777
            ),
            Some(format!("`chmod 700 {}`", root.display())),
        ),
        Ok(_) => found.good("data directory", root.display().to_string()),
    }
    if let Ok(space) = rustix::fs::statvfs(root) {
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        let detail = format!("{} MiB are free", free / (1024 * 1024));
        if free < LITTLE_SPACE_BYTES {
            let hint = "free some space: a full disk stops writes".to_owned();
            found.note("disk", State::Warning, detail, Some(hint));
        } else {
            found.good("disk", detail);
        }
        if space.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
            found.note("disk", State::Bad, "the file system is read-only", None);
        }
    }
}

fn node(found: &mut Examination, common: &Common) -> Option<Node> {
    let runtime = match reach::runtime() {
        Ok(runtime) => runtime,
        Err(failure) => {
            found.note("node", State::Bad, failure.what, failure.hint);
            return None;
        }
    };
    runtime.block_on(async {
        match reach::running(common).await {
            Err(failure) => {
                found.note("node", State::Bad, failure.what, failure.hint);
                None
            }
            Ok(None) => {
                found.good("node", "none is running");
                None
            }
            Ok(Some(node)) => {
                let answer = node.ask(hyper::Method::GET, "/readyz", None, &[]).await;
                let stats = node
                    .ask(hyper::Method::GET, "/api/v1/stats", None, &[])
                    .await;
                match (answer, stats) {
                    (Ok(ready), Ok(stats)) if ready.status == 200 && stats.status == 200 => {
                        found.good("node", "it runs, reads and writes get through");
                    }
                    (Ok(ready), Ok(stats)) => found.note(
                        "node",
                        State::Bad,
                        format!(
                            "it runs, and says: {} {}",
                            ready.body,
                            output::text_of(&stats.body, "detail")
                        ),
                        Some("its log says more".to_owned()),
                    ),
                    (Err(error), _) | (_, Err(error)) => {
                        found.note("node", State::Bad, error.to_string(), None);
                    }
                }
                Some(node)
            }
        }
    })
}

fn secret(
    found: &mut Examination,
    common: &Common,
    data: &DataDir,
    runs: bool,
) -> Option<passphrase::Source> {
    let source = match reach::passphrase_source(common) {
        Ok(source) => source,
        Err(_) if runs => {
            found.good("passphrase", "none was given; the running node has it");
            return None;
        }
        Err(failure) if data.database().exists() => {
            let hint = "give the one that the database was made with: then it is looked at too";
            found.note(
                "passphrase",
                State::Warning,
                failure.what,
                Some(hint.to_owned()),
            );
            return None;
        }
        Err(failure) => {
            found.note("passphrase", State::Warning, failure.what, failure.hint);
            return None;
        }
    };
    match passphrase::read(&source) {
        Ok(_) => found.good("passphrase", format!("from {source}")),
        Err(error) => {
            found.note("passphrase", State::Bad, error.to_string(), error.hint());
            return None;
        }
    }
    // A pipe gives its text once: it cannot be read again for the database.
    (!matches!(source, passphrase::Source::Descriptor(_))).then_some(source)
}

fn database(found: &mut Examination, data: &DataDir, source: &passphrase::Source) {
    let Ok(passphrase) = passphrase::read(source) else {
        return;
    };
    match store::examine(&data.database(), &passphrase) {
        Ok(schema) => {
            let detail = format!("{}, schema {schema}", data.database().display());
            found.good("database", detail);
        }
        Err(error) => found.note(
            "database",
            State::Bad,
            error.to_string(),
            OpenError::hint(&error),
        ),
    }
}

fn token(found: &mut Examination, data: &DataDir) {
    let path = data.token();
    let remake = Some("make a new one with `memory-node token`".to_owned());
    match std::fs::metadata(&path) {
        Err(error) => {
            found.note(
                "token",
                State::Bad,
                format!("{}: {error}", path.display()),
                remake,
            );
        }
        Ok(about) if about.mode() & 0o077 != 0 => found.note(
            "token",
            State::Bad,
            format!("{} can be read by others", path.display()),
            remake,
        ),
        Ok(_) => found.good("token", show_path(&path)),
    }
}

/// The lists of the federation; neither there: this node has none.
fn lists(found: &mut Examination, data: &DataDir) {
    let (peers, authors) = (data.peers(), data.authors());
    if !peers.exists() {
        return found.good("federation", "no peers are listed");
    }
    match Trust::load(&peers, &authors) {
        Ok(trust) => {
            let count = trust.allowlist().len();
            let detail = format!("{count} peers, {} authors", trust.authors().authors().count());
            found.good("federation", detail);
        }
        Err(error) => found.note(
            "federation",
            State::Bad,
            error.to_string(),
            Some("one peer a line, `sha256:<fingerprint> name [host:port]`; authors by `memory-node author new`; an empty file is nobody".to_owned()),
        ),
    }
}

fn show_path(path: &Path) -> String {
    path.display().to_string()
}

fn show(common: &Common, found: &Examination) -> Result<(), Failure> {
    let mut text = String::new();
    let mut rows = Vec::new();
    let mut bad = 0;
    for line in &found.lines {
        let word = match line.state {
            State::Good => "ok",
            State::Warning => "warning",
            State::Bad => "BAD",
        };
        bad += usize::from(matches!(line.state, State::Bad));
        text.push_str(&format!("{word:8} {:15} {}\n", line.what, line.detail));
        if let Some(hint) = &line.hint {
            text.push_str(&format!("{:24} hint: {hint}\n", ""));
        }
        rows.push(json!({
            "what": line.what, "state": word.to_lowercase(), "detail": line.detail, "hint": line.hint,
        }));
    }
    output::answer(
        common.json,
        &text,
        json!({ "ok": bad == 0, "examined": Value::Array(rows) }),
    )?;
    if bad == 0 {
        return Ok(());
    }
    Err(Failure {
        exit: REFUTED,
        ..Failure::refuted("unwell", format!("{bad} things are wrong"))
    })
}
