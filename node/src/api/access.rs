//! Who may come in: local clients with the token.
//!
//! `Host` is checked against DNS rebinding, `Origin` against pages in a browser, the token against
//! everybody else on the machine. Only the token's SHA-256 is known here.

use std::collections::BTreeSet;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::ApiState;
use super::problem::Problem;

/// What is let in.
#[derive(Clone, Debug)]
pub struct Access {
    token_sha256: [u8; 32],
    hosts: BTreeSet<String>,
    origins: BTreeSet<String>,
}

/// A request that this very process makes to itself carries this; nobody else can.
#[derive(Clone, Copy, Debug)]
pub struct InProcess;

/// Paths that tell nothing and need no token.
const OPEN_PATHS: [&str; 5] = [
    "/livez",
    "/readyz",
    "/api/v1/health",
    "/openapi.json",
    "/docs",
];

impl Access {
    /// Lets in the token of this digest, for these `Host`s (`name` or `name:port`, lower case)
    /// and these `Origin`s.
    #[must_use]
    pub fn new(
        token_sha256: [u8; 32],
        hosts: impl IntoIterator<Item = String>,
        origins: impl IntoIterator<Item = String>,
    ) -> Self {
        Self {
            token_sha256,
            hosts: hosts.into_iter().collect(),
            origins: origins.into_iter().collect(),
        }
    }

    /// The names under which a loopback listener on `port` may be called.
    #[must_use]
    pub fn loopback_hosts(port: u16) -> Vec<String> {
        ["localhost", "127.0.0.1", "[::1]"]
            .iter()
            .map(|name| format!("{name}:{port}"))
            .collect()
    }

    fn check_host(&self, request: &Request) -> Result<(), Problem> {
        let named = request
            .headers()
            .get(header::HOST)
            .and_then(|value| value.to_str().ok())
            .or_else(|| {
                request
                    .uri()
                    .authority()
                    .map(|authority| authority.as_str())
            });
        let known = named.is_some_and(|host| self.hosts.contains(&host.to_ascii_lowercase()));
        if known {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "host_refused",
            "the `Host` header does not name this node",
        ))
    }

    fn check_origin(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let allowed = origins.all(|origin| {
            origin.to_str().is_ok_and(|origin| {
                let origin = origin.to_ascii_lowercase();
                self.origins.contains(&origin)
                    || origin
                        .strip_prefix("http://")
                        .is_some_and(|host| self.hosts.contains(host))
            })
        });
        if allowed {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "origin_refused",
            "pages of this `Origin` may not talk to this node",
        ))
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let bearer = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        let token = bearer.or_else(|| {
            headers
                .get("x-api-key")
                .and_then(|value| value.to_str().ok())
        });
        let Some(token) = token else {
            return Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "token_missing",
                "a bearer token is needed; it stands in the file `token` of the data directory",
            ));
        };
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if bool::from(digest.ct_eq(&self.token_sha256)) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "token_refused",
            "this is not the token",
        ))
    }
}

/// Lets a request through, or says why not.
pub async fn guard(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    if request.extensions().get::<InProcess>().is_some() {
        return next.run(request).await;
    }
    let access = &state.access;
    let open = OPEN_PATHS.contains(&request.uri().path());
    let checked = access
        .check_host(&request)
        .and_then(|()| access.check_origin(request.headers()))
        .and_then(|()| {
            if open {
                Ok(())
            } else {
                access.check_token(request.headers())
            }
        });
    match checked {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}
