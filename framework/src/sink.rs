//! What the homeserver sends: a transaction and all its events are stored in one database transaction, then it is
//! acknowledged. What passes (typing, receipts, presence) is handled at once or not at all.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::{Value, value::RawValue};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use crate::{
    disappearing,
    engine::{Engine, Failure},
    event::Presence,
    handlers::{Op, PresenceSet, Read, Typing, Unread},
    keys::{CONTENT_KEY, base32},
    matrix::appservice::Transaction,
    network::MessageRef,
    portal::{Come, Commits, Portal},
    store::{Batch, StoreError},
};

/// How many rooms' worth of passing data is looked at per transaction.
const PASSING: usize = 100;

fn field<'a>(event: &'a Value, key: &str) -> &'a str {
    event.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Types that a portal does something about; others aren't stored.
fn is_relevant(kind: &str) -> bool {
    matches!(
        kind,
        "m.room.message"
            | "m.sticker"
            | "m.reaction"
            | "m.room.redaction"
            | "m.room.encrypted"
            | "m.room.member"
            | "m.room.name"
            | "m.room.topic"
            | "m.room.avatar"
            | "m.room.power_levels"
            | "m.room.pinned_events"
            | "m.room.tombstone"
            | "m.poll.start"
            | "m.poll.response"
            | "m.poll.end"
            | "m.beacon_info"
            | "org.matrix.msc3672.beacon_info"
            | "m.beacon"
            | "org.matrix.msc3672.beacon"
            | "org.matrix.msc3381.poll.start"
            | "org.matrix.msc3381.poll.response"
            | "org.matrix.msc3381.poll.end"
            | disappearing::STATE
    )
}

/// What a transaction is, whatever its number: the same for a repetition, another for other events. Synapse leaves what
/// passes out when it repeats, so that only counts where there is nothing else.
fn digest(events: &[(Arc<Value>, &RawValue)], txn: &Transaction) -> String {
    let mut hash = Sha256::new();
    for (event, _) in events {
        hash.update(field(event, "event_id"));
        hash.update("\n");
    }
    if events.is_empty() {
        for raw in txn.ephemeral.iter().chain(&txn.to_device) {
            hash.update(raw.get());
            hash.update("\n");
        }
    }
    base32(&hash.finalize())
}

impl Engine {
    /// Stores a transaction, once. Its number alone does not say that it came before: Synapse on `SQLite` counts from one again
    /// when it is restarted with nothing on its way
    /// ([element-hq/synapse#14556](https://github.com/element-hq/synapse/issues/14556)). Once begun it is done to its end, also when
    /// the homeserver hangs up: what came of it must be told to those who are to do something about it.
    pub(crate) async fn take_transaction(
        self: &Arc<Self>,
        txn_id: &str,
        txn: Transaction,
    ) -> Result<(), Failure> {
        // One after the other, so that events keep their order.
        let turn = self.readback.turn.clone().lock_owned().await;
        let (answer, told) = oneshot::channel();
        let (engine, txn_id) = (self.clone(), txn_id.to_owned());
        self.spawn(async move {
            // Nobody waits for it any more when the homeserver has hung up.
            let _ = answer.send(engine.take_in_turn(&txn_id, txn).await);
            drop(turn);
        });
        told.await.unwrap_or_else(|_| Err(Failure::Refused("the bridge is stopping".into())))
    }

