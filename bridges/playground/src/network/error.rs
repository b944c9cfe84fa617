//! Why the network refuses something, and how that looks over HTTP.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use landbridge_database::DatabaseError;

use crate::wire::Refusal;

/// What can go wrong with a request.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// There is no such person, chat or message.
    #[error("there is no {what} {id:?}")]
    NotFound {
        /// The kind of thing.
        what: &'static str,
        /// The identifier asked for.
        id: String,
    },
    /// An identifier is taken.
    #[error("the {what} {id:?} exists already")]
    Exists {
        /// The kind of thing.
        what: &'static str,
        /// The identifier asked for.
        id: String,
    },
    /// The actor isn't in the chat.
    #[error("{person:?} is not a member of {chat:?}; join first")]
    NotAMember {
        /// The actor.
        person: String,
        /// The chat.
        chat: String,
    },
    /// The caller may not do that.
    #[error("{0}")]
    Forbidden(&'static str),
    /// No token, or one that nobody has.
    #[error("a token is needed: Authorization: Bearer ...")]
    Unauthorized,
    /// Something is missing or has the wrong form.
    #[error("{0}")]
    Invalid(String),
    /// Something is larger than the network takes.
    #[error("{what} is too long: at most {limit} {unit}")]
    TooLong {
        /// The thing.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
        /// Of what.
        unit: &'static str,
    },
    /// The network holds as much as its limits allow.
    #[error("the network is full: at most {limit} {what}")]
    Full {
        /// What there are too many of.
        what: &'static str,
        /// How many are allowed.
        limit: i64,
    },
    /// Too many requests.
    #[error("too many requests; try again in {0} ms")]
    RateLimited(u64),
    /// The database failed.
    #[error("the network's database failed")]
    Database(#[from] DatabaseError),
    /// What stands in the database can't be read.
    #[error("the network's database holds something unreadable")]
    Corrupt(#[from] serde_json::Error),
}

impl NetworkError {
    fn code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NotFound { .. } => (StatusCode::NOT_FOUND, "not_found"),
            Self::Exists { .. } => (StatusCode::CONFLICT, "exists"),
            Self::NotAMember { .. } => (StatusCode::FORBIDDEN, "not_a_member"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden"),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::Invalid(_) => (StatusCode::BAD_REQUEST, "invalid"),
            Self::TooLong { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_long"),
            Self::Full { .. } => (StatusCode::INSUFFICIENT_STORAGE, "full"),
            Self::RateLimited(_) => (StatusCode::TOO_MANY_REQUESTS, "rate_limited"),
            Self::Database(_) | Self::Corrupt(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

impl IntoResponse for NetworkError {
    fn into_response(self) -> Response {
        let (status, code) = self.code();
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error = ?self, "a request to the Playground failed");
        }
        let retry_after_ms = match self {
            Self::RateLimited(ms) => Some(ms),
            _ => None,
        };
        let body = Refusal { code: code.into(), message: self.to_string(), retry_after_ms };
        let mut response = (status, Json(body)).into_response();
        if let Some(ms) = retry_after_ms {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(ms.div_ceil(1000)));
        }
        response
    }
}
