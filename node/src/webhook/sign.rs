//! Signing a delivery, and checking one.
//!
//! Two schemes on the same delivery:
//! - `X-AI-Memory-Signature: sha256=<hex of HMAC-SHA256(secret, timestamp "." body)>`, the secret
//!   being the bytes of its text;
//! - Standard Webhooks 1.0: `webhook-signature: v1,<base64 of HMAC-SHA256(key, id "." timestamp "."
//!   body)>`, the key being what stands in base64 after `whsec_`, else the bytes of the text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// How the header of ai-memory is keyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// By the secret itself, as documented.
    Standard,
    /// By the hex text of SHA-256 of the secret, as receivers written for ai-memory expect.
    LegacySha256,
}

impl Profile {
    /// The name on the wire and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::LegacySha256 => "legacy-sha256",
        }
    }

    /// The profile of this name; `None` for any other text.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Standard, Self::LegacySha256]
            .into_iter()
            .find(|profile| profile.as_str() == name)
    }
}

/// Why a delivery is not to be believed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DeliveryRefusal {
    /// The signature header is not `sha256=` and 64 hex digits.
    #[error("the signature is not `sha256=` and 64 hex digits")]
    Malformed,
    /// The header holds no `v1,` signature.
    #[error("the header holds no signature that begins with `v1,` and goes on in base64")]
    MalformedStandard,
    /// The timestamp is outside the window.
    #[error("the timestamp is {0} seconds away from now")]
    OutsideWindow(i64),
    /// The signature does not fit.
    #[error("the signature does not fit the secret, the timestamp and the body")]
    Mismatch,
}

fn hmac_of(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    // HMAC takes a key of any length (RFC 2104, 2); the error type is there for other MACs.
    let mut mac = match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mac) => mac,
        Err(_) => Hmac::<Sha256>::new(&hmac::digest::Key::<Hmac<Sha256>>::default()),
    };
    for part in parts {
        mac.update(part);
    }
    mac
}

fn key_of(secret: &str, profile: Profile) -> Vec<u8> {
    match profile {
        Profile::Standard => secret.as_bytes().to_vec(),
        Profile::LegacySha256 => hex::encode(Sha256::digest(secret.as_bytes())).into_bytes(),
    }
}