    async fn take_in_turn(self: &Arc<Self>, txn_id: &str, txn: Transaction) -> Result<(), Failure> {
        let mut events = Vec::with_capacity(txn.events.len());
        for raw in &txn.events {
            let Ok(event) = serde_json::from_str::<Value>(raw.get()) else {
                tracing::warn!("the homeserver sent an event that is no JSON");
                continue;
            };
            events.push((Arc::new(event), raw.as_ref()));
        }
        let digest = digest(&events, &txn);
        let before = self.store.digest_of_txn(txn_id).await?;
        if before.as_ref() == Some(&digest) {
            // It did not hear the answer: to the homeserver it has failed.
            self.doubt_transactions();
            // Nor did perhaps those who are to do something about it hear that it came.
            for (event, _) in events.iter().filter(|(event, _)| self.concerns_us(event)) {
                if let Some(portal) = self.portal_of_room(field(event, "room_id")).await? {
                    self.wake_portal_outward(portal);
                }
            }
            self.control_wake.notify_one();
            return Ok(());
        }
        if before.is_some() {
            tracing::info!(txn_id, "the homeserver counts its transactions anew");
        }
        self.note_transaction(txn_id);
        let mut batch = Batch::new();
        let mut taken: BTreeMap<i64, (Arc<Portal>, Vec<Come>)> = BTreeMap::new();
        let mut control = false;
        let mut caught_up = BTreeSet::new();
        for (event, raw) in &events {
            let room_id = field(event, "room_id");
            // What nobody does anything about, most of all what our own users do, costs no look at its room.
            if self.concerns_us(event)
                && caught_up.insert(room_id.to_owned())
                && let Some(portal) = self.portal_of_room(room_id).await?
            {
                // Events the homeserver has lost must come before those it sends now.
                self.catch_up_if_behind(&portal).await?;
            }
            match self.add_event(&mut batch, event, raw.get()).await? {
                Taken::Portal(portal, seq) => {
                    let (_, come) = taken.entry(portal.id).or_insert((portal, Vec::new()));
                    come.push((seq, event.clone()));
                }
                Taken::Control => control = true,
                Taken::Not => {}
            }
        }
        batch.add_txn(txn_id, &digest, self.now());
        // That something was read starts its time: unlike other receipts this may not be forgotten.
        self.start_read(&mut batch, &txn).await?;
        let mut handed: Vec<Commits> = Vec::new();
        let mut wake = Vec::new();
        // Others may send again what came before, under another number: it is the database that knows.
        let durable = self.homeserver_is_durable().await?;
        for (portal, come) in taken.into_values() {
            let planned =
                if durable { self.plan_at_once(&mut batch, &portal, &come).await } else { None };
            match planned {
                Some(rows) => handed.push(self.hand(portal, rows)),
                None => wake.push(portal),
            }
        }
        self.store.commit(batch).await?;
        for commits in handed {
            // Whoever waits for it may be gone: the bridge is stopping.
            let _ = commits.send(());
        }
        for portal in wake {
            self.wake_for_events(portal);
        }
        if control {
            self.control_wake.notify_one();
        }
        if !txn.ephemeral.is_empty() {
            let passing: Vec<Value> = txn
                .ephemeral
                .iter()
                .take(PASSING)
                .filter_map(|raw| serde_json::from_str(raw.get()).ok())
                .collect();
            let engine = self.clone();
            self.spawn(async move {
                for event in passing {
                    if let Err(error) = engine.take_passing(&event).await {
                        tracing::debug!(%error, "something passing was not handed on");
                    }
                }
            });
        }
        Ok(())
    }

    /// Starts the time of what disappears after it was read, by the receipts of a transaction.
    async fn start_read(&self, batch: &mut Batch, txn: &Transaction) -> Result<(), Failure> {
        if !self.disappearing.waits() {
            return Ok(());
        }
        let now = self.now();
        for raw in txn.ephemeral.iter().take(PASSING) {
            let Ok(event) = serde_json::from_str::<Value>(raw.get()) else { continue };
            if field(&event, "type") != "m.receipt" {
                continue;
            }
            let Some(portal) = self.portal_of_room(field(&event, "room_id")).await? else {
                continue;
            };
            for (event_id, receipts) in
                event.get("content").and_then(Value::as_object).into_iter().flatten().take(PASSING)
            {
                let readers = receipts.get("m.read").and_then(Value::as_object);
                let read =
                    readers.into_iter().flat_map(|all| all.keys()).any(|who| !self.is_ours(who));
                if read {
                    batch.read_up_to(portal.id, event_id, now);
                }
            }
        }
        Ok(())
    }

    /// Queues an event, if somebody is to do something about it.
    pub(crate) async fn add_event(
        &self,
        batch: &mut Batch,
        event: &Value,
        raw: &str,
    ) -> Result<Taken, Failure> {
        let (room_id, event_id) = (field(event, "room_id"), field(event, "event_id"));
        let kind = field(event, "type");
        if event_id.is_empty() || room_id.is_empty() {
            return Ok(Taken::Not);
        }
        let target = field(event, "state_key");
        if kind == "m.room.member" {
            let membership = event.pointer("/content/membership").and_then(Value::as_str);
            // An invitation says nothing: when we hear of it, it was perhaps followed.
            if matches!(membership, Some("join" | "leave" | "ban")) {
                let joined = membership == Some("join");
                if self.is_ours(target) {
                    self.matrix.note_membership(room_id, target, joined).await?;
                } else if self.matrix.was_made_to_join(room_id, target) && joined {
                    // They are there because they are on the network. Done there, it could undo that they have left since.
                    return Ok(Taken::Not);
                }
            }
        }
        if !self.concerns_us(event) || self.is_own(event).await? {
            return Ok(Taken::Not);
        }
        let now = self.now();
        if let Some(portal) = self.portal_of_room(room_id).await? {
            let seq = self.store.next_id();
            batch.add_matrix_inbox(seq, event_id, room_id, Some(portal.id), raw.to_owned(), now);
            return Ok(Taken::Portal(portal, seq));
        }
        let invite = kind == "m.room.member" && self.is_ours(target);
        if kind == "m.room.message" || invite {
            batch.add_matrix_inbox(
                self.store.next_id(),
                event_id,
                room_id,
                None,
                raw.to_owned(),
                now,
            );
            return Ok(Taken::Control);
        }
        Ok(Taken::Not)
    }

