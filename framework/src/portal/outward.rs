//! The way to the network: takes a portal's events from Matrix in order, plans what is to be done, does it in order.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use tokio::sync::OnceCell;

use super::{Portal, inward::Step, request::Built};
use crate::{
    commands::strip_prefix,
    engine::{Engine, guarded_async},
    handlers::{Idempotency, IdempotencyKey, SendError, Sent},
    network::LoginState,
    plain::Plain,
    rate::backoff_ms,
    store::{Batch, MatrixInboxRow, RemoteOutboxRow, SendState, StoreError},
};

/// How many rows are worked on in one go.
const BATCH: i64 = 32;
/// How long a handler may take; then it may have been sent.
const PATIENCE: Duration = Duration::from_mins(5);
/// How long the network is left alone before it is asked whether something arrived, in milliseconds.
pub(super) const SETTLING: i64 = 10_000;
/// How long an echo is waited for, in milliseconds.
pub(super) const ECHO: i64 = 60_000;

/// What events from Matrix come to, before it is committed.
struct Planned {
    batch: Batch,
    rows: Vec<RemoteOutboxRow>,
    /// What was said to the bot.
    asked: Vec<(String, Value)>,
    end: Step,
}

/// What became of one thing.
pub(super) enum Done {
    /// It has come to its end, with what is to be committed.
    Settled,
    /// It waits for its echo, and holds nothing up.
    Open,
    /// What comes after it waits, too.
    Stop(Step),
}

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
            let Planned { batch, rows, asked, end } = self.plan_rows(portal, events).await?;
            let sends = !rows.is_empty() && rows.iter().all(is_send);
            if sends && asked.is_empty() && !portal.outward.is_to_look() {
                // Nothing else is open: that it is planned and that it is under way are one commit.
                let step = self.dispatch_rows(portal, rows, batch).await?;
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
        match self.store.open_remote_outbox(portal.id, BATCH).await {
            Ok(open) if open.is_empty() => Ok(Step::Idle),
            Ok(open) => self.dispatch_rows(portal, open, Batch::new()).await,
            Err(error) => {
                portal.outward.look_again();
                Err(error)
            }
        }
    }

    /// Does what is open, in order. `plan` is what put these rows there, if that is not yet committed.
    async fn dispatch_rows(
        self: &Arc<Self>,
        portal: &Arc<Portal>,
        rows: Vec<RemoteOutboxRow>,
        plan: Batch,
    ) -> Result<Step, StoreError> {
        let all = i64::try_from(rows.len()).is_ok_and(|rows| rows < BATCH);
        let done = self.dispatch_all(portal, rows, plan).await;
        if !matches!(done, Ok((_, true))) || !all {
            portal.outward.look_again();
        }
        done.map(|(step, _)| step)
    }

    /// The same; also says whether all of it is settled.
    async fn dispatch_all(
        self: &Arc<Self>,
        portal: &Arc<Portal>,
        rows: Vec<RemoteOutboxRow>,
        plan: Batch,
    ) -> Result<(Step, bool), StoreError> {
        let mut pending = plan;
        let mut end = Step::Idle;
        let mut dispatched = false;
        let mut settled = true;
        // What was planned was not about anything that these rows come to.
        let mut planned = !pending.is_empty();
        for row in rows {
            let now = self.now();
            if row.state == SendState::AwaitingEcho {
                // It doesn't hold up what comes after it: the network has taken it, in order.
                settled = false;
                if row.not_before > now {
                    end = soonest(end, row.not_before - now);
                } else {
                    pending.remote_later(row.seq, SendState::Unknown, now, "its echo never came");
                    end = Step::Progress;
                }
                continue;
            }
            if row.not_before > now {
                (end, settled) = (Step::Until(row.not_before - now), false);
                break;
            }
            if let Some(until) = self.rates.wait_until(portal.id, &row.login, now) {
                (end, settled) = (Step::Until(until - now), false);
                break;
            }
            dispatched = true;
            let alone = std::mem::take(&mut planned) || stands_alone(&row);
            match self.dispatch(portal, &row, alone, &mut pending).await? {
                Done::Settled => end = Step::Progress,
                Done::Open => (end, settled) = (Step::Progress, false),
                Done::Stop(step) => {
                    (end, settled) = (step, false);
                    break;
                }
            }
        }
        self.commit_outward(portal, pending).await?;
        if dispatched && portal.inward.is_busy() {
            // What was held because something of ours was under way.
            self.wake_for_tasks(portal.clone());
        }
        Ok((end, settled))
    }

    /// Commits what something came to; if that is to be told on Matrix, the way there is woken.
    async fn commit_outward(
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
                    let event = Arc::new(event);
                    for (op, login) in ops {
                        let key = IdempotencyKey::derive(self.connector.id(), &row.event_id, &op);
                        let new = RemoteOutboxRow {
                            seq: self.store.next_id(),
                            mx_seq: row.seq,
                            event_id: row.event_id.clone(),
                            login,
                            op: op.into_owned(),
                            key: key.to_hex(),
                            state: SendState::Ready,
                            attempts: 0,
                            not_before: 0,
                            first_sent_at: None,
                            expires_at: now
                                + i64::from(self.config.message_expiry_hours) * 3_600_000,
                            checkpoint: None,
                            portal: portal.id,
                            event: OnceCell::new_with(Some(event.clone())),
                        };
                        batch.add_remote_outbox(&new, now);
                        rows.push(new);
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
        Ok(Planned { batch, rows, asked, end })
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

    /// Does one thing. `pending` holds what the one before came to. If this one is not about that, it stands `alone`: both are
    /// then committed together with the note that this one is under way, so that there is one commit for each.
    async fn dispatch(
        self: &Arc<Self>,
        portal: &Arc<Portal>,
        row: &RemoteOutboxRow,
        alone: bool,
        pending: &mut Batch,
    ) -> Result<Done, StoreError> {
        let now = self.now();
        if row.expires_at <= now && row.state == SendState::Ready {
            self.give_up(
                pending,
                portal,
                row,
                SendState::Dead,
                "it waited too long for the network",
            )?;
            return Ok(Done::Settled);
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
                return Ok(Done::Settled);
            }
            return Ok(Done::Stop(Step::Wait(5000)));
        };
        let is_send = is_send(row);
        if !(alone && is_send) {
            self.commit_outward(portal, std::mem::take(pending)).await?;
        }
        let maybe_sent = row.state != SendState::Ready;
        let built = match self.build(portal, row, maybe_sent).await {
            Ok(built) => built,
            Err(failure) if failure.is_temporary() => {
                let wait =
                    failure.retry_after_ms().unwrap_or_else(|| backoff_ms(row.attempts, portal.id));
                return Ok(Done::Stop(Step::Wait(wait)));
            }
            Err(failure) => {
                self.give_up(pending, portal, row, SendState::Refused, &failure.to_string())?;
                return Ok(Done::Settled);
            }
        };
        let (request, idempotency) = match built {
            Built::Call(request, idempotency) => (request, idempotency),
            Built::Nothing(effects) => {
                pending.append(effects);
                pending.remote_settled(row.seq, SendState::Sent, None, None, now);
                return Ok(Done::Settled);
            }
            Built::Later(ms) => return Ok(Done::Stop(Step::Until(ms))),
        };
        if is_send
            && maybe_sent
            && let Some(done) = self.reconcile(portal, row, &account, idempotency, pending).await?
        {
            return Ok(done);
        }
        // What the network knows by its key may be on its way before its row is committed: after a crash in between, its event is
        // planned anew, under the same key.
        let ahead = (is_send && alone && !maybe_sent && idempotency == Idempotency::Native)
            .then(|| portal.send_ahead());
        let mark = is_send.then(|| pending.remote_sending(row.seq, now));
        let marked = async {
            let touched = match mark {
                Some(_) => self.commit_outward(portal, std::mem::take(pending)).await?,
                None => Vec::new(),
            };
            Ok::<_, StoreError>(mark.is_some_and(|mark| touched.get(mark) == Some(&0)))
        };
        let call = async {
            if is_send {
                account.send(*request).await.map(Answer::Sent)
            } else {
                account.act(*request).await.map(|()| Answer::Done)
            }
        };
        let call = tokio::time::timeout(PATIENCE, guarded_async(Box::pin(call)));
        let answer = if let Some(ahead) = ahead {
            let marked = async {
                let marked = marked.await;
                drop(ahead);
                marked
            };
            let (marked, answer) = tokio::join!(marked, call);
            marked?;
            answer
        } else {
            if marked.await? {
                // Its echo has come meanwhile; or its event had been planned before, and this row is none.
                return Ok(Done::Settled);
            }
            call.await
        };
        let answer = match answer {
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
    ) -> Result<Option<Done>, StoreError> {
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
                return Ok(Some(Done::Stop(Step::Until(SETTLING))));
            }
            let Some(key) = IdempotencyKey::from_hex(&row.key) else {
                return Err(StoreError::Corrupt(row.key.clone()));
            };
            return match account.find(&portal.row().key, &key).await {
                Ok(Some(id)) => {
                    self.record_sent(pending, portal, row, &Sent::Now { id, order: None }).await?;
                    Ok(Some(Done::Settled))
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
                    Ok(Some(Done::Stop(Step::Until(wait))))
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
        Ok(Some(Done::Settled))
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

/// Whether something is sent, so that it might come twice.
fn is_send(row: &RemoteOutboxRow) -> bool {
    row.op.starts_with("send")
}

/// Whether something is a message that is about no other, and takes no time to make.
fn stands_alone(row: &RemoteOutboxRow) -> bool {
    let content = row.event.get().and_then(|event| event.get("content"));
    row.op == "send"
        && content.is_some_and(|content| {
            let kind = content.get("msgtype").and_then(Value::as_str);
            matches!(kind, Some("m.text" | "m.emote" | "m.notice"))
                && content.get("m.relates_to").is_none()
        })
}

/// The sooner of two ends of a step.
fn soonest(step: Step, ms: i64) -> Step {
    match step {
        Step::Until(other) => Step::Until(other.min(ms)),
        Step::Idle => Step::Until(ms),
        other => other,
    }
}
