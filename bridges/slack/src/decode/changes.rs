//! Messages that were changed.

use landbridge_framework::event::{Body, Message};
use serde_json::Value;

use super::{
    Event, Reader,
    messages::{edit_of, thread_of},
};
use crate::{
    convert::to_matrix,
    ids::{self, Ts},
    json::{list, text},
};

impl Reader<'_> {
    /// `message_changed`: an edit, but also every time Slack itself adds to a message (previews, replies, files that are ready).
    pub(super) fn changed(&self, channel: &str, event: &Value) -> Vec<Event> {
        let Some(message) = event.get("message") else { return Vec::new() };
        let before = event.get("previous_message").unwrap_or(&Value::Null);
        let Some(ts) = text(message, "ts").filter(|ts| ids::micros(ts).is_some()) else {
            return Vec::new();
        };
        let at = text(event, "ts").filter(|at| ids::micros(at).is_some()).unwrap_or(ts);
        if text(message, "subtype") == Some("tombstone") {
            return self.removed(channel, ts, before, at);
        }
        let mut events = Vec::new();
        let was_broadcast = self.is_broadcast(before);
        if self.is_broadcast(message) && !was_broadcast && !before.is_null() {
            // Sent to the channel only now.
            events.extend(self.message(channel, message).into_iter().skip(1));
        }
        let edited = edited_at(message).filter(|edited| edited_at(before) != Some(*edited));
        let own = self.own().is_author(message)
            || edit_of(message).is_some_and(|edit| edit_of(before) != Some(edit));
        if own || edited.is_none() && !before.is_null() && same_words(before, message) {
            return events;
        }
        events.extend(self.edits(channel, message, edited.unwrap_or(at), was_broadcast));
        events
    }

    /// A message of the past that was edited at some time.
    pub(super) fn edited_in_the_past(&self, channel: &str, message: &Value) -> Vec<Event> {
        match edited_at(message) {
            Some(edited) if !self.own().is_author(message) => {
                self.edits(channel, message, edited, self.is_broadcast(message))
            }
            _ => Vec::new(),
        }
    }

    fn edits(&self, channel: &str, message: &Value, at: &str, in_channel: bool) -> Vec<Event> {
        let (Some(ts), Some(parts)) = (text(message, "ts"), self.parts(message)) else {
            return Vec::new();
        };
        let version = ids::micros(at).and_then(|at| u64::try_from(at).ok()).unwrap_or_default();
        let thread = thread_of(message).map(Ts::new);
        let edit = |target: Ts, key: String| {
            let thread = thread.clone().filter(|_| !target.in_channel);
            let new = Message::new(target.clone(), parts.clone())
                .in_thread(thread)
                .shown_as(to_matrix::profile(message));
            let body = Body::Edit { target, version, new };
            self.make(channel, self.author(message), at, key, body).only_in_known_portals()
        };
        let mut events = vec![edit(Ts::new(ts), format!("e:{ts}:{at}"))];
        if in_channel {
            events.push(edit(Ts::in_channel(ts), format!("e:{ts}:{at}#channel")));
        }
        events
    }
}

/// When a message was last edited by somebody.
pub(crate) fn edited_at(message: &Value) -> Option<&str> {
    text(message.get("edited")?, "ts").filter(|ts| ids::micros(ts).is_some())
}

/// Whether two states of a message say the same, but for previews of links.
fn same_words(before: &Value, after: &Value) -> bool {
    let said = |message: &Value, key: &str| message.get(key).cloned().unwrap_or_default();
    let files = |message: &Value| -> Vec<(String, String, String)> {
        let field = |file: &Value, key: &str| text(file, key).unwrap_or_default().to_owned();
        list(message, "files")
            .iter()
            .map(|file| (field(file, "id"), field(file, "mode"), field(file, "file_access")))
            .collect()
    };
    let attached = |message: &Value| -> Vec<Value> {
        let own = |attachment: &&Value| attachment.get("from_url").is_none();
        list(message, "attachments").iter().filter(own).cloned().collect()
    };
    let over = |message: &Value| {
        message.pointer("/room/has_ended").and_then(Value::as_bool).unwrap_or(false)
    };
    said(before, "text") == said(after, "text")
        && over(before) == over(after)
        && said(before, "blocks") == said(after, "blocks")
        && files(before) == files(after)
        && attached(before) == attached(after)
}
