//! `init`: a new database, its head and its token.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{output, reach};
use crate::cli::Common;
use crate::clock::SystemClock;
use crate::exit::Failure;
use crate::identity::entropy::random;
use crate::store::{self, OpenOptions as StoreOptions, Store};

/// Makes everything that a node needs.
///
/// # Errors
/// When there is a database already, or something cannot be written.
pub fn run(common: &Common) -> Result<(), Failure> {
    let data = reach::data_dir(common)?;
    if data.database().exists() {
        return Err(store::OpenError::Exists(data.database()).into());
    }
    let passphrase = reach::passphrase(common)?;
    make_folder(data.root())?;
    let author = store::create(&data.database(), &passphrase)?;
    let options = StoreOptions {
        readers: 1,
        ..StoreOptions::default()
    };
    let opened = Store::open(
        &data.database(),
        &passphrase,
        options,
        Arc::new(SystemClock),
    )?;
    let made = make_token(&opened, &data.token());
    opened.close();
    made?;
    let text = format!(
        "database  {}\ntoken     {}\nauthor    {author}\n\nrun it with `memory-node serve`",
        data.database().display(),
        data.token().display()
    );
    let document = json!({
        "database": data.database(), "token_file": data.token(), "author": author.to_string(),
    });
    output::answer(common.json, &text, document)
}

/// Makes the data directory, for its owner alone.
///
/// # Errors
/// When it cannot be made.
pub fn make_folder(path: &Path) -> Result<(), Failure> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| unwritable(path, error))
}

/// Makes a token, stores its SHA-256 and writes it to a file of mode 0600.
///
/// # Errors
/// When the store or the file refuses.
pub fn make_token(store: &Store, path: &Path) -> Result<(), Failure> {
    let bytes =
        Zeroizing::new(random::<32>().map_err(|error| Failure::no_verdict("no_entropy", error))?);
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let token = Zeroizing::new(format!("mn_{}", engine.encode(bytes.as_ref())));
    let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
    store.write_blocking(move |write| write.set_token_digest(&digest))?;
    let aside = path.with_extension("new");
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&aside)
        .and_then(|mut file| {
            file.write_all(token.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&aside, path));
    written.map_err(|error| unwritable(path, error))
}

fn unwritable(path: &Path, error: std::io::Error) -> Failure {
    Failure::no_verdict("io", format!("cannot write `{}`", path.display())).because(error)
}
