//! `id`: who this node is to its peers.

use serde_json::json;

use super::{init, output, reach};
use crate::cli::{Common, IdArgs};
use crate::config::DataDir;
use crate::exit::Failure;
use crate::federation::allowlist::Allowlist;
use crate::federation::identity::{IdentityError, NodeCertificate};
use crate::identity::head::{self, HeadState};

impl From<IdentityError> for Failure {
    fn from(error: IdentityError) -> Self {
        let hint = match &error {
            IdentityError::Exposed(path) => Some(format!("chmod 600 {}", path.display())),
            IdentityError::Half(_) => Some(
                "put both files back from a backup; a new pair is a new name, and every peer has to pin it"
                    .to_owned(),
            ),
            _ => None,
        };
        let failure = Self::no_verdict("identity", error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

/// Shows fingerprint and author key, as lines for the peers' files; makes the certificate where there
/// is none.
///
/// # Errors
/// When the files cannot be read or made, or the peers could not read the lines.
pub fn run(common: &Common, args: &IdArgs) -> Result<(), Failure> {
    let data = reach::data_dir(common)?;
    init::make_folder(data.root())?;
    let own = NodeCertificate::load_or_make(&data.certificate(), &data.certificate_key())?;
    let fingerprint = own.fingerprint();
    let author = author_key(&data);
    let name = args.name.as_deref().unwrap_or("NAME");
    let given = args.name.is_some() || args.address.is_some();
    // Who names something gets lines to copy as they are; who does not sees where it goes.
    let address = match &args.address {
        Some(address) => format!("  {address}"),
        None if given => String::new(),
        None => "  HOST:PORT".to_owned(),
    };
    let line = format!("{fingerprint}  {name}{address}");
    if given {
        Allowlist::parse(&line).map_err(|bad| {
            let what = "no peer could read the line for its allowlist";
            Failure::no_verdict("usage", what).because(bad.why)
        })?;
    }
    let mut text = format!(
        "sha256 Fingerprint={}\n\nfor the peers' allowlists:\n  {line}\n",
        fingerprint.with_colons()
    );
    if let Some(author) = &author {
        text.push_str(&format!(
            "for the peers' authors files:\n  ed25519:{author}  {name}\n"
        ));
    }
    let document = json!({
        "fingerprint": fingerprint.to_string(), "openssl": fingerprint.with_colons(),
        "author": author.map(|author| format!("ed25519:{author}")),
        "certificate": data.certificate(),
    });
    output::answer(common.json, &text, document)
}

/// The node's author key, as the head beside the database names it.
#[must_use]
pub fn author_key(data: &DataDir) -> Option<String> {
    match head::read(&head::path_beside(&data.database())) {
        Ok(HeadState::Present(head)) => head.claimed_author().map(str::to_owned),
        _ => None,
    }
}
