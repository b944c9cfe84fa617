//! The way to the network: takes a portal's events from Matrix in order, plans what is to be done, does it in order.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use super::{Portal, inward::Step, request::Built};
use crate::{
    commands::strip_prefix,
    engine::{Engine, guarded_async},
    handlers::{Idempotency, IdempotencyKey, SendError, Sent},
    network::LoginState,
    plain::Plain,
    rate::backoff_ms,
    store::{Batch, MatrixInboxRow, NewRemoteOutbox, RemoteOutboxRow, SendState, StoreError},
};

/// How many rows are worked on in one go.
const BATCH: i64 = 32;
/// How long a handler may take; then it may have been sent.
const PATIENCE: Duration = Duration::from_mins(5);
/// How long the network is left alone before it is asked whether something arrived, in milliseconds.
pub(super) const SETTLING: i64 = 10_000;
/// How long an echo is waited for, in milliseconds.
pub(super) const ECHO: i64 = 60_000;

/// What a handler answered.
pub(super) enum Answer {
    Sent(Sent<Plain>),
    Done,
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
        let events = self.store.ready_matrix_inbox(Some(portal.id), BATCH).await?;
        if !events.is_empty() {
            return self.plan_rows(portal, events).await;
        }
        let open = self.store.open_remote_outbox(portal.id, BATCH).await?;
        let mut pending = Batch::new();
        let mut end = Step::Idle;
        let mut settled = false;
        for row in open {
            let now = self.now();
            if row.state == SendState::AwaitingEcho {
                // It doesn't hold up what comes after it: the network has taken it, in order.
                if row.not_before > now {
                    end = soonest(end, row.not_before - now);
                } else {
                    pending.remote_later(row.seq, SendState::Unknown, now, "its echo never came");
                    end = Step::Progress;
                }
                continue;
            }
            if row.not_before > now {
                end = Step::Until(row.not_before - now);
                break;
            }
            if let Some(until) = self.rates.wait_until(portal.id, &row.login, now) {
                end = Step::Until(until - now);
                break;
            }
            settled = true;
            match self.dispatch(portal, &row, &mut pending).await? {
                Step::Progress => end = Step::Progress,
                other => {
                    end = other;
                    break;
                }
            }
        }
        if !pending.is_empty() {
            self.store.commit(pending).await?;
        }
        if settled {
            // What was held because something of ours was under way.
            self.wake_portal_inward(portal.clone());
        }
        Ok(end)
    }

    async fn plan_rows(
        self: &Arc<Self>,
        portal: &Arc<Portal>,
        events: Vec<MatrixInboxRow>,
    ) -> Result<Step, StoreError> {
        let mut batch = Batch::new();
        let mut end = Step::Progress;
        let mut asked = Vec::new();
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
                    for (op, login) in ops {
                        let key = IdempotencyKey::derive(self.connector.id(), &row.event_id, &op)
                            .to_hex();
                        batch.add_remote_outbox(&NewRemoteOutbox {
                            seq: self.store.next_id(),
                            mx_seq: row.seq,
                            portal: portal.id,
                            event_id: &row.event_id,
                            login: &login,
                            op: &op,
                            key: &key,
                            expires_at: now
                                + i64::from(self.config.message_expiry_hours) * 3_600_000,
                            now,
                        });
                    }
                    batch.matrix_inbox_done(row.seq);
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
        self.store.commit(batch).await?;
        // Only now: a command that breaks the bridge must not break it again at each start.
        self.run_commands(asked);
        Ok(end)
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

    /// Does one thing. `pending` holds what the one before came to: it is committed together with the note that this one
    /// is under way, so that there is one commit for each.
    async fn dispatch(
        self: &Arc<Self>,
        portal: &Arc<Portal>,
        row: &RemoteOutboxRow,
        pending: &mut Batch,
    ) -> Result<Step, StoreError> {
        let now = self.now();
        if row.expires_at <= now && row.state == SendState::Ready {
            self.give_up(
                pending,
                portal,
                row,
                SendState::Dead,
                "it waited too long for the network",
            )?;
            return Ok(Step::Progress);
        }
        let Some(account) = self.logins.account(&row.login) else {
            let state = self.logins.state(&row.login);
            if state.is_none() || matches!(state, Some(LoginState::BadCredentials(_))) {
                self.give_up(
                    pending,
                    portal,
                    row,
                    SendState::Refused,
                    "you are no longer logged in to the network",
                )?;
                return Ok(Step::Progress);
            }
            return Ok(Step::Wait(5000));
        };
        // What is to be done may be about what was done just before.
        if !pending.is_empty() {
            self.store.commit(std::mem::take(pending)).await?;
        }
        let is_send = row.op.starts_with("send");
        let maybe_sent = row.state != SendState::Ready;
        let built = match self.build(portal, row, maybe_sent).await {
            Ok(built) => built,
            Err(failure) if failure.is_temporary() => {
                let wait =
                    failure.retry_after_ms().unwrap_or_else(|| backoff_ms(row.attempts, portal.id));
                return Ok(Step::Wait(wait));
            }
            Err(failure) => {
                self.give_up(pending, portal, row, SendState::Refused, &failure.to_string())?;
                return Ok(Step::Progress);
            }
        };
        let (request, idempotency) = match built {
            Built::Call(request, idempotency) => (request, idempotency),
            Built::Nothing(effects) => {
                pending.append(effects);
                pending.remote_settled(row.seq, SendState::Sent, None, None, now);
                return Ok(Step::Progress);
            }
            Built::Later(ms) => return Ok(Step::Until(ms)),
        };
        if is_send
            && maybe_sent
            && let Some(step) = self.reconcile(portal, row, &account, idempotency, pending).await?
        {
            return Ok(step);
        }
        if is_send {
            let mut mark = Batch::new();
            mark.remote_sending(row.seq, now);
            if self.store.commit(mark).await?.first() == Some(&0) {
                // Its echo has come meanwhile.
                return Ok(Step::Progress);
            }
        }
        let call = async {
            if is_send {
                account.send(*request).await.map(Answer::Sent)
            } else {
                account.act(*request).await.map(|()| Answer::Done)
            }
        };
        let answer = match tokio::time::timeout(PATIENCE, guarded_async(Box::pin(call))).await {
            Ok(Ok(answer)) => answer,
            // It broke in the middle: the same would happen again.
            Ok(Err(panic)) => Err(SendError::refused(panic)),
            Err(_) => Err(SendError::unknown("the network did not answer in time")),
        };
        // Where it was said already that it may come twice, nothing is left to find out.
        let in_doubt = is_send && maybe_sent && idempotency != Idempotency::AtLeastOnce;
        self.settle(portal, row, in_doubt, answer, pending).await
    }

    /// Something may have been sent: what follows from the network's idempotency. `None`: it is sent again.
    async fn reconcile(
        self: &Arc<Self>,
        portal: &Arc<Portal>,
        row: &RemoteOutboxRow,
        account: &Arc<dyn crate::adapter::Account>,
        idempotency: Idempotency,
        pending: &mut Batch,
    ) -> Result<Option<Step>, StoreError> {
        let now = self.now();
        let can_look = self.connector.abilities().reconcile;
        let first = row.first_sent_at.unwrap_or(now);
        let look = match idempotency {
            Idempotency::Native => return Ok(None),
            Idempotency::Window(window) if now - first < window.as_millis() as i64 => {
                return Ok(None);
            }
            Idempotency::Window(_) | Idempotency::Reconcile => can_look,
            Idempotency::AtLeastOnce | Idempotency::None => false,
        };
        if look {
            if row.state == SendState::Sending {
                // Found after a crash, or left by one: what was sent may still be on its way.
                pending.remote_later(
                    row.seq,
                    SendState::Unknown,
                    now + SETTLING,
                    "may have been sent",
                );
                return Ok(Some(Step::Until(SETTLING)));
            }
            let Some(key) = IdempotencyKey::from_hex(&row.key) else {
                return Err(StoreError::Corrupt(row.key.clone()));
            };
            return match account.find(&portal.row().key, &key).await {
                Ok(Some(id)) => {
                    self.record_sent(pending, portal, row, &Sent::Now { id, order: None }).await?;
                    Ok(Some(Step::Progress))
                }
                Ok(None) => Ok(None),
                Err(error) => {
                    let wait = backoff_ms(row.attempts, portal.id);
                    pending.remote_later(
                        row.seq,
                        SendState::Unknown,
                        now + wait,
                        &error.to_string(),
                    );
                    Ok(Some(Step::Until(wait)))
                }
            };
        }
        if idempotency == Idempotency::AtLeastOnce {
            metrics::counter!("landbridge_bridge_maybe_doubled_total", "bridge" => self.connector.id()).increment(1);
            self.notice(
                pending,
                portal,
                row,
                "may have been sent twice: the connection broke in the middle",
            )?;
            return Ok(None);
        }
        metrics::counter!("landbridge_bridge_maybe_sent_total", "bridge" => self.connector.id())
            .increment(1);
        self.give_up(
            pending,
            portal,
            row,
            SendState::Unsure,
            "may have been sent: the network's answer was lost",
        )?;
        Ok(Some(Step::Progress))
    }
}

/// Whether an event from a portal's room is for the bot, by its prefix, and not for the network. An edit never is: what it
/// changes was run or relayed already.
fn is_command(event: &Value, prefix: &str) -> bool {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
    text("/type") == Some("m.room.message")
        && text("/content/msgtype") == Some("m.text")
        && text("/content/m.relates_to/rel_type") != Some("m.replace")
        && text("/content/body").is_some_and(|body| strip_prefix(body.trim(), prefix).is_some())
}

/// The sooner of two ends of a step.
fn soonest(step: Step, ms: i64) -> Step {
    match step {
        Step::Until(other) => Step::Until(other.min(ms)),
        Step::Idle => Step::Until(ms),
        other => other,
    }
}
