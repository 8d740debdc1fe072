//! `export` and `import`: files, sealed unless somebody says otherwise.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use hyper::Method;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::memories::refused;
use super::{output, reach};
use crate::cli::{Common, ExportArgs, ImportArgs};
use crate::client::Node;
use crate::exit::Failure;
use crate::seal::{self, OpenWith, SealError, SealTo};

impl From<SealError> for Failure {
    fn from(error: SealError) -> Self {
        match error {
            SealError::NotOpened(_) => Self::refuted("not_opened", error),
            other => Self::no_verdict("seal", other),
        }
    }
}

/// Memories in one request of an import.
const AT_ONCE: usize = 500;

/// Writes every memory to a file.
///
/// # Errors
/// When nobody said how to seal it, or it cannot be written.
pub fn export(common: &Common, args: &ExportArgs) -> Result<(), Failure> {
    let to = seal_to(args)?;
    if args.file.exists() {
        return Err(Failure::no_verdict(
            "file_exists",
            format!("`{}` is there already", args.file.display()),
        ));
    }
    let document = with_node(common, async |node| {
        let path = "/api/v1/export";
        let (status, bytes) = node.ask_raw(Method::GET, path, None, &[]).await?;
        if status == 200 {
            return Ok(Zeroizing::new(bytes.to_vec()));
        }
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Err(refused(&body, status))
    })?;
    let parsed: Value = serde_json::from_slice(&document).map_err(|error| {
        Failure::no_verdict("broken_export", "the export broke off").because(error)
    })?;
    let count = parsed.get("count").cloned().unwrap_or_default();
    let sealed = to.is_some();
    let bytes = match to {
        Some(to) => seal::seal(&document, to)?,
        None => {
            tracing::warn!("the export is not sealed: whoever reads the file reads every memory");
            document.to_vec()
        }
    };
    write_new(&args.file, &bytes)?;
    let text = format!(
        "{count} memories in {}, {}",
        args.file.display(),
        if sealed { "sealed" } else { "NOT sealed" }
    );
    output::answer(
        common.json,
        &text,
        json!({ "file": args.file, "count": count, "sealed": sealed }),
    )
}

/// Takes in the memories of a file.
///
/// # Errors
/// When it cannot be opened, is no export, or the node refuses.
pub fn import(common: &Common, args: &ImportArgs) -> Result<(), Failure> {
    let bytes = read(&args.file)?;
    let plain = if seal::is_sealed(&bytes) {
        Zeroizing::new(seal::open(&bytes, open_with(args)?)?)
    } else {
        bytes
    };
    let document: Value = serde_json::from_slice(&plain).map_err(|error| {
        Failure::no_verdict(
            "not_an_export",
            format!("`{}` is no export", args.file.display()),
        )
        .because(error)
    })?;
    let rows = |field: &str| document.get(field).and_then(Value::as_array).cloned();
    let memories = rows("memories").ok_or_else(|| {
        Failure::no_verdict(
            "not_an_export",
            format!("`{}` holds no memories", args.file.display()),
        )
    })?;
    let links = rows("links").unwrap_or_default();
    let totals = with_node(common, async |node| {
        let mut totals = json!({ "imported": 0, "skipped": 0, "links": 0, "errors": [] });
        // An export is newest first; the oldest go in first, so that listings keep their order.
        for chunk in memories.rchunks(AT_ONCE) {
            add(node, &json!({ "memories": chunk }), &mut totals).await?;
        }
        for chunk in links.chunks(AT_ONCE) {
            add(
                node,
                &json!({ "memories": [], "links": chunk }),
                &mut totals,
            )
            .await?;
        }
        Ok(totals)
    })?;
    let errors = totals
        .get("errors")
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    let text = format!(
        "{} memories and {} links are new, {} memories were known, {errors} refused",
        output::text_of(&totals, "imported"),
        output::text_of(&totals, "links"),
        output::text_of(&totals, "skipped"),
    );
    output::answer(common.json, &text, totals)?;
    if errors == 0 {
        return Ok(());
    }
    Err(Failure::refuted(
        "import_incomplete",
        format!("{errors} rows were refused"),
    ))
}

async fn add(node: &Node, body: &Value, totals: &mut Value) -> Result<(), Failure> {
    let answer = node
        .ask(Method::POST, "/api/v1/import", Some(body), &[])
        .await?;
    if answer.status != 200 {
        return Err(refused(&answer.body, answer.status));
    }
    for field in ["imported", "skipped", "links"] {
        let sum = [&*totals, &answer.body]
            .iter()
            .filter_map(|part| part.get(field).and_then(Value::as_u64))
            .sum::<u64>();
        if let Some(slot) = totals.get_mut(field) {
            *slot = json!(sum);
        }
    }
    let new = answer
        .body
        .get("errors")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    if let Some(errors) = totals.get_mut("errors").and_then(Value::as_array_mut) {
        errors.extend(new);
    }
    Ok(())
}

fn with_node<T>(
    common: &Common,
    work: impl AsyncFnOnce(&Node) -> Result<T, Failure>,
) -> Result<T, Failure> {
    reach::runtime()?.block_on(async {
        let reached = reach::node(common).await?;
        let outcome = work(&reached.node).await;
        let closed = tokio::task::spawn_blocking(move || reached.close()).await;
        closed.map_err(|error| Failure::no_verdict("close", error))?;
        outcome
    })
}

fn seal_to(args: &ExportArgs) -> Result<Option<SealTo>, Failure> {
    if !args.recipient.is_empty() {
        return Ok(Some(SealTo::Recipients(seal::recipients(&args.recipient)?)));
    }
    if let Some(file) = &args.seal_passphrase_file {
        return Ok(Some(SealTo::Passphrase(secret(file)?)));
    }
    if args.plaintext {
        return Ok(None);
    }
    Err(Failure::no_verdict(
        "not_sealed",
        "nobody said whom the export is to be sealed to",
    )
    .hint("name a `--recipient age1…` or a `--seal-passphrase-file`, or say `--plaintext`"))
}

fn open_with(args: &ImportArgs) -> Result<OpenWith, Failure> {
    if let Some(file) = &args.identity_file {
        let text = read(file)?;
        let text = std::str::from_utf8(&text).map_err(|_| SealError::NoIdentity)?;
        return Ok(OpenWith::Identities(seal::identities(text)?));
    }
    if let Some(file) = &args.seal_passphrase_file {
        return Ok(OpenWith::Passphrase(secret(file)?));
    }
    Err(
        Failure::no_verdict("sealed", format!("`{}` is sealed", args.file.display()))
            .hint("name the `--identity-file` or the `--seal-passphrase-file` that opens it"),
    )
}

fn secret(file: &Path) -> Result<age::secrecy::SecretString, Failure> {
    let source = crate::passphrase::Source::File(file.to_owned());
    let passphrase = crate::passphrase::read(&source)?;
    Ok(passphrase.into_secret())
}

fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    std::fs::read(file).map(Zeroizing::new).map_err(|error| {
        Failure::no_verdict("io", format!("cannot read `{}`", file.display())).because(error)
    })
}

fn write_new(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut out| {
            out.write_all(bytes)?;
            out.sync_all()
        })
        .map_err(|error| {
            Failure::no_verdict("io", format!("cannot write `{}`", file.display())).because(error)
        })
}
