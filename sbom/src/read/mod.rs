//! Reads CycloneDX documents of others: JSON 1.3 to 1.7, XML 1.3 to 1.5. What is read is a claim,
//! not a fact; the claims are held against the binary elsewhere.

mod document;
mod form;
mod leak;

pub use document::{ReadComponent, ReadSbom, Scope};
pub use form::FormError;
pub use leak::LeakedPath;

use serde_json::Value;

use crate::model::json;

/// Largest document that is read: 64 MiB.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Deepest nesting of components that is followed.
pub(crate) const MAX_NESTING: usize = 16;

/// Why a document is not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Larger than [`MAX_BYTES`].
    #[error("the SBOM has {found} bytes; more than {MAX_BYTES} are not read")]
    TooLarge {
        /// Size in bytes.
        found: usize,
    },
    /// Neither JSON nor XML.
    #[error("the SBOM is neither JSON nor XML")]
    UnknownEncoding,
    /// Not JSON, or a name stands twice.
    #[error("the SBOM is not readable JSON")]
    Json(#[source] json::JsonError),
    /// Not XML of the given version of CycloneDX.
    #[error("the SBOM is not readable CycloneDX {version} XML")]
    Xml {
        /// Version that the document names.
        version: String,
        /// What is wrong.
        #[source]
        source: cyclonedx_bom::errors::XmlReadError,
    },
    /// JSON, but not CycloneDX.
    #[error("the JSON document is not a CycloneDX BOM: `bomFormat` is not `CycloneDX`")]
    NotCycloneDx,
    /// A version that is not known.
    #[error("CycloneDX {version} is not read; JSON is from 1.3 to 1.7, XML from 1.3 to 1.5")]
    Version {
        /// Version that the document names.
        version: String,
    },
    /// The shape is not that of CycloneDX.
    #[error("the SBOM does not have the shape of CycloneDX")]
    Shape(#[source] serde_json::Error),
    /// A part has another form than CycloneDX gives it.
    #[error("the SBOM does not have the form of CycloneDX")]
    Form(#[source] FormError),
    /// Two components with the same `bom-ref`.
    #[error("the SBOM gives the reference `{reference}` to two components")]
    DuplicateReference {
        /// The `bom-ref`.
        reference: String,
    },
    /// Components nested too deep.
    #[error("the SBOM nests components more than {MAX_NESTING} deep")]
    Nesting,
    /// The document was written back by the XML reader, and failed.
    #[error("the XML document cannot be turned into the form in which it is checked")]
    Turn(#[source] cyclonedx_bom::errors::JsonWriteError),
}

/// Reads one CycloneDX document, JSON or XML.
///
/// # Errors
/// When it is not one, in a version that is known, without contradiction.
pub fn parse(bytes: &[u8]) -> Result<ReadSbom, ReadError> {
    if bytes.len() > MAX_BYTES {
        return Err(ReadError::TooLarge { found: bytes.len() });
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => {
            let value = json::parse(text).map_err(ReadError::Json)?;
            let version = value
                .get("specVersion")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            if value.get("bomFormat").and_then(Value::as_str) != Some("CycloneDX") {
                return Err(ReadError::NotCycloneDx);
            }
            if !["1.3", "1.4", "1.5", "1.6", "1.7"].contains(&version.as_str()) {
                return Err(ReadError::Version { version });
            }
            form::check(&value, &version).map_err(ReadError::Form)?;
            document::from_json(value, version)
        }
        Some(b'<') => from_xml(text),
        _ => Err(ReadError::UnknownEncoding),
    }
}

fn from_xml(bytes: &[u8]) -> Result<ReadSbom, ReadError> {
    use cyclonedx_bom::models::bom::{Bom, SpecVersion};
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(4096)]).into_owned();
    let version = head
        .split_once("http://cyclonedx.org/schema/bom/")
        .and_then(|(_, rest)| rest.split(['"', '\'']).next())
        .unwrap_or_default()
        .to_owned();
    let spec: SpecVersion = version.parse().map_err(|_| ReadError::Version {
        version: version.clone(),
    })?;
    let bom = Bom::parse_from_xml_with_version(bytes, spec).map_err(|source| ReadError::Xml {
        version: version.clone(),
        source,
    })?;
    let mut json = Vec::new();
    bom.output_as_json(&mut json, spec)
        .map_err(ReadError::Turn)?;
    document::from_json(json::parse(&json).map_err(ReadError::Json)?, version)
}
