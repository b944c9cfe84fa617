//! What goes over the Playground's HTTP API, both ways: the network writes these, the connector reads them.
//!
//! Times are milliseconds since the Unix epoch. Sequence numbers are dense: `seq` over the whole network, `number` within a chat.

use serde::{Deserialize, Serialize};

/// Somebody who can talk on the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Lower-case identifier, never reused.
    pub id: String,
    /// The name others see.
    pub name: String,
    /// Whether a program acts behind it.
    #[serde(default)]
    pub bot: bool,
}

/// How a chat is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatKind {
    /// Named, listed, and open to everybody.
    Group,
    /// Between two people; nobody else can enter.
    Direct,
}

impl ChatKind {
    /// The word that stands in the database and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Group => "group",
            Self::Direct => "direct",
        }
    }
}

/// A chat with its members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chat {
    /// Lower-case identifier, never reused.
    pub id: String,
    /// How it is entered.
    pub kind: ChatKind,
    /// The name, if it has one.
    pub name: Option<String>,
    /// The topic, if it has one.
    pub topic: Option<String>,
    /// Who is in it, by identifier.
    pub members: Vec<String>,
    /// The number of its newest message; 0 when there is none.
    pub last_number: i64,
}

/// The name and picture under which a relay shows somebody else's message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The name to show in place of the sender's.
    pub name: String,
    /// A picture's address, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avatar: Option<String>,
}

/// A message in its present state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Identifier, unique over the network.
    pub id: String,
    /// Its place in the chat: 1, 2, 3 ... without holes.
    pub number: i64,
    /// The sequence number of the event that brought it.
    pub seq: i64,
    /// When it was sent.
    pub at: i64,
    /// Who sent it.
    pub sender: String,
    /// Present when a relay sent it for somebody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// The text, in the Playground's markup.
    pub text: String,
    /// The message this one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// How often it was edited.
    #[serde(default)]
    pub version: i64,
    /// Whether its sender took it back; the text is then empty.
    #[serde(default)]
    pub deleted: bool,
    /// Whether a bridge brought it.
    #[serde(default)]
    pub bridged: bool,
    /// Present where the message is a poll; its text is the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<Poll>,
    /// Present reactions, oldest first. Only in answers about messages, never in events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<Reaction>,
}

/// What may be answered to a question. Everybody has one vote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poll {
    /// The answers; votes name them by their place, from 0.
    pub options: Vec<String>,
    /// The sequence number of the event that closed it; 0 while it is open.
    #[serde(default)]
    pub closed: i64,
    /// Present votes, oldest first. Only in answers about messages, never in events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub votes: Vec<Vote>,
}

/// One person's vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// Who voted.
    pub person: String,
    /// For which answer.
    pub choice: u32,
    /// The sequence number of the event that says so.
    pub seq: i64,
    /// When.
    pub at: i64,
}

/// One person's one reaction to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    /// Who reacted.
    pub person: String,
    /// With what.
    pub emoji: String,
    /// The sequence number of the event that set it.
    pub seq: i64,
    /// When it was set.
    pub at: i64,
}

/// One entry of the network's log: something that happened, for ever under this number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The place in the log: 1, 2, 3 ... without holes.
    pub seq: i64,
    /// When it happened.
    pub at: i64,
    /// Where.
    pub chat: String,
    /// Who did it.
    pub actor: String,
    /// The idempotency key that the actor gave, so that it knows its own again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub body: EventBody,
}

/// What can happen in a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "content", rename_all = "snake_case")]
pub enum EventBody {
    /// The chat came to be, with these members.
    Created(Chat),
    /// A message was sent.
    Message(Message),
    /// A message got another text; `version` counts its edits.
    Edited {
        /// Which message.
        message: String,
        /// The how-manieth edit this is, from 1.
        version: i64,
        /// The text from now on.
        text: String,
    },
    /// A message was taken back.
    Deleted {
        /// Which message.
        message: String,
    },
    /// A reaction was set or taken off.
    Reacted {
        /// To which message.
        message: String,
        /// Which reaction.
        emoji: String,
        /// Set, or taken off.
        set: bool,
    },
    /// The actor voted, or took the vote back; it replaces an earlier one.
    Voted {
        /// In which poll.
        message: String,
        /// For which answer; none takes the vote back.
        choice: Option<u32>,
    },
    /// A poll was closed.
    Closed {
        /// Which poll.
        message: String,
    },
    /// The actor has read everything up to this message.
    Read {
        /// The newest message read.
        message: String,
    },
    /// Somebody came in.
    Joined {
        /// Who.
        person: String,
    },
    /// Somebody left, or was removed when the actor is another.
    Left {
        /// Who.
        person: String,
    },
    /// The chat's name changed.
    Named {
        /// The name from now on.
        name: Option<String>,
    },
    /// The chat's topic changed.
    Topic {
        /// The topic from now on.
        topic: Option<String>,
    },
}