    /// Whether something may be to do about an event: it is of a kind that matters, and not by a user of ours.
    fn concerns_us(&self, event: &Value) -> bool {
        is_relevant(field(event, "type")) && !self.is_ours(field(event, "sender"))
    }

    /// Whether an event is one that this bridge sent through somebody's own account. The key in its content says so; but
    /// keys can be copied (forwarded messages are), so it must also be the very event that was sent with it.
    async fn is_own(&self, event: &Value) -> Result<bool, StoreError> {
        let Some(key) = event
            .pointer("/content")
            .and_then(|content| content.get(CONTENT_KEY))
            .and_then(Value::as_str)
        else {
            return Ok(false);
        };
        self.store.is_sent_as(key, field(event, "event_id")).await
    }

    async fn take_passing(self: &Arc<Self>, event: &Value) -> Result<(), Failure> {
        let content = event.get("content").cloned().unwrap_or_default();
        let kind = field(event, "type");
        if kind == "m.presence" {
            let sender = field(event, "sender");
            let presence = match field(&content, "presence") {
                "online" => Presence::Online,
                "unavailable" => Presence::Away(
                    content.get("status_msg").and_then(Value::as_str).map(Into::into),
                ),
                _ => Presence::Offline,
            };
            if self.connector.abilities().presence {
                for login in self.logins.of_owner(sender) {
                    self.act_now(
                        &login.id,
                        None,
                        sender,
                        Op::Presence(PresenceSet(presence.clone())),
                    )
                    .await;
                }
            }
            return Ok(());
        }
        let Some(portal) = self.portal_of_room(field(event, "room_id")).await? else {
            return Ok(());
        };
        match kind {
            "m.typing" if self.connector.abilities().room.typing => {
                let now: BTreeSet<String> = content
                    .get("user_ids")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .filter(|mxid| !self.is_ours(mxid))
                    .map(ToOwned::to_owned)
                    .collect();
                let before = std::mem::replace(&mut *portal.typing(), now.clone());
                for mxid in before.symmetric_difference(&now) {
                    if let Ok((login, _)) = self.route(&portal, mxid) {
                        self.act_now(
                            &login,
                            Some(&portal),
                            mxid,
                            Op::Typing(Typing(now.contains(mxid))),
                        )
                        .await;
                    }
                }
            }
            "m.receipt" if self.connector.abilities().room.read => {
                for (event_id, receipts) in content.as_object().into_iter().flatten() {
                    let Some(message) =
                        self.store.messages_of_event(event_id).await?.into_iter().next()
                    else {
                        continue;
                    };
                    let readers = receipts.get("m.read").and_then(Value::as_object);
                    for mxid in readers.into_iter().flat_map(|readers| readers.keys()) {
                        // Only people's own accounts have read something on the network.
                        if let Ok((login, false)) = self.route(&portal, mxid) {
                            let op = Op::Read(Read {
                                up_to: MessageRef::whole(message.remote_id.clone()),
                            });
                            let thread = message.thread_root.clone();
                            self.act_in_thread(&login, Some(&portal), mxid, op, thread).await;
                        }
                    }
                }
            }
            "m.marked_unread" if self.connector.abilities().room.unread => {
                let sender = field(event, "sender");
                let unread = content.get("unread").and_then(Value::as_bool).unwrap_or(false);
                if let Ok((login, false)) = self.route(&portal, sender) {
                    self.act_now(&login, Some(&portal), sender, Op::Unread(Unread(unread))).await;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Who is to do something about an event.
pub(crate) enum Taken {
    /// The worker of a portal; the event has this number.
    Portal(Arc<Portal>, i64),
    /// Who answers outside portals.
    Control,
    /// Nobody.
    Not,
}
