//! `db …`: the database as a whole.

use std::path::Path;

use serde_json::json;

use super::{init, output, reach};
use crate::cli::{Common, DbCommand};
use crate::clock::{Clock as _, SystemClock};
use crate::exit::Failure;
use crate::passphrase::{self, Source};
use crate::store::{self, Adopted, CheckReport};

/// Runs one of them.
///
/// # Errors
/// When what is asked for cannot be done, or the check finds something.
pub fn run(common: &Common, command: &DbCommand) -> Result<(), Failure> {
    match command {
        DbCommand::Check => check(common),
        DbCommand::Backup { file } => backup(common, file),
        DbCommand::Restore { file } => restore(common, file),
        DbCommand::Rekey {
            new_passphrase_file,
        } => rekey(common, new_passphrase_file),
        DbCommand::Encrypt { file } => encrypt(common, file),
    }
}

fn check(common: &Common) -> Result<(), Failure> {
    let data = reach::data_dir(common)?;
    let report = store::check(
        &data.database(),
        &reach::passphrase(common)?,
        !common.accept_rollback,
    )?;
    let document = json!({ "ok": report.findings.is_empty(), "report": report });
    output::answer(common.json, &counts(&report), document)?;
    if report.findings.is_empty() {
        return Ok(());
    }
    let mut failure = Failure::refuted(
        "check_failed",
        format!(
            "the database `{}` does not pass its check",
            data.database().display()
        ),
    )
    .hint("keep a copy of it, then `memory-node db restore BACKUP`");
    for finding in &report.findings {
        failure = failure.because(format!("{}: {}", finding.check, finding.detail));
    }
    Err(failure)
}

fn counts(report: &CheckReport) -> String {
    format!(
        "pages      {}\nversions   {}\nmemories   {}\nlinks      {}\nfindings   {}\n",
        report.pages,
        report.versions,
        report.memories,
        report.links,
        report.findings.len()
    )
}

fn backup(common: &Common, file: &Path) -> Result<(), Failure> {
    let data = reach::data_dir(common)?;
    let report = store::backup(&data.database(), &reach::passphrase(common)?, file)?;
    let text = format!("{}backup     {}", counts(&report), file.display());
    output::answer(
        common.json,
        &text,
        json!({ "backup": file, "report": report }),
    )
}

fn restore(common: &Common, file: &Path) -> Result<(), Failure> {
    let data = reach::data_dir(common)?;
    let stamp = SystemClock.now().as_secs().to_string();
    let kept = store::restore(&data.database(), &reach::passphrase(common)?, file, &stamp)?;
    let text = match &kept {
        Some(kept) => format!(
            "restored; the database that was there is {}",
            kept.display()
        ),
        None => "restored".to_owned(),
    };
    output::answer(
        common.json,
        &text,
        json!({ "restored": file, "kept": kept }),
    )
}

fn rekey(common: &Common, new_file: &Path) -> Result<(), Failure> {
    let data = reach::data_dir(common)?;
    let old = reach::passphrase(common)?;
    let new = passphrase::read(&Source::File(new_file.to_owned()))?;
    let report = store::rekey(&data.database(), &old, &new)?;
    let text = format!(
        "{}the new passphrase is the only one from now on",
        counts(&report)
    );
    output::answer(
        common.json,
        &text,
        json!({ "rekeyed": true, "report": report }),
    )
}

fn encrypt(common: &Common, file: &Path) -> Result<(), Failure> {
    let data = reach::data_dir(common)?;
    let passphrase = reach::passphrase(common)?;
    init::make_folder(data.root())?;
    let adopted = store::encrypt(&data.database(), &passphrase, file)?;
    if !data.token().exists() {
        let opened = reach::open_store(common)?;
        let made = init::make_token(&opened, &data.token());
        opened.close();
        made?;
    }
    let (text, document) = match adopted {
        Adopted::Whole => (
            "the whole database was taken".to_owned(),
            json!({ "whole": true }),
        ),
        Adopted::Rows { taken, refused } => (
            format!("{taken} memories were taken, {refused} refused"),
            json!({ "taken": taken, "refused": refused }),
        ),
    };
    let text = format!(
        "{text}\n`{}` is as it was, and not encrypted: remove it when you are sure",
        file.display()
    );
    output::answer(common.json, &text, document)
}
