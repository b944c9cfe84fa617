//! Why a request failed, sorted by what may follow from it.

use std::time::Duration;

use http::StatusCode;
use landbridge_framework::{
    ConnectError, NetError,
    handlers::{LimitScope, SendError},
    login::LoginError,
};
use slack_morphism::errors::SlackClientError;

/// Why a request failed. None of its texts holds a token or a body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// It never reached Slack.
    #[error("Slack can't be reached: {0}")]
    Unreachable(String),
    /// It may have reached Slack; the answer didn't come back whole.
    #[error("Slack's answer was lost: {0}")]
    NoAnswer(String),
    /// Slack failed; it may have done what was asked.
    #[error("Slack failed with {0}")]
    Failed(StatusCode),
    /// Slack asks to wait.
    #[error("Slack asks to wait {} seconds", .0.as_secs())]
    Limited(Duration),
    /// Slack said no.
    #[error("{}", said(.0))]
    Refused(String),
}

/// How long to wait where Slack doesn't say.
const WAIT: Duration = Duration::from_secs(30);

impl From<SlackClientError> for ApiError {
    fn from(error: SlackClientError) -> Self {
        match error {
            SlackClientError::ApiError(error) => Self::Refused(error.code),
            SlackClientError::RateLimitError(error) => {
                Self::Limited(error.retry_after.unwrap_or(WAIT))
            }
            SlackClientError::HttpError(error) if error.status_code.is_server_error() => {
                Self::Failed(error.status_code)
            }
            SlackClientError::HttpError(error) => {
                Self::Refused(format!("http_{}", error.status_code.as_u16()))
            }
            SlackClientError::HttpProtocolError(error) => {
                let cause = error.cause.map(|cause| cause.to_string());
                Self::Unreachable(cause.unwrap_or_else(|| "no connection".into()))
            }
            // Their texts may hold what Slack answered.
            SlackClientError::ProtocolError(error) => Self::NoAnswer(format!(
                "it isn't what was expected (line {}, column {})",
                error.json_error.line(),
                error.json_error.column()
            )),
            SlackClientError::SystemError(error) => {
                Self::NoAnswer(error.message.unwrap_or_else(|| "it broke off".into()))
            }
            SlackClientError::EndOfStream(_) | SlackClientError::SocketModeProtocolError(_) => {
                Self::NoAnswer("it broke off".into())
            }
        }
    }
}

impl ApiError {
    /// Slack's word for its refusal.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(code) => Some(code),
            _ => None,
        }
    }

    /// Whether the token is no longer good: only its owner can help.
    pub fn is_logged_out(&self) -> bool {
        matches!(
            self.code(),
            Some(
                "invalid_auth"
                    | "not_authed"
                    | "account_inactive"
                    | "token_revoked"
                    | "token_expired"
                    | "org_login_required"
                    | "user_removed_from_team"
                    | "team_access_not_granted"
            )
        )
    }

    /// As what a handler answers. `scope` is what has to wait where Slack asks for it.
    pub fn sending(self, scope: LimitScope) -> SendError {
        match self {
            Self::Unreachable(_) => {
                SendError::Retry { after: None, scope: LimitScope::Login, reason: self.to_string() }
            }
            Self::Limited(after) => SendError::limited(after, scope),
            Self::NoAnswer(_) | Self::Failed(_) => SendError::unknown(self),
            Self::Refused(ref code) if may_be_done(code) => SendError::unknown(self),
            Self::Refused(ref code) if may_pass(code) => {
                SendError::Retry { after: None, scope: LimitScope::Chat, reason: self.to_string() }
            }
            Self::Refused(_) => SendError::refused(self),
        }
    }

    /// As what a look-up answers.
    pub fn looking(self) -> NetError {
        match self {
            Self::Limited(after) => {
                NetError::Temporary { reason: self.to_string(), after: Some(after) }
            }
            Self::Refused(ref code) if !may_pass(code) => NetError::permanent(self),
            _ => NetError::temporary(self),
        }
    }

    /// As what a connection answers.
    pub fn connecting(self) -> ConnectError {
        if self.is_logged_out() {
            ConnectError::BadCredentials(self.to_string())
        } else {
            ConnectError::Temporary(self.to_string())
        }
    }

    /// As what a login answers.
    pub fn logging_in(self) -> LoginError {
        match self {
            Self::Refused(_) => LoginError::Refused(self.to_string()),
            _ => LoginError::Network(self.to_string()),
        }
    }
}

