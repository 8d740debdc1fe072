//! Opaque cursors: the place after which a listing goes on.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::model::InvalidInput;

const MARK: u8 = 1;

/// The cursor for going on after `place`.
#[must_use]
pub fn encode(place: i64) -> String {
    let mut bytes = vec![MARK];
    bytes.extend_from_slice(&place.to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The place that a cursor stands for.
///
/// # Errors
/// When it is not one that [`encode`] made.
pub fn decode(text: &str) -> Result<i64, InvalidInput> {
    URL_SAFE_NO_PAD
        .decode(text)
        .ok()
        .and_then(|bytes| {
            let (mark, place) = bytes.split_first()?;
            (*mark == MARK).then_some(i64::from_be_bytes(place.try_into().ok()?))
        })
        .ok_or_else(|| InvalidInput::new("cursor", "is not one that this node gave"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_round_trips_and_nothing_else_is_taken() {
        assert_eq!(decode(&encode(42)).unwrap(), 42);
        for text in ["", "AQ", "x", "AgAAAAAAAAAq", "🦀"] {
            assert!(decode(text).is_err(), "{text}");
        }
    }
}
