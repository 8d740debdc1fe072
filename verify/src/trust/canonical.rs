//! Answers: could one byte of this signature packet be another without anybody noticing?
//!
//! A signature covers its hashed part only. What stands beside it (lengths, two bytes of the
//! digest, unhashed subpackets) is held here to the one form that it must have.

use openpgp::crypto::hash::Hash as _;
use openpgp::packet::Signature;
use openpgp::packet::signature::subpacket::SubpacketTag;
use sequoia_openpgp as openpgp;

use super::keyring::Fingerprint;

/// The bodies of the packets; it ends at the first packet whose header is not as short as it can
/// be. RFC 9580, section 4.2.
pub(super) fn packet_bodies(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut bodies = Vec::new();
    while let Some((length, header)) = header(bytes) {
        let Some(body) = bytes.get(header..header + length) else {
            break;
        };
        bodies.push(body);
        bytes = &bytes[header + length..];
    }
    bodies
}

/// Length of the body and of the header of a signature packet.
fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    let at = |index: usize| bytes.get(index).map(|byte| usize::from(*byte));
    let two = || Some(at(1)? << 8 | at(2)?);
    match bytes.first()? {
        0x88 => Some((at(1)?, 2)),
        0x89 => Some((two().filter(|length| *length > 0xff)?, 3)),
        0xc2 if at(1)? < 192 => Some((at(1)?, 2)),
        0xc2 if at(1)? < 224 => Some((two()? - 0xc000 + 192, 3)),
        _ => None,
    }
}

/// The first two bytes of the digest stand beside the signature, where nothing else covers them.
pub(super) fn prefix_holds(signed: &[u8], signature: &Signature) -> bool {
    let Ok(context) = signature.hash_algo().context() else {
        return false;
    };
    let mut hash = context.for_signature(signature.version());
    if let Some(salt) = signature.salt() {
        hash.update(salt);
    }
    hash.update(signed);
    let digest = signature.hash(&mut hash).and_then(|()| hash.into_digest());
    digest.is_ok_and(|digest| digest.starts_with(signature.digest_prefix()))
}

/// The unhashed part may name the issuer and nothing else, and must name it truly.
pub(super) fn unhashed_holds(signature: &Signature, key: &Fingerprint) -> Result<(), String> {
    for subpacket in signature.unhashed_area().iter() {
        match subpacket.tag() {
            SubpacketTag::Issuer | SubpacketTag::IssuerFingerprint => {}
            other => {
                return Err(format!(
                    "its unhashed part holds a subpacket of type {other}"
                ));
            }
        }
    }
    let true_issuer = signature
        .get_issuers()
        .iter()
        .all(|handle| key.as_str().ends_with(&handle.to_hex()));
    let plain = signature
        .unhashed_area()
        .iter()
        .all(|subpacket| !subpacket.critical());
    if true_issuer && plain {
        Ok(())
    } else {
        Err(String::from("its unhashed part names another issuer"))
    }
}
