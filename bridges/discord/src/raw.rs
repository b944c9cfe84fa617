//! What Discord said, as it is kept until it is handled: its own words, and what was known about the place at that moment. The words
//! name channels, roles and threads by number only, and reading them must need no connection.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::Id;

/// Something that Discord said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Raw {
    /// The event's name (`MESSAGE_CREATE`), or one of [`PAST`] and [`RESYNC`].
    pub name: String,
    /// Its data, verbatim.
    pub data: Value,
    /// Names the event where its data doesn't: the gateway session and the event's number in it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stamp: String,
    /// When it came, in milliseconds since the Unix epoch: much of what Discord says has no time of its own.
    #[serde(default)]
    pub received_ms: u64,
    /// Where it happened.
    #[serde(default)]
    pub scene: Scene,
}

/// A message read from history.
pub const PAST: &str = "PAST";
/// The channel has to be looked at again.
pub const RESYNC: &str = "RESYNC";

/// What was known about the place where something happened.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scene {
    /// The server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guild: Option<Id>,
    /// The channel; of a thread, the one it belongs to.
    pub channel: Id,
    /// The thread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<Thread>,
    /// Whether the channel is a forum: its posts have a space of their own where they have rooms.
    #[serde(skip_serializing_if = "is_false")]
    pub forum: bool,
    /// Whether a room is made for the channel if it has none.
    #[serde(skip_serializing_if = "is_false")]
    pub open: bool,
    /// Whether this bridge did it itself.
    #[serde(skip_serializing_if = "is_false")]
    pub ours: bool,
    /// The bot: what it says about itself is nobody else's.
    pub bot: Id,
    /// Roles that are mentioned.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<Id, RoleName>,
    /// Channels that are mentioned, or changed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub channels: BTreeMap<Id, String>,
    /// All choices of the person who voted in a poll, after this vote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub votes: Option<Vec<u64>>,
    /// Whether the channel's room is for everybody, where that has changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public: Option<bool>,
    /// The power level of the person it is about, from their roles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power: Option<i64>,
}

impl Scene {
    /// The chat in which it happened: the thread, or the channel.
    pub fn place(&self) -> Id {
        self.thread.as_ref().map_or(self.channel, |thread| thread.id)
    }
}

/// A thread.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Thread {
    /// Its identifier, which is that of the message it began with, if it began with one.
    pub id: Id,
    /// What it is called.
    pub name: String,
    /// Whether it is a post of a forum: its first message stands in the thread itself.
    pub post: bool,
    /// The tags that a post carries, where they are told: in its first message, and where they have changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Whether only those see it who were asked into it: never shown in the channel's room.
    #[serde(skip_serializing_if = "is_false")]
    pub private: bool,
}

/// What is shown of a role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoleName {
    /// What it is called.
    pub name: String,
    /// Its colour, 0 for none.
    pub colour: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(value: &bool) -> bool {
    !value
}
