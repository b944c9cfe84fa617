//! Reactions.

use landbridge_framework::{
    MessageRef,
    event::{Body, Emoji, Sender},
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Event, Reader};
use crate::{
    convert::to_matrix,
    emoji,
    ids::{self, Ts, User},
    json::{list, number, text},
};

impl Reader<'_> {
    /// `reaction_added` and `reaction_removed`.
    pub(super) fn reaction(&self, event: &Value, set: bool) -> Option<Event> {
        let item = event.get("item").filter(|item| text(item, "type") == Some("message"))?;
        let channel = text(item, "channel").filter(|id| ids::is_id(id))?;
        let ts = text(item, "ts").filter(|ts| ids::micros(ts).is_some())?;
        let user = text(event, "user").filter(|id| ids::is_id(id))?;
        let at = text(event, "event_ts").unwrap_or(ts);
        let emoji = self.emoji(text(event, "reaction")?)?;
        // What the bot does was asked for on Matrix, and is seen there.
        if self.own().user.as_deref() == Some(user) {
            return None;
        }
        let key = format!("r:{ts}:{user}:{}:{at}:{}", emoji.id(), if set { '+' } else { '-' });
        let body = Body::React { target: MessageRef::whole(Ts::new(ts)), emoji, set };
        Some(self.make(channel, self.user(user), at, key, body).only_in_known_portals())
    }

    /// All reactions of a message, as the history has them. Where Slack doesn't name everybody, those it names.
    pub(super) fn all_reactions(&self, channel: &str, message: &Value, at: &str) -> Vec<Event> {
        let Some(ts) = text(message, "ts").filter(|ts| ids::micros(ts).is_some()) else {
            return Vec::new();
        };
        let mut all: Vec<(User, Emoji)> = Vec::new();
        let mut complete = true;
        for reaction in list(message, "reactions") {
            let Some(emoji) = text(reaction, "name").and_then(|name| self.emoji(name)) else {
                continue;
            };
            let users = list(reaction, "users");
            let count = number(reaction, "count").unwrap_or_default();
            complete &= usize::try_from(count).unwrap_or_default() <= users.len();
            for user in users.iter().filter_map(Value::as_str).filter(|id| ids::is_id(id)) {
                if self.own().user.as_deref() != Some(user) {
                    all.push((User::new(&self.raw.team, user), emoji.clone()));
                }
            }
        }
        let target = MessageRef::whole(Ts::new(ts));
        if complete {
            let key = format!("R:{ts}:{}:{at}", reactions_digest(message));
            let body = Body::ReactionSync { target, all };
            return vec![self.make(channel, Sender::System, ts, key, body).only_in_known_portals()];
        }
        let one = |(user, emoji): (User, Emoji)| {
            let key = format!("r:{ts}:{}:{}:{at}", user.user, emoji.id());
            let sender = self.user(&user.user);
            let body = Body::React { target: target.clone(), emoji, set: true };
            self.make(channel, sender, ts, key, body).only_in_known_portals()
        };
        all.into_iter().map(one).collect()
    }

    fn emoji(&self, name: &str) -> Option<Emoji> {
        let base = name.split("::").next().unwrap_or(name);
        emoji::is_name(base).then(|| to_matrix::reaction(self.context(), name))
    }
}

/// A short name of what a message's reactions are: the same for the same ones for ever.
pub(crate) fn reactions_digest(message: &Value) -> String {
    let mut hash = Sha256::new();
    for reaction in list(message, "reactions") {
        hash.update(text(reaction, "name").unwrap_or_default());
        for user in list(reaction, "users").iter().filter_map(Value::as_str) {
            hash.update(" ");
            hash.update(user);
        }
        hash.update("\n");
    }
    super::hex(&hash.finalize()[..8])
}
