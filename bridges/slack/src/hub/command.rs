//! The slash command `/matrix`: what people in Slack can ask about the bridge of the channel they are in.

use serde_json::{Value, json};

use super::Hub;
use crate::{
    ids::{self, Account, Chat},
    json::{said, text},
};

impl Hub {
    /// Answers a slash command, to the one who gave it only.
    pub(crate) fn command(&self, payload: &Value) -> Value {
        let id = |key| said(payload, key).filter(|id| ids::is_id(id));
        let words = match (id("team_id"), id("channel_id")) {
            (Some(team), Some(channel)) => {
                let chat = Chat::new(team, channel);
                let asked = text(payload, "text").unwrap_or_default().trim().to_lowercase();
                self.answer(&chat, &asked)
            }
            _ => "This works in a channel only.".to_owned(),
        };
        json!({ "response_type": "ephemeral", "text": words })
    }

    fn answer(&self, chat: &Chat, asked: &str) -> String {
        let Some(workspace) = self.workspace(&chat.team) else {
            return "The bridge is not connected to this workspace.".into();
        };
        let name = format!("{}-{}", chat.team, chat.channel);
        match asked {
            "" | "help" => {
                let app = workspace.own.user.as_deref();
                let app = app.map_or_else(|| "the app".to_owned(), |user| format!("<@{user}>"));
                format!(
                    "`/matrix status`: whether this channel is bridged.\n`/matrix id`: the name by which it can be bridged.\n\
                     To bridge it, invite {app} here, and say `!slack bridge {name}` in the Matrix room."
                )
            }
            "status" => {
                let bridged =
                    self.listener(&Account::App).is_some_and(|listener| listener.is_in(chat));
                if bridged {
                    "This channel is bridged: what is said here is seen on Matrix, and the other way round.".into()
                } else {
                    format!(
                        "This channel is not bridged. In a Matrix room, `!slack bridge {name}` does it."
                    )
                }
            }
            "id" => format!("`{name}`"),
            _ => "The bridge knows `/matrix help`, `/matrix status` and `/matrix id`.".into(),
        }
    }
}
