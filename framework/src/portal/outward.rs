//! The way to the network: takes a portal's events from Matrix in order, plans what is to be done, does it in order.

use std::sync::{Arc, atomic::Ordering};

use serde_json::Value;
use tokio::sync::OnceCell;

use super::{Portal, dispatch::Origin, handing::Handed, inward::Step, plan::Ops};
use crate::{
    commands::strip_prefix,
    engine::Engine,
    handlers::IdempotencyKey,
    rate::backoff_ms,
    store::{Batch, MatrixInboxRow, RemoteOutboxRow, SendState, StoreError},
};

/// How many rows are worked on in one go.
pub(super) const BATCH: i64 = 32;

/// What events from Matrix come to, before it is committed.
struct Planned {
    batch: Batch,
    rows: Vec<RemoteOutboxRow>,
    /// What was said to the bot.
    asked: Vec<(String, Value)>,
    end: Step,
}

impl Engine {
    pub(super) async fn outward_worker(self: Arc<Self>, portal: Arc<Portal>) {
        loop {
            let step = {
                let Ok(_permit) = self.work.acquire().await else { return };
                self.outward_step(&portal).await
            };
            if self.rest(step, &portal.outward).await {
                continue;
            }
            return;
        }
    }

    async fn outward_step(self: &Arc<Self>, portal: &Arc<Portal>) -> Result<Step, StoreError> {
        let handed = portal.handed().take();
        if let Some(Handed { rows, commit }) = handed {
            return self.dispatch_rows(portal, rows, Origin::Handed(commit)).await;
        }
        let events = self.unplanned_events(portal).await?;
        if !events.is_empty() {
            let Planned { batch, rows, asked, end } = self.plan_rows(portal, events).await?;
            let sends = !rows.is_empty() && rows.iter().all(is_send);
            if sends && asked.is_empty() && !portal.outward.is_to_look() {
                // Nothing else is open: that it is planned and that it is under way are one commit.
                let step = self.dispatch_rows(portal, rows, Origin::Planned(batch)).await?;
                return Ok(if matches!(step, Step::Progress) { end } else { step });
            }
            self.commit_outward(portal, batch).await?;
            if !rows.is_empty() {
                portal.outward.look_again();
            }
            // Only now: a command that breaks the bridge must not break it again at each start.
            self.run_commands(asked);
            return Ok(end);
        }
        if !portal.outward.looks() {
            return Ok(Step::Idle);
        }
        let open = self.store.open_remote_outbox(portal.id, BATCH).await;
        if portal.handed().is_some() {
            // It may be among what is open.
            portal.outward.look_again();
            return Ok(Step::Progress);
        }
        match open {
            Ok(open) if open.is_empty() => Ok(Step::Idle),
            Ok(open) => self.dispatch_rows(portal, open, Origin::Committed).await,
            Err(error) => {
                portal.outward.look_again();
                Err(error)
            }
        }
    }

    /// The events of a portal that are to be planned next.
    async fn unplanned_events(&self, portal: &Portal) -> Result<Vec<MatrixInboxRow>, StoreError> {
        if !portal.unplanned.swap(false, Ordering::AcqRel) {
            return Ok(Vec::new());
        }
        let events = self.store.ready_matrix_inbox(Some(portal.id), BATCH).await;
        if !matches!(&events, Ok(events) if events.is_empty()) {
            portal.leave_unplanned();
        }
        events
    }

    /// Commits what something came to; if that is to be told on Matrix, the way there is woken.
    pub(super) async fn commit_outward(
        self: &Arc<Self>,
        portal: &Arc<Portal>,
        batch: Batch,
    ) -> Result<Vec<u64>, StoreError> {
        let tells = batch.to_matrix() > 0;
        let touched = self.store.commit(batch).await?;
        if tells {
            self.wake_portal_inward(portal.clone());
        }
        Ok(touched)
    }

