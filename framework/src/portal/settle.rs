//! What a handler's answer comes to: recorded, tried again, or told to the user.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    Portal,
    dispatch::{Answer, Done, ECHO, SETTLING},
    envelope::{Envelope, MatrixOp},
    inward::Step,
};
use crate::{
    disappearing,
    engine::{Actor, Engine},
    event::Disappear,
    handlers::{SendError, Sent},
    keys,
    plain::{Plain, PlainMeta},
    rate::backoff_ms,
    store::{
        Batch, MessageRow, NewMatrixOutbox, ReactionRow, RemoteOutboxRow, SendState, StoreError,
    },
};

impl Engine {
    /// Records what an attempt came to. `in_doubt`: an earlier one may have reached the network.
    pub(super) async fn settle(
        self: &Arc<Self>,
        portal: &Arc<Portal>,
        row: &RemoteOutboxRow,
        in_doubt: bool,
        answer: Result<Answer, SendError>,
        pending: &mut Batch,
    ) -> Result<Done, StoreError> {
        let now = self.now();
        match answer {
            Ok(Answer::Sent(Sent::AwaitEcho)) => {
                pending.remote_later(row.seq, SendState::AwaitingEcho, now + ECHO, "");
                Ok(Done::Open)
            }
            Ok(Answer::Sent(sent)) => {
                self.record_sent(pending, portal, row, &sent).await?;
                Ok(Done::Settled)
            }
            Ok(Answer::Done) => {
                self.record_done(pending, portal, row).await?;
                pending.remote_settled(row.seq, SendState::Sent, None, None, now);
                self.status(pending, portal, row, "SUCCESS", None);
                Ok(Done::Settled)
            }
            Err(SendError::Retry { after, scope, reason }) => {
                let wait = after.map_or_else(
                    || backoff_ms(row.attempts, portal.id),
                    |after| after.as_millis() as i64,
                );
                tracing::info!(
                    event = row.event_id,
                    ?scope,
                    wait,
                    reason,
                    "the network asks to wait"
                );
                self.rates.pause(scope, portal.id, &row.login, now + wait, now);
                // This attempt did nothing; what became of an earlier one is as unknown as before.
                let state = if in_doubt { SendState::Unknown } else { SendState::Ready };
                pending.remote_later(row.seq, state, now + wait, &reason);
                Ok(Done::Stop(Step::Until(wait)))
            }
            Err(SendError::Refused { user }) => {
                self.give_up(pending, portal, row, SendState::Refused, &user)?;
                Ok(Done::Settled)
            }
            Err(SendError::Unknown { reason }) => {
                tracing::warn!(
                    event = row.event_id,
                    reason,
                    "it is not known whether a message was sent"
                );
                // What is no message is done again: a second time it changes nothing.
                let state =
                    if row.op.starts_with("send") { SendState::Unknown } else { SendState::Ready };
                pending.remote_later(row.seq, state, now + SETTLING, &reason);
                Ok(Done::Stop(Step::Until(SETTLING)))
            }
        }
    }

    /// A message is there: what was sent, and under which names.
    pub(super) async fn record_sent(
        &self,
        batch: &mut Batch,
        portal: &Arc<Portal>,
        row: &RemoteOutboxRow,
        sent: &Sent<Plain>,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let (ids, order) = match sent {
            Sent::Now { id, order } => (vec![id.clone()], order.map(|order| order.0)),
            Sent::Kept { id, order, .. } => (vec![id.clone()], order.map(|order| order.0)),
            Sent::Poll { id, .. } => (vec![id.clone()], None),
            Sent::Many(ids) => (ids.clone(), None),
            Sent::AwaitEcho => (Vec::new(), None),
        };
        let event = self.event_of_row(row).await?;
        let sender = event.get("sender").and_then(Value::as_str).unwrap_or_default();
        let own =
            self.logins.stored(&row.login).and_then(|login| login.owner).as_deref() == Some(sender);
        let thread = event.pointer("/content/m.relates_to").filter(|r| r["rel_type"] == "m.thread");
        let thread_root = match thread.and_then(|relates| relates["event_id"].as_str()) {
            Some(root) => self
                .store
                .messages_of_event(root)
                .await?
                .into_iter()
                .next()
                .map(|row| row.remote_id),
            None => None,
        };
        let content = event.get("content").unwrap_or(&Value::Null);
        self.gallery_sent(batch, row, content, &ids).await?;
        if let Some(id) = ids.first() {
            self.beacon_sent(batch, row, content, id).await?;
        }
        let first_place = match super::request::item_place(&row.op) {
            Some(place) => place,
            // A caption that follows is behind what it belongs to.
            None if row.op == "send:caption" => super::request::items_of(content).len(),
            None => 0,
        };
        for (place, id) in ids.iter().enumerate() {
            batch.add_message(&MessageRow {
                portal: portal.id,
                remote_id: id.clone(),
                part: String::new(),
                place: (first_place + place) as i64,
                event_id: row.event_id.clone(),
                sender: if own { format!("login:{}", row.login) } else { format!("user:{sender}") },
                order,
                ts: event.get("origin_server_ts").and_then(Value::as_i64).unwrap_or(now),
                edit_version: 0,
                thread_root: thread_root.clone(),
                tombstone: false,
                meta: match sent {
                    Sent::Kept { meta, .. } => meta.clone(),
                    _ => PlainMeta::default(),
                },
            });
            batch.unpark_tasks(portal.id, id);
        }
        if let Some(id) = ids.first() {
            if let Some(timer) = portal.row().timer {
                // Whoever sent it has read it.
                let timer = Disappear::after_sending(timer.after);
                disappearing::note(batch, &row.event_id, portal.id, now, timer);
                self.disappearing.noted(timer);
            }
            if self.connector.abilities().room.poll
                && let Some(poll) = super::request::started_poll(&event)
            {
                let options = match sent {
                    Sent::Poll { options, .. } => Some(options.as_slice()),
                    _ => None,
                };
                batch.save_poll(&super::polls::of_matrix(portal.id, id, &poll, options));
            }
        }
        batch.remote_settled(row.seq, SendState::Sent, ids.first().map(String::as_str), None, now);
        self.status(batch, portal, row, "SUCCESS", None);
        metrics::counter!("landbridge_bridge_events_total", "bridge" => self.connector.id(), "from" => "matrix").increment(1);
        Ok(())
    }

