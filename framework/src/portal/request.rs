//! From an event on Matrix to what a handler is given.

pub(super) mod beacon;
mod early;
mod gallery;
mod poll;
mod reaction;
mod room;
mod said;

pub(super) use gallery::{item_op, item_place, items_of};
pub(super) use poll::started_poll;
use room::build_permissions;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::Portal;
use crate::{
    adapter::Request,
    engine::{Engine, Failure},
    format,
    handlers::{
        Attempt, Checkpoint, CheckpointPort, Edited, Files, Idempotency, IdempotencyKey, Op,
        Origin, OwnReactions, Quote, RelayProfile, SendError, TextKind,
    },
    network::{MessageRef, PartId},
    plain::Plain,
    store::{Batch, MessageRow, RemoteOutboxRow, Store},
};

/// After how long it is looked again for what something refers to, in milliseconds.
const EARLY: i64 = 100;

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
        if self.is_early(portal, row, &event).await? {
            return Ok(Built::Later(EARLY));
        }
        let content = event.get("content").cloned().unwrap_or_default();
        let (sender, room_id) = (text(&event, "sender"), text(&event, "room_id"));
        let owner = self.logins.stored(&row.login).and_then(|login| login.owner);
        let relay = if owner.as_deref() == Some(sender.as_str()) {
            None
        } else {
            let profile = self.relay_profile(&room_id, &sender).await?;
            // What somebody says under another name, another bridge's ghost say, is relayed under that.
            let shown = content.get("m.new_content").unwrap_or(&content);
            Some(self.named_as(profile, format::profile(shown)))
        };
        let given = Given { portal, row, event: &event, content: &content, relay: relay.as_ref() };
        let op = match row.op.as_str() {
            "send" => self.build_send(&given).await?,
            op if item_place(op).is_some() => self.build_item(&given, op).await?,
            "send:caption" => Ok(Op::Text(self.said(&given, &content, TextKind::Text).await?)),
            "edit" => self.build_edit(&given).await?,
            "react" => self.build_reaction(&given).await?,
            "redact" => self.build_redaction(&given).await?,
            "meta" => self.build_meta(&given).await?,
            "member" => self.build_member(&given).await?,
            "vote" => self.build_vote(&given).await?,
            "beacon_info" => self.build_beacon_info(&given).await?,
            beacon::OP => self.build_beacon(&given).await?,
            "poll_end" => self.build_poll_end(&given).await?,
            "pins" => self.build_pins(portal, &content).await?,
            "timer" => self.build_timer(&given)?,
            "permissions" => build_permissions(&given),
            other => return Err(Failure::Refused(format!("there is nothing called {other}"))),
        };
        let op = match op {
            Ok(op) => op,
            Err(built) => return Ok(built),
        };
        let own_reactions = match &op {
            Op::React(reacted) => self.own_reactions(&given, reacted).await?,
            _ => OwnReactions::default(),
        };
        let mut about = self.about(portal, &op, &event).await?;
        if let (Op::Edit(edit), Some(row)) = (&op, about.first())
            && self.gallery_of(row).await?.is_some()
        {
            // The caption is changed, which one of them has.
            about.retain(|row| row.remote_id == edit.target.id);
        }
        let abilities = self.connector.abilities();
        let idempotency = match &op {
            Op::Media(_) => abilities.media,
            Op::Gallery(_) => abilities.gallery,
            Op::Location(_) => abilities.location,
            Op::Poll(_) => abilities.poll,
            Op::LiveLocation(_) => abilities.live_location,
            _ => abilities.text,
        };
        let (reply_to, thread, quoted) = self.related(&room_id, &content).await?;
        // What is done about a message is done in its thread.
        let thread = thread.or_else(|| about.first()?.thread_root.clone());
        let targets = about.iter().map(target_of).collect();
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
            own_reactions,
            targets,
            op,
        };
        Ok(Built::Call(Box::new(request), idempotency))
    }

    /// The messages that something is done about, in order.
    async fn about(
        &self,
        portal: &Portal,
        op: &Op<Plain>,
        event: &Value,
    ) -> Result<Vec<MessageRow>, Failure> {
        let related = event.pointer("/content/m.relates_to/event_id").and_then(Value::as_str);
        let rows = match op {
            Op::React(reacted) => self.store.message_parts(portal.id, &reacted.target.id).await?,
            Op::Remove(_) => match redacts(event) {
                Some(event_id) => self.store.messages_of_event(event_id).await?,
                None => Vec::new(),
            },
            Op::Edit(_) | Op::PollVote(_) | Op::PollEnd(_) => match related {
                Some(event_id) => self.store.messages_of_event(event_id).await?,
                None => Vec::new(),
            },
            _ => Vec::new(),
        };
        Ok(rows.into_iter().filter(|row| !row.tombstone).collect())
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
        let Some(message) = self.with_caption(rows).await? else {
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
}
