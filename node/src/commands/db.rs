//! `db …`: the database as a whole.

use std::path::Path;

use serde_json::json;

use super::{init, output, reach};
use crate::cli::{Common, DbCommand};
use crate::clock::{Clock as _, SystemClock};
use crate::exit::Failure;
use crate::passphrase::{self, Source};
use crate::store::{self, Adopted, CheckReport, RefusedRow};

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
    let left = format!(
        "`{}` is as it was, and not encrypted: remove it when you are sure",
        file.display()
    );
    let taken = match adopted {
        Adopted::Whole => {
            let text = format!("the whole database was taken\n{left}");
            return output::answer(common.json, &text, json!({ "whole": true }));
        }
        Adopted::Rows(taken) => taken,
    };
    let text = format!(
        "memories   {}\nlinks      {}\nrefused    {}\n{left}",
        taken.memories,
        taken.links,
        taken.refused.len()
    );
    let document = json!({
        "ok": taken.refused.is_empty(), "memories": taken.memories, "links": taken.links,
        "refused": taken.refused,
    });
    output::answer(common.json, &text, document)?;
    if taken.refused.is_empty() {
        return Ok(());
    }
    let mut failure = Failure::refuted(
        "rows_refused",
        format!(
            "{} rows of `{}` could not be taken; the others were",
            taken.refused.len(),
            file.display()
        ),
    )
    .hint(format!(
        "store them by hand, or mend them in a copy of the file, move `{}` away and begin again",
        data.database().display()
    ));
    for RefusedRow { table, row, reason } in &taken.refused {
        failure = failure.because(format!("{table} {row}: {reason}"));
    }
    Err(failure)
}
