//! Sends outbox rows to the homeserver, in order, and records what became of them.

use std::{collections::HashMap, sync::Arc, sync::atomic::Ordering};

use serde_json::Value;

use super::{
    Portal,
    envelope::{Envelope, MatrixOp, Record},
    handing::Commit,
    inward::{LOST, Step},
    membership::Change,
};
use crate::{
    disappearing,
    engine::{Actor, Engine, Failure},
    event::Disappear,
    keys::CONTENT_KEY,
    matrix::{Direction, Intent, MatrixError},
    media::MediaError,
    rate::backoff_ms,
    store::{Batch, MatrixOutboxRow, MessageRow, ReactionRow, StoreError},
};

/// How often a row is tried that the homeserver refuses for reasons that may pass.
const ATTEMPTS: i64 = 3;
/// How far back is looked for an unconfirmed event, in pages of [`PAGE`].
const PAGES: usize = 20;
const PAGE: u32 = 100;
/// The type of messages.
const MESSAGE: &str = "m.room.message";

impl Engine {
    /// Sends rows in order. `plan` is what put them there, if that is not yet committed: it is then committed with what became of them,
    /// after the `commit` of what they come from.
    pub(super) async fn send_rows(
        self: &Arc<Self>,
        portal: &Arc<Portal>,
        rows: Vec<MatrixOutboxRow>,
        plan: Batch,
        mut commit: Commit,
    ) -> Result<Step, StoreError> {
        let planned = plan.to_matrix();
        let mut batch = plan;
        let Some(room_id) = portal.room_id() else {
            // The portal was closed while they waited.
            for row in rows {
                batch.matrix_outbox_dead(row.seq, "the portal has no room any more");
            }
            if !commit.done().await {
                return Ok(LOST);
            }
            self.store.commit(batch).await?;
            return Ok(Step::Progress);
        };
        let found = match self.found_before(portal, &room_id).await? {
            Ok(found) => found,
            Err(wait) => {
                if !commit.done().await {
                    return Ok(LOST);
                }
                self.store.commit(batch).await?;
                return Ok(wait);
            }
        };
        let _sending = portal.sending.lock().await;
        let mut end = Step::Progress;
        // Messages that were pinned before they came.
        let mut pinned = HashMap::new();
        for row in rows {
            let now = self.now();
            let Ok(envelope) = serde_json::from_str::<Envelope>(&row.body) else {
                batch.matrix_outbox_dead(row.seq, "it can't be read");
                continue;
            };
            let sent = match found.get(&row.txn_id) {
                Some(event_id) => Ok(Some(event_id.clone())),
                None => self.deliver(&room_id, &row, &envelope).await,
            };
            match sent {
                Ok(event_id) => {
                    batch.matrix_outbox_sent(row.seq, event_id.as_deref(), now);
                    for record in &envelope.records {
                        if let (Record::Message { remote_id, .. }, Some(event_id)) =
                            (record, &event_id)
                            && portal.has_pin(remote_id)
                        {
                            pinned.insert(remote_id.clone(), (event_id.clone(), row.seq));
                        }
                        if let Record::Message { disappear: Some(timer), .. } = record
                            && let Some(timer) = Disappear::from_text(timer)
                        {
                            self.disappearing.noted(timer);
                        }
                    }
                    record(
                        &mut batch,
                        portal,
                        &row.sender,
                        &envelope.records,
                        event_id.as_deref().unwrap_or(""),
                    );
                    metrics::counter!("landbridge_bridge_events_total", "bridge" => self.connector.id(), "from" => "outbox")
                        .increment(1);
                }
                Err(Failure::Store(error)) => return Err(error),
                Err(failure)
                    if failure.is_temporary() || row.attempts < ATTEMPTS && failure.may_pass() =>
                {
                    if failure.maybe_done() {
                        portal.look_first.store(true, Ordering::Release);
                    }
                    if failure.is_outage() {
                        self.homeserver_failed();
                    }
                    let attempts = portal.send_failures.fetch_add(1, Ordering::Relaxed);
                    let wait =
                        failure.retry_after_ms().unwrap_or_else(|| backoff_ms(attempts, portal.id));
                    tracing::warn!(room = room_id, error = %failure, wait, "an event waits for the homeserver");
                    batch.matrix_outbox_later(row.seq, now + wait, &failure.to_string());
                    end = Step::Wait(wait);
                    break;
                }
                Err(failure) => {
                    tracing::warn!(room = room_id, error = %failure, "the homeserver refuses an event; it is among the dead letters");
                    metrics::counter!("landbridge_bridge_dead_letters_total", "bridge" => self.connector.id(), "queue" => "mx_outbox")
                        .increment(1);
                    batch.matrix_outbox_dead(row.seq, &failure.to_string());
                }
            }
            portal.send_failures.store(0, Ordering::Relaxed);
        }
        if !commit.done().await {
            return Ok(LOST);
        }
        self.commit_sent(portal, batch, planned, pinned).await?;
        Ok(end)
    }

