//! What Telegram sent, as it is kept until it is handled: its own bytes (TL), and the few facts about people and chats that came
//! with them and without which they can't be read.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use grammers_tl_types as tl;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use tl::{Deserializable, Serializable};

use crate::ids::Peer;

/// A value of Telegram's, kept as the bytes it came in.
#[derive(Clone, PartialEq)]
pub struct Tl<T>(pub T);

impl<T: std::fmt::Debug> std::fmt::Debug for Tl<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: Serializable> Serialize for Tl<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(self.0.to_bytes()))
    }
}

impl<'de, T: Deserializable> Deserialize<'de> for Tl<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as Deserialize>::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text).map_err(D::Error::custom)?;
        T::from_bytes(&bytes).map(Self).map_err(|error| D::Error::custom(format!("{error:?}")))
    }
}

/// What is known of a user or chat that an event speaks of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// Their name.
    pub name: String,
    /// Their user name, without `@`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Whether it is a forum: its messages belong to topics.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub forum: bool,
    /// Whether it is a channel in the narrow sense: only administrators write.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub broadcast: bool,
    /// Whether this account is no longer in it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
}

/// What is known of those an event speaks of, by the text form of [`Peer`].
pub type Known = BTreeMap<String, Facts>;

/// Looks somebody up.
pub fn facts(known: &Known, peer: Peer) -> Option<&Facts> {
    known.get(&peer.to_string())
}

/// One reaction: who, and the reaction itself.
pub type Reacted = (Tl<tl::enums::Peer>, Tl<tl::enums::Reaction>);

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Raw {
    /// An update, as it came or as it was caught up with.
    Update {
        /// When it came, in milliseconds since the Unix epoch: for what has no time of its own.
        seen: i64,
        /// The update.
        update: Box<Tl<tl::enums::Update>>,
        /// Those it speaks of.
        #[serde(default)]
        known: Known,
    },
    /// A message of the past, in its present state.
    Past {
        /// The message.
        message: Box<Tl<tl::enums::Message>>,
        /// Those it speaks of.
        #[serde(default)]
        known: Known,
    },
    /// All reactions of a message, fetched because the update had only the latest.
    Reactions {
        /// When it was fetched, in milliseconds since the Unix epoch.
        seen: i64,
        /// Where.
        peer: Tl<tl::enums::Peer>,
        /// The topic, in a forum.
        topic: Option<i32>,
        /// The message.
        message: i32,
        /// Who reacted with what.
        all: Vec<Reacted>,
        /// The chat.
        #[serde(default)]
        known: Known,
    },
    /// Messages were deleted. Telegram does not say in which chat (or topic) unless it is a channel: the client has looked it up.
    Deleted {
        /// When it was told, in milliseconds since the Unix epoch.
        seen: i64,
        /// The messages of each chat, by the chat's text form.
        chats: BTreeMap<String, Vec<i32>>,
    },
    /// Messages were pinned, or no longer are. In a forum Telegram does not say in which topic: each is named.
    Pinned {
        /// When it was told, in milliseconds since the Unix epoch.
        seen: i64,
        /// Whether they are now.
        pinned: bool,
        /// The messages of each chat, by the chat's text form.
        chats: BTreeMap<String, Vec<i32>>,
    },
    /// More was missed than Telegram tells: the chat's history must be read.
    Gap {
        /// When it was noticed, in milliseconds since the Unix epoch.
        seen: i64,
        /// The chats' text forms.
        chats: Vec<String>,
    },
    /// Somebody voted in a poll whose message the client has looked up.
    Voted {
        /// When it was told, in milliseconds since the Unix epoch.
        seen: i64,
        /// The chat's text form.
        chat: String,
        /// The poll's message.
        message: i32,
        /// Who.
        voter: Tl<tl::enums::Peer>,
        /// The chosen options.
        options: Vec<String>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read_back() {
        let update: tl::enums::Update = tl::types::UpdateMessageId { id: 5, random_id: -7 }.into();
        let known = BTreeMap::from([(
            "c5".to_owned(),
            Facts { name: "Ünï".into(), forum: true, ..Facts::default() },
        )]);
        let raw = Raw::Update { seen: 12, update: Box::new(Tl(update)), known };
        let text = serde_json::to_string(&raw).unwrap();
        assert_eq!(serde_json::from_str::<Raw>(&text).unwrap(), raw);
        assert!(
            serde_json::from_str::<Raw>(&text.replace("\"update\":\"", "\"update\":\"AAAA"))
                .is_err()
        );
    }
}
