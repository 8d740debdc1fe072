//! Who made a component: an e-mail address where there is one, else an address on the web
//! (BSI TR-03183-2 v2.1.0, section 5.2.2, "component creator").

use serde_json::{Value, json};

use super::request::Party;
use crate::model::manifest::Manifest;

/// The creator as an `organizationalEntity` of CycloneDX; `None` where there is no address.
pub(super) fn of_party(party: &Party<'_>) -> Option<Value> {
    match (party.email, party.url) {
        (Some(email), _) => Some(json!({ "name": party.name, "contact": [{ "email": email }] })),
        (None, Some(url)) => Some(json!({ "name": party.name, "url": [url] })),
        (None, None) => None,
    }
}

/// The creator of a crate, by its manifest.
pub(super) fn of_crate(name: &str, manifest: &Manifest) -> Option<Value> {
    let author = manifest
        .authors
        .first()
        .map(|author| author.split('<').next().unwrap_or(author).trim());
    let fallback = format!("The authors of {name}");
    let name = author
        .filter(|author| !author.is_empty())
        .unwrap_or(&fallback);
    let web = |text: &&str| text.starts_with("https://") || text.starts_with("http://");
    of_party(&Party {
        name,
        email: manifest.contact(),
        url: [&manifest.repository, &manifest.homepage]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .find(web),
    })
}