/// The value of `X-AI-Memory-Signature`.
#[must_use]
pub fn memory_signature(secret: &str, profile: Profile, timestamp: i64, body: &[u8]) -> String {
    let mac = hmac_of(
        &key_of(secret, profile),
        &[timestamp.to_string().as_bytes(), b".", body],
    );
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// One value of `webhook-signature`, for one secret.
#[must_use]
pub fn standard_signature(secret: &str, id: &str, timestamp: i64, body: &[u8]) -> String {
    let mac = standard_mac(secret, id, timestamp, body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

fn standard_mac(secret: &str, id: &str, timestamp: i64, body: &[u8]) -> Hmac<Sha256> {
    let decoded = secret
        .strip_prefix("whsec_")
        .and_then(|text| STANDARD.decode(text).ok());
    let key = decoded.unwrap_or_else(|| secret.as_bytes().to_vec());
    let timestamp = timestamp.to_string();
    hmac_of(
        &key,
        &[id.as_bytes(), b".", timestamp.as_bytes(), b".", body],
    )
}

/// Checks a delivery by `X-AI-Memory-Signature` and `X-AI-Memory-Timestamp`, in constant time.
///
/// # Errors
/// When the timestamp is more than `window_s` seconds away from `now`, or the signature does not fit.
pub fn verify(
    secret: &str,
    profile: Profile,
    signature: &str,
    timestamp: i64,
    body: &[u8],
    now: i64,
    window_s: i64,
) -> Result<(), DeliveryRefusal> {
    let hex_text = signature
        .strip_prefix("sha256=")
        .ok_or(DeliveryRefusal::Malformed)?;
    let mut given = [0_u8; 32];
    hex::decode_to_slice(hex_text, &mut given).map_err(|_| DeliveryRefusal::Malformed)?;
    let mac = hmac_of(
        &key_of(secret, profile),
        &[timestamp.to_string().as_bytes(), b".", body],
    );
    mac.verify_slice(&given)
        .map_err(|_| DeliveryRefusal::Mismatch)?;
    within(window_s, now, timestamp)
}

/// Checks a delivery by `webhook-id`, `webhook-timestamp` and `webhook-signature`; one signature
/// that fits is enough, as there are two during a rotation.
///
/// # Errors
/// When the timestamp is more than `window_s` seconds away from `now`, or no signature fits.
pub fn verify_standard(
    secret: &str,
    id: &str,
    signatures: &str,
    timestamp: i64,
    body: &[u8],
    now: i64,
    window_s: i64,
) -> Result<(), DeliveryRefusal> {
    let given: Vec<Vec<u8>> = signatures
        .split_ascii_whitespace()
        .filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok())
        .collect();
    if given.is_empty() {
        return Err(DeliveryRefusal::MalformedStandard);
    }
    let mac = standard_mac(secret, id, timestamp, body);
    if !given
        .iter()
        .any(|one| mac.clone().verify_slice(one).is_ok())
    {
        return Err(DeliveryRefusal::Mismatch);
    }
    within(window_s, now, timestamp)
}

fn within(window_s: i64, now: i64, timestamp: i64) -> Result<(), DeliveryRefusal> {
    let away = now.saturating_sub(timestamp);
    if away.saturating_abs() > window_s {
        return Err(DeliveryRefusal::OutsideWindow(away));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec-test-secret-0123456789abcdef";
    const BODY: &[u8] = br#"{"event":"memory.created","id":"mem_01"}"#;
    const SIGNATURE: &str =
        "sha256=5247fff4e8aec8930354fdcd9496b508141525acab14ddb620f29a1e86a6bb3e";

    #[test]
    fn the_documented_vector_holds() {
        assert_eq!(
            memory_signature(SECRET, Profile::Standard, 1_700_000_000, BODY),
            SIGNATURE
        );
    }

    #[test]
    fn a_changed_byte_an_old_timestamp_and_a_wrong_secret_are_refused() {
        let check = |secret: &str, timestamp, body: &[u8], now| {
            verify(
                secret,
                Profile::Standard,
                SIGNATURE,
                timestamp,
                body,
                now,
                300,
            )
        };
        let at = 1_700_000_000;
        assert_eq!(check(SECRET, at, BODY, at + 300), Ok(()));
        assert_eq!(
            check(SECRET, at, BODY, at + 301),
            Err(DeliveryRefusal::OutsideWindow(301))
        );
        assert_eq!(check("other", at, BODY, at), Err(DeliveryRefusal::Mismatch));
        assert_eq!(
            check(SECRET, at + 1, BODY, at),
            Err(DeliveryRefusal::Mismatch)
        );
        for place in 0..BODY.len() {
            let mut changed = BODY.to_vec();
            changed[place] ^= 1;
            assert_eq!(
                check(SECRET, at, &changed, at),
                Err(DeliveryRefusal::Mismatch)
            );
        }
    }

    #[test]
    fn the_example_of_standard_webhooks_holds() {
        // Source: standard-webhooks, spec/standard-webhooks.md, "Verifying webhook authenticity".
        let signature = standard_signature(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn one_of_two_standard_signatures_is_enough_and_none_is_not() {
        let (id, at) = ("evt_1", 1_700_000_000);
        let own = standard_signature(SECRET, id, at, BODY);
        let other = standard_signature("another", id, at, BODY);
        let check = |signatures: &str, id: &str, now| {
            verify_standard(SECRET, id, signatures, at, BODY, now, 300)
        };
        assert_eq!(check(&format!("{other} {own}"), id, at), Ok(()));
        assert_eq!(check(&other, id, at), Err(DeliveryRefusal::Mismatch));
        assert_eq!(check(&own, "evt_2", at), Err(DeliveryRefusal::Mismatch));
        assert_eq!(
            check(&own, id, at + 301),
            Err(DeliveryRefusal::OutsideWindow(301))
        );
        for none in ["", "v1", "v1a,xx", "sha256=00"] {
            let refused = check(none, id, at);
            assert_eq!(refused, Err(DeliveryRefusal::MalformedStandard), "{none}");
        }
    }
}
