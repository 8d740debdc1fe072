//! The recipe for receivers written in Rust, as `docs/webhooks.md` shows it.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::time::{SystemTime, UNIX_EPOCH};

/// Whether a delivery is genuine, and at most five minutes old. Never panics on what comes in.
pub fn verify(secret: &str, timestamp: &str, signature: &str, body: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return false;
    };
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    let given = signature.strip_prefix("sha256=").map(hex::decode);
    let Some(Ok(given)) = given else { return false };
    // Compares in constant time.
    let genuine = mac.verify_slice(&given).is_ok();
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let age = now
        .ok()
        .zip(timestamp.parse().ok())
        .map(|(now, sent)| now.as_secs().abs_diff(sent));
    genuine && age.is_some_and(|age| age <= 300)
}
