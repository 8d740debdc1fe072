//! Writing CycloneDX documents: the models stop at 1.5, the documents are 1.6.

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
