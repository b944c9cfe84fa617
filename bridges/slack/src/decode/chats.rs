//! Channels, and who is in them.

use landbridge_framework::{
    event::{Body, ChatDelta, MemberChange, Membership, Sender},
    format::to_plain,
};
use serde_json::Value;

use super::{Event, Reader, channel_of};
use crate::{
    connector::Slack,
    convert::to_matrix,
    ids::{self, Account, Ts},
    json::{said, text},
};

impl Reader<'_> {
    /// An event that is no message.
    pub(super) fn chat_event(&self, kind: &str, event: &Value) -> Vec<Event> {
        if kind == "channel_id_changed" {
            return self.moved(event);
        }
        let channel = match kind {
            "pin_added" | "pin_removed" => text(event, "channel_id").filter(|id| ids::is_id(id)),
            _ => channel_of(event),
        };
        let Some(channel) = channel else { return Vec::new() };
        match kind {
            "pin_added" | "pin_removed" => self.pin(channel, event, kind == "pin_added"),
            "member_joined_channel" => self.member(channel, event, Membership::Join),
            "member_left_channel" => self.member(channel, event, Membership::Leave),
            "channel_rename" | "group_rename" => {
                let name = event.get("channel").and_then(|channel| said(channel, "name"));
                self.told(channel, event, name.map(ChatDelta::name))
            }
            "channel_left" | "group_left" if self.account != &Account::App => {
                self.gone(channel, event, true)
            }
            "channel_deleted" | "group_deleted" => self.gone(channel, event, false),
            _ => Vec::new(),
        }
    }

    fn member(&self, channel: &str, event: &Value, membership: Membership) -> Vec<Event> {
        let Some(user) = text(event, "user").filter(|id| ids::is_id(id)) else { return Vec::new() };
        // The bot itself is nobody in the room.
        if self.own().user.as_deref() == Some(user) {
            return Vec::new();
        }
        let at = at(event);
        let who = self.user(user);
        let change = MemberChange { user: who.clone(), membership, reason: None };
        let joins = membership == Membership::Join;
        let key = format!("j:{user}:{at}:{}", if joins { '+' } else { '-' });
        let event = self.make(channel, who, at, key, vec![change]);
        // A room is made for whoever came into a channel themselves, not because others did.
        let own = self.account.person().is_some_and(|own| own.user == user);
        vec![if own && joins { event } else { event.only_in_known_portals() }]
    }

    pub(super) fn topic(&self, channel: &str, event: &Value) -> Vec<Event> {
        let topic = text(event, "topic")
            .map(|topic| ChatDelta::topic(to_plain(&to_matrix::rich(self.context(), topic))));
        self.told(channel, event, topic)
    }

    pub(super) fn name(&self, channel: &str, event: &Value) -> Vec<Event> {
        self.told(channel, event, said(event, "name").map(ChatDelta::name))
    }

    fn told(&self, channel: &str, event: &Value, delta: Option<ChatDelta<Slack>>) -> Vec<Event> {
        let Some(delta) = delta else { return Vec::new() };
        let at = at(event);
        let key = match &delta.name {
            // A rename is told twice: as a message and by itself.
            Some(name) => format!("n:{}:{name}", at.split('.').next().unwrap_or(at)),
            None => format!("t:{at}"),
        };
        let sender = self.author(event);
        vec![self.make(channel, sender, at, key, delta).only_in_known_portals()]
    }

    /// Something changed that a topic is made of together with other things.
    pub(super) fn look_again(&self, channel: &str, event: &Value) -> Vec<Event> {
        let at = at(event);
        let event = self.make(channel, Sender::System, at, format!("s:{at}"), Body::Resync);
        vec![event.only_in_known_portals()]
    }

    fn gone(&self, channel: &str, event: &Value, for_me_only: bool) -> Vec<Event> {
        let at = at(event);
        let body = Body::ChatGone { for_me_only };
        let event = self.make(channel, Sender::System, at, format!("g:{at}"), body);
        vec![event.only_in_known_portals()]
    }

    fn moved(&self, event: &Value) -> Vec<Event> {
        let id = |key| said(event, key).filter(|id| ids::is_id(id));
        let (Some(old), Some(new)) = (id("old_channel_id"), id("new_channel_id")) else {
            return Vec::new();
        };
        let body = Body::PortalMoved { to: self.portal(new) };
        let event = self.make(old, Sender::System, at(event), format!("v:{new}"), body);
        vec![event.only_in_known_portals()]
    }

    /// `pin_added` and `pin_removed`. Files that are pinned by themselves have no message that could be.
    fn pin(&self, channel: &str, event: &Value, pinned: bool) -> Vec<Event> {
        let ts = event.pointer("/item/message/ts").and_then(Value::as_str);
        let Some(ts) = ts.filter(|ts| ids::micros(ts).is_some()) else { return Vec::new() };
        let user = text(event, "user").filter(|id| ids::is_id(id));
        // What the bot does was asked for on Matrix.
        if user.is_some() && user == self.own().user.as_deref() {
            return Vec::new();
        }
        let at = at(event);
        let sender = user.map_or(Sender::System, |id| self.user(id));
        let key = format!("p:{ts}:{at}:{}", if pinned { '+' } else { '-' });
        let body = Body::Pin { target: Ts::new(ts), pinned };
        vec![self.make(channel, sender, at, key, body).only_in_known_portals()]
    }
}

/// When something happened, as a `ts`.
fn at(event: &Value) -> &str {
    said(event, "event_ts").or_else(|| said(event, "ts")).unwrap_or("0.000000")
}
