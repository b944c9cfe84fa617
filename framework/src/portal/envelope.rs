//! What an outbox row holds: one thing to do on Matrix, and what is recorded when it is done.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{engine::Actor, plain::PlainMeta};

/// One outbox row's body.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Envelope {
    pub(super) op: MatrixOp,
    /// When it happened on the network.
    pub(super) ts: Option<i64>,
    /// The login it came by.
    pub(super) via: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) records: Vec<Record>,
}

/// What is done on Matrix.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(super) enum MatrixOp {
    /// An event is sent.
    Event { kind: String, content: Value, file: Option<File> },
    /// A gallery is sent: an event with one file for each of its items, in their order.
    Gallery { content: Value, files: Vec<Option<File>> },
    /// An event is redacted.
    Redact { event_id: String, reason: Option<String> },
    /// State is set, unless it is so already.
    State { kind: String, key: String, content: Value, file: Option<File> },
    /// Power levels are merged into the room's.
    Power { levels: Value },
    /// Somebody joins, leaves, is invited, kicked or banned.
    Member { action: MemberOp, user: Option<String>, reason: Option<String> },
}

/// What happens to somebody's membership. `user` of the operation is whose, by Matrix ID; without it, the actor's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum MemberOp {
    Join,
    Leave,
    Invite,
    Kick,
    Ban,
    Unban,
}

/// A file that is uploaded before its event is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct File {
    pub(super) source: String,
    pub(super) name: String,
    pub(super) mime: Option<String>,
}

/// What is recorded when it is done.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub(super) enum Record {
    /// A part of a message has an event.
    Message {
        remote_id: String,
        part: String,
        place: i64,
        order: Option<i64>,
        ts: i64,
        thread_root: Option<String>,
        meta: PlainMeta,
        /// When it disappears, as the database keeps that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        disappear: Option<String>,
    },
    /// A reaction has an event.
    Reaction { remote_id: String, part: String, sender: String, emoji: String, ts: i64 },
    /// The event is a gallery; `body` is what it shows.
    Gallery { album: String, body: String },
    /// The reaction that was this event is gone.
    Unreact { event_id: String },
}

/// One outbox row to be.
pub(super) struct Outgoing {
    pub(super) actor: Actor,
    /// Tells rows of one event apart.
    pub(super) part: String,
    pub(super) envelope: Envelope,
}

impl Outgoing {
    /// Whose reaction it is, to what, and which, if it is one.
    pub(super) fn annotation(&self) -> Option<String> {
        match &self.envelope.op {
            MatrixOp::Event { kind, content, .. } if kind == "m.reaction" => {
                Some(format!("{} {}", self.actor.to_text(), content["m.relates_to"]))
            }
            _ => None,
        }
    }

    /// Whether its event comes to the same transaction of the same user whenever it is converted, and the homeserver does it once.
    pub(super) fn is_settled(&self) -> bool {
        // By then a login may have got, or lost, its double puppet.
        !matches!(self.actor, Actor::Login(_))
            && matches!(self.envelope.op, MatrixOp::Event { .. } | MatrixOp::Redact { .. })
    }
}

impl MatrixOp {
    /// What the row's `kind` says.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Event { .. } | Self::Gallery { .. } => "event",
            Self::Redact { .. } => "redact",
            Self::State { .. } => "state",
            Self::Power { .. } => "power",
            Self::Member { .. } => "member",
        }
    }
}