/// Failures of Slack's own after which, as it says itself, a part of what was asked may have been done
/// (<https://docs.slack.dev/reference/methods/chat.postMessage#errors>).
fn may_be_done(code: &str) -> bool {
    matches!(code, "internal_error" | "fatal_error" | "service_unavailable")
}

/// Failures of Slack's own that pass.
fn may_pass(code: &str) -> bool {
    may_be_done(code)
        || matches!(
            code,
            "request_timeout"
                | "team_added_to_org"
                | "accesslimited"
                | "rate_limited"
                | "ratelimited"
        )
}

/// A refusal in words, with the remedy where there is one.
fn said(code: &str) -> String {
    let words = match code {
        "invalid_auth" | "not_authed" | "account_inactive" | "token_revoked" | "token_expired" => {
            "Slack no longer takes the token: log in again, or install the app again"
        }
        "missing_scope" => {
            "the app lacks a permission: paste the manifest of `landbridge slack manifest` again and reinstall the app"
        }
        "not_allowed_token_type" => "this kind of token can't do that",
        "not_in_channel" | "channel_not_found" => {
            "the bridge is not in this channel: invite the app to it in Slack"
        }
        "is_archived" => "the channel is archived",
        "restricted_action"
        | "restricted_action_read_only_channel"
        | "cant_post_message"
        | "restricted_action_thread_only_channel"
        | "restricted_action_non_threadable_channel"
        | "restricted_action_thread_locked" => "the workspace doesn't allow that in this channel",
        "msg_too_long" | "msg_blocks_too_long" => "the message is too long for Slack",
        "no_text" => "there is no text in it",
        "cant_update_message" | "cant_delete_message" => {
            "Slack lets only the author, or an administrator, change that message"
        }
        "edit_window_closed" => "the workspace no longer allows this message to be edited",
        "message_not_found" => "the message is no longer there",
        "too_many_emoji" | "too_many_reactions" => "there are too many reactions on that message",
        "invalid_name" => "the workspace has no such emoji, or Slack takes no such name",
        "name_taken" => "there is a channel of that name",
        "file_uploads_disabled" | "file_uploads_except_images_disabled" => {
            "the workspace doesn't allow uploads"
        }
        "storage_limit_reached" | "not_enough_storage" => "the workspace has no room for files",
        "cant_invite_self" | "already_in_channel" => "they are in the channel already",
        "cant_invite" | "user_is_restricted" | "ura_max_channels" => "they can't be invited",
        "cant_kick_self" | "cant_kick_from_general" | "cant_leave_general" => {
            "nobody can leave this channel"
        }
        "user_not_found" | "users_not_found" => "there is no such user",
        "enterprise_is_restricted" | "ekm_access_denied" => {
            "the organisation's administrators don't allow it"
        }
        _ => return format!("Slack refused: {}", code.chars().take(60).collect::<String>()),
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_have_been_done_is_unknown() {
        let sent = |error: ApiError| error.sending(LimitScope::Chat);
        assert!(matches!(sent(ApiError::Unreachable(String::new())), SendError::Retry { .. }));
        assert!(matches!(sent(ApiError::NoAnswer(String::new())), SendError::Unknown { .. }));
        assert!(matches!(
            sent(ApiError::Failed(StatusCode::BAD_GATEWAY)),
            SendError::Unknown { .. }
        ));
        assert!(matches!(
            sent(ApiError::Refused("internal_error".into())),
            SendError::Unknown { .. }
        ));
        assert!(matches!(sent(ApiError::Refused("accesslimited".into())), SendError::Retry { .. }));
        assert!(matches!(sent(ApiError::Refused("is_archived".into())), SendError::Refused { .. }));
        let limited = sent(ApiError::Limited(Duration::from_secs(3)));
        assert_eq!(limited, SendError::limited(Duration::from_secs(3), LimitScope::Chat));
    }

    #[test]
    fn revoked_tokens_ask_for_a_new_login() {
        let refused = |code: &str| ApiError::Refused(code.into());
        assert!(matches!(refused("token_revoked").connecting(), ConnectError::BadCredentials(_)));
        assert!(matches!(refused("internal_error").connecting(), ConnectError::Temporary(_)));
    }
}
