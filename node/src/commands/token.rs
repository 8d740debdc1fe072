//! `token`: a new token for local clients.

use serde_json::json;

use super::{init, output, reach};
use crate::cli::Common;
use crate::exit::Failure;

/// Makes a new token; the node must not run, since it knows the old one.
///
/// # Errors
/// When the database cannot be opened or the file not be written.
pub fn run(common: &Common) -> Result<(), Failure> {
    let data = reach::data_dir(common)?;
    let store = reach::open_store(common)?;
    let made = init::make_token(&store, &data.token());
    store.close();
    made?;
    let text = format!("a new token is in {}", data.token().display());
    output::answer(common.json, &text, json!({ "token_file": data.token() }))
}
