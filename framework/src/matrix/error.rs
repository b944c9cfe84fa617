//! How a request to the homeserver can fail, with the one question answered that a sender has: may it have been done?

use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

use super::carrier::CarrierError;
use crate::kv::KvError;

/// A request to the homeserver failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MatrixError {
    /// The homeserver answered with an error: it has not been done (but see [`MatrixError::maybe_done`]).
    #[error("the homeserver answered {status}{}{}: {message}", if errcode.is_some() { " " } else { "" }, errcode.as_deref().unwrap_or(""))]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// The errcode, if it is a Matrix error.
        errcode: Option<String>,
        /// The text with it.
        message: String,
        /// When to try again, if it said so.
        retry_after: Option<Duration>,
    },
    /// No connection: it has surely not been done.
    #[error("the homeserver could not be reached: {0}")]
    Unreachable(String),
    /// The connection broke, or no answer came in time: it may have been done.
    #[error("no answer from the homeserver: {0}")]
    NoAnswer(String),
    /// It has been done, but the answer can't be read.
    #[error("the homeserver's answer can't be read: {0}")]
    BadAnswer(String),
    /// The request makes no sense; it was not sent.
    #[error("{0}")]
    Invalid(String),
    /// A file is larger than allowed.
    #[error("the file is larger than {limit} bytes")]
    TooLarge {
        /// What is allowed.
        limit: u64,
    },
    /// Our own memory failed.
    #[error(transparent)]
    Store(#[from] KvError),
}

impl From<CarrierError> for MatrixError {
    fn from(error: CarrierError) -> Self {
        match error {
            CarrierError::Unreachable(reason) => Self::Unreachable(reason),
            CarrierError::NoAnswer(reason) => Self::NoAnswer(reason),
        }
    }
}

impl MatrixError {
    /// Reads a Matrix error (Client-Server API, "Standard error response").
    pub(super) fn refused(status: StatusCode, retry_header: Option<&str>, body: &[u8]) -> Self {
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let seconds =
            retry_header.and_then(|s| s.trim().parse::<u64>().ok()).map(Duration::from_secs);
        let millis = json.get("retry_after_ms").and_then(Value::as_u64).map(Duration::from_millis);
        let message = json.get("error").and_then(Value::as_str).unwrap_or_default();
        Self::Refused {
            status,
            errcode: json.get("errcode").and_then(Value::as_str).map(ToOwned::to_owned),
            message: message.chars().take(500).collect(),
            // More than a day is a mistake, and would stop the queue behind it.
            retry_after: seconds.or(millis).map(|wait| wait.min(Duration::from_hours(24))),
        }
    }

    /// The connection failed before or during the answer. Where this is [`MatrixError::NoAnswer`], it may have been done.
    pub fn is_transport(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::NoAnswer(_))
    }

    /// A proxy answered that the homeserver doesn't.
    pub fn is_gateway(&self) -> bool {
        matches!(self.status().map(|s| s.as_u16()), Some(502..=504))
    }

    /// Whether it may have been done nevertheless: no answer came, a proxy answered for the homeserver, or the answer
    /// can't be read.
    pub fn maybe_done(&self) -> bool {
        match self {
            Self::NoAnswer(_) | Self::BadAnswer(_) => true,
            Self::Refused { status, .. } => status.is_server_error(),
            _ => false,
        }
    }

    /// Whether the same request may succeed later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::NoAnswer(_) | Self::Store(_) => true,
            Self::Refused { status, errcode, .. } => {
                status.is_server_error()
                    || *status == StatusCode::TOO_MANY_REQUESTS
                    || *status == StatusCode::REQUEST_TIMEOUT
                    || errcode.as_deref() == Some("M_LIMIT_EXCEEDED")
            }
            _ => false,
        }
    }

    /// When to try again, if the homeserver said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The Matrix errcode.
    pub fn errcode(&self) -> Option<&str> {
        match self {
            Self::Refused { errcode, .. } => errcode.as_deref(),
            _ => None,
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// `M_NOT_FOUND`, or a 404 of any kind.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(StatusCode::NOT_FOUND)
    }

    /// `M_FORBIDDEN`, or a 403 of any kind.
    pub fn is_forbidden(&self) -> bool {
        self.status() == Some(StatusCode::FORBIDDEN)
    }

    /// The homeserver doesn't have this endpoint.
    pub fn is_unsupported(&self) -> bool {
        self.errcode() == Some("M_UNRECOGNIZED")
            || self.status() == Some(StatusCode::METHOD_NOT_ALLOWED)
    }
}
