//! Messages, live or of the past.

use landbridge_framework::{
    MessageRef,
    event::{Body, EchoOf, Message, Part, Sender},
};
use serde_json::Value;

use super::{Event, Reader, channel_of};
use crate::{
    connector::Slack,
    convert::to_matrix::{self, Said},
    ids::{self, Ts, User},
    json::{flag, said, text},
};

/// The type of the metadata that this bridge puts on messages.
pub const METADATA: &str = "landbridge_message";

impl Reader<'_> {
    /// A `message` event, of whatever subtype.
    pub(super) fn message_event(&self, event: &Value) -> Vec<Event> {
        let Some(channel) = channel_of(event) else { return Vec::new() };
        match text(event, "subtype") {
            Some("message_changed") => self.changed(channel, event),
            Some("message_deleted") => self.deleted(channel, event),
            Some("channel_topic" | "group_topic") => self.topic(channel, event),
            Some("channel_name" | "group_name") => self.name(channel, event),
            Some("channel_purpose" | "group_purpose") => self.look_again(channel, event),
            _ => self.message(channel, event),
        }
    }

    /// A message that somebody sent.
    pub(super) fn message(&self, channel: &str, message: &Value) -> Vec<Event> {
        let Some(ts) = text(message, "ts").filter(|ts| ids::micros(ts).is_some()) else {
            return Vec::new();
        };
        // What only one person sees, Slack's own hints for instance, is not said to the chat.
        if flag(message, "is_ephemeral") || flag(message, "hidden") {
            return Vec::new();
        }
        let Some(parts) = self.parts(message) else { return Vec::new() };
        let id = Ts::new(ts);
        let order = id.micros();
        let root = thread_of(message).map(Ts::new);
        let echo = key_of(message).map(EchoOf::nonce);
        let profile = to_matrix::profile(message).filter(|_| !self.own().is_author(message));
        let said = Message::new(id.clone(), parts.clone())
            .in_thread(root)
            .echo(echo)
            .shown_as(profile.clone());
        let sender = self.author(message);
        let mut events =
            vec![self.make(channel, sender.clone(), ts, format!("m:{ts}"), said).ordered(order)];
        if self.is_broadcast(message) {
            let view = Message::new(Ts::in_channel(ts), parts)
                .replying_to(Some(MessageRef::whole(id)))
                .shown_as(profile);
            events.push(
                self.make(channel, sender, ts, format!("m:{ts}#channel"), view).ordered(order),
            );
        }
        events
    }

    /// The parts of a message; none, if it says nothing.
    pub(super) fn parts(&self, message: &Value) -> Option<Vec<Part<Slack>>> {
        match to_matrix::read(self.context(), message) {
            Said::Parts(parts) => {
                let mut parts: Vec<Part<Slack>> =
                    parts.into_iter().map(|(name, content)| Part::named(name, content)).collect();
                if let Some(first) = parts.first_mut() {
                    first.previews = to_matrix::previews(message);
                }
                Some(parts)
            }
            Said::Nothing => None,
        }
    }

    /// Who wrote a message: somebody, a bot that has no user, or Slack itself.
    pub(super) fn author(&self, message: &Value) -> Sender<Slack> {
        if self.own().is_author(message) {
            return self.app();
        }
        let id = |key| text(message, key).filter(|id| ids::is_id(id));
        match (id("user"), id("bot_id")) {
            (Some(user), _) => self.user(user),
            (None, Some(bot)) => Sender::User(User::new(&self.raw.team, bot)),
            (None, None) => Sender::System,
        }
    }

    /// Whether a reply was sent to the channel too, and not by this bridge: what comes from Matrix is seen there already.
    pub(super) fn is_broadcast(&self, message: &Value) -> bool {
        text(message, "subtype") == Some("thread_broadcast")
            && thread_of(message).is_some()
            && !self.own().is_sender(message)
    }

    fn deleted(&self, channel: &str, event: &Value) -> Vec<Event> {
        let before = event.get("previous_message").unwrap_or(&Value::Null);
        let ts = said(event, "deleted_ts").or_else(|| text(before, "ts"));
        let Some(ts) = ts.filter(|ts| ids::micros(ts).is_some()) else { return Vec::new() };
        self.removed(channel, ts, before, text(event, "ts").unwrap_or(ts))
    }

    /// A message is gone, from wherever it was seen.
    pub(super) fn removed(&self, channel: &str, ts: &str, before: &Value, at: &str) -> Vec<Event> {
        let remove = |target: Ts, key: String| {
            let body = Body::Remove { target: MessageRef::whole(target), for_me_only: false };
            self.make(channel, self.author(before), at, key, body).only_in_known_portals()
        };
        let mut events = vec![remove(Ts::new(ts), format!("d:{ts}"))];
        if self.is_broadcast(before) {
            events.push(remove(Ts::in_channel(ts), format!("d:{ts}#channel")));
        }
        events
    }
}

/// The root of the thread that a message is a reply in.
pub(crate) fn thread_of(message: &Value) -> Option<&str> {
    let root = said(message, "thread_ts").filter(|root| ids::micros(root).is_some())?;
    (text(message, "ts") != Some(root)).then_some(root)
}

/// The key that this bridge sent a message with.
pub(crate) fn key_of(message: &Value) -> Option<&str> {
    payload(message, "key")
}

/// The key of this bridge's last edit of a message.
pub(super) fn edit_of(message: &Value) -> Option<&str> {
    payload(message, "edit")
}

fn payload<'v>(message: &'v Value, key: &str) -> Option<&'v str> {
    let metadata = message.get("metadata").filter(|it| text(it, "event_type") == Some(METADATA))?;
    text(metadata.get("event_payload")?, key)
}