    /// What of a portal's rows is in the room already, by their keys, where it is unknown whether they were sent; or how long to wait before
    /// that can be asked.
    async fn found_before(
        &self,
        portal: &Portal,
        room_id: &str,
    ) -> Result<Result<HashMap<String, String>, Step>, StoreError> {
        if !portal.look_first.load(Ordering::Acquire) {
            return Ok(Ok(HashMap::new()));
        }
        match self.sent_before(portal, room_id).await {
            Ok(found) => {
                portal.look_first.store(false, Ordering::Release);
                Ok(Ok(found))
            }
            Err(Failure::Store(error)) => Err(error),
            Err(failure) => {
                tracing::warn!(room = room_id, error = %failure, "the room could not be read back yet");
                let wait = failure.retry_after_ms().unwrap_or_else(|| backoff_ms(1, portal.id));
                Ok(Err(Step::Wait(wait)))
            }
        }
    }

    /// Commits what became of rows, of which the batch adds some; with messages, their events and their rows' numbers, that were pinned
    /// before they came.
    async fn commit_sent(
        &self,
        portal: &Arc<Portal>,
        mut batch: Batch,
        planned: usize,
        pinned: HashMap<String, (String, i64)>,
    ) -> Result<(), StoreError> {
        if let Some(last) = pinned.values().map(|(_, seq)| *seq).max() {
            let come = pinned.into_iter().map(|(id, (event_id, _))| (id, event_id)).collect();
            self.show_old_pins(&mut batch, portal, &come, &last.to_string()).await?;
        }
        let adds = batch.to_matrix() > planned;
        self.store.commit(batch).await?;
        self.wake_spaces();
        if adds {
            portal.inward.look_again();
        }
        Ok(())
    }

    /// The keys of what this bridge sent to a room after the last confirmed event. Asked where it is unknown whether rows were
    /// sent, and the homeserver may have forgotten their transaction ids.
    async fn sent_before(
        &self,
        portal: &Portal,
        room_id: &str,
    ) -> Result<HashMap<String, String>, Failure> {
        let mut found = HashMap::new();
        if self.homeserver_is_durable().await? {
            return Ok(found);
        }
        let last = self.store.last_confirmed(portal.id).await?;
        let bot = self.matrix.bot();
        let mut from: Option<String> = None;
        for _ in 0..PAGES {
            let page = bot.messages(room_id, from.as_deref(), Direction::Back, PAGE).await?;
            for event in &page.chunk {
                let id = event.get("event_id").and_then(Value::as_str).unwrap_or_default();
                if last.as_deref() == Some(id) {
                    return Ok(found);
                }
                if let Some(key) =
                    event.get("content").and_then(|c| c.get(CONTENT_KEY)).and_then(Value::as_str)
                {
                    found.insert(key.to_owned(), id.to_owned());
                }
            }
            from = page.end;
            if from.is_none() || page.chunk.is_empty() {
                break;
            }
        }
        Ok(found)
    }

    async fn deliver(
        &self,
        room_id: &str,
        row: &MatrixOutboxRow,
        envelope: &Envelope,
    ) -> Result<Option<String>, Failure> {
        let actor = Actor::from_text(&row.sender);
        let intent = self.intent(&actor, Some(&envelope.via)).await?;
        let result = self.perform(room_id, &intent, row, envelope).await;
        if let Err(Failure::Matrix(error)) = &result {
            if matches!(actor, Actor::Login(_)) && error.errcode() == Some("M_UNKNOWN_TOKEN") {
                self.doubt_puppet(intent.user_id());
                return Err(Failure::Network(crate::NetError::temporary(
                    "the double puppet's token is no longer good",
                )));
            }
            if error.is_forbidden()
                && row.attempts > 0
                && !intent.is_bot()
                && matches!(
                    envelope.op,
                    MatrixOp::State { .. }
                        | MatrixOp::Redact { .. }
                        | MatrixOp::Power { .. }
                        | MatrixOp::Member { .. }
                )
            {
                // Not allowed to them in the room, though it was on the network: the bot does it for them.
                return self.perform(room_id, &self.matrix.bot(), row, envelope).await;
            }
        }
        result
    }

