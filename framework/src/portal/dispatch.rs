//! Does what is to be done on the network, row by row: calls the handler, and where an earlier call was lost finds out first what
//! became of it.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use super::{
    Portal,
    handing::Commit,
    inward::Step,
    outward::{BATCH, is_send},
    request::Built,
};
use crate::{
    adapter::{Account, Request},
    engine::{Engine, guarded_async},
    handlers::{Idempotency, IdempotencyKey, SendError, Sent},
    network::LoginState,
    plain::Plain,
    rate::backoff_ms,
    store::{Batch, RemoteOutboxRow, SendState, StoreError},
};

/// How long a handler may take; then it may have been sent.
const PATIENCE: Duration = Duration::from_mins(5);
/// How long the network is left alone before it is asked whether something arrived, in milliseconds.
pub(super) const SETTLING: i64 = 10_000;
/// How long an echo is waited for, in milliseconds.
pub(super) const ECHO: i64 = 60_000;

/// How rows came to be open.
pub(super) enum Origin {
    /// They are committed.
    Committed,
    /// They are not; this puts them there.
    Planned(Batch),
    /// They are about to be committed.
    Handed(Commit),
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
    /// Does what is open, in order.
    pub(super) async fn dispatch_rows(
        self: &Arc<Self>,
        portal: &Arc<Portal>,
        rows: Vec<RemoteOutboxRow>,
        origin: Origin,
    ) -> Result<Step, StoreError> {
        let all = i64::try_from(rows.len()).is_ok_and(|rows| rows < BATCH);
        let done = self.dispatch_all(portal, rows, origin).await;
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
        origin: Origin,
    ) -> Result<(Step, bool), StoreError> {
        let (mut pending, mut commit) = match origin {
            Origin::Committed => (Batch::new(), Commit::Done),
            Origin::Planned(plan) => (plan, Commit::Done),
            Origin::Handed(commit) => (Batch::new(), commit),
        };
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
            let done = self.dispatch(portal, &row, alone, &mut commit, &mut pending).await?;
            if !commit.done().await {
                break;
            }
            match done {
                Done::Settled => end = Step::Progress,
                Done::Open => (end, settled) = (Step::Progress, false),
                Done::Stop(step) => {
                    (end, settled) = (step, false);
                    break;
                }
            }
        }
        if !commit.done().await {
            // The homeserver sends it again, and it is found in the database if it is there.
            return Ok((Step::Progress, false));
        }
        self.commit_outward(portal, pending).await?;
        if dispatched && portal.inward.is_busy() {
            // What was held because something of ours was under way.
            self.wake_for_tasks(portal.clone());
        }
        Ok((end, settled))
    }

    /// Does one thing. `pending` holds what the one before came to. If this one is not about that, it stands `alone`: both are
    /// then committed together with the note that this one is under way, so that there is one commit for each. Whose own
    /// `commit` is under way is sent before that is done only where the network knows it by its key.
    async fn dispatch(
        self: &Arc<Self>,
        portal: &Arc<Portal>,
        row: &RemoteOutboxRow,
        alone: bool,
        commit: &mut Commit,
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
        // It is sent again under its key, whether or not it says that it is under way.
        let unmarked = ahead.is_some() && !commit.is_done();
        if !unmarked && !commit.done().await {
            return Ok(Done::Open);
        }
        let mark = (is_send && !unmarked).then(|| pending.remote_sending(row.seq, now));
        let marked = async {
            if !commit.done().await {
                return Ok(false);
            }
            let touched = match mark {
                Some(_) => self.commit_outward(portal, std::mem::take(pending)).await?,
                None => Vec::new(),
            };
            Ok::<_, StoreError>(mark.is_some_and(|mark| touched.get(mark) == Some(&0)))
        };
        let call = called(&*account, *request, is_send);
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
                // Its echo has come meanwhile; or its event had been planned before: then the row of that time is open.
                return Ok(Done::Open);
            }
            call.await
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
        account: &Arc<dyn Account>,
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

/// What a handler answers, also one that breaks or takes too long.
async fn called(
    account: &dyn Account,
    request: Request,
    is_send: bool,
) -> Result<Answer, SendError> {
    let call = async {
        if is_send {
            account.send(request).await.map(Answer::Sent)
        } else {
            account.act(request).await.map(|()| Answer::Done)
        }
    };
    match tokio::time::timeout(PATIENCE, guarded_async(Box::pin(call))).await {
        Ok(Ok(answer)) => answer,
        // It broke in the middle: the same would happen again.
        Ok(Err(panic)) => Err(SendError::refused(panic)),
        Err(_) => Err(SendError::unknown("the network did not answer in time")),
    }
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
