//! What goes into the inbox: one thing that a server said, with all it takes to read it without a connection.

use serde::{Deserialize, Serialize};

use crate::casemap::CaseMapping;

/// One thing that happened on IRC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raw {
    /// The network's name in identifiers.
    pub network: String,
    /// How its names are folded.
    pub mapping: CaseMapping,
    /// When, in milliseconds since 1970: the server's time, else ours.
    pub at: i64,
    /// Names it for ever: the server's msgid, else the connection's epoch and the line's number in it. A connection reads a line once
    /// and no two connections share an epoch, so no two lines share a key and no line has two.
    pub key: String,
    /// The Matrix user over whose connection it came, where that isn't the listening bot's.
    pub owner: Option<String>,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// PRIVMSG, NOTICE or TAGMSG.
    Said {
        /// The line as it came.
        line: String,
        /// Matrix users whose nicks stand in it, with the nick.
        mentions: Vec<(String, String)>,
    },
    /// People came to a channel or went.
    Members {
        /// The channel.
        channel: String,
        /// Who did it, if somebody else did: the kicking operator.
        by: Option<String>,
        /// Who, and what became of them.
        changes: Vec<Change>,
    },
    /// Somebody took another nick.
    Renamed {
        /// The channels they are in.
        channels: Vec<String>,
        /// The nick before.
        from: String,
        /// The nick now.
        to: String,
        /// Whether the nick now is shown as a member of the rooms.
        shown: bool,
    },
    /// The topic was changed.
    Topic {
        /// The channel.
        channel: String,
        /// Who changed it.
        by: String,
        /// The topic now.
        text: String,
    },
    /// Modes were changed.
    Modes {
        /// The channel.
        channel: String,
        /// Who changed them.
        by: String,
        /// The channel's switches, where they changed.
        flags: Flags,
        /// Power levels of those whose rank changed.
        levels: Vec<(String, i64)>,
    },
    /// Somebody went away or came back.
    Away {
        /// A channel they are in.
        channel: String,
        /// Who.
        nick: String,
        /// Their words; `None` when they are back.
        text: Option<String>,
    },
    /// Something the people of the room should know.
    Notice {
        /// The channel.
        channel: String,
        /// In words.
        text: String,
    },
    /// We are in the channel (again), and know who else is: the room is to be brought up to date.
    Resync {
        /// The channel.
        channel: String,
    },
}

/// What became of one nick in a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Who.
    pub nick: String,
    /// What.
    pub to: Standing,
    /// Why, in words.
    pub reason: Option<String>,
}

/// How a nick stands to a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// In it.
    In,
    /// Out of it.
    Out,
    /// Shut out.
    Banned,
}

/// Channel modes that mean something on Matrix; `None` is unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flags {
    /// `+m`: only those with voice speak.
    pub moderated: Option<bool>,
    /// `+t`: only operators set the topic.
    pub topic_locked: Option<bool>,
    /// `+i`: only those invited join.
    pub invite_only: Option<bool>,
}

impl Flags {
    /// Whether nothing changed.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}
