//! The way to Matrix: takes a portal's tasks in order, converts them into outbox rows, sends those in order.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{
    Portal,
    albums::{Gathered, ends_all, item},
    convert::Verdict,
    envelope::Outgoing,
    handing::{Commit, HandedTask},
};
use crate::{
    engine::{Engine, guarded_async},
    event::Body,
    keys,
    rate::backoff_ms,
    store::{Batch, MatrixOutboxRow, NewMatrixOutbox, StoreError, TaskRow},
};

/// How many rows are worked on in one transaction.
const BATCH: i64 = 32;
/// How long a worker waits for more before it ends.
const LINGER: Duration = Duration::from_secs(20);
/// How often something is tried that fails for reasons that may pass, but that isn't the homeserver's outage.
const ATTEMPTS: i64 = 8;

/// How often an event waits for a picture that the network doesn't give; then it goes without.
const PATIENCE: i64 = 3;

/// What tasks come to, before it is committed.
struct Converted {
    batch: Batch,
    /// What it adds to the outbox, with the places of the statements.
    rows: Vec<(usize, MatrixOutboxRow)>,
    /// Whether each of these comes to the same again if it is converted anew: see [`Outgoing::is_settled`].
    settled: bool,
    end: Step,
}

/// What was worked on was not committed, or nobody knows: it comes again, or is found in the database.
pub(super) const LOST: Step = Step::Until(1_000);

/// How a step of a worker ended.
pub(super) enum Step {
    /// Something was done; there may be more.
    Progress,
    /// Nothing to do.
    Idle,
    /// Not before some milliseconds have passed.
    Wait(i64),
    /// Not before some milliseconds have passed, or something has happened.
    Until(i64),
}

impl Engine {
    pub(super) async fn inward_worker(self: Arc<Self>, portal: Arc<Portal>) {
        loop {
            let step = {
                let Ok(_permit) = self.work.acquire().await else { return };
                self.inward_step(&portal).await
            };
            if self.rest(step, &portal.inward).await {
                continue;
            }
            return;
        }
    }