impl EventBody {
    /// The person an event is about when that is not the actor: they see it even where they are no member (any more).
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::Joined { person } | Self::Left { person } => Some(person),
            _ => None,
        }
    }
}

/// The answer to everything that changes something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The event that the request made, or made the first time it came; none when there was nothing to change.
    pub event: Option<Event>,
    /// Whether the request's key was known already.
    #[serde(default)]
    pub repeated: bool,
}

/// A page of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Events {
    /// Events after the asked place, in order.
    pub events: Vec<Event>,
    /// Where to go on from.
    pub next: i64,
    /// Who is typing now.
    pub typing: Typing,
}

/// Who is typing where. Never stored: only the newest state counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Typing {
    /// Grows with each change, and starts anew with each start of the network.
    pub version: i64,
    /// (chat, person), sorted.
    pub people: Vec<(String, String)>,
}

/// A page of messages, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Messages {
    /// The messages.
    pub messages: Vec<Message>,
    /// Whether there are more in the direction asked for.
    pub more: bool,
}

/// Who the caller is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whoami {
    /// The person whose token it is; none for the network's own token, which may act as anybody.
    pub person: Option<Person>,
    /// The number of the newest event, to follow the log from now on.
    pub newest: i64,
}

/// A token that acts as one person. Shown once; only its hash is kept.
#[derive(Serialize, Deserialize)]
pub struct PersonToken {
    /// To be sent as `Authorization: Bearer`.
    pub token: String,
}

/// The body of every refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// A word for programs: `not_found`, `not_a_member`, `too_long`, `rate_limited` ...
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// With `rate_limited`: when to try again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// A new message.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Send {
    /// Who sends it; may be left out with a person's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Idempotency key: the same one by the same actor sends once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The text, in the Playground's markup.
    pub text: String,
    /// The message this one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// Shown in place of the sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// Whether a bridge brings it.
    #[serde(default)]
    pub bridged: bool,
    /// The answers to choose from: makes it a poll.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<Vec<String>>,
}

/// Another text for a message.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// Who edits it; may be left out with a person's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The text from now on.
    pub text: String,
}

/// Who acts, where a request says nothing else.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Act {
    /// Who acts; may be left out with a person's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// A reaction to set or to take off.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct React {
    /// Who reacts; may be left out with a person's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Which reaction.
    pub emoji: String,
    /// Set it, or take it off.
    pub set: bool,
}

/// A vote.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CastVote {
    /// Who votes; may be left out with a person's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// For which answer, by its place from 0; none takes the vote back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<u32>,
}

/// A chat's name and topic; what is left out stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Describe {
    /// Who changes it; may be left out with a person's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The name from now on; empty takes it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The topic from now on; empty takes it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
}

/// Typing begins or ends.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetTyping {
    /// Who types; may be left out with a person's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Begins, or ends.
    pub typing: bool,
}

/// Everything up to a message is read.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarkRead {
    /// Who has read it; may be left out with a person's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The newest message read.
    pub message: String,
}

/// A new chat.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewChat {
    /// Who makes it; may be left out with a person's token. Becomes a member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Its identifier. A direct chat has none of its own choosing: it is made from its two members'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// How it is entered.
    pub kind: ChatKind,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Who is in it from the start, besides its maker.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
}

/// Faults to play, for tests. All off by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Wait this long before each answer, in milliseconds.
    pub delay_ms: u64,
    /// Refuse every so manieth change with 429; 0 never.
    pub rate_limit_every: u64,
    /// What the 429 says about when to try again, in milliseconds.
    pub retry_after_ms: u64,
    /// Break every so manieth connection before the change is made; 0 never.
    pub drop_before_every: u64,
    /// Break every so manieth connection after the change is made, with the answer unsaid; 0 never.
    pub drop_after_every: u64,
}
