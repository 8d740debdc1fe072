//! DSSE's pre-authentication encoding: what exactly a signature covers.
//!
//! Source: DSSE v1, `protocol.md`, "Signature Definition":
//! `PAE(type, body) = "DSSEv1" + SP + LEN(type) + SP + type + SP + LEN(body) + SP + body`.

/// The bytes that are signed for `body` of the media type `kind`.
#[must_use]
pub fn encode(kind: &str, body: &[u8]) -> Vec<u8> {
    let mut out = format!("DSSEv1 {} {kind} {} ", kind.len(), body.len()).into_bytes();
    out.extend_from_slice(body);
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_vector_of_the_specification_holds() {
        let pae = super::encode("http://example.com/HelloWorld", b"hello world");
        assert_eq!(
            pae,
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }
}
