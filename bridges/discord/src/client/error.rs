//! What can go wrong with a request, and what it means for who asked.

use std::time::Duration;

use landbridge_framework::{
    ConnectError, NetError,
    handlers::{LimitScope, SendError},
};

/// A request was not answered as it should have been.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ApiError {
    /// Discord was not reached: nothing was done.
    #[error("Discord can't be reached: {0}")]
    Unreachable(String),
    /// The answer was lost: it may have been done.
    #[error("Discord's answer was lost: {0}")]
    Lost(String),
    /// Discord itself failed: it may have been done.
    #[error("Discord fails (status {0})")]
    Failing(u16),
    /// Too much was asked in too short a time (API reference, "Rate Limits").
    #[error("Discord asks to wait {} ms", .after.as_millis())]
    Limited {
        /// For how long.
        after: Duration,
        /// Whether everything has to wait.
        global: bool,
    },
    /// The token is not, or no longer, good.
    #[error("Discord doesn't accept the token")]
    Unauthorized,
    /// It won't be done.
    #[error("Discord refuses: {message} (status {status}, code {code})")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Discord's own code (API reference, "JSON Error Codes").
        code: u64,
        /// Discord's words.
        message: String,
    },
    /// The answer makes no sense.
    #[error("Discord's answer can't be read: {0}")]
    Unreadable(String),
}

/// There is no such message.
pub const UNKNOWN_MESSAGE: u64 = 10_008;
/// There is no such webhook.
pub const UNKNOWN_WEBHOOK: u64 = 10_015;
/// It was written by somebody else.
pub const NOT_THE_AUTHOR: u64 = 50_005;
/// The bot lacks a permission.
pub const NO_PERMISSION: u64 = 50_013;
/// The bot doesn't see it.
pub const NO_ACCESS: u64 = 50_001;
/// The channel has as many webhooks as it may have.
pub const TOO_MANY_WEBHOOKS: u64 = 30_007;
/// The file is larger than the server takes.
pub const TOO_LARGE: u64 = 40_005;
/// There is no such emoji.
pub const UNKNOWN_EMOJI: u64 = 10_014;

impl ApiError {
    /// Discord's own code of a refusal.
    pub fn code(&self) -> Option<u64> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether what was asked about is not there.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    /// Whether it is certain that nothing was done, and another try may help.
    pub fn is_certain(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Limited { .. } | Self::Unauthorized)
    }

    /// What a person is told.
    fn words(&self) -> String {
        match self.code() {
            Some(NO_PERMISSION) => {
                "the bridge's bot lacks a permission in this channel on Discord".into()
            }
            Some(NO_ACCESS) => "the bridge's bot doesn't see this channel on Discord".into(),
            Some(NOT_THE_AUTHOR) => "on Discord only its author can change this message".into(),
            Some(UNKNOWN_MESSAGE) => "the message is no longer on Discord".into(),
            Some(TOO_LARGE) => "the file is larger than this server on Discord takes".into(),
            Some(UNKNOWN_EMOJI) => "Discord doesn't have this emoji".into(),
            _ => self.to_string(),
        }
    }
}

impl From<ApiError> for SendError {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Limited { after, global } => {
                let scope = if global { LimitScope::Global } else { LimitScope::Chat };
                Self::limited(after, scope)
            }
            ApiError::Unreachable(_) | ApiError::Unauthorized => Self::retry(error),
            ApiError::Lost(_) | ApiError::Failing(_) | ApiError::Unreadable(_) => {
                Self::unknown(error)
            }
            ApiError::Refused { .. } => Self::refused(error.words()),
        }
    }
}

impl From<ApiError> for NetError {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Limited { after, .. } => {
                Self::Temporary { reason: error.to_string(), after: Some(after) }
            }
            ApiError::Refused { .. } => Self::permanent(error.words()),
            _ => Self::temporary(error),
        }
    }
}

impl From<ApiError> for ConnectError {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Unauthorized => Self::BadCredentials(error.to_string()),
            _ => Self::Temporary(error.to_string()),
        }
    }
}
