//! How chats, users, messages and accounts of Slack are named.
//!
//! Slack's own identifiers are unique within a workspace only, and a channel shared by two organisations (Slack Connect) is a chat of its
//! own in each: so each carries the workspace through which it is seen.

use landbridge_framework::{BadId, RemoteId};

/// Whether text is an identifier as Slack gives them: capital letters and digits.
pub fn is_id(text: &str) -> bool {
    (2..=40).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// A channel, a direct or a group conversation; without a channel the workspace itself, which is a space.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Chat {
    /// The workspace.
    pub team: String,
    /// The channel: `C...`, `G...`, `D...`; empty for the workspace.
    pub channel: String,
}

impl Chat {
    /// A channel of a workspace.
    pub fn new(team: impl Into<String>, channel: impl Into<String>) -> Self {
        Self { team: team.into(), channel: channel.into() }
    }
    /// The workspace itself.
    pub fn team(team: impl Into<String>) -> Self {
        Self::new(team, "")
    }
    /// Whether it is the workspace itself.
    pub fn is_team(&self) -> bool {
        self.channel.is_empty()
    }
    /// Whether it is a conversation of two: it belongs to the account that sees it.
    pub fn is_direct(&self) -> bool {
        self.channel.starts_with('D')
    }
}

impl RemoteId for Chat {
    fn encode(&self) -> String {
        if self.is_team() { self.team.clone() } else { format!("{}-{}", self.team, self.channel) }
    }
    fn decode(text: &str) -> Result<Self, BadId> {
        let (team, channel) = text.split_once('-').unwrap_or((text, ""));
        if !is_id(team) || !(channel.is_empty() || is_id(channel)) || text.ends_with('-') {
            return Err(BadId(text.into()));
        }
        Ok(Self::new(team, channel))
    }
}

/// Somebody, as a workspace shows them: a person or an app (`U...`, `W...`), or a bot that is nobody's (`B...`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct User {
    /// The workspace.
    pub team: String,
    /// The user, or the bot.
    pub user: String,
}

impl User {
    /// A user of a workspace.
    pub fn new(team: impl Into<String>, user: impl Into<String>) -> Self {
        Self { team: team.into(), user: user.into() }
    }
    /// Whether it is a bot without a user, such as an incoming webhook.
    pub fn is_bot(&self) -> bool {
        self.user.starts_with('B')
    }
}

impl RemoteId for User {
    fn encode(&self) -> String {
        format!("{}-{}", self.team, self.user)
    }
    fn decode(text: &str) -> Result<Self, BadId> {
        match text.split_once('-') {
            Some((team, user)) if is_id(team) && is_id(user) => Ok(Self::new(team, user)),
            _ => Err(BadId(text.into())),
        }
    }
}

/// A message: its `ts`, which is unique within its channel, and is its time and place in the order as well.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ts {
    /// Seconds, a dot, six digits.
    pub ts: String,
    /// Whether it is the view that the channel has of a thread's reply that was also sent there: on Matrix an event of its own.
    pub in_channel: bool,
}

/// What stands behind the `ts` of a channel's view.
const IN_CHANNEL: &str = "#channel";

impl Ts {
    /// A message.
    pub fn new(ts: impl Into<String>) -> Self {
        Self { ts: ts.into(), in_channel: false }
    }
    /// The view the channel has of a reply.
    pub fn in_channel(ts: impl Into<String>) -> Self {
        Self { ts: ts.into(), in_channel: true }
    }
    /// Microseconds since the Unix epoch.
    pub fn micros(&self) -> i64 {
        micros(&self.ts).unwrap_or_default()
    }
}

/// A `ts` in microseconds since the Unix epoch; `None` if it isn't one.
pub fn micros(ts: &str) -> Option<i64> {
    let (seconds, fraction) = ts.split_once('.').unwrap_or((ts, "0"));
    let digits = |text: &str, max| {
        !text.is_empty() && text.len() <= max && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !digits(seconds, 12) || !digits(fraction, 6) {
        return None;
    }
    let fraction = format!("{fraction:0<6}");
    Some(seconds.parse::<i64>().ok()? * 1_000_000 + fraction.parse::<i64>().ok()?)
}

/// Microseconds since the Unix epoch as a `ts`.
pub fn ts_of_micros(micros: i64) -> String {
    let micros = micros.max(0);
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

impl RemoteId for Ts {
    fn encode(&self) -> String {
        if self.in_channel { format!("{}{IN_CHANNEL}", self.ts) } else { self.ts.clone() }
    }
    fn decode(text: &str) -> Result<Self, BadId> {
        let (ts, in_channel) = match text.strip_suffix(IN_CHANNEL) {
            Some(ts) => (ts, true),
            None => (text, false),
        };
        if micros(ts).is_none() {
            return Err(BadId(text.into()));
        }
        Ok(Self { ts: ts.into(), in_channel })
    }
}

/// An account of this bridge.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Account {
    /// The app itself, with its bots in all workspaces.
    App,
    /// A person's own account.
    Person(User),
}

impl Account {
    /// The person, if it is one's.
    pub fn person(&self) -> Option<&User> {
        match self {
            Self::App => None,
            Self::Person(user) => Some(user),
        }
    }
}

impl RemoteId for Account {
    fn encode(&self) -> String {
        match self {
            Self::App => "app".into(),
            Self::Person(user) => user.encode(),
        }
    }
    fn decode(text: &str) -> Result<Self, BadId> {
        if text == "app" { Ok(Self::App) } else { User::decode(text).map(Self::Person) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_read_back() {
        for text in ["T1A-C02", "T1A-D02", "T1A"] {
            assert_eq!(Chat::decode(text).unwrap().encode(), text);
        }
        assert!(Chat::decode("T1A-D02").unwrap().is_direct());
        assert!(Chat::decode("T1A").unwrap().is_team());
        for text in ["1700000000.000100", "1700000000.000100#channel"] {
            assert_eq!(Ts::decode(text).unwrap().encode(), text);
        }
        for text in ["app", "T1A-U02"] {
            assert_eq!(Account::decode(text).unwrap().encode(), text);
        }
        for bad in ["", "T1A-", "t1a-C02", "T1A-C02-X", "T1A/C02"] {
            assert!(Chat::decode(bad).is_err(), "{bad}");
        }
        assert!(User::decode("T1A").is_err() && Account::decode("bot").is_err());
        for bad in ["", "now", "1.2.3", "-1.000000", "1.0000001"] {
            assert!(Ts::decode(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_ts_is_a_time() {
        assert_eq!(micros("1700000000.000100"), Some(1_700_000_000_000_100));
        assert_eq!(micros("1700000000"), Some(1_700_000_000_000_000));
        assert_eq!(ts_of_micros(1_700_000_000_000_100), "1700000000.000100");
        assert!(Ts::new("1700000000.000100").micros() < Ts::new("1700000000.000101").micros());
    }
}
