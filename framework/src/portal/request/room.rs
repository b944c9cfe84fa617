//! What somebody changed about a room: its looks, powers, members and pins.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Built, Given, text};
use crate::{
    disappearing,
    engine::{Engine, Failure},
    handlers::{
        ChatEdit, DisappearSet, MemberAction, MemberTarget, Membership, Op, Permission,
        PermissionsSet, Permitted, PowerHolder, RoomMeta,
    },
    plain::Plain,
    store::Batch,
};

/// How many event types with levels of their own are looked at.
const MOST_TYPES: usize = 100;
/// The state that people change: without a level of its own, a type needs what its sort needs.
const STATE_TYPES: [&str; 6] = [
    "m.room.name",
    "m.room.topic",
    "m.room.avatar",
    "m.room.pinned_events",
    "m.room.power_levels",
    "m.room.server_acl",
];

impl Engine {
    pub(super) async fn build_meta(
        &self,
        given: &Given<'_>,
    ) -> Result<Result<Op<Plain>, Built>, Failure> {
        let content = given.content;
        let row = given.portal.row();
        let edit = match text(given.event, "type").as_str() {
            "m.room.name" => ChatEdit::Name(text(content, "name")),
            "m.room.topic" => ChatEdit::Topic(text(content, "topic")),
            "m.room.avatar" => {
                ChatEdit::Avatar(content.get("url").and_then(Value::as_str).map(ToOwned::to_owned))
            }
            _ => ChatEdit::Power(self.changed_power(given).await?),
        };
        // What the network said itself need not be told to it.
        let known = match &edit {
            ChatEdit::Name(name) => row.name.as_ref() == Some(name),
            ChatEdit::Topic(topic) => row.topic.as_ref() == Some(topic),
            ChatEdit::Power(changed) => changed.is_empty(),
            ChatEdit::Avatar(url) => match &row.avatar {
                Some(source) => {
                    let uploaded = self.transfer.known(source).await?;
                    uploaded.is_some_and(|file| Some(&file.mxc) == url.as_ref())
                }
                None => false,
            },
        };
        Ok(if known { Err(Built::Nothing(Batch::new())) } else { Ok(Op::RoomMeta(RoomMeta(edit))) })
    }

    async fn changed_power(&self, given: &Given<'_>) -> Result<Vec<(PowerHolder, i64)>, Failure> {
        let before = given.event.pointer("/unsigned/prev_content").cloned().unwrap_or_default();
        let users = |content: &Value| {
            content.get("users").and_then(Value::as_object).cloned().unwrap_or_default()
        };
        let default =
            |content: &Value| content.get("users_default").and_then(Value::as_i64).unwrap_or(0);
        let (old, new) = (users(&before), users(given.content));
        let (old_default, new_default) = (default(&before), default(given.content));
        let mut changed = Vec::new();
        if old_default != new_default {
            changed.push((PowerHolder::Default, new_default));
        }
        let all: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for mxid in all {
            let was = old.get(mxid).and_then(Value::as_i64).unwrap_or(old_default);
            let is = new.get(mxid).and_then(Value::as_i64).unwrap_or(new_default);
            if was == is || *mxid == self.matrix.bot_id() {
                continue;
            }
            let holder = if self.is_ghost(mxid) {
                self.user_of_ghost(mxid).await?.map(PowerHolder::Remote)
            } else {
                Some(PowerHolder::Matrix(mxid.clone()))
            };
            changed.extend(holder.map(|holder| (holder, is)));
        }
        Ok(changed)
    }

    pub(super) async fn build_member(
        &self,
        given: &Given<'_>,
    ) -> Result<Result<Op<Plain>, Built>, Failure> {
        let (target, sender) = (text(given.event, "state_key"), text(given.event, "sender"));
        let before =
            given.event.pointer("/unsigned/prev_content/membership").and_then(Value::as_str);
        let own = target == sender;
        let action = match (text(given.content, "membership").as_str(), before) {
            ("join", Some("join")) => MemberAction::Rename,
            ("join", _) => MemberAction::Join,
            ("invite", _) => MemberAction::Invite,
            ("ban", _) => MemberAction::Ban,
            ("leave", Some("ban")) => MemberAction::Unban,
            ("leave", _) if own => MemberAction::Leave,
            ("leave", _) => MemberAction::Kick,
            _ => return Ok(Err(Built::Nothing(Batch::new()))),
        };
        let remote = if self.is_ghost(&target) { self.user_of_ghost(&target).await? } else { None };
        let login = self.logins.of_owner(&target).into_iter().next().map(|login| login.id);
        let display_name =
            given.content.get("displayname").and_then(Value::as_str).map(ToOwned::to_owned);
        let reason = given.content.get("reason").and_then(Value::as_str).map(ToOwned::to_owned);
        let target = match remote {
            Some(user) => MemberTarget::Remote(user),
            None => MemberTarget::Matrix(target, login),
        };
        Ok(Ok(Op::Membership(Membership { action, target, display_name, reason })))
    }