    async fn perform(
        &self,
        room_id: &str,
        intent: &Intent,
        row: &MatrixOutboxRow,
        envelope: &Envelope,
    ) -> Result<Option<String>, Failure> {
        let txn_id = row.txn_id.as_str();
        match &envelope.op {
            MatrixOp::Event { kind, content, file } => {
                intent.ensure_joined(room_id).await?;
                let mut content =
                    self.with_file(content.clone(), file.as_ref(), &envelope.via).await?;
                content[CONTENT_KEY] = txn_id.into();
                Ok(Some(intent.send(room_id, kind, txn_id, &content, envelope.ts).await?))
            }
            MatrixOp::Gallery { content, files } => {
                intent.ensure_joined(room_id).await?;
                let mut content = self.with_files(content.clone(), files, &envelope.via).await?;
                content[CONTENT_KEY] = txn_id.into();
                let sent = intent.send(room_id, MESSAGE, txn_id, &content, envelope.ts).await;
                Ok(Some(sent?))
            }
            MatrixOp::Redact { event_id, reason } => {
                intent.ensure_joined(room_id).await?;
                match intent.redact(room_id, event_id, txn_id, reason.as_deref(), envelope.ts).await
                {
                    Ok(id) => Ok(Some(id)),
                    Err(error) if error.is_not_found() => Ok(None),
                    Err(error) => Err(error.into()),
                }
            }
            MatrixOp::State { kind, key, content, file } => {
                intent.ensure_joined(room_id).await?;
                let content = self.with_file(content.clone(), file.as_ref(), &envelope.via).await?;
                if file.is_some() && content.get("url").is_none() {
                    // The picture can't be had: the old one stays.
                    return Ok(None);
                }
                // The same state again would be an event that says nothing, and after a crash it would be said twice.
                if intent.get_state(room_id, kind, key).await?.as_ref() == Some(&content) {
                    return Ok(None);
                }
                Ok(Some(intent.state(room_id, kind, key, &content, envelope.ts).await?))
            }
            MatrixOp::Power { levels } => {
                self.merge_power(room_id, levels).await?;
                Ok(None)
            }
            MatrixOp::Member { action, user, reason } => {
                let change = Change {
                    room: room_id,
                    action: *action,
                    user: user.as_deref(),
                    reason: reason.as_deref(),
                    key: txn_id,
                };
                self.change_membership(intent, &change).await
            }
        }
    }

    /// Sets what an operation says about power, leaving the rest as it is. Creators of version 12 rooms aren't listed.
    async fn merge_power(&self, room_id: &str, levels: &Value) -> Result<(), MatrixError> {
        let bot = self.matrix.bot();
        let mut power = bot
            .get_state(room_id, "m.room.power_levels", "")
            .await?
            .unwrap_or_else(|| serde_json::json!({}));
        let before = power.clone();
        let Some(levels) = levels.as_object() else { return Ok(()) };
        for (key, value) in levels {
            match (power.get_mut(key), value) {
                (Some(Value::Object(old)), Value::Object(new)) => old.extend(new.clone()),
                _ => power[key] = value.clone(),
            }
        }
        if power != before {
            bot.state(room_id, "m.room.power_levels", "", &power, None).await?;
        }
        Ok(())
    }
}

/// What is recorded of something that was done.
fn record(batch: &mut Batch, portal: &Portal, sender: &str, records: &[Record], event_id: &str) {
    for record in records {
        match record {
            Record::Message { remote_id, part, place, order, ts, thread_root, meta, disappear } => {
                batch.add_message(&MessageRow {
                    portal: portal.id,
                    remote_id: remote_id.clone(),
                    part: part.clone(),
                    place: *place,
                    event_id: event_id.to_owned(),
                    sender: sender.to_owned(),
                    order: *order,
                    ts: *ts,
                    edit_version: 0,
                    thread_root: thread_root.clone(),
                    tombstone: false,
                    meta: meta.clone(),
                });
                if let Some(timer) = disappear.as_deref().and_then(Disappear::from_text) {
                    disappearing::note(batch, event_id, portal.id, *ts, timer);
                }
                batch.unpark_tasks(portal.id, remote_id);
            }
            Record::Reaction { remote_id, part, sender, emoji, ts } => {
                batch.add_reaction(&ReactionRow {
                    portal: portal.id,
                    remote_id: remote_id.clone(),
                    part: part.clone(),
                    sender: sender.clone(),
                    emoji: emoji.clone(),
                    event_id: event_id.to_owned(),
                    ts: *ts,
                });
            }
            Record::Gallery { album, body } => {
                batch.save_gallery(event_id, portal.id, album, body);
            }
            Record::Unreact { event_id } => batch.remove_reaction(event_id),
        }
    }
}

impl Failure {
    /// Whether it may have been done nevertheless.
    pub(crate) fn maybe_done(&self) -> bool {
        matches!(self, Self::Matrix(error) if error.maybe_done())
    }
    /// Whether the homeserver doesn't answer.
    pub(crate) fn is_outage(&self) -> bool {
        match self {
            Self::Matrix(error) | Self::Media(MediaError::Matrix(error)) => {
                error.is_transport() || error.is_gateway()
            }
            _ => false,
        }
    }
    /// Whether a refusal may end when it is tried again: a ghost that was put out joins again.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Matrix(error) if error.is_forbidden())
    }
}
