//! `author …`: the authors file, and this node's own key.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::{id, output, reach};
use crate::cli::{AuthorCommand, Common};
use crate::clock::{Clock as _, SystemClock};
use crate::exit::Failure;
use crate::identity::authors::{Author, Authors};
use crate::identity::keys::AuthorSecret;

/// Runs one of them.
///
/// # Errors
/// When the file cannot be read or written, or would not be one any more.
pub fn run(common: &Common, command: &AuthorCommand) -> Result<(), Failure> {
    match command {
        AuthorCommand::New {
            name,
            key,
            namespaces,
            not_before,
            not_after,
            authors_file,
        } => {
            let data = reach::data_dir(common)?;
            let key = match key {
                Some(key) => key.trim_start_matches("ed25519:").to_owned(),
                None => id::author_key(&data).ok_or_else(|| {
                    Failure::no_verdict("no_key", "this node has no key yet")
                        .hint("name one, or make the node with `memory-node init`")
                })?,
            };
            let mut line = format!("ed25519:{key}  {name}");
            if !namespaces.is_empty() {
                line.push_str(&format!("  namespaces={}", namespaces.join(",")));
            }
            for (field, moment) in [("not-before", not_before), ("not-after", not_after)] {
                if let Some(moment) = moment {
                    line.push_str(&format!("  {field}={moment}"));
                }
            }
            add(common, authors_file.as_deref(), &line)
        }
        AuthorCommand::List { authors_file } => list(common, authors_file.as_deref()),
        AuthorCommand::Revoke { name, authors_file } => {
            revoke(common, authors_file.as_deref(), name)
        }
        AuthorCommand::Rotate => rotate(common),
    }
}

fn path_of(common: &Common, named: Option<&Path>) -> Result<PathBuf, Failure> {
    match named {
        Some(path) => Ok(path.to_owned()),
        None => Ok(reach::data_dir(common)?.authors()),
    }
}

fn read(path: &Path) -> Result<(String, Authors), Failure> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            let what = format!("cannot read `{}`", path.display());
            return Err(Failure::no_verdict("io", what).because(error));
        }
    };
    let authors = parse(path, &text)?;
    Ok((text, authors))
}

fn parse(path: &Path, text: &str) -> Result<Authors, Failure> {
    Authors::parse(text).map_err(|error| {
        let what = format!("`{}` is no authors file", path.display());
        Failure::no_verdict("authors_file", what).because(error)
    })
}

/// Writes the file aside and renames it: a running node reads a whole one.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let aside = path.with_extension("new");
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&aside)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&aside, path))
        .map_err(|error| {
            let what = format!("cannot write `{}`", path.display());
            Failure::no_verdict("io", what).because(error)
        })
}

fn add(common: &Common, file: Option<&Path>, line: &str) -> Result<(), Failure> {
    let path = path_of(common, file)?;
    let (mut text, _) = read(&path)?;
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(line);
    text.push('\n');
    parse(&path, &text)?;
    write(&path, &text)?;
    let shown = format!("{line}\n\nnow in `{}`", path.display());
    output::answer(common.json, &shown, json!({ "file": path, "line": line }))
}

fn list(common: &Common, file: Option<&Path>) -> Result<(), Failure> {
    let path = path_of(common, file)?;
    let (_, authors) = read(&path)?;
    let now = SystemClock.now();
    let state = |author: &Author| {
        if author.revoked.is_some() {
            "revoked"
        } else if author.not_before.is_some_and(|first| now < first) {
            "not yet"
        } else if author.not_after.is_some_and(|last| now > last) {
            "ended"
        } else {
            "in force"
        }
    };
    let mut text = String::new();
    let mut rows = Vec::new();
    for author in authors.authors() {
        let names = author.namespaces.as_ref();
        let namespaces = names.map_or("all".to_owned(), |names| {
            names.iter().cloned().collect::<Vec<_>>().join(",")
        });
        text.push_str(&format!(
            "{:9}  {:16}  {namespaces:16}  ed25519:{}\n",
            state(author),
            author.name,
            author.key
        ));
        rows.push(json!({
            "name": author.name, "key": format!("ed25519:{}", author.key), "state": state(author),
            "namespaces": names, "not_before": author.not_before, "not_after": author.not_after,
            "revoked": author.revoked,
        }));
    }
    output::answer(common.json, &text, json!({ "authors": rows }))
}

fn revoke(common: &Common, file: Option<&Path>, name: &str) -> Result<(), Failure> {
    let path = path_of(common, file)?;
    let (text, authors) = read(&path)?;
    let now = SystemClock.now();
    let mut found = false;
    let lines: Vec<String> = text
        .lines()
        .map(|line| {
            let (words, comment) = line.split_once('#').unwrap_or((line, ""));
            let mut split = words.split_ascii_whitespace();
            let is_it = split.next().is_some_and(|key| key.starts_with("ed25519:"))
                && split.next() == Some(name);
            if !is_it || words.contains("revoked=") {
                return line.to_owned();
            }
            found = true;
            let comment = if comment.is_empty() {
                String::new()
            } else {
                format!("  #{comment}")
            };
            format!("{}  revoked={now}{comment}", words.trim_end())
        })
        .collect();
    if !found {
        let known = authors.authors().any(|author| author.name == name);
        let what = if known {
            format!("`{name}` is revoked already")
        } else {
            format!("no author is called `{name}` in `{}`", path.display())
        };
        return Err(Failure::no_verdict("no_such_author", what));
    }
    let text = lines.join("\n") + "\n";
    parse(&path, &text)?;
    write(&path, &text)?;
    let shown = format!("nothing more of `{name}` is taken in; what was taken before stays");
    output::answer(common.json, &shown, json!({ "revoked": name, "at": now }))
}

fn rotate(common: &Common) -> Result<(), Failure> {
    let store = reach::open_store(common)?;
    let secret = AuthorSecret::generate().map_err(|e| Failure::no_verdict("no_entropy", e))?;
    let author = secret.public();
    let rotated = store.write_blocking(move |write| write.rotate_author(&secret));
    store.close();
    // The lock goes with the last handle.
    drop(store);
    let record = rotated?;
    // The first word under the new key: the signed head names it from here on.
    let store = reach::open_store(common)?;
    let begun = store.write_blocking(move |write| write.record("author.begins", []));
    store.close();
    begun?;
    let text = format!(
        "{record}\n\nput this line into every peer's authors file; this node signs with\n  ed25519:{author}\nfrom now on"
    );
    output::answer(
        common.json,
        &text,
        json!({ "record": record.to_string(), "author": format!("ed25519:{author}") }),
    )
}