    /// Plans what is to be done about events. Nothing of it is committed.
    async fn plan_rows(
        self: &Arc<Self>,
        portal: &Arc<Portal>,
        events: Vec<MatrixInboxRow>,
    ) -> Result<Planned, StoreError> {
        let mut batch = Batch::new();
        let mut end = Step::Progress;
        let mut asked = Vec::new();
        let mut rows = Vec::new();
        for row in events {
            let now = self.now();
            if row.not_before > now {
                end = Step::Until(row.not_before - now);
                break;
            }
            let Ok(event) = serde_json::from_str::<Value>(&row.body) else {
                batch.matrix_inbox_dead(row.seq, "it can't be read");
                continue;
            };
            if is_command(&event, &self.config.command_prefix) {
                batch.matrix_inbox_done(row.seq);
                asked.push((row.room_id, event));
                continue;
            }
            match self.plan(portal, &event, &mut batch).await {
                Ok(ops) => {
                    rows.extend(self.plan_ops(&mut batch, portal, row.seq, &Arc::new(event), ops));
                }
                Err(failure) if failure.is_temporary() => {
                    let wait = failure
                        .retry_after_ms()
                        .unwrap_or_else(|| backoff_ms(row.attempts, portal.id));
                    tracing::warn!(event = row.event_id, error = %failure, wait, "an event from Matrix waits");
                    batch.matrix_inbox_later(row.seq, now + wait, &failure.to_string());
                    end = Step::Wait(wait);
                    break;
                }
                Err(failure) => {
                    tracing::warn!(event = row.event_id, error = %failure, "an event from Matrix is among the dead letters");
                    batch.matrix_inbox_dead(row.seq, &failure.to_string());
                }
            }
        }
        Ok(Planned { batch, rows, asked, end })
    }

    /// Puts what an event asks for into the outbox to the network; gives what it adds. `seq` is the number of the event's row.
    pub(super) fn plan_ops(
        &self,
        batch: &mut Batch,
        portal: &Portal,
        seq: i64,
        event: &Arc<Value>,
        ops: Ops,
    ) -> Vec<RemoteOutboxRow> {
        let now = self.now();
        let event_id = event.get("event_id").and_then(Value::as_str).unwrap_or_default();
        let rows = ops.into_iter().map(|(op, login)| RemoteOutboxRow {
            seq: self.store.next_id(),
            mx_seq: seq,
            event_id: event_id.to_owned(),
            login,
            key: IdempotencyKey::derive(self.connector.id(), event_id, &op).to_hex(),
            op: op.into_owned(),
            state: SendState::Ready,
            attempts: 0,
            not_before: 0,
            first_sent_at: None,
            expires_at: now + i64::from(self.config.message_expiry_hours) * 3_600_000,
            checkpoint: None,
            portal: portal.id,
            event: OnceCell::new_with(Some(event.clone())),
        });
        let rows: Vec<_> = rows.collect();
        for row in &rows {
            batch.add_remote_outbox(row, now);
        }
        batch.matrix_inbox_done(seq);
        rows
    }

    /// Lets the bot answer what was said to it in a portal's room, in order, while the portal's work goes on.
    fn run_commands(&self, asked: Vec<(String, Value)>) {
        let Some(commands) = self.commands.get().filter(|_| !asked.is_empty()).cloned() else {
            return;
        };
        self.spawn(async move {
            for (room, event) in asked {
                let sender = event.get("sender").and_then(Value::as_str).unwrap_or_default();
                commands.handle(&room, sender, &event).await;
            }
        });
    }
}

/// Whether an event from a portal's room is for the bot, by its prefix, and not for the network. An edit never is: what it
/// changes was run or relayed already.
pub(super) fn is_command(event: &Value, prefix: &str) -> bool {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
    text("/type") == Some("m.room.message")
        && text("/content/msgtype") == Some("m.text")
        && text("/content/m.relates_to/rel_type") != Some("m.replace")
        && text("/content/body").is_some_and(|body| strip_prefix(body.trim(), prefix).is_some())
}

/// Whether something is sent, so that it might come twice.
pub(super) fn is_send(row: &RemoteOutboxRow) -> bool {
    row.op.starts_with("send")
}
