//! Refusals as OAuth 2.0 writes them (RFC 6749, 5.2).

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::commit::CommitError;
use crate::http::error::ApiError;
use crate::http::json::Reply;
use crate::storage::StorageError;

/// A refusal.
#[derive(Debug, Clone)]
pub(super) struct OAuthError {
    status: StatusCode,
    error: &'static str,
    description: Cow<'static, str>,
    retry_seconds: Option<u64>,
}

pub(super) type OAuthResult<T> = Result<T, OAuthError>;

impl OAuthError {
    /// 400 with this error.
    pub(super) fn new(error: &'static str, description: impl Into<Cow<'static, str>>) -> Self {
        let (status, description) = (StatusCode::BAD_REQUEST, description.into());
        Self { status, error, description, retry_seconds: None }
    }

    /// 400 `invalid_request`.
    pub(super) fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new("invalid_request", description)
    }

    /// 400 `invalid_grant`.
    pub(super) fn invalid_grant() -> Self {
        Self::new("invalid_grant", "that is not good, not any more, or not for this client")
    }

    /// 400 `invalid_client`. Not 401: there is no way for these clients to authenticate that could be named with it.
    pub(super) fn invalid_client() -> Self {
        Self::new("invalid_client", "the client is not registered")
    }

    /// The same with 503 in place of 429: to clients that refresh a token, a 4xx says that their session is over (Client-Server
    /// API, "Refresh token grant").
    pub(super) fn later(mut self) -> Self {
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            self.status = StatusCode::SERVICE_UNAVAILABLE;
        }
        self
    }
}

impl From<ApiError> for OAuthError {
    fn from(error: ApiError) -> Self {
        let name = match error.status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                "temporarily_unavailable"
            }
            status if status.is_server_error() => "server_error",
            _ => "invalid_request",
        };
        let wait = error.extra.get("retry_after_ms").and_then(Value::as_u64);
        let retry_seconds = wait.map(|ms| ms.div_ceil(1000));
        Self { status: error.status, error: name, description: error.error, retry_seconds }
    }
}

impl From<StorageError> for OAuthError {
    fn from(error: StorageError) -> Self {
        ApiError::from(error).into()
    }
}

impl From<CommitError> for OAuthError {
    fn from(error: CommitError) -> Self {
        ApiError::from(error).into()
    }
}

/// Keeps an answer with tokens out of caches.
pub(super) fn unstored(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.error, "error_description": self.description });
        let mut response = unstored((self.status, Reply(body)).into_response());
        if let Some(seconds) = self.retry_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
