//! Why a request failed, sorted by what follows from it.

use std::time::Duration;

use grammers_mtsender::{InvocationError, RpcError};
use landbridge_framework::{
    NetError,
    handlers::{LimitScope, SendError},
};

/// Longer waits are the whole account's: Telegram has had enough of it, not of one chat.
const LONG: Duration = Duration::from_mins(2);

/// Why a request failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ApiError {
    /// Telegram said no, or not now.
    #[error("Telegram answered {}", .0.name)]
    Refused(RpcError),
    /// It may have been carried out: the answer didn't come.
    #[error("Telegram's answer was lost: {0}")]
    NoAnswer(String),
    /// It was not sent.
    #[error("Telegram can't be reached: {0}")]
    Unreachable(String),
    /// Somebody is named of whom this account knows too little: it has never seen them.
    #[error("this account doesn't know {0}")]
    Unknown(String),
}

impl ApiError {
    /// Telegram's word for its refusal, without numbers.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Refused(error) => Some(&error.name),
            _ => None,
        }
    }

    /// Whether Telegram's word is this.
    pub fn is(&self, name: &str) -> bool {
        self.name() == Some(name)
    }

    /// How long Telegram wants to be left alone, and by whom.
    pub fn wait(&self) -> Option<(Duration, LimitScope)> {
        let Self::Refused(error) = self else { return None };
        let wait = Duration::from_secs(u64::from(error.value?));
        match error.name.as_str() {
            "SLOWMODE_WAIT" => Some((wait, LimitScope::Chat)),
            "FLOOD_WAIT"
            | "FLOOD_PREMIUM_WAIT"
            | "FLOOD_TEST_PHONE_WAIT"
            | "TAKEOUT_INIT_DELAY" => {
                Some((wait, if wait > LONG { LimitScope::Login } else { LimitScope::Chat }))
            }
            _ => None,
        }
    }

    /// The data centre to ask instead.
    pub fn migrate(&self) -> Option<i32> {
        match self {
            Self::Refused(error) if error.code == 303 => i32::try_from(error.value?).ok(),
            _ => None,
        }
    }

    /// Whether the account is logged out.
    pub fn is_logged_out(&self) -> bool {
        match self {
            Self::Refused(error) => {
                error.code == 401 && error.name != "SESSION_PASSWORD_NEEDED"
                    || error.name == "AUTH_KEY_DUPLICATED"
            }
            _ => false,
        }
    }

    /// Whether it may work later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Refused(error) => error.code >= 500 || error.code < 0 || self.wait().is_some(),
            Self::NoAnswer(_) | Self::Unreachable(_) => true,
            Self::Unknown(_) => false,
        }
    }

    /// What people are told.
    pub fn words(&self) -> String {
        let Self::Refused(error) = self else { return self.to_string() };
        match error.name.as_str() {
            "CHAT_WRITE_FORBIDDEN" | "CHAT_GUEST_SEND_FORBIDDEN" => {
                "you may not write in this chat".into()
            }
            "CHAT_ADMIN_REQUIRED" | "CHAT_ADMIN_INVITE_REQUIRED" | "RIGHT_FORBIDDEN" => {
                "only administrators of the chat may do that".into()
            }
            "CHANNEL_PRIVATE" | "CHAT_FORBIDDEN" | "CHANNEL_INVALID" | "PEER_ID_INVALID" => {
                "this account is not in the chat".into()
            }
            "USER_IS_BLOCKED" => "they have blocked this account".into(),
            "YOU_BLOCKED_USER" => "this account has blocked them".into(),
            "USER_BANNED_IN_CHANNEL" => {
                "this account is restricted by Telegram and may write in few places".into()
            }
            "PEER_FLOOD" => {
                "Telegram limits this account, for having written to too many strangers".into()
            }
            "USER_PRIVACY_RESTRICTED" => "their privacy settings don't allow it".into(),
            "USER_NOT_MUTUAL_CONTACT" => {
                "they must first have this account among their contacts".into()
            }
            "MESSAGE_ID_INVALID" | "MSG_ID_INVALID" => "there is no such message any more".into(),
            "MESSAGE_EDIT_TIME_EXPIRED" => "the message is too old to be edited".into(),
            "MESSAGE_AUTHOR_REQUIRED" => "only its author can edit the message".into(),
            "MESSAGE_DELETE_FORBIDDEN" => "this account may not delete the message".into(),
            "MESSAGE_TOO_LONG" | "MEDIA_CAPTION_TOO_LONG" => "the text is too long".into(),
            "MESSAGE_EMPTY" => "there is no text in it".into(),
            "REACTION_INVALID" | "REACTIONS_TOO_MANY" => "this reaction is not allowed here".into(),
            "CHAT_SEND_MEDIA_FORBIDDEN"
            | "CHAT_SEND_PHOTOS_FORBIDDEN"
            | "CHAT_SEND_VIDEOS_FORBIDDEN"
            | "CHAT_SEND_DOCS_FORBIDDEN"
            | "CHAT_SEND_VOICES_FORBIDDEN"
            | "CHAT_SEND_STICKERS_FORBIDDEN"
            | "CHAT_SEND_GIFS_FORBIDDEN"
            | "CHAT_SEND_AUDIOS_FORBIDDEN"
            | "CHAT_SEND_ROUNDVIDEOS_FORBIDDEN" => {
                "files of this kind are not allowed in this chat".into()
            }
            "CHAT_SEND_PLAIN_FORBIDDEN" => "text is not allowed in this chat".into(),
            "CHAT_SEND_POLL_FORBIDDEN" => "polls are not allowed in this chat".into(),
            "VOICE_MESSAGES_FORBIDDEN" => "they don't take voice messages".into(),
            "PHOTO_CROP_SIZE_SMALL" => "the picture is too small".into(),
            "PHOTO_EXT_INVALID" | "PHOTO_INVALID" | "PHOTO_FILE_MISSING" => {
                "Telegram can't read the picture".into()
            }
            "TOPIC_CLOSED" => "the topic is closed".into(),
            "TOPIC_DELETED" => "the topic is deleted".into(),
            "INPUT_USER_DEACTIVATED" => "their account is deleted".into(),
            "USER_ALREADY_PARTICIPANT" => "they are in the chat already".into(),
            "USERS_TOO_MUCH" => "the chat is full".into(),
            "PREMIUM_ACCOUNT_REQUIRED" => "that needs Telegram Premium".into(),
            "ALLOW_PAYMENT_REQUIRED" => "writing to them costs stars".into(),
            name => format!("Telegram answered {name}"),
        }
    }
}

