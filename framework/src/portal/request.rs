//! From an event on Matrix to what a handler is given.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::{Portal, plan::has_caption};
use crate::{
    adapter::Request,
    engine::{Engine, Failure},
    event::{Emoji, Geo, MediaKind, Poll, PollOption},
    format::{self, Rich, RoomTarget, UserTarget},
    handlers::{
        Attempt, ChatEdit, Checkpoint, CheckpointPort, Edited, Files, Idempotency, IdempotencyKey,
        Media, MemberAction, MemberTarget, Membership, Op, Origin, PinsSet, PowerHolder, Quote,
        Reacted, RelayProfile, RelayStyle, Removed, RoomMeta, SendError, Text, TextKind,
    },
    network::{MessageRef, PartId},
    plain::Plain,
    relay::relayed,
    store::{Batch, MessageRow, RemoteOutboxRow, Store},
};

/// What is to be done about a row.
pub(super) enum Built {
    /// Its handler is called.
    Call(Box<Request>, Idempotency),
    /// Nothing is left to do but to record.
    Nothing(Batch),
    /// Something it is about isn't settled yet: in some milliseconds.
    Later(i64),
}

/// What every builder is given.
struct Given<'a> {
    portal: &'a Arc<Portal>,
    row: &'a RemoteOutboxRow,
    event: &'a Value,
    content: &'a Value,
    relay: Option<&'a RelayProfile>,
}

struct Saved {
    store: Arc<Store>,
    seq: i64,
}
#[async_trait]
impl CheckpointPort for Saved {
    async fn save(&self, note: &str) -> Result<(), SendError> {
        let mut batch = Batch::new();
        batch.remote_checkpoint(self.seq, note);
        self.store.commit(batch).await.map(drop).map_err(SendError::unknown)
    }
}

/// The event that a redaction is about: in `content` from room version 11 on, before that beside it.
pub(super) fn redacts(event: &Value) -> Option<&str> {
    event.pointer("/content/redacts").or_else(|| event.get("redacts")).and_then(Value::as_str)
}

