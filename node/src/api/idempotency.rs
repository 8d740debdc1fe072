//! The header `Idempotency-Key`: parsing it.

use axum::http::HeaderMap;
use sha2::{Digest as _, Sha256};

use super::problem::Problem;
use crate::store::IdempotencyKey;

const MAX_CHARS: usize = 128;

/// The key that the headers carry, bound to `route` and `body`; `None`: they carry none.
///
/// # Errors
/// When it is empty, too long or not plain ASCII.
pub fn key_of(
    headers: &HeaderMap,
    route: &str,
    body: &[u8],
) -> Result<Option<IdempotencyKey>, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let key = value
        .to_str()
        .ok()
        .filter(|key| (1..=MAX_CHARS).contains(&key.len()))
        .ok_or_else(|| {
            Problem::bad_request(
                "invalid_header",
                "`Idempotency-Key` must be 1 to 128 characters of ASCII",
            )
        })?;
    let mut hasher = Sha256::new();
    hasher.update(route.as_bytes());
    hasher.update([0]);
    hasher.update(body);
    Ok(Some(IdempotencyKey {
        key: key.to_owned(),
        request_sha256: hasher.finalize().into(),
    }))
}
