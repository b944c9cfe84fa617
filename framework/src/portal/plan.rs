//! What an event of a portal's room asks to be done on the network, and by which login.

use std::{borrow::Cow, sync::Arc};

use serde_json::Value;

use super::{
    Portal,
    galleries::is_gallery,
    request::{beacon, item_op, items_of},
};
use crate::{
    disappearing,
    engine::{Engine, Failure},
    event::ChatKind,
    handlers::{RelayStyle, RoomCaps},
    network::Scope,
    permissions::Level,
    store::{Batch, PortalState},
};

/// The most files that are taken out of one gallery: as many as fit into an event (MSC4274, "Potential issues").
const MAX_GALLERY: usize = 60;

/// What is to be done, and by which login.
pub(super) type Ops = Vec<(Cow<'static, str>, String)>;

impl Engine {
    /// The login through which somebody's doing in a portal reaches the network; with whether it is relayed.
    pub(crate) fn route(
        &self,
        portal: &Portal,
        mxid: &str,
    ) -> Result<(String, bool), &'static str> {
        let level = self.level(mxid);
        if level < Level::Relay {
            return Err("you may not use this bridge");
        }
        let row = portal.row();
        if let Scope::Private(login) = &row.key.scope {
            let stored = self.logins.stored(login);
            return match stored.map(|login| login.owner) {
                Some(Some(owner)) if owner == mxid => Ok((login.clone(), false)),
                // A direct chat with somebody who is relayed.
                Some(None) => Ok((login.clone(), true)),
                Some(_) if row.relay_login.as_ref() == Some(login) => Ok((login.clone(), true)),
                _ => Err("this chat belongs to somebody else's account"),
            };
        }
        let own = self.logins.of_owner(mxid);
        let there = own.iter().find(|login| portal.has_login(&login.id)).or(own.first());
        if let Some(login) = there {
            return Ok((login.id.clone(), false));
        }
        if self.connector.abilities().relay.is_none() {
            return Err("you are not logged in to the network");
        }
        let relay =
            row.relay_login.or_else(|| self.logins.system().filter(|_| self.config.relay.default));
        relay
            .map(|login| (login, true))
            .ok_or("you are not logged in, and no relay is set for this room")
    }

    /// What an event asks for. What isn't worth a word to anybody is left out without one.
    pub(super) async fn plan(
        self: &Arc<Self>,
        portal: &Arc<Portal>,
        event: &Value,
        batch: &mut Batch,
    ) -> Result<Ops, Failure> {
        let field = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default();
        let (kind, sender) = (field("type"), field("sender"));
        let content = event.get("content").cloned().unwrap_or_default();
        if kind == "m.room.member" {
            return self.plan_member(portal, event, &content, batch).await;
        }
        if kind == "m.room.tombstone" {
            return self.follow_tombstone(portal, &content).await;
        }
        let row = portal.row();
        if row.state != PortalState::Open || self.level(sender) < Level::Relay {
            return Ok(Ops::new());
        }
        let caps = &self.connector.abilities().room;
        let Some(ops) = ops_of(kind, &content, caps) else { return Ok(Ops::new()) };
        // Nobody talks in a space.
        let settings = |op: &&str| matches!(*op, "meta" | "permissions");
        if row.kind == ChatKind::Space
            && !matches!(&ops, Wanted::Ops(ops) if ops.iter().all(settings))
        {
            return Ok(Ops::new());
        }
        if self.disappearing.waits() {
            // Who answers has read what was there.
            batch.read_all(portal.id, self.now());
        }
        let route = self.route(portal, sender);
        let relayed = matches!(route, Ok((_, true)));
        let votes = matches!(&ops, Wanted::Ops(ops) if ops == &["vote"]);
        if relayed && votes && !caps.poll_vote.as_ref().is_some_and(|caps| caps.relayed) {
            return Ok(Ops::new());
        }
        let notice = content.get("msgtype").and_then(Value::as_str) == Some("m.notice");
        if relayed && notice && !self.config.relay.notices {
            return Ok(Ops::new());
        }
        let login = match route {
            Ok((login, _)) => login,
            Err(why) => {
                if matches!(kind, "m.room.message" | "m.sticker" | "m.room.encrypted") && !notice {
                    self.refuse(batch, portal, field("event_id"), why)?;
                }
                return Ok(Ops::new());
            }
        };
        match ops {
            Wanted::Ops(ops) => Ok(ops.into_iter().map(|op| (op.into(), login.clone())).collect()),
            Wanted::Items(items, caption) => {
                let items = (0..items).map(|place| Cow::from(item_op(place)));
                let caption = caption.then_some(Cow::from("send:caption"));
                Ok(items.chain(caption).map(|op| (op, login.clone())).collect())
            }
            Wanted::Refuse(why) => {
                self.refuse(batch, portal, field("event_id"), why)?;
                Ok(Ops::new())
            }
        }
    }

    fn refuse(
        &self,
        batch: &mut Batch,
        portal: &Portal,
        event_id: &str,
        why: &str,
    ) -> Result<(), Failure> {
        if self.config.error_notices {
            let content = serde_json::json!({
                "msgtype": "m.notice",
                "body": format!("\u{26a0} Your message was not bridged: {why}"),
                "m.mentions": {},
                "m.relates_to": { "m.in_reply_to": { "event_id": event_id } },
            });
            self.say(batch, portal, &format!("refused:{event_id}"), "m.room.message", content)?;
        }
        Ok(())
    }

    async fn plan_member(
        self: &Arc<Self>,
        portal: &Arc<Portal>,
        event: &Value,
        content: &Value,
        batch: &mut Batch,
    ) -> Result<Ops, Failure> {
        let field = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default();
        let (room, target, sender) = (field("room_id"), field("state_key"), field("sender"));
        let membership = content.get("membership").and_then(Value::as_str).unwrap_or_default();
        self.note_name(room, target, content);
        let gone = matches!(membership, "leave" | "ban");
        if target == self.matrix.bot_id() {
            if gone {
                tracing::info!(
                    room,
                    "the bot was put out of a portal's room: it is no longer bridged"
                );
                self.change_portal_in(batch, portal, |row| {
                    row.room_id = None;
                    row.state = PortalState::Left;
                });
                self.tell_opened(portal, false).await;
            }
            return Ok(Ops::new());
        }
        let row = portal.row();
        let ghost = self.is_ghost(target);
        // Leaving means leave: the room isn't made again.
        if gone
            && !ghost
            && let Scope::Private(login) = &row.key.scope
            && self.logins.stored(login).and_then(|login| login.owner).as_deref() == Some(target)
        {
            self.change_portal_in(batch, portal, |row| row.state = PortalState::Left);
        }
        let abilities = self.connector.abilities();
        let Some(caps) = &abilities.room.membership else { return Ok(Ops::new()) };
        let wanted = if ghost { caps.invite || caps.kick || caps.ban } else { caps.own };
        if !wanted || membership == "invite" && !ghost || membership == "knock" {
            return Ok(Ops::new());
        }
        let who = if ghost { sender } else { target };
        let Ok((login, relayed)) = self.route(portal, who) else { return Ok(Ops::new()) };
        let shown = !relayed
            || ghost
            || self.config.relay.membership && abilities.relay == Some(RelayStyle::NativeProfile);
        Ok(if shown { vec![("member".into(), login)] } else { Ops::new() })
    }

    /// The room was replaced: the portal follows (Client-Server API, "Room upgrades").
    async fn follow_tombstone(
        self: &Arc<Self>,
        portal: &Arc<Portal>,
        content: &Value,
    ) -> Result<Ops, Failure> {
        let Some(next) = content.get("replacement_room").and_then(Value::as_str) else {
            return Ok(Ops::new());
        };
        if self.portal_of_room(next).await?.is_some() {
            return Ok(Ops::new());
        }
        match self.matrix.bot().ensure_joined(next).await {
            Ok(()) => {
                let mut batch = Batch::new();
                // The old room leaves its space, the new one takes its place.
                self.unplace(&mut batch, &portal.row());
                let row = self.change_portal_in(&mut batch, portal, |row| {
                    row.room_id = Some(next.to_owned());
                    row.generation += 1;
                    row.horizon = None;
                });
                self.unplace(&mut batch, &row);
                self.store.commit(batch).await?;
                self.wake_spaces();
            }
            Err(error) if error.is_temporary() => return Err(error.into()),
            Err(error) => {
                tracing::warn!(room = next, %error, "the replacement of a portal's room could not be joined");
            }
        }
        Ok(Ops::new())
    }
}

