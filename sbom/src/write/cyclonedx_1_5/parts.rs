//! Small parts that several components share: references and digests.

use cyclonedx_bom::external_models::uri::Uri;
use cyclonedx_bom::models::external_reference::{ExternalReference, ExternalReferenceType};
use cyclonedx_bom::models::hash::{Hash, HashAlgorithm, HashValue, Hashes};
use serde_json::{Value, json};

use crate::digest::Sha256Digest;

pub(super) fn link(
    kind: ExternalReferenceType,
    url: &str,
    hashes: Option<Hashes>,
) -> ExternalReference {
    ExternalReference {
        external_reference_type: kind,
        url: Uri::new(url).into(),
        comment: None,
        hashes,
    }
}

pub(super) fn source_distribution(url: &str, hashes: Option<&Hashes>) -> Value {
    let mut value = json!({ "type": "source-distribution", "url": url });
    if let Some(Hashes(list)) = hashes {
        value["hashes"] = list
            .iter()
            .map(|hash| json!({ "alg": hash.alg.to_string(), "content": hash.content.0 }))
            .collect();
    }
    value
}

pub(super) fn hashes(sha256: Option<Sha256Digest>, sha512: Option<&str>) -> Option<Hashes> {
    let list: Vec<Hash> = [
        sha256.map(|sum| (HashAlgorithm::SHA_256, sum.to_string())),
        sha512.map(|sum| (HashAlgorithm::SHA_512, sum.to_owned())),
    ]
    .into_iter()
    .flatten()
    .map(|(alg, content)| Hash {
        alg,
        content: HashValue(content),
    })
    .collect();
    (!list.is_empty()).then_some(Hashes(list))
}