fn target_of(row: &MessageRow) -> MessageRef<Plain> {
    let part = (!row.part.is_empty()).then(|| PartId(row.part.clone()));
    MessageRef { id: row.remote_id.clone(), part }
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

impl Engine {
    pub(super) async fn build(
        self: &Arc<Self>,
        portal: &Arc<Portal>,
        row: &RemoteOutboxRow,
        maybe_sent: bool,
    ) -> Result<Built, Failure> {
        let event = self.event_of_row(row).await?;
        let content = event.get("content").cloned().unwrap_or_default();
        let (sender, room_id) = (text(&event, "sender"), text(&event, "room_id"));
        let owner = self.logins.stored(&row.login).and_then(|login| login.owner);
        let relay = if owner.as_deref() == Some(sender.as_str()) {
            None
        } else {
            Some(self.relay_profile(&room_id, &sender).await?)
        };
        let given = Given { portal, row, event: &event, content: &content, relay: relay.as_ref() };
        let op = match row.op.as_str() {
            "send" => self.build_send(&given).await?,
            "send:caption" => Ok(Op::Text(self.said(&given, &content, TextKind::Text).await?)),
            "edit" => self.build_edit(&given).await?,
            "react" => self.build_reaction(&given).await?,
            "redact" => self.build_redaction(&given).await?,
            "meta" => self.build_meta(&given).await?,
            "member" => self.build_member(&given).await?,
            "pins" => self.build_pins(&content).await?,
            other => return Err(Failure::Refused(format!("there is nothing called {other}"))),
        };
        let op = match op {
            Ok(op) => op,
            Err(built) => return Ok(built),
        };
        let abilities = self.connector.abilities();
        let idempotency = match &op {
            Op::Media(_) => abilities.media,
            Op::Location(_) => abilities.location,
            Op::Poll(_) => abilities.poll,
            _ => abilities.text,
        };
        let (reply_to, thread, quoted) = self.related(&room_id, &content).await?;
        let (name, _) = match &relay {
            Some(relay) => (relay.name.clone(), None),
            None => self.name_in(&room_id, &sender).await?,
        };
        let portal_row = portal.row();
        let ts_ms =
            event.get("origin_server_ts").and_then(Value::as_i64).unwrap_or_else(|| self.now());
        let request = Request {
            portal: Some((portal_row.key, portal_row.meta)),
            key: IdempotencyKey::from_hex(&row.key)
                .ok_or_else(|| Failure::Refused("its key can't be read".into()))?,
            relay,
            origin: Origin { sender, name, event_id: row.event_id.clone(), room_id, ts_ms },
            reply_to,
            thread,
            quoted,
            attempt: Attempt {
                before: u32::try_from(row.attempts).unwrap_or(u32::MAX),
                maybe_sent,
            },
            checkpoint: Checkpoint {
                note: row.checkpoint.clone(),
                port: Arc::new(Saved { store: self.store.clone(), seq: row.seq }),
            },
            files: Files(self.media.clone()),
            op,
        };
        Ok(Built::Call(Box::new(request), idempotency))
    }

    /// What a message answers, in which thread, and the beginning of what is answered.
    async fn related(
        &self,
        room_id: &str,
        content: &Value,
    ) -> Result<(Option<MessageRef<Plain>>, Option<String>, Option<Quote>), Failure> {
        let Some(relates) = content.get("m.relates_to") else { return Ok((None, None, None)) };
        let mut thread = None;
        if relates["rel_type"] == "m.thread"
            && let Some(root) = relates["event_id"].as_str()
        {
            let rows = self.store.messages_of_event(root).await?;
            thread = rows.into_iter().next().map(|row| row.thread_root.unwrap_or(row.remote_id));
        }
        let falls_back = thread.is_some() && relates["is_falling_back"].as_bool().unwrap_or(false);
        let answered = relates.pointer("/m.in_reply_to/event_id").and_then(Value::as_str);
        let Some(answered) = answered.filter(|_| !falls_back) else {
            return Ok((None, thread, None));
        };
        let reply_to = self.store.messages_of_event(answered).await?.first().map(target_of);
        let event = match self.store.matrix_inbox_event(answered).await? {
            Some(body) => serde_json::from_str(&body).ok(),
            // A quote is a courtesy: a message must not wait for it.
            None => self.matrix.bot().event(room_id, answered).await.ok().flatten(),
        };
        let mut quote = None;
        if let Some(event) = event {
            let author = text(&event, "sender");
            let (name, _) = self.name_in(room_id, &author).await?;
            let said = event.get("content").map(format::from_content).unwrap_or_default();
            quote = Some(Quote { sender: name, text: said.text().chars().take(300).collect() });
        }
        Ok((reply_to, thread, quote))
    }

    /// Text as the network is to have it: its own users and rooms, and said by the relay for somebody if need be.
    async fn said(
        &self,
        given: &Given<'_>,
        content: &Value,
        kind: TextKind,
    ) -> Result<Text, Failure> {
        let mut body = self.for_network(&format::from_content(content)).await?;
        let mut kind = kind;
        if let (Some(relay), Some(RelayStyle::Prefix)) =
            (given.relay, self.connector.abilities().relay)
        {
            body = relayed(&self.config.relay, kind, relay, &body);
            kind = TextKind::Text;
        }
        let limit = self.connector.abilities().room.text.as_ref().map_or(0, |caps| caps.max_len);
        if limit > 0 && body.text().chars().count() > limit {
            return Err(Failure::Refused(format!(
                "the network takes texts of at most {limit} characters"
            )));
        }
        Ok(Text { body, kind })
    }

    /// Replaces Matrix's users and rooms by the network's, where they have some.
    async fn for_network(&self, rich: &Rich) -> Result<Rich, Failure> {
        let mut users = std::collections::HashMap::new();
        for target in rich.users() {
            if let UserTarget::Matrix(mxid) = target {
                let own = self.logins.of_owner(mxid).into_iter().find_map(|login| login.user);
                let remote = match own {
                    Some(user) => Some(user),
                    None if self.is_ghost(mxid) => self.user_of_ghost(mxid).await?,
                    None => None,
                };
                if let Some(user) = remote {
                    users.insert(mxid.clone(), user);
                }
            }
        }
        let mut rooms = std::collections::HashMap::new();
        for span in rich.spans() {
            if let format::Style::Room(RoomTarget::Matrix(room)) = &span.style
                && room.starts_with('!')
                && let Some(portal) = self.portal_of_room(room).await?
            {
                rooms.insert(room.clone(), portal.row().key.id);
            }
        }
        let mut rich = rich.clone();
        rich.resolve_users(|target| match target {
            UserTarget::Matrix(mxid) => Some(match users.get(mxid) {
                Some(user) => UserTarget::Remote(user.clone()),
                None => target.clone(),
            }),
            UserTarget::Remote(_) => Some(target.clone()),
        });
        rich.resolve_rooms(|target| match target {
            RoomTarget::Matrix(room) => Some(match rooms.get(room) {
                Some(id) => RoomTarget::Remote(id.clone()),
                None => target.clone(),
            }),
            RoomTarget::Remote(_) => Some(target.clone()),
        });
        Ok(rich)
    }

    async fn build_send(&self, given: &Given<'_>) -> Result<Result<Op<Plain>, Built>, Failure> {
        let content = given.content;
        let abilities = self.connector.abilities();
        let poll = content.get("org.matrix.msc3381.poll.start").or_else(|| content.get("m.poll"));
        if let Some(poll) = poll {
            let poll = read_poll(poll);
            if abilities.room.poll {
                return Ok(Ok(Op::Poll(poll)));
            }
            let mut words = poll.question.clone();
            for option in &poll.options {
                words.push_str("\n- ");
                words.push_str(&option.text);
            }
            let as_text = serde_json::json!({ "body": words });
            return Ok(Ok(Op::Text(self.said(given, &as_text, TextKind::Text).await?)));
        }
        let msgtype = text(content, "msgtype");
        let kind = match msgtype.as_str() {
            "m.notice" => TextKind::Notice,
            "m.emote" => TextKind::Emote,
            _ => TextKind::Text,
        };
        if msgtype == "m.location"
            && abilities.room.location
            && let Some(place) = read_geo(content)
        {
            return Ok(Ok(Op::Location(place)));
        }
        if msgtype == "m.location" {
            let as_text = serde_json::json!({ "body": format!("{} {}", text(content, "body"), text(content, "geo_uri")) });
            return Ok(Ok(Op::Text(self.said(given, &as_text, TextKind::Text).await?)));
        }
        let Some(mxc) =
            content.get("url").and_then(Value::as_str).filter(|url| url.starts_with("mxc://"))
        else {
            return Ok(Ok(Op::Text(self.said(given, content, kind).await?)));
        };
        let media = self.read_media(given, mxc);
        let Some(caps) = &abilities.room.media else {
            let Some(link) = media.link() else {
                return Err(Failure::Refused("the network takes no files".into()));
            };
            let caption = if has_caption(content) {
                format!("{}\n", text(content, "body"))
            } else {
                String::new()
            };
            let as_text = serde_json::json!({ "body": format!("{caption}{}: {link}", media.name) });
            return Ok(Ok(Op::Text(self.said(given, &as_text, TextKind::Text).await?)));
        };
        if caps.max_size > 0 && media.size.is_some_and(|size| size > caps.max_size) {
            return Err(Failure::Refused(format!(
                "the network takes files of at most {} bytes",
                caps.max_size
            )));
        }
        let mime = media.mime.clone().unwrap_or_default();
        let taken = |pattern: &&str| match pattern.strip_suffix("/*") {
            Some(group) => mime.split('/').next() == Some(group),
            None => **pattern == mime,
        };
        if !caps.mimes.is_empty() && !caps.mimes.iter().any(taken) {
            return Err(Failure::Refused(format!("the network takes no files of type {mime}")));
        }
        let mut media = media;
        if caps.captions && has_caption(content) {
            media.caption = Some(self.said(given, content, TextKind::Text).await?.body);
        }
        Ok(Ok(Op::Media(media)))
    }

    fn read_media(&self, given: &Given<'_>, mxc: &str) -> Media {
        let content = given.content;
        let info = content.get("info").cloned().unwrap_or_default();
        let number = |key: &str| info.get(key).and_then(Value::as_u64);
        let side = |key: &str| number(key).and_then(|side| u32::try_from(side).ok());
        let voice = content.get("org.matrix.msc3245.voice").is_some();
        let kind = match text(content, "msgtype").as_str() {
            _ if given.event["type"] == "m.sticker" => MediaKind::Sticker { pack: None },
            "m.image" => MediaKind::Image,
            "m.video" => MediaKind::Video,
            "m.audio" if voice => {
                let waveform =
                    content.pointer("/org.matrix.msc1767.audio/waveform").and_then(Value::as_array);
                // Matrix counts to 1024, networks to 255.
                let level = |level: &Value| (level.as_u64().unwrap_or(0) / 4).min(255) as u8;
                MediaKind::Voice { waveform: waveform.into_iter().flatten().map(level).collect() }
            }
            "m.audio" => MediaKind::Audio,
            _ => MediaKind::File,
        };
        let filename = content.get("filename").and_then(Value::as_str).map(ToOwned::to_owned);
        Media {
            mxc: mxc.to_owned(),
            kind,
            name: filename.unwrap_or_else(|| text(content, "body")),
            mime: info.get("mimetype").and_then(Value::as_str).map(ToOwned::to_owned),
            size: number("size"),
            dimensions: side("w").zip(side("h")),
            duration: number("duration").map(std::time::Duration::from_millis),
            caption: None,
            access: self.media.clone(),
        }
    }

    /// The messages that an event became, if that is known already; later, if it is still under way.
    async fn sent_as(
        &self,
        row: &RemoteOutboxRow,
        event_id: &str,
    ) -> Result<Result<Vec<MessageRow>, Built>, Failure> {
        let rows = self.store.messages_of_event(event_id).await?;
        if !rows.is_empty() {
            return Ok(Ok(rows.into_iter().filter(|row| !row.tombstone).collect()));
        }
        let open = self.store.remote_outbox_of_event(event_id).await?;
        let waiting = open
            .iter()
            .any(|sent| sent.seq < row.seq && sent.state == crate::store::SendState::AwaitingEcho);
        Ok(if waiting { Err(Built::Later(500)) } else { Ok(Vec::new()) })
    }

    async fn build_edit(&self, given: &Given<'_>) -> Result<Result<Op<Plain>, Built>, Failure> {
        let target = given
            .content
            .pointer("/m.relates_to/event_id")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let rows = match self.sent_as(given.row, target).await? {
            Ok(rows) => rows,
            Err(built) => return Ok(Err(built)),
        };
        let Some(message) = rows.into_iter().next() else {
            return Err(Failure::Refused("the message it changes is not on the network".into()));
        };
        let max_age = self.connector.abilities().room.edit.as_ref().and_then(|caps| caps.max_age);
        if max_age.is_some_and(|age| self.now() - message.ts > age.as_millis() as i64) {
            return Err(Failure::Refused(
                "the message is too old to be changed on the network".into(),
            ));
        }
        let new = given.content.get("m.new_content").unwrap_or(given.content);
        let kind = match text(new, "msgtype").as_str() {
            "m.notice" => TextKind::Notice,
            "m.emote" => TextKind::Emote,
            _ => TextKind::Text,
        };
        let said = self.said(given, new, kind).await?;
        let old = self.store.matrix_inbox_event(target).await?;
        let old = old.and_then(|body| serde_json::from_str::<Value>(&body).ok());
        let old = old.and_then(|event| event.get("content").map(format::from_content));
        Ok(Ok(Op::Edit(Edited {
            target: target_of(&message),
            body: said.body,
            kind: said.kind,
            old,
            meta: message.meta,
        })))
    }

    async fn build_reaction(&self, given: &Given<'_>) -> Result<Result<Op<Plain>, Built>, Failure> {
        let relates = given.content.get("m.relates_to").cloned().unwrap_or_default();
        let rows = match self.sent_as(given.row, &text(&relates, "event_id")).await? {
            Ok(rows) => rows,
            Err(built) => return Ok(Err(built)),
        };
        let (Some(message), Some(reaction)) = (
            rows.into_iter().next(),
            self.reaction_row(given.portal, given.row, given.event).await?,
        ) else {
            return Ok(Err(Built::Nothing(Batch::new())));
        };
        // In relay, the bot's single reaction stands for all.
        let all = self.store.reactions(given.portal.id, &message.remote_id).await?;
        let stands = all.iter().any(|r| r.emoji == reaction.emoji && r.sender.starts_with("m:"));
        if reaction.sender.starts_with("m:") && stands {
            let mut effects = Batch::new();
            effects.add_reaction(&reaction);
            return Ok(Err(Built::Nothing(effects)));
        }
        let emoji = Emoji::Unicode(reaction.emoji);
        Ok(Ok(Op::React(Reacted { target: target_of(&message), emoji, set: true })))
    }

    async fn build_redaction(
        &self,
        given: &Given<'_>,
    ) -> Result<Result<Op<Plain>, Built>, Failure> {
        let Some(target) = redacts(given.event) else {
            return Ok(Err(Built::Nothing(Batch::new())));
        };
        if let Some(reaction) = self.store.reaction_of_event(target).await? {
            let all = self.store.reactions(given.portal.id, &reaction.remote_id).await?;
            let others = all.iter().any(|other| {
                other.emoji == reaction.emoji
                    && other.sender.starts_with("m:")
                    && other.event_id != reaction.event_id
            });
            // It stood for others too, or is not one that somebody here can take back.
            if reaction.sender.starts_with("m:") && others || reaction.sender.starts_with("u:") {
                let mut effects = Batch::new();
                effects.remove_reaction(target);
                return Ok(Err(Built::Nothing(effects)));
            }
            let part = (!reaction.part.is_empty()).then_some(PartId(reaction.part));
            let target = MessageRef { id: reaction.remote_id, part };
            return Ok(Ok(Op::React(Reacted {
                target,
                emoji: Emoji::Unicode(reaction.emoji),
                set: false,
            })));
        }
        let rows = match self.sent_as(given.row, target).await? {
            Ok(rows) => rows,
            Err(built) => return Ok(Err(built)),
        };
        let Some(message) = rows.into_iter().next() else {
            return Ok(Err(Built::Nothing(Batch::new())));
        };
        let max_age = self.connector.abilities().room.remove.as_ref().and_then(|caps| caps.max_age);
        if max_age.is_some_and(|age| self.now() - message.ts > age.as_millis() as i64) {
            return Err(Failure::Refused(
                "the message is too old to be deleted on the network".into(),
            ));
        }
        let reason = given.content.get("reason").and_then(Value::as_str).map(ToOwned::to_owned);
        Ok(Ok(Op::Remove(Removed { target: target_of(&message), meta: message.meta, reason })))
    }

    async fn build_meta(&self, given: &Given<'_>) -> Result<Result<Op<Plain>, Built>, Failure> {
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
            ChatEdit::Avatar(_) => false,
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
        let all: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
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

    async fn build_member(&self, given: &Given<'_>) -> Result<Result<Op<Plain>, Built>, Failure> {
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

    async fn build_pins(&self, content: &Value) -> Result<Result<Op<Plain>, Built>, Failure> {
        if !self.connector.abilities().pins {
            return Ok(Err(Built::Nothing(Batch::new())));
        }
        let mut ids = Vec::new();
        for event_id in content
            .get("pinned")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            ids.extend(
                self.store
                    .messages_of_event(event_id)
                    .await?
                    .into_iter()
                    .next()
                    .map(|row| row.remote_id),
            );
        }
        Ok(Ok(Op::Pins(PinsSet { ids })))
    }
}

/// `geo:LAT,LON` (RFC 5870), as `m.location` has it.
fn read_geo(content: &Value) -> Option<Geo> {
    let uri = content.get("geo_uri").and_then(Value::as_str)?.strip_prefix("geo:")?;
    let mut numbers = uri.split([',', ';']).map(str::parse::<f64>);
    let (lat, lon) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    let name = content.get("body").and_then(Value::as_str).map(ToOwned::to_owned);
    Some(Geo { lat, lon, name })
}

/// MSC3381, by its unstable or its stable names.
fn read_poll(poll: &Value) -> Poll {
    let words = |value: &Value| {
        let unstable = value.get("org.matrix.msc1767.text").and_then(Value::as_str);
        let stable = value.pointer("/m.text/0/body").and_then(Value::as_str);
        unstable.or(stable).unwrap_or_default().to_owned()
    };
    let answers = poll.get("answers").and_then(Value::as_array);
    let option = |answer: &Value| {
        let id = answer
            .get("id")
            .or_else(|| answer.get("m.id"))
            .and_then(Value::as_str)
            .unwrap_or_default();
        PollOption { id: id.to_owned(), text: words(answer) }
    };
    Poll {
        question: poll.get("question").map(words).unwrap_or_default(),
        // MSC3381 lets at most 20 answers count.
        options: answers.into_iter().flatten().take(20).map(option).collect(),
        max_choices: poll
            .get("max_selections")
            .and_then(Value::as_u64)
            .map_or(1, |max| max.min(20) as u32),
        disclosed: poll
            .get("kind")
            .and_then(Value::as_str)
            .is_some_and(|kind| !kind.contains("undisclosed")),
    }
}