    /// Something that is no message was done.
    async fn record_done(
        &self,
        batch: &mut Batch,
        portal: &Arc<Portal>,
        row: &RemoteOutboxRow,
    ) -> Result<(), StoreError> {
        let event = self.event_of_row(row).await?;
        match row.op.as_str() {
            "react" => {
                if let Some(reaction) = self.reaction_row(portal, row, &event).await? {
                    let content = event.get("content").unwrap_or(&Value::Null);
                    self.learn_emoji(batch, &self.emoji_of(content).await?);
                    batch.add_reaction(&reaction);
                    self.replace_reactions(batch, portal, &reaction).await?;
                }
            }
            "vote" => {
                if let Some(vote) = self.vote_of(portal, row, &event).await? {
                    batch.save_vote(portal.id, &vote.message.remote_id, &vote.voter, &vote.choices);
                }
            }
            "poll_end" => {
                if let Some(message) = self.related_message(portal, &event).await? {
                    batch.poll_ended(portal.id, &message.remote_id);
                }
            }
            "pins" => {
                let content = event.get("content").unwrap_or(&Value::Null);
                self.pins_done(batch, portal, content).await?;
            }
            "edit" => {
                let content = event.get("content").unwrap_or(&Value::Null);
                self.gallery_edited(batch, portal.id, content).await?;
            }
            "beacon_info" => self.beacon_ended(batch, portal.id, &event).await?,
            "timer" => {
                let timer = disappearing::read(event.get("content").unwrap_or(&Value::Null));
                self.change_portal_in(batch, portal, |row| row.timer = timer);
            }
            "redact" => {
                if let Some(target) = super::request::redacts(&event) {
                    batch.remove_reaction(target);
                    for message in self.store.messages_of_event(target).await? {
                        batch.bury_message(portal.id, &message.remote_id, Some(&message.part));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The reaction that an event is.
    pub(super) async fn reaction_row(
        &self,
        portal: &Portal,
        row: &RemoteOutboxRow,
        event: &Value,
    ) -> Result<Option<ReactionRow>, StoreError> {
        let relates = event.pointer("/content/m.relates_to");
        let target = relates.and_then(|relates| relates["event_id"].as_str()).unwrap_or_default();
        let Some(target) = self.store.messages_of_event(target).await?.into_iter().next() else {
            return Ok(None);
        };
        let sender = event.get("sender").and_then(Value::as_str).unwrap_or_default();
        let own =
            self.logins.stored(&row.login).and_then(|login| login.owner).as_deref() == Some(sender);
        Ok(Some(ReactionRow {
            portal: portal.id,
            remote_id: target.remote_id,
            part: target.part,
            sender: if own { format!("l:{}", row.login) } else { format!("m:{sender}") },
            emoji: self
                .emoji_of(event.get("content").unwrap_or(&Value::Null))
                .await?
                .id()
                .to_owned(),
            event_id: row.event_id.clone(),
            ts: event.get("origin_server_ts").and_then(Value::as_i64).unwrap_or_else(|| self.now()),
        }))
    }

    /// The Matrix event behind a row; read once.
    pub(super) async fn event_of_row(
        &self,
        row: &RemoteOutboxRow,
    ) -> Result<Arc<Value>, StoreError> {
        let read = async {
            let body = self.store.matrix_inbox_body(row.mx_seq).await?;
            let gone = || StoreError::Corrupt(format!("the event {} is gone", row.event_id));
            let event = serde_json::from_str(&body.ok_or_else(gone)?);
            event.map(Arc::new).map_err(|error| StoreError::Corrupt(error.to_string()))
        };
        Ok(row.event.get_or_try_init(|| read).await?.clone())
    }

    /// It will not be done; its sender is told.
    pub(super) fn give_up(
        &self,
        batch: &mut Batch,
        portal: &Arc<Portal>,
        row: &RemoteOutboxRow,
        state: SendState,
        why: &str,
    ) -> Result<(), StoreError> {
        tracing::warn!(event = row.event_id, op = row.op, ?state, why, "not sent to the network");
        batch.remote_settled(row.seq, state, None, Some(why), self.now());
        self.status(batch, portal, row, "FAIL_PERMANENT", Some(why));
        let text = if state == SendState::Unsure {
            why.to_owned()
        } else {
            format!("was not bridged: {why}")
        };
        self.notice(batch, portal, row, &text)
    }

    /// Tells the room about a message that could not be sent; only about what people see they have said.
    pub(super) fn notice(
        &self,
        batch: &mut Batch,
        portal: &Portal,
        row: &RemoteOutboxRow,
        text: &str,
    ) -> Result<(), StoreError> {
        let spoken = row.op == "edit" || row.op.starts_with("send");
        if !self.config.error_notices || !spoken || row.op == super::request::beacon::OP {
            return Ok(());
        }
        let what = if row.op == "edit" { "Your edit" } else { "Your message" };
        let content = json!({
            "msgtype": "m.notice",
            "body": format!("\u{26a0} {what} {text}"),
            "m.mentions": {},
            "m.relates_to": { "m.in_reply_to": { "event_id": row.event_id } },
        });
        self.say(
            batch,
            portal,
            &format!("notice:{}:{}:{text}", row.event_id, row.op),
            "m.room.message",
            content,
        )
    }

    /// `com.beeper.message_send_status`, where it is wanted.
    pub(super) fn status(
        &self,
        batch: &mut Batch,
        portal: &Portal,
        row: &RemoteOutboxRow,
        status: &str,
        why: Option<&str>,
    ) {
        if !self.config.message_status_events {
            return;
        }
        let mut content = json!({
            "network": self.connector.id(),
            "m.relates_to": { "rel_type": "m.reference", "event_id": row.event_id },
            "status": status,
        });
        if let Some(why) = why {
            content["reason"] = "m.foreign_network_error".into();
            content["message"] = why.into();
        }
        let key = format!("status:{}:{}:{status}", row.event_id, row.op);
        if let Err(error) = self.say(batch, portal, &key, "com.beeper.message_send_status", content)
        {
            tracing::warn!(%error, "a message's status could not be queued");
        }
    }

    /// Queues something that the bot says, once per key.
    pub(super) fn say(
        &self,
        batch: &mut Batch,
        portal: &Portal,
        key: &str,
        kind: &str,
        content: Value,
    ) -> Result<(), StoreError> {
        let op = MatrixOp::Event { kind: kind.into(), content, file: None };
        self.queue_op(batch, portal, &Actor::Bot, key, op)
    }

    /// Queues the redaction of an event, once.
    pub(crate) fn queue_redaction(
        &self,
        batch: &mut Batch,
        portal: &Portal,
        actor: &Actor,
        event_id: &str,
    ) -> Result<(), StoreError> {
        let op = MatrixOp::Redact { event_id: event_id.to_owned(), reason: None };
        self.queue_op(batch, portal, actor, &format!("gone:{event_id}"), op)
    }

    pub(super) fn queue_op(
        &self,
        batch: &mut Batch,
        portal: &Portal,
        actor: &Actor,
        key: &str,
        op: MatrixOp,
    ) -> Result<(), StoreError> {
        let generation = portal.row().generation;
        let (sender, kind) = (actor.to_text(), op.kind());
        let txn_id =
            keys::txn_id(self.connector.id(), portal.id, &sender, key, "", kind, generation);
        let via = match actor {
            Actor::Login(login) => login.clone(),
            Actor::Bot | Actor::Ghost(_) => String::new(),
        };
        let envelope = Envelope { op, ts: None, via, records: Vec::new() };
        let body = serde_json::to_string(&envelope)
            .map_err(|error| StoreError::Corrupt(error.to_string()))?;
        batch.add_matrix_outbox(NewMatrixOutbox {
            seq: self.store.next_id(),
            portal: portal.id,
            task: 0,
            sender: &sender,
            kind,
            body,
            txn_id: &txn_id,
            now: self.now(),
        });
        Ok(())
    }
}
