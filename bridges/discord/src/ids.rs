//! Discord's identifiers and ours: snowflakes, and what the framework stores for chats, people, messages and accounts.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use landbridge_framework::{BadId, RemoteId};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The first millisecond of 2015, from which snowflakes count (API reference, "Snowflakes").
const EPOCH_MS: u64 = 1_420_070_400_000;

/// A snowflake: unique, and ordered by time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub u64);

impl Id {
    /// When it was made.
    pub fn time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis((self.0 >> 22) + EPOCH_MS)
    }
    /// The first snowflake of a time, in milliseconds since the Unix epoch.
    pub fn at_ms(ms: i64) -> Self {
        let since = u64::try_from(ms).unwrap_or_default().saturating_sub(EPOCH_MS);
        Self(since.min(u64::MAX >> 22) << 22)
    }
    /// Some time earlier.
    #[must_use]
    pub fn earlier(self, by: Duration) -> Self {
        let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX).min(u64::MAX >> 22);
        Self(self.0.saturating_sub(ms << 22))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for Id {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        // `parse` alone would take a plus sign.
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten().map(Self).ok_or_else(|| BadId(text.into()))
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    /// From a string, as the API writes them, or from a number.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Id;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a snowflake")
            }
            fn visit_u64<E: de::Error>(self, id: u64) -> Result<Id, E> {
                Ok(Id(id))
            }
            fn visit_i64<E: de::Error>(self, id: i64) -> Result<Id, E> {
                u64::try_from(id).map(Id).map_err(E::custom)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Id, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl RemoteId for Id {
    fn encode(&self) -> String {
        self.to_string()
    }
    fn decode(text: &str) -> Result<Self, BadId> {
        text.parse()
    }
}

/// A chat: a server or the posts of a forum, which are spaces, or a channel, category or thread. The oldest servers share their number with their first
/// channel, so the two are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A server (Discord's API says "guild").
    Guild(Id),
    /// A channel, a category or a thread.
    Channel(Id),
    /// The space that holds the posts of a forum, where they have rooms. The forum itself is a channel: what is said there begins a post.
    Posts(Id),
}

impl RemoteId for Place {
    fn encode(&self) -> String {
        match self {
            Self::Guild(id) => format!("g{id}"),
            Self::Channel(id) => id.to_string(),
            Self::Posts(id) => format!("p{id}"),
        }
    }
    fn decode(text: &str) -> Result<Self, BadId> {
        if let Some(id) = text.strip_prefix('g') {
            return Ok(Self::Guild(id.parse()?));
        }
        match text.strip_prefix('p') {
            Some(id) => Ok(Self::Posts(id.parse()?)),
            None => Ok(Self::Channel(text.parse()?)),
        }
    }
}

/// Somebody on Discord.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Person {
    /// A user, person or program.
    User(Id),
    /// One of the names that somebody else's webhook speaks by.
    Webhook(Id, String),
}

impl Person {
    /// Who a webhook is under a name.
    pub fn of_webhook(webhook: Id, name: &str) -> Self {
        use sha2::{Digest as _, Sha256};
        let hash = Sha256::digest(name.as_bytes());
        let short = hash.iter().take(6).fold(String::new(), |mut text, byte| {
            use fmt::Write as _;
            let _ = write!(text, "{byte:02x}");
            text
        });
        Self::Webhook(webhook, short)
    }
}

impl RemoteId for Person {
    fn encode(&self) -> String {
        match self {
            Self::User(id) => id.to_string(),
            Self::Webhook(id, name) => format!("w{id}.{name}"),
        }
    }
    fn decode(text: &str) -> Result<Self, BadId> {
        let Some(rest) = text.strip_prefix('w') else { return Ok(Self::User(text.parse()?)) };
        let (id, name) = rest.split_once('.').ok_or_else(|| BadId(text.into()))?;
        let hex = !name.is_empty() && name.bytes().all(|b| b.is_ascii_hexdigit());
        if hex { Ok(Self::Webhook(id.parse()?, name.into())) } else { Err(BadId(text.into())) }
    }
}

