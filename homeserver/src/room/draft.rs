//! What a caller asks of a room: an event to send, and the key that makes sending it twice harmless.

use std::sync::Arc;

use ruma::{OwnedEventId, OwnedUserId, events::TimelineEventType};
use serde_json::value::RawValue;

use crate::event::Event;

/// What a transaction id means (Client-Server API, "Transaction identifiers"). Kept at least 30 days.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TxnKey {
    /// Who sent it: `user|device`, or the appservice's id.
    pub scope: String,
    /// The request's method and full path, transaction id included.
    pub path: String,
    /// The transaction id alone, for `unsigned.transaction_id`.
    pub id: String,
}

/// An event to be sent by a user of this server.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Who sends it.
    pub sender: OwnedUserId,
    /// Its type.
    pub kind: TimelineEventType,
    /// Its state key, if it is a state event.
    pub state_key: Option<String>,
    /// Its content as the client gave it.
    pub content: Box<RawValue>,
    /// Its `origin_server_ts`, for appservices that say one; now if `None`.
    pub ts: Option<i64>,
    /// The event it redacts.
    pub redacts: Option<OwnedEventId>,
    /// For how long it is sticky, in ms, if it is
    /// ([MSC4354](https://github.com/matrix-org/matrix-spec-proposals/pull/4354)).
    pub sticky: Option<i64>,
    /// What makes a repetition of the request known.
    pub txn: Option<TxnKey>,
}

impl Draft {
    /// A message event.
    pub fn message(sender: OwnedUserId, kind: TimelineEventType, content: Box<RawValue>) -> Self {
        Self {
            sender,
            kind,
            state_key: None,
            content,
            ts: None,
            redacts: None,
            sticky: None,
            txn: None,
        }
    }

    /// A state event.
    pub fn state(
        sender: OwnedUserId,
        kind: TimelineEventType,
        state_key: impl Into<String>,
        content: Box<RawValue>,
    ) -> Self {
        Self { state_key: Some(state_key.into()), ..Self::message(sender, kind, content) }
    }
}

/// An event that was sent, durable.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Its id.
    pub event_id: OwnedEventId,
    /// The event; `None` if an earlier request sent it and only its id was kept.
    pub event: Option<Arc<Event>>,
    /// Whether an earlier request (or an equal state event) had sent it already.
    pub replay: bool,
}