    /// When somebody on Matrix wants things to disappear.
    pub(super) fn build_timer(
        &self,
        given: &Given<'_>,
    ) -> Result<Result<Op<Plain>, Built>, Failure> {
        let timer = disappearing::read(given.content);
        if timer == given.portal.row().timer {
            return Ok(Err(Built::Nothing(Batch::new())));
        }
        if let (Some(timer), Some(caps)) = (timer, &self.connector.abilities().room.disappear) {
            let takes = caps.from.is_empty() || caps.from.contains(&timer.from);
            if !takes || !caps.times.is_empty() && !caps.times.contains(&timer.after) {
                return Err(Failure::Refused(
                    "the network does not let things disappear after just that time".into(),
                ));
            }
        }
        Ok(Ok(Op::Disappear(DisappearSet(timer))))
    }
}

/// What somebody changed about what people may do.
pub(super) fn build_permissions(given: &Given<'_>) -> Result<Op<Plain>, Built> {
    let before = given.event.pointer("/unsigned/prev_content").unwrap_or(&Value::Null);
    let changed = changed_permissions(before, given.content);
    if changed.is_empty() {
        return Err(Built::Nothing(Batch::new()));
    }
    Ok(Op::Permissions(PermissionsSet(changed)))
}

/// The permissions of `m.room.power_levels` that differ, with their defaults (Client-Server API).
fn changed_permissions(before: &Value, after: &Value) -> Vec<Permission> {
    let level = |content: &Value, pointer: &str, default: i64| {
        content.pointer(pointer).and_then(Value::as_i64).unwrap_or(default)
    };
    let everybody = |content: &Value| level(content, "/users_default", 0);
    let mut changed = Vec::new();
    let mut compare = |what: Permitted, was: i64, is: i64| {
        if was != is || (everybody(before) >= was) != (everybody(after) >= is) {
            changed.push(Permission { what, level: is, everybody: everybody(after) });
        }
    };
    for (what, pointer, default) in [
        (Permitted::Messages, "/events_default", 0),
        (Permitted::State, "/state_default", 50),
        (Permitted::Action("ban"), "/ban", 50),
        (Permitted::Action("kick"), "/kick", 50),
        (Permitted::Action("invite"), "/invite", 0),
        (Permitted::Action("redact"), "/redact", 50),
        (Permitted::MentionRoom, "/notifications/room", 50),
    ] {
        compare(what, level(before, pointer, default), level(after, pointer, default));
    }
    let types = |content: &Value| {
        content.get("events").and_then(Value::as_object).cloned().unwrap_or_default()
    };
    let (old, new) = (types(before), types(after));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for kind in names.into_iter().take(MOST_TYPES) {
        let (was, is) = (old.get(kind), new.get(kind));
        if was != is {
            // A type without a level of its own needs what its sort needs by default.
            let default = if STATE_TYPES.contains(&kind.as_str()) {
                level(after, "/state_default", 50)
            } else {
                level(after, "/events_default", 0)
            };
            let is = is.and_then(Value::as_i64).unwrap_or(default);
            let was = was.and_then(Value::as_i64).unwrap_or(default);
            compare(Permitted::Event(kind.clone()), was, is);
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_told() {
        let before = json!({ "users_default": 0, "events": { "m.reaction": 0 } });
        let after = json!({ "users_default": 0, "events_default": 50, "events": { "m.reaction": 0, "m.room.name": 0 } });
        let changed = changed_permissions(&before, &after);
        let wanted = [(Permitted::Messages, false), (Permitted::Event("m.room.name".into()), true)];
        let changed: Vec<_> = changed
            .into_iter()
            .map(|p| (p.is_for_everybody(), p.what))
            .map(|(a, b)| (b, a))
            .collect();
        assert_eq!(changed, wanted);
        assert!(changed_permissions(&after, &after).is_empty());
    }

    #[test]
    fn who_everybody_is_counts() {
        let before = json!({});
        let after = json!({ "users_default": 50 });
        let changed = changed_permissions(&before, &after);
        let kick = Permission { what: Permitted::Action("kick"), level: 50, everybody: 50 };
        assert!(changed.contains(&kick), "{changed:?}");
        assert!(!changed.iter().any(|p| p.what == Permitted::Messages), "they could before");
    }
}