/// A message, and the thread it stands in where that is part of its channel's room: requests about it name the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Post {
    /// The message.
    pub id: Id,
    /// Its thread.
    pub thread: Option<Id>,
}

impl Post {
    /// A message of the channel itself.
    pub fn top(id: Id) -> Self {
        Self { id, thread: None }
    }
    /// The channel in which it stands, given its room's.
    pub fn channel(&self, room: Id) -> Id {
        self.thread.unwrap_or(room)
    }
}

impl RemoteId for Post {
    fn encode(&self) -> String {
        match self.thread {
            Some(thread) => format!("{}@{thread}", self.id),
            None => self.id.to_string(),
        }
    }
    fn decode(text: &str) -> Result<Self, BadId> {
        match text.split_once('@') {
            Some((id, thread)) => Ok(Self { id: id.parse()?, thread: Some(thread.parse()?) }),
            None => Ok(Self::top(text.parse()?)),
        }
    }
}

/// An account that is logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// The bridge's bot: it reads everything, and speaks for those who are not linked.
    Bot,
    /// A person who has proven by OAuth2 who they are on Discord. It reads nothing.
    Person(Id),
}

impl RemoteId for Account {
    fn encode(&self) -> String {
        match self {
            Self::Bot => "bot".into(),
            Self::Person(id) => format!("u{id}"),
        }
    }
    fn decode(text: &str) -> Result<Self, BadId> {
        match text {
            "bot" => Ok(Self::Bot),
            _ => {
                text.strip_prefix('u').ok_or_else(|| BadId(text.into()))?.parse().map(Self::Person)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same<I: RemoteId>(id: &I, text: &str) {
        assert_eq!(id.encode(), text);
        assert_eq!(&I::decode(text).unwrap(), id);
    }

    #[test]
    fn identifiers_read_back() {
        same(&Place::Guild(Id(5)), "g5");
        same(&Place::Channel(Id(5)), "5");
        same(&Place::Posts(Id(5)), "p5");
        same(&Person::User(Id(7)), "7");
        same(&Person::of_webhook(Id(7), "Deploys"), &Person::of_webhook(Id(7), "Deploys").encode());
        same(&Post::top(Id(1)), "1");
        same(&Post { id: Id(1), thread: Some(Id(2)) }, "1@2");
        same(&Account::Bot, "bot");
        same(&Account::Person(Id(3)), "u3");
        for bad in ["", "+1", "g", "p", "gp1", "x", "-1", "99999999999999999999999"] {
            assert!(Place::decode(bad).is_err(), "{bad}");
            assert!(Post::decode(bad).is_err(), "{bad}");
            assert!(Account::decode(bad).is_err(), "{bad}");
        }
        assert!(Person::decode("w1").is_err());
        assert!(Person::decode("w1.").is_err());
    }

    #[test]
    fn a_snowflake_tells_its_time() {
        // The API reference's own example.
        let ms = Id(175_928_847_299_117_063).time().duration_since(UNIX_EPOCH).unwrap().as_millis();
        assert_eq!(ms, 1_462_015_105_796);
        let first = Id::at_ms(1_462_015_105_796);
        assert_eq!(first.time(), Id(175_928_847_299_117_063).time());
        assert!(first <= Id(175_928_847_299_117_063));
        let earlier = first.earlier(Duration::from_secs(1));
        assert_eq!(earlier.time(), first.time() - Duration::from_secs(1));
        assert_eq!(Id(5).earlier(Duration::MAX), Id(0));
        assert!(Id::at_ms(i64::MAX) > first, "a time that no snowflake has is after all that have");
    }

    #[test]
    fn snowflakes_come_as_text_or_number() {
        assert_eq!(serde_json::from_str::<Vec<Id>>(r#"["12", 13]"#).unwrap(), [Id(12), Id(13)]);
        assert!(serde_json::from_str::<Id>("-1").is_err());
        assert_eq!(serde_json::to_string(&Id(12)).unwrap(), "\"12\"");
    }
}
