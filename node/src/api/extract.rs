//! Extractors whose refusals are problems: JSON bodies, queries, ids and preconditions.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

use super::problem::Problem;
use crate::model::MemoryId;

/// A JSON body, whose bytes are kept for comparing a repeated request.
pub struct ApiJson<T> {
    /// The parsed body.
    pub value: T,
    /// The body as it came.
    pub bytes: Bytes,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for ApiJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let content_type = request.headers().get(header::CONTENT_TYPE);
        let is_json = content_type
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .is_some_and(|value| value.trim().eq_ignore_ascii_case("application/json"));
        if !is_json {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not_json",
                "the body must be `application/json`",
            ));
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(body_refused)?;
        let value = serde_json::from_slice(&bytes)
            .map_err(|error| Problem::bad_request("invalid_json", error.to_string()))?;
        Ok(Self { value, bytes })
    }
}

fn body_refused(rejection: BytesRejection) -> Problem {
    if let BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) = rejection {
        return Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "the body is too large",
        );
    }
    Problem::bad_request("body_incomplete", rejection.body_text())
}

/// The query string.
pub struct ApiQuery<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(value) = Query::<T>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| Problem::bad_request("invalid_query", rejection.body_text()))?;
        Ok(Self(value))
    }
}

/// The id in the path.
pub struct ApiId(pub MemoryId);

impl<S: Send + Sync> FromRequestParts<S> for ApiId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| Problem::bad_request("invalid_path", rejection.body_text()))?;
        Ok(Self(text.parse()?))
    }
}

/// The agent that asks: the header `X-Agent-Id`, `anonymous` without one.
pub struct AgentId(pub String);

impl<S: Send + Sync> FromRequestParts<S> for AgentId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        match parts.headers.get("x-agent-id") {
            None => Ok(Self("anonymous".to_owned())),
            Some(value) => value
                .to_str()
                .map(|text| Self(text.to_owned()))
                .map_err(|_| {
                    Problem::bad_request("invalid_header", "`X-Agent-Id` is not plain ASCII text")
                }),
        }
    }
}

/// The version in `If-Match`; `None`: the header is absent or `*`.
///
/// # Errors
/// When it is anything but one quoted tag.
pub fn if_match(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    text.strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .filter(|tag| !tag.contains('"'))
        .map(|tag| Some(tag.to_owned()))
        .ok_or_else(|| {
            Problem::bad_request("invalid_header", "`If-Match` must be `*` or one quoted tag")
        })
}

/// Whether `If-None-Match` names this version: then 304 is the answer.
#[must_use]
pub fn none_match(headers: &HeaderMap, version_id: &str) -> bool {
    headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| {
            value.split(',').map(str::trim).any(|tag| {
                tag == "*" || tag.trim_start_matches("W/").trim_matches('"') == version_id
            })
        })
}