enum Wanted {
    Ops(Vec<&'static str>),
    /// So many files one by one; and whether a text follows.
    Items(usize, bool),
    Refuse(&'static str),
}

/// What an event of a type asks for, given what the network can do; `None` where that is nothing.
fn ops_of(kind: &str, content: &Value, caps: &RoomCaps) -> Option<Wanted> {
    let can = |can: bool, op: &'static str| can.then(|| Wanted::Ops(vec![op]));
    match kind {
        "m.room.message" | "m.sticker" => {
            if replaces(content) {
                return Some(match caps.edit {
                    Some(_) => Wanted::Ops(vec!["edit"]),
                    None => Wanted::Refuse("the network has no edits"),
                });
            }
            let msgtype = content.get("msgtype").and_then(Value::as_str).unwrap_or_default();
            Some(match msgtype {
                "m.text" | "m.notice" | "m.emote" if caps.text.is_some() => {
                    Wanted::Ops(vec!["send"])
                }
                "m.text" | "m.notice" | "m.emote" => Wanted::Refuse("the network takes no text"),
                "m.location" => Wanted::Ops(vec!["send"]),
                _ if is_gallery(content) => gallery_ops(content, caps),
                _ if kind == "m.sticker" || content.get("url").is_some() => match &caps.media {
                    // A caption that the network can't put to a file follows it.
                    Some(media)
                        if !media.captions && has_caption(content) && caps.text.is_some() =>
                    {
                        Wanted::Ops(vec!["send", "send:caption"])
                    }
                    Some(_) => Wanted::Ops(vec!["send"]),
                    None if caps.text.is_some() => Wanted::Ops(vec!["send"]),
                    None => Wanted::Refuse("the network takes no files"),
                },
                _ if content.get("body").is_some() && caps.text.is_some() => {
                    Wanted::Ops(vec!["send"])
                }
                _ => return None,
            })
        }
        "m.poll.start" | "org.matrix.msc3381.poll.start" if replaces(content) => {
            Some(Wanted::Refuse("a poll can't be changed there"))
        }
        "m.poll.start" | "org.matrix.msc3381.poll.start" => {
            can(caps.poll || caps.text.is_some(), "send")
        }
        "m.poll.response" | "org.matrix.msc3381.poll.response" => {
            can(caps.poll_vote.is_some(), "vote")
        }
        "m.poll.end" | "org.matrix.msc3381.poll.end" => can(caps.poll_end, "poll_end"),
        beacon::INFO | beacon::UNSTABLE_INFO if !caps.live_location => {
            let begins = content.get("live").and_then(Value::as_bool) == Some(true);
            begins.then_some(Wanted::Refuse("the network has no live locations"))
        }
        beacon::INFO | beacon::UNSTABLE_INFO => can(true, "beacon_info"),
        beacon::BEACON | beacon::UNSTABLE_BEACON => can(caps.live_location, beacon::OP),
        disappearing::STATE => can(caps.disappear.is_some(), "timer"),
        "m.room.encrypted" => Some(Wanted::Refuse("this bridge can't read encrypted messages")),
        "m.reaction" => can(caps.react.is_some(), "react"),
        "m.room.redaction" => can(caps.remove.is_some() || caps.react.is_some(), "redact"),
        "m.room.name" => can(caps.room_meta.as_ref().is_some_and(|meta| meta.name), "meta"),
        "m.room.topic" => can(caps.room_meta.as_ref().is_some_and(|meta| meta.topic), "meta"),
        "m.room.avatar" => can(caps.room_meta.as_ref().is_some_and(|meta| meta.avatar), "meta"),
        "m.room.power_levels" => {
            let power = caps.room_meta.as_ref().is_some_and(|meta| meta.power);
            let ops = [(power, "meta"), (caps.permissions, "permissions")];
            let ops: Vec<_> = ops.into_iter().filter(|(can, _)| *can).map(|(_, op)| op).collect();
            (!ops.is_empty()).then_some(Wanted::Ops(ops))
        }
        "m.room.pinned_events" => Some(Wanted::Ops(vec!["pins"])),
        _ => None,
    }
}

/// What a gallery asks for: to be sent as one, or file by file.
fn gallery_ops(content: &Value, caps: &RoomCaps) -> Wanted {
    let items = items_of(content).len();
    match &caps.media {
        _ if items == 0 => Wanted::Refuse("there is nothing in this gallery"),
        _ if items > MAX_GALLERY => Wanted::Refuse("there is too much in this gallery"),
        _ if caps.gallery => Wanted::Ops(vec!["send"]),
        Some(media) => Wanted::Items(items, !media.captions && !text_of(content).is_empty()),
        None if caps.text.is_some() => Wanted::Ops(vec!["send"]),
        None => Wanted::Refuse("the network takes no files"),
    }
}

fn text_of(content: &Value) -> &str {
    content.get("body").and_then(Value::as_str).unwrap_or_default()
}

fn replaces(content: &Value) -> bool {
    content.pointer("/m.relates_to/rel_type").and_then(Value::as_str) == Some("m.replace")
}

/// MSC2530: with a `filename`, a `body` that differs from it is a caption.
pub(super) fn has_caption(content: &Value) -> bool {
    let filename = content.get("filename").and_then(Value::as_str);
    filename.is_some_and(|name| {
        content.get("body").and_then(Value::as_str).is_some_and(|body| body != name)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::handlers::{EditCaps, MediaCaps, TextCaps, VoteCaps};

    fn ops(kind: &str, content: &Value, caps: &RoomCaps) -> Vec<&'static str> {
        match ops_of(kind, content, caps) {
            Some(Wanted::Ops(ops)) => ops,
            Some(Wanted::Items(items, caption)) => {
                let caption = caption.then_some("send:caption");
                std::iter::repeat_n("item", items).chain(caption).collect()
            }
            Some(Wanted::Refuse(_)) => vec!["refused"],
            None => vec![],
        }
    }

    #[test]
    fn what_the_network_lacks_is_refused_or_said_in_words() {
        let text_only = RoomCaps { text: Some(TextCaps::default()), ..RoomCaps::default() };
        let image = json!({ "msgtype": "m.image", "url": "mxc://a/b", "body": "hello", "filename": "a.png" });
        let edit = json!({ "msgtype": "m.text", "body": "* a", "m.relates_to": { "rel_type": "m.replace" } });
        assert_eq!(
            ops("m.room.message", &json!({ "msgtype": "m.text", "body": "a" }), &text_only),
            ["send"]
        );
        assert_eq!(ops("m.room.message", &image, &text_only), ["send"]);
        assert_eq!(ops("m.room.message", &edit, &text_only), ["refused"]);
        assert!(ops("m.reaction", &json!({}), &text_only).is_empty());
        assert_eq!(ops("m.room.encrypted", &json!({}), &text_only), ["refused"]);
        let more = RoomCaps {
            media: Some(MediaCaps::default()),
            edit: Some(EditCaps::default()),
            ..text_only
        };
        assert_eq!(ops("m.room.message", &image, &more), ["send", "send:caption"]);
        assert_eq!(ops("m.room.message", &edit, &more), ["edit"]);
    }

    #[test]
    fn a_gallery_goes_as_one_or_file_by_file() {
        let item = json!({ "itemtype": "m.image", "body": "a.png", "url": "mxc://a/b" });
        let gallery = |items: usize| json!({ "msgtype": "m.gallery", "body": "the sea", "itemtypes": vec![item.clone(); items] });
        let ops = |items: usize, caps: &RoomCaps| ops("m.room.message", &gallery(items), caps);
        let media = |captions| Some(MediaCaps { captions, ..MediaCaps::default() });
        let one_by_one = RoomCaps { media: media(true), ..RoomCaps::default() };
        assert_eq!(ops(3, &one_by_one), ["item", "item", "item"]);
        let bare = RoomCaps { media: media(false), ..RoomCaps::default() };
        assert_eq!(ops(2, &bare), ["item", "item", "send:caption"]);
        let whole = RoomCaps { gallery: true, ..one_by_one };
        assert_eq!(ops(2, &whole), ["send"]);
        assert_eq!(ops(0, &whole), ["refused"]);
        assert_eq!(ops(61, &whole), ["refused"]);
        let text = RoomCaps { text: Some(TextCaps::default()), ..RoomCaps::default() };
        assert_eq!(ops(2, &text), ["send"]);
        assert_eq!(ops(2, &RoomCaps::default()), ["refused"]);
    }

    #[test]
    fn who_shares_where_they_are_is_told_if_nobody_will_see_it() {
        let shows = RoomCaps { live_location: true, ..RoomCaps::default() };
        for (kind, moved) in
            [(beacon::INFO, beacon::BEACON), (beacon::UNSTABLE_INFO, beacon::UNSTABLE_BEACON)]
        {
            let (begins, ends) = (json!({ "live": true }), json!({ "live": false }));
            assert_eq!(ops(kind, &begins, &RoomCaps::default()), ["refused"]);
            assert!(ops(kind, &ends, &RoomCaps::default()).is_empty());
            assert!(ops(moved, &json!({}), &RoomCaps::default()).is_empty());
            assert_eq!(ops(kind, &begins, &shows), ["beacon_info"]);
            assert_eq!(ops(moved, &json!({}), &shows), [beacon::OP]);
        }
    }

    #[test]
    fn polls_are_known_by_both_their_names() {
        let caps = RoomCaps {
            poll: true,
            poll_vote: Some(VoteCaps::default()),
            poll_end: true,
            ..RoomCaps::default()
        };
        for prefix in ["m.poll", "org.matrix.msc3381.poll"] {
            let of = |kind: &str, content: Value| ops(&format!("{prefix}.{kind}"), &content, &caps);
            assert_eq!(of("start", json!({})), ["send"]);
            assert_eq!(of("response", json!({})), ["vote"]);
            assert_eq!(of("end", json!({})), ["poll_end"]);
            let changed = json!({ "m.relates_to": { "rel_type": "m.replace" } });
            assert_eq!(of("start", changed), ["refused"]);
        }
        assert!(ops("m.poll.response", &json!({}), &RoomCaps::default()).is_empty());
    }
}
