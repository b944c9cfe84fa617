//! What Slack said, as it is kept until it is handled: its own JSON, with what was known at that moment of whom and what it names.
//!
//! Slack's JSON names people, channels and emoji by identifier only, while reading must need no connection. So the names are looked up
//! before an event is stored, and stored with it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Something that Slack said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Raw {
    /// The workspace.
    pub team: String,
    /// What is known of those it names.
    #[serde(default)]
    pub names: Names,
    /// What was said.
    #[serde(flatten)]
    pub what: What,
}

/// What was said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// An event, as the Events API gives it (`event` of an `event_callback`).
    Event {
        /// The event.
        event: Value,
    },
    /// A message as the history has it now.
    Past {
        /// Where.
        channel: String,
        /// The message.
        message: Value,
    },
    /// A message of which the history says that it was edited.
    Edited {
        /// Where.
        channel: String,
        /// The message.
        message: Value,
    },
    /// All reactions to a message, as the history has them.
    Reactions {
        /// Where.
        channel: String,
        /// The message, of which only `ts` and `reactions` are needed.
        message: Value,
        /// Until when events had told of them, as a `ts`.
        at: String,
    },
    /// Somebody's profile changed.
    Profile {
        /// A chat that is bridged: what isn't about a chat needs one to be handled in.
        channel: String,
        /// The user, as the event gives them.
        user: Value,
        /// When, as a `ts`.
        at: String,
    },
    /// A chat is to be looked at again.
    Resync {
        /// Where.
        channel: String,
        /// When that was found, as a `ts`.
        at: String,
    },
}

/// What is known of those whom an event names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Names {
    /// People's names, by identifier.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub users: BTreeMap<String, String>,
    /// Channels' names without `#`, by identifier.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub channels: BTreeMap<String, String>,
    /// User groups' handles without `@`, by identifier.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, String>,
    /// The workspace's own emoji that are named: where the picture is, or the name of the emoji that one stands for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub emoji: BTreeMap<String, String>,
    /// Who this bridge is in the workspace.
    #[serde(skip_serializing_if = "Own::is_nobody")]
    pub own: Own,
}

/// Who this bridge is in a workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Own {
    /// The user of its bot.
    pub user: Option<String>,
    /// The identifier of its bot as an author.
    pub bot: Option<String>,
    /// Its app.
    pub app: Option<String>,
}

impl Own {
    fn is_nobody(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a message was written by the bot.
    pub fn is_author(&self, message: &Value) -> bool {
        let is = |own: &Option<String>, pointer: &str| {
            own.is_some() && message.pointer(pointer).and_then(Value::as_str) == own.as_deref()
        };
        is(&self.bot, "/bot_id") || is(&self.user, "/user")
    }

    /// Whether a message was sent through the app, by its bot or for somebody who authorised it.
    pub fn is_sender(&self, message: &Value) -> bool {
        let app = |pointer: &str| message.pointer(pointer).and_then(Value::as_str);
        self.is_author(message)
            || self.app.is_some()
                && (app("/app_id") == self.app.as_deref()
                    || app("/bot_profile/app_id") == self.app.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_stored_reads_back() {
        let own = Own { user: Some("UBOT".into()), ..Own::default() };
        for what in [
            What::Event { event: json!({"type": "message", "kind": "x", "team": "T9"}) },
            What::Past { channel: "C1".into(), message: json!({"ts": "1.000001"}) },
            What::Resync { channel: "C1".into(), at: "1.0".into() },
        ] {
            let raw = Raw {
                team: "T1".into(),
                names: Names { own: own.clone(), ..Names::default() },
                what,
            };
            let again: Raw = serde_json::from_str(&serde_json::to_string(&raw).unwrap()).unwrap();
            assert_eq!(again, raw);
        }
    }

    #[test]
    fn what_is_ours_is_known() {
        let own =
            Own { user: Some("UBOT".into()), bot: Some("BBOT".into()), app: Some("A1".into()) };
        assert!(
            own.is_author(&json!({"bot_id": "BBOT"})) && own.is_author(&json!({"user": "UBOT"}))
        );
        assert!(!own.is_author(&json!({"user": "U1", "app_id": "A1"})));
        assert!(own.is_sender(&json!({"user": "U1", "bot_profile": {"app_id": "A1"}})));
        assert!(!own.is_sender(&json!({"user": "U1"})));
        assert!(!Own::default().is_sender(&json!({"user": "U1"})));
    }
}
