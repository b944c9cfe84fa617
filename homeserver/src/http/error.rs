//! The error a client sees, in the spec's shape (Client-Server API, "Standard error response").

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use landbridge_database::DatabaseError;
use serde_json::{Map, Value};

use crate::commit::CommitError;
use crate::http::json::Reply;
use crate::room::RoomError;
use crate::storage::StorageError;

/// A refusal: the HTTP status, the spec's `errcode`, a sentence for people, and what the errcode asks for beyond them.
#[derive(Debug, Clone)]
pub struct ApiError {
    /// The HTTP status of the answer.
    pub status: StatusCode,
    /// The `errcode`, for example `M_FORBIDDEN`.
    pub errcode: Cow<'static, str>,
    /// The sentence for people.
    pub error: Cow<'static, str>,
    /// Further keys of the body, for example `retry_after_ms` or the whole of a user-interactive challenge.
    pub extra: Map<String, Value>,
}

/// What handlers return.
pub type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    /// An error with this status, errcode and sentence.
    pub fn new(
        status: StatusCode,
        errcode: &'static str,
        error: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, errcode: Cow::Borrowed(errcode), error: error.into(), extra: Map::new() }
    }

    /// 403 `M_FORBIDDEN`.
    pub fn forbidden(error: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "M_FORBIDDEN", error)
    }

    /// 404 `M_NOT_FOUND`.
    pub fn not_found(error: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "M_NOT_FOUND", error)
    }

    /// 400 `M_NOT_JSON`: the body isn't JSON at all.
    pub fn not_json(error: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "M_NOT_JSON", error)
    }

    /// 400 `M_BAD_JSON`: JSON, but not of the shape that is asked for.
    pub fn bad_json(error: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "M_BAD_JSON", error)
    }

    /// 400 `M_INVALID_PARAM`.
    pub fn invalid_param(error: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "M_INVALID_PARAM", error)
    }

    /// 400 `M_MISSING_PARAM`.
    pub fn missing_param(error: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "M_MISSING_PARAM", error)
    }

    /// The same for a key or parameter that isn't there.
    pub fn missing(key: &str) -> Self {
        Self::missing_param(format!("{key} is missing"))
    }

    /// 400 `M_UNKNOWN`: the errcode for what has none of its own.
    pub fn unknown(error: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "M_UNKNOWN", error)
    }

    /// 404 `M_UNRECOGNIZED`: the server has no such endpoint.
    pub fn unrecognized() -> Self {
        Self::new(StatusCode::NOT_FOUND, "M_UNRECOGNIZED", "Unrecognized request")
    }

    /// 405 `M_UNRECOGNIZED`: the endpoint exists, the method doesn't.
    pub fn wrong_method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "M_UNRECOGNIZED",
            "This endpoint does not take that method",
        )
    }

    /// 401 `M_MISSING_TOKEN`.
    pub fn missing_token() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "M_MISSING_TOKEN", "An access token is needed")
    }

    /// 401 `M_UNKNOWN_TOKEN`. With `soft_logout` the client keeps its device and logs in again.
    pub fn unknown_token(soft_logout: bool) -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "M_UNKNOWN_TOKEN",
            "The access token is unknown or no longer valid",
        )
        .with("soft_logout", soft_logout)
    }

    /// 401 `M_USER_LOCKED`: the client keeps its device and waits (Client-Server API, "Account locking").
    pub fn user_locked() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "M_USER_LOCKED", "This account has been locked")
            .with("soft_logout", true)
    }

    /// 403 `M_USER_SUSPENDED` (Client-Server API, "Account suspension").
    pub fn user_suspended() -> Self {
        let text = "You cannot perform this action while suspended";
        Self::new(StatusCode::FORBIDDEN, "M_USER_SUSPENDED", text)
    }

    /// 413 `M_TOO_LARGE`.
    pub fn too_large(error: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "M_TOO_LARGE", error)
    }

    /// 429 `M_LIMIT_EXCEEDED`, telling when to come back both ways the spec knows.
    pub fn limit_exceeded(wait: Duration) -> Self {
        let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        Self::new(StatusCode::TOO_MANY_REQUESTS, "M_LIMIT_EXCEEDED", "Too many requests")
            .with("retry_after_ms", ms)
    }

    /// 500 `M_UNKNOWN`. The cause goes to the log; the client learns nothing of the inside.
    pub fn internal(cause: impl fmt::Display) -> Self {
        tracing::error!(%cause, "a request failed inside the server");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "M_UNKNOWN", "Internal server error")
    }

    /// Adds a key to the body.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(key.to_owned(), value.into());
        self
    }

    /// The same error under another status.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The body as it goes to the client.
    pub fn body(&self) -> Map<String, Value> {
        let mut body = self.extra.clone();
        body.insert("errcode".to_owned(), Value::from(&*self.errcode));
        body.insert("error".to_owned(), Value::from(&*self.error));
        body
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.errcode, self.status.as_u16(), self.error)
    }
}

impl std::error::Error for ApiError {}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        if has_zero_byte(&error) { zero_byte() } else { Self::internal(error) }
    }
}

/// Whether somebody's text could not be written because Postgres holds none with zero bytes.
fn has_zero_byte(error: &StorageError) -> bool {
    matches!(error, StorageError::Database(DatabaseError::ZeroByte))
}

fn zero_byte() -> ApiError {
    ApiError::invalid_param("A text has a zero byte in it")
}

impl From<CommitError> for ApiError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Stopped => stopping(),
            CommitError::Storage(error) if has_zero_byte(&error) => zero_byte(),
            other => Self::internal(other),
        }
    }
}

impl From<RoomError> for ApiError {
    fn from(error: RoomError) -> Self {
        let text = error.to_string();
        let bad = |errcode| Self::new(StatusCode::BAD_REQUEST, errcode, text.clone());
        match error {
            RoomError::NotFound => Self::not_found(text),
            RoomError::Forbidden(_) => Self::forbidden(text),
            RoomError::TooLarge(_) => Self::too_large(text),
            RoomError::BadJson(_) => Self::bad_json(text),
            RoomError::InvalidParam(_) => Self::invalid_param(text),
            RoomError::Unsuitable(_) => bad("M_UNKNOWN"),
            RoomError::DuplicateAnnotation(_) => bad("M_DUPLICATE_ANNOTATION"),
            RoomError::InvalidState(_) => bad("M_INVALID_ROOM_STATE"),
            RoomError::UnsupportedVersion(_) => bad("M_UNSUPPORTED_ROOM_VERSION"),
            RoomError::AliasInUse => bad("M_ROOM_IN_USE"),
            RoomError::Busy => Self::limit_exceeded(Duration::from_millis(500)),
            RoomError::Stopping => stopping(),
            RoomError::Storage(_) => Self::internal(text),
        }
    }
}

fn stopping() -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "M_UNKNOWN", "The server is stopping")
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let retry = self.extra.get("retry_after_ms").and_then(Value::as_u64);
        let mut response = (self.status, Reply(self.body())).into_response();
        if let Some(ms) = retry {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(ms.div_ceil(1000)));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_tells_the_wait_in_body_and_header() {
        let response = ApiError::limit_exceeded(Duration::from_millis(1500)).into_response();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
    }

    #[test]
    fn the_body_has_errcode_error_and_the_extra_keys() {
        let body = ApiError::unknown_token(true).body();
        assert_eq!(body["errcode"], "M_UNKNOWN_TOKEN");
        assert_eq!(body["soft_logout"], true);
        assert!(body["error"].is_string());
    }
}
