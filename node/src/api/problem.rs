//! Every error of the API is one `application/problem+json` (RFC 9457).

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::model::InvalidInput;
use crate::store::StoreError;

/// An error as the caller gets it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// `about:blank`: the status says what it is.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What exactly is wrong.
    pub detail: String,
    /// A short name of the reason that programs may rely on.
    pub code: &'static str,
    /// The field that is wrong, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<&'static str>,
    /// Seconds after which another try makes sense; also in `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u32>,
}

impl Problem {
    /// A problem with this status, reason and explanation.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("error").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            code,
            field: None,
            retry_after_s: None,
        }
    }

    /// 400 for a request that cannot be understood.
    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }
}

impl From<InvalidInput> for Problem {
    fn from(error: InvalidInput) -> Self {
        let mut problem = Self::bad_request("invalid_field", error.to_string());
        problem.field = Some(error.field);
        problem
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let detail = error.to_string();
        match error {
            StoreError::Invalid(invalid) => invalid.into(),
            StoreError::NotFound { .. } => Self::new(StatusCode::NOT_FOUND, "not_found", detail),
            StoreError::VersionMismatch { .. } => {
                Self::new(StatusCode::PRECONDITION_FAILED, "version_mismatch", detail)
            }
            StoreError::NotTheAuthor { .. } => {
                Self::new(StatusCode::FORBIDDEN, "not_the_author", detail)
            }
            StoreError::NotGenuine { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "not_genuine", detail)
            }
            StoreError::IdempotencyReuse => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                detail,
            ),
            StoreError::Busy => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail).retry_after(1)
            }
            StoreError::Closed => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", detail).retry_after(5)
            }
            StoreError::CommitFailed { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "commit_failed", detail).retry_after(10)
            }
            StoreError::DiskFull => {
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "disk_full", detail).retry_after(60)
            }
            StoreError::ReadOnly => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "read_only", detail).retry_after(60)
            }
            StoreError::Io(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "io", detail).retry_after(10)
            }
            StoreError::Damaged(_) => {
                tracing::error!(%detail, "damage was found");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "damaged", detail)
            }
            StoreError::Database(_) => {
                tracing::error!(%detail, "the database refused");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "database", detail)
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after_s;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// 404 for a path that is not one of ours.
pub async fn no_such_path() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no_such_path",
        "there is nothing at this path",
    )
}

/// 405 for a path of ours with a method that it does not have.
pub async fn no_such_method() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "no_such_method",
        "this path has no such method",
    )
}
