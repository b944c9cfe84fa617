//! The names of chats, senders and files, with their text forms.

use grammers_tl_types as tl;
use landbridge_framework::{BadId, RemoteId};

/// Supergroups and channels are one kind of thing to Telegram's API: a channel. Their message ids belong to them; those of
/// users and basic groups belong to the account that sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Peer {
    /// A person or a bot.
    User(i64),
    /// A basic group.
    Group(i64),
    /// A channel, a supergroup or a forum.
    Channel(i64),
}

impl Peer {
    /// Whether message ids belong to the account rather than to the chat.
    pub fn is_account_wide(self) -> bool {
        !matches!(self, Self::Channel(_))
    }

    /// The bare number.
    pub fn number(self) -> i64 {
        match self {
            Self::User(id) | Self::Group(id) | Self::Channel(id) => id,
        }
    }

    /// As the API has it.
    pub fn to_tl(self) -> tl::enums::Peer {
        match self {
            Self::User(user_id) => tl::types::PeerUser { user_id }.into(),
            Self::Group(chat_id) => tl::types::PeerChat { chat_id }.into(),
            Self::Channel(channel_id) => tl::types::PeerChannel { channel_id }.into(),
        }
    }

    /// Reads the text form.
    fn parse(text: &str) -> Option<Self> {
        let (kind, number) = text.split_at_checked(1)?;
        let number: i64 = number.parse().ok().filter(|number| *number > 0)?;
        // One text form for each: no leading zeroes or signs.
        if number.to_string() != text[1..] {
            return None;
        }
        match kind {
            "u" => Some(Self::User(number)),
            "g" => Some(Self::Group(number)),
            "c" => Some(Self::Channel(number)),
            _ => None,
        }
    }
}

impl From<&tl::enums::Peer> for Peer {
    fn from(peer: &tl::enums::Peer) -> Self {
        match peer {
            tl::enums::Peer::User(user) => Self::User(user.user_id),
            tl::enums::Peer::Chat(chat) => Self::Group(chat.chat_id),
            tl::enums::Peer::Channel(channel) => Self::Channel(channel.channel_id),
        }
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User(id) => write!(f, "u{id}"),
            Self::Group(id) => write!(f, "g{id}"),
            Self::Channel(id) => write!(f, "c{id}"),
        }
    }
}

/// A chat, or one topic of a forum. Text form: `u123`, `g123`, `c123`, `c123.45`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChatId {
    /// The chat.
    pub peer: Peer,
    /// The topic: the id of the message that began it; 1 is "General".
    pub topic: Option<i32>,
}

/// The topic that every forum has.
pub const GENERAL: i32 = 1;

impl ChatId {
    /// A chat as a whole.
    pub fn of(peer: Peer) -> Self {
        Self { peer, topic: None }
    }
    /// A topic of a forum.
    pub fn topic(peer: Peer, topic: i32) -> Self {
        Self { peer, topic: Some(topic) }
    }
}

impl RemoteId for ChatId {
    fn encode(&self) -> String {
        match self.topic {
            Some(topic) => format!("{}.{topic}", self.peer),
            None => self.peer.to_string(),
        }
    }
    fn decode(text: &str) -> Result<Self, BadId> {
        let bad = || BadId(text.into());
        let (peer, topic) = match text.split_once('.') {
            Some((peer, topic)) => {
                let number: i32 =
                    topic.parse().ok().filter(|number| *number > 0).ok_or_else(bad)?;
                if number.to_string() != topic {
                    return Err(bad());
                }
                (peer, Some(number))
            }
            None => (text, None),
        };
        let peer = Peer::parse(peer).ok_or_else(bad)?;
        if topic.is_some() && !matches!(peer, Peer::Channel(_)) {
            return Err(bad());
        }
        Ok(Self { peer, topic })
    }
}

/// Who says something: mostly a person, but channels speak too, as do administrators who hide behind their group. Text form:
/// the bare number of a person, `c123` and `g123` for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(pub Peer);

impl UserId {
    /// A person or a bot.
    pub fn user(id: i64) -> Self {
        Self(Peer::User(id))
    }
}

impl RemoteId for UserId {
    fn encode(&self) -> String {
        match self.0 {
            Peer::User(id) => id.to_string(),
            other => other.to_string(),
        }
    }
    fn decode(text: &str) -> Result<Self, BadId> {
        let person = text.parse::<i64>().ok().filter(|id| *id > 0 && id.to_string() == text);
        let other = || Peer::parse(text).filter(|peer| !matches!(peer, Peer::User(_)));
        person.map(Peer::User).or_else(other).map(Self).ok_or_else(|| BadId(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_forms_come_back() {
        for chat in [
            ChatId::of(Peer::User(1)),
            ChatId::of(Peer::Group(22)),
            ChatId::of(Peer::Channel(1_234_567_890)),
            ChatId::topic(Peer::Channel(5), 77),
        ] {
            assert_eq!(ChatId::decode(&chat.encode()).unwrap(), chat);
        }
        for user in [UserId::user(7), UserId(Peer::Channel(9)), UserId(Peer::Group(3))] {
            assert_eq!(UserId::decode(&user.encode()).unwrap(), user);
        }
    }

    #[test]
    fn there_is_one_text_form_for_each() {
        for bad in
            ["", "u", "u0", "u-1", "u01", "u+1", "x1", "1", "c5.0", "c5.07", "u5.7", "c5.", "ü1"]
        {
            assert!(ChatId::decode(bad).is_err(), "{bad}");
        }
        for bad in ["", "0", "-4", "007", "u7", "+7", "c"] {
            assert!(UserId::decode(bad).is_err(), "{bad}");
        }
    }
}