    /// What a worker does between its steps; `false`: it ends.
    pub(super) async fn rest(
        &self,
        step: Result<Step, StoreError>,
        worker: &super::Worker,
    ) -> bool {
        match step {
            Ok(Step::Progress) => true,
            Ok(Step::Idle) => {
                worker.idle.store(true, Ordering::Release);
                let woken = tokio::time::timeout(LINGER, worker.wake.notified()).await.is_ok();
                worker.idle.store(false, Ordering::Release);
                if woken {
                    return true;
                }
                worker.running.store(false, Ordering::Release);
                // Whoever woke us in between saw us running and started nobody: go on ourselves.
                let woken =
                    tokio::time::timeout(Duration::ZERO, worker.wake.notified()).await.is_ok();
                woken && !worker.running.swap(true, Ordering::AcqRel)
            }
            Ok(Step::Wait(ms)) => {
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(ms.max(1).unsigned_abs())) => {}
                    () = self.portals.retry_now.notified() => {}
                }
                true
            }
            Ok(Step::Until(ms)) => {
                let wait = Duration::from_millis(ms.max(1).unsigned_abs());
                // Elapsed or woken: either way it is looked at again.
                let _ = tokio::time::timeout(wait, worker.wake.notified()).await;
                true
            }
            Err(StoreError::Closed) => false,
            Err(error) => {
                tracing::error!(%error, "a portal is held up by the database, trying again");
                tokio::time::sleep(Duration::from_secs(1)).await;
                true
            }
        }
    }

    async fn inward_step(self: &Arc<Self>, portal: &Arc<Portal>) -> Result<Step, StoreError> {
        let step = self.inward_work(portal).await;
        if !matches!(step, Ok(Step::Idle)) {
            return step;
        }
        self.show_passing(portal).await;
        step
    }

    async fn inward_work(self: &Arc<Self>, portal: &Arc<Portal>) -> Result<Step, StoreError> {
        if portal.inward.looks() {
            let rows = self.store.ready_matrix_outbox(portal.id, BATCH).await;
            if !matches!(&rows, Ok(rows) if rows.is_empty()) {
                portal.inward.look_again();
                return self.send_rows(portal, rows?, Batch::new(), Commit::Done).await;
            }
        }
        let handed = portal.handed_task().take();
        let (tasks, mut commit) = match handed {
            Some(HandedTask { task, commit }) => (vec![task], commit),
            None => (self.untaken_tasks(portal).await?, Commit::Done),
        };
        if tasks.is_empty() {
            let handed = portal.handed_task().is_some();
            return Ok(if handed { Step::Progress } else { Step::Idle });
        }
        let Converted { batch, rows, settled, end } = self.convert_tasks(portal, tasks).await?;
        let (plan, rows) = if settled && self.may_send_first(portal, &batch, &rows).await {
            (batch, rows.into_iter().map(|(_, row)| row).collect())
        } else {
            if !commit.done().await {
                return Ok(LOST);
            }
            (Batch::new(), self.commit_converted(portal, batch, rows).await?)
        };
        if rows.is_empty() {
            return Ok(end);
        }
        let sent = self.send_rows(portal, rows, plan, commit).await;
        if !matches!(sent, Ok(Step::Progress)) {
            portal.inward.look_again();
            return sent;
        }
        Ok(if portal.inward.is_to_look() { Step::Progress } else { end })
    }

    /// The tasks of a portal that are to be converted next.
    async fn untaken_tasks(&self, portal: &Portal) -> Result<Vec<TaskRow>, StoreError> {
        portal.untaken.store(false, Ordering::Release);
        let tasks = self.store.ready_tasks(portal.id, BATCH).await;
        if portal.handed_task().is_some() {
            // It may be among them.
            portal.untaken.store(true, Ordering::Release);
            return Ok(Vec::new());
        }
        if !matches!(&tasks, Ok(tasks) if tasks.is_empty()) {
            portal.untaken.store(true, Ordering::Release);
        }
        tasks
    }

    /// Whether rows may be sent before they are committed, with what became of them: there is nothing before them, and the homeserver
    /// keeps what it has accepted. After a crash in between their tasks are converted anew, and sent under the same transaction ids.
    async fn may_send_first(
        &self,
        portal: &Portal,
        batch: &Batch,
        rows: &[(usize, MatrixOutboxRow)],
    ) -> bool {
        !rows.is_empty()
            && batch.to_matrix() == rows.len()
            && !portal.inward.is_to_look()
            && matches!(self.homeserver_is_durable().await, Ok(true))
    }

    /// Converts tasks into rows of the outbox. Nothing of it is committed.
    async fn convert_tasks(
        self: &Arc<Self>,
        portal: &Arc<Portal>,
        tasks: Vec<TaskRow>,
    ) -> Result<Converted, StoreError> {
        let now = self.now();
        let mut batch = Batch::new();
        let mut queued_rows = Vec::new();
        let mut settled = true;
        let mut queued: HashSet<String> = HashSet::new();
        let mut annotations: HashSet<String> = HashSet::new();
        let mut end = Step::Progress;
        let full = tasks.len() as i64 == BATCH;
        let mut tasks = VecDeque::from(tasks);
        while let Some(task) = tasks.pop_front() {
            if task.not_before > now {
                end = Step::Until(task.not_before - now);
                break;
            }
            let decoded = match self.event_of(&task).await? {
                Ok(decoded) => decoded,
                Err(error) => {
                    self.bury(&mut batch, &task, &error.to_string());
                    continue;
                }
            };
            let (decoded, taken) = match self.gather(&task, decoded, &mut tasks, full).await? {
                Gathered::Whole(decoded, taken) => (decoded, taken),
                Gathered::Wait(ms) => {
                    end = Step::Until(ms);
                    break;
                }
                Gathered::Again => break,
            };
            let put_back = |decoded| self.put_back_alone(&task, &taken, decoded);
            let (via, event) = &*decoded;
            // What came before a chat's move is to be settled under the names that it had.
            let moves = matches!(event.body, Body::PortalMoved { .. });
            if moves && !batch.is_empty() {
                put_back(&decoded);
                break;
            }
            // What refers to something that is queued in this very batch waits until that has its event id.
            if super::convert::refers_to(event).iter().any(|id| queued.contains(&**id)) {
                put_back(&decoded);
                break;
            }
            let patient = task.attempts < PATIENCE;
            let converted = guarded_async(Box::pin(self.convert(portal, via, event, patient)));
            let verdict = match converted.await {
                Ok(verdict) => verdict,
                Err(panic) => {
                    self.bury_all(&mut batch, &task, &taken, &panic);
                    continue;
                }
            };
            if let Ok(verdict) = &verdict {
                ends_all(&mut batch, verdict, &taken);
            }
            match verdict {
                Ok(Verdict::Send { mut rows, effects, opens }) => {
                    // At another message of the same event the same reaction is the same.
                    rows.retain(|row| row.annotation().is_none_or(|said| annotations.insert(said)));
                    // More of an album may be there the next time; and what else is kept waits for nobody's answer.
                    settled &= item(event).is_none()
                        && effects.is_empty()
                        && rows.iter().all(Outgoing::is_settled);
                    queued.extend(opens);
                    batch.append(effects);
                    queued_rows
                        .extend(self.queue_rows(&mut batch, portal, task.seq, &task.key, rows)?);
                    batch.task_done(task.seq);
                }
                Ok(Verdict::Drop(why)) => {
                    tracing::debug!(key = task.key, why, "dropped");
                    batch.task_done(task.seq);
                }
                Ok(Verdict::Park(target)) => {
                    let ttl = i64::from(self.config.parking_hours) * 3_600_000;
                    batch.park_task(task.seq, &target, now + ttl);
                }
                Ok(Verdict::Hold) => {
                    put_back(&decoded);
                    end = Step::Until(1000);
                    break;
                }
                Err(failure)
                    if failure.is_temporary()
                        && (task.attempts < ATTEMPTS || failure.is_outage()) =>
                {
                    let wait = failure
                        .retry_after_ms()
                        .unwrap_or_else(|| backoff_ms(task.attempts, portal.id));
                    tracing::warn!(key = task.key, error = %failure, wait, "an event waits");
                    put_back(&decoded);
                    batch.task_later(task.seq, now + wait, &failure.to_string());
                    end = Step::Wait(wait);
                    break;
                }
                Err(failure) => self.bury_all(&mut batch, &task, &taken, &failure.to_string()),
            }
            if moves {
                break;
            }
        }
        Ok(Converted { batch, rows: queued_rows, settled, end })
    }

    /// Commits what tasks came to, with rows of the outbox and the places of their statements; gives the rows where nothing else is in
    /// it.
    async fn commit_converted(
        self: &Arc<Self>,
        portal: &Portal,
        batch: Batch,
        rows: Vec<(usize, MatrixOutboxRow)>,
    ) -> Result<Vec<MatrixOutboxRow>, StoreError> {
        let known = batch.to_matrix() == rows.len();
        let touched = self.store.commit(batch).await?;
        self.wake_spaces();
        if !known {
            portal.inward.look_again();
        }
        if portal.inward.is_to_look() {
            return Ok(Vec::new());
        }
        // What was in the outbox before, under its transaction id, isn't sent again.
        let added = |(at, row)| touched.get(at).is_some_and(|rows| *rows > 0).then_some(row);
        Ok(rows.into_iter().filter_map(added).collect())
    }

    /// Puts rows into the outbox, under transaction ids that follow from what they are. Gives the places of the statements, and
    /// what they add.
    pub(super) fn queue_rows(
        &self,
        batch: &mut Batch,
        portal: &Portal,
        task: i64,
        key: &str,
        rows: Vec<Outgoing>,
    ) -> Result<Vec<(usize, MatrixOutboxRow)>, StoreError> {
        let generation = portal.row().generation;
        let mut added = Vec::with_capacity(rows.len());
        for out in rows {
            let (sender, kind) = (out.actor.to_text(), out.envelope.op.kind());
            let txn_id = keys::txn_id(
                self.connector.id(),
                portal.id,
                &sender,
                key,
                &out.part,
                kind,
                generation,
            );
            let body = serde_json::to_string(&out.envelope)
                .map_err(|error| StoreError::Corrupt(error.to_string()))?;
            let seq = self.store.next_id();
            let at = batch.add_matrix_outbox(NewMatrixOutbox {
                seq,
                portal: portal.id,
                task,
                sender: &sender,
                kind,
                body: body.clone(),
                txn_id: &txn_id,
                now: self.now(),
            });
            added.push((at, MatrixOutboxRow { seq, sender, body, txn_id, attempts: 0 }));
        }
        Ok(added)
    }

    fn bury_all(&self, batch: &mut Batch, task: &TaskRow, taken: &[TaskRow], error: &str) {
        for task in [task].into_iter().chain(taken) {
            self.bury(batch, task, error);
        }
    }

    fn bury(&self, batch: &mut Batch, task: &TaskRow, error: &str) {
        tracing::warn!(
            key = task.key,
            error,
            "an event could not be bridged; it is among the dead letters"
        );
        metrics::counter!("landbridge_bridge_dead_letters_total", "bridge" => self.connector.id(), "queue" => "task")
            .increment(1);
        batch.task_dead(task.seq, error);
    }
}
