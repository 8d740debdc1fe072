//! Writing CycloneDX documents: built with the models of `cyclonedx-bom`, which stop at 1.5, and
//! lifted to 1.6. The same request gives the same bytes. A request that contradicts itself is refused:
//! a document that the reconciliation would not accept cannot be written.

mod bsi_properties;
mod creator;
mod cyclonedx_1_5;
mod cyclonedx_1_6;
mod request;

pub use cyclonedx_1_6::cyclonedx_1_6;
pub use request::{Artifact, Party, SbomRequest, SourceRepository, Tool, WriteError};

/// The serial number of a document: a UUIDv5 (RFC 9562) over its content without the number, so that
/// the same content has the same number and another content another.
#[must_use]
pub fn serial_number(content: &[u8]) -> String {
    // The namespace is the UUIDv5 of the document type in the URL namespace.
    let namespace = uuid::Uuid::new_v5(
        &uuid::Uuid::NAMESPACE_URL,
        b"http://cyclonedx.org/schema/bom/1.6",
    );
    format!("urn:uuid:{}", uuid::Uuid::new_v5(&namespace, content))
}