impl From<InvocationError> for ApiError {
    fn from(error: InvocationError) -> Self {
        match error {
            InvocationError::Rpc(error) => Self::Refused(error),
            InvocationError::Io(_)
            | InvocationError::Deserialize(_)
            | InvocationError::Dropped(_) => Self::NoAnswer(error.to_string()),
            // A status of the transport (404: the key is not known, 429: too many connections) comes instead of an answer.
            InvocationError::Transport(_) => Self::NoAnswer(error.to_string()),
            InvocationError::Session(cause) => {
                Self::Unreachable(format!("the session can't be kept: {cause}"))
            }
            InvocationError::InvalidDc | InvocationError::Authentication(_) => {
                Self::Unreachable(error.to_string())
            }
        }
    }
}

impl From<ApiError> for NetError {
    fn from(error: ApiError) -> Self {
        if let Some((after, _)) = error.wait() {
            return Self::Temporary { reason: error.to_string(), after: Some(after) };
        }
        // Who is logged out may log in again, and the bot does.
        if error.is_temporary() || error.is_logged_out() {
            Self::temporary(error)
        } else {
            Self::permanent(error.words())
        }
    }
}

impl From<ApiError> for SendError {
    fn from(error: ApiError) -> Self {
        if let Some((after, scope)) = error.wait() {
            return Self::limited(after, scope);
        }
        match &error {
            ApiError::Refused(rpc) if rpc.code >= 500 || rpc.code < 0 => Self::unknown(error),
            ApiError::NoAnswer(_) => Self::unknown(error),
            ApiError::Unreachable(_) => Self::retry(error),
            _ if error.is_logged_out() => Self::retry("the account is logged out"),
            _ => Self::refused(error.words()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: i32, name: &str, value: Option<u32>) -> ApiError {
        ApiError::Refused(RpcError { code, name: name.into(), value, caused_by: None })
    }

    #[test]
    fn waits_have_their_scope() {
        let slow = SendError::from(refused(420, "SLOWMODE_WAIT", Some(500)));
        assert_eq!(slow, SendError::limited(Duration::from_secs(500), LimitScope::Chat));
        let short = SendError::from(refused(420, "FLOOD_WAIT", Some(5)));
        assert_eq!(short, SendError::limited(Duration::from_secs(5), LimitScope::Chat));
        let long = SendError::from(refused(420, "FLOOD_WAIT", Some(5000)));
        assert_eq!(long, SendError::limited(Duration::from_secs(5000), LimitScope::Login));
    }

    #[test]
    fn only_what_may_have_been_done_is_unknown() {
        assert!(matches!(
            SendError::from(ApiError::NoAnswer(String::new())),
            SendError::Unknown { .. }
        ));
        assert!(matches!(
            SendError::from(refused(500, "RPC_CALL_FAIL", None)),
            SendError::Unknown { .. }
        ));
        assert!(matches!(
            SendError::from(refused(-503, "Timeout", None)),
            SendError::Unknown { .. }
        ));
        assert!(matches!(
            SendError::from(ApiError::Unreachable(String::new())),
            SendError::Retry { .. }
        ));
        assert!(matches!(
            SendError::from(refused(403, "CHAT_WRITE_FORBIDDEN", None)),
            SendError::Refused { .. }
        ));
    }

    #[test]
    fn being_logged_out_is_told_from_a_second_factor() {
        assert!(refused(401, "AUTH_KEY_UNREGISTERED", None).is_logged_out());
        let later = NetError::from(refused(401, "AUTH_KEY_UNREGISTERED", None));
        assert!(matches!(later, NetError::Temporary { .. }), "{later:?}");
        assert!(refused(401, "SESSION_REVOKED", None).is_logged_out());
        assert!(refused(406, "AUTH_KEY_DUPLICATED", None).is_logged_out());
        assert!(!refused(401, "SESSION_PASSWORD_NEEDED", None).is_logged_out());
        assert_eq!(refused(303, "USER_MIGRATE", Some(4)).migrate(), Some(4));
        assert_eq!(refused(400, "X", Some(4)).migrate(), None);
    }
}
