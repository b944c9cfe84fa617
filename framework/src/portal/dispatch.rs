//! Does what is to be done on the network, row by row: calls the handler, and where an earlier call was lost finds out first what
//! became of it.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use super::{
    Ahead, Portal,
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

/// How long the network's answer may take while what was sent before is not committed.
const SOON: Duration = Duration::from_millis(5);

/// How rows came to be open.
pub(super) enum Origin {
    /// They are committed.
    Committed,
    /// They are not; this puts them there.
    Planned(Batch),
    /// They are about to be committed.
    Handed(Commit),
}

/// How far the work on rows has come.
struct Turn<'a> {
    /// What those so far came to, before it is committed.
    pending: Batch,
    /// Whether that has the rows themselves in it.
    planned: bool,
    /// The commit that the rows come with.
    commit: Commit,
    /// Something was sent without a note that it is under way, and what it came to is not committed.
    ahead: Option<Ahead<'a>>,
}

impl Turn<'_> {
    fn of(origin: Origin) -> Self {
        let (pending, commit) = match origin {
            Origin::Committed => (Batch::new(), Commit::Done),
            Origin::Planned(plan) => (plan, Commit::Done),
            Origin::Handed(commit) => (Batch::new(), commit),
        };
        Self { planned: !pending.is_empty(), pending, commit, ahead: None }
    }
    /// Everything so far was committed, and nothing is on its way.
    fn mark_committed(&mut self) {
        self.planned = false;
        self.ahead = None;
    }
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
        if done.is_err() {
            // What was sent and not noted as under way is unknown now.
            portal.doubt_what_is_open(self.store.next_id());
        }
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
        let mut turn = Turn::of(origin);
        let mut end = Step::Idle;
        let mut dispatched = false;
        let mut settled = true;
        for row in rows {
            let now = self.now();
            if row.state == SendState::AwaitingEcho {
                // It doesn't hold up what comes after it: the network has taken it, in order.
                settled = false;
                if row.not_before > now {
                    end = soonest(end, row.not_before - now);
                } else {
                    let pending = &mut turn.pending;
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
            let done = self.dispatch(portal, &row, &mut turn).await?;
            if !turn.commit.done().await {
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
        if !turn.commit.done().await {
            // The homeserver sends it again, and it is found in the database if it is there.
            return Ok((Step::Progress, false));
        }
        self.commit_outward(portal, turn.pending).await?;
        drop(turn.ahead);
        if dispatched && portal.inward.is_busy() {
            // What was held because something of ours was under way.
            self.wake_for_tasks(portal.clone());
        }
        Ok((end, settled))
    }

    /// Does one thing. If it is not about what those before it came to, it stands alone: that is then committed together with the
    /// note that this one is under way, so that there is one commit for each. Where the network knows it by its key there is no such
    /// note, and one commit for all of them.
    async fn dispatch<'a>(
        self: &Arc<Self>,
        portal: &'a Arc<Portal>,
        row: &RemoteOutboxRow,
        turn: &mut Turn<'a>,
    ) -> Result<Done, StoreError> {
        let now = self.now();
        if row.expires_at <= now && row.state == SendState::Ready {
            self.give_up(
                &mut turn.pending,
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
                    &mut turn.pending,
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
        // What was planned was not about anything that these rows come to.
        let alone = is_send && (turn.planned || stands_alone(row));
        if !alone {
            self.commit_outward(portal, std::mem::take(&mut turn.pending)).await?;
            turn.mark_committed();
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
                let pending = &mut turn.pending;
                self.give_up(pending, portal, row, SendState::Refused, &failure.to_string())?;
                return Ok(Done::Settled);
            }
        };
        let (request, idempotency) = match built {
            Built::Call(request, idempotency) => (request, idempotency),
            Built::Nothing(effects) => {
                turn.pending.append(effects);
                turn.pending.remote_settled(row.seq, SendState::Sent, None, None, now);
                return Ok(Done::Settled);
            }
            Built::Later(ms) => return Ok(Done::Stop(Step::Until(ms))),
        };
        if is_send
            && maybe_sent
            && let Some(done) =
                self.reconcile(portal, row, &account, idempotency, &mut turn.pending).await?
        {
            return Ok(done);
        }
        // After a crash it is sent again under its key, as if for the first time; its row then says so from the second time on.
        let first = row.attempts == 0 && row.not_before == 0 && !maybe_sent;
        let keyed = alone && first && idempotency == Idempotency::Native;
        let call = called(&*account, *request, is_send);
        if !turn.commit.done().await {
            return Ok(Done::Open);
        }
        let answer = if keyed {
            if turn.planned {
                // The row is there before it is sent: after a crash it says what may come back from the network as something new.
                self.commit_outward(portal, std::mem::take(&mut turn.pending)).await?;
                turn.mark_committed();
            }
            turn.ahead.get_or_insert_with(|| portal.send_ahead());
            self.beside_commit(portal, call, &mut turn.pending).await?
        } else {
            if is_send {
                let mark = turn.pending.remote_sending(row.seq, now);
                let pending = std::mem::take(&mut turn.pending);
                let touched = self.commit_outward(portal, pending).await?;
                turn.mark_committed();
                if touched.get(mark) == Some(&0) {
                    // Its echo has come meanwhile; or its event had been planned before: then the row of that time is open.
                    return Ok(Done::Open);
                }
            }
            call.await
        };
        // Where it was said already that it may come twice, nothing is left to find out.
        let in_doubt = is_send && maybe_sent && idempotency != Idempotency::AtLeastOnce;
        self.settle(portal, row, in_doubt, answer, &mut turn.pending).await
    }

    /// Calls the network, and meanwhile commits what those before it came to if the answer takes its time.
    async fn beside_commit(
        self: &Arc<Self>,
        portal: &Arc<Portal>,
        call: impl Future<Output = Result<Answer, SendError>>,
        pending: &mut Batch,
    ) -> Result<Result<Answer, SendError>, StoreError> {
        let mut call = std::pin::pin!(call);
        if let Ok(answer) = tokio::time::timeout(SOON, &mut call).await {
            return Ok(answer);
        }
        let commit = self.commit_outward(portal, std::mem::take(pending));
        let (committed, answer) = tokio::join!(commit, call);
        committed?;
        Ok(answer)
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
