//! Messages that are worked on as they come, where nothing else is on its way: nobody looks for them in the database. To the network, that a
//! message has come and what is to be done about it are one commit; to Matrix, a message is converted while it is committed, and sent where
//! the homeserver knows it by its transaction id. What is not committed in the end comes again, and is the same.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::oneshot;

use super::{
    Portal,
    outward::{is_command, is_send},
};
use crate::{
    engine::Engine,
    store::{Batch, RemoteOutboxRow, TaskRow},
};

/// What is to be done about messages of a portal, and is about to be committed with them.
pub(super) struct Handed {
    pub(super) rows: Vec<RemoteOutboxRow>,
    pub(super) commit: Commit,
}

/// A task that is about to be committed.
pub(super) struct HandedTask {
    pub(super) task: TaskRow,
    pub(super) commit: Commit,
}

/// How the commit stands that something depends on.
pub(super) enum Commit {
    /// It is under way.
    Pending(oneshot::Receiver<()>),
    /// It was done.
    Done,
    /// It failed, or who was doing it was broken off: it may come yet.
    Lost,
}

impl Commit {
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }
    /// Waits for its end; gives whether it was done.
    pub(super) async fn done(&mut self) -> bool {
        if let Self::Pending(told) = self {
            *self = if told.await.is_ok() { Self::Done } else { Self::Lost };
        }
        self.is_done()
    }
}

/// To be told that what was handed over is committed.
pub(crate) type Commits = oneshot::Sender<()>;

/// An event of a portal, with its row's number.
pub(crate) type Come = (i64, Arc<Value>);

impl Engine {
    /// Plans what is to be done about a portal's new events, if they are messages that can be sent as they are, and nothing is before
    /// them. What is planned goes into the batch.
    pub(crate) async fn plan_at_once(
        self: &Arc<Self>,
        batch: &mut Batch,
        portal: &Arc<Portal>,
        events: &[Come],
    ) -> Option<Vec<RemoteOutboxRow>> {
        let is_said = |event: &Value| {
            event.get("type").and_then(Value::as_str) == Some("m.room.message")
                && !is_command(event, &self.config.command_prefix)
        };
        if !portal.is_quiet() || !events.iter().all(|(_, event)| is_said(event)) {
            return None;
        }
        let mut plan = Batch::new();
        let mut rows = Vec::with_capacity(events.len());
        for (seq, event) in events {
            // What goes wrong, or is to be said about it, is the worker's.
            let ops = self.plan(portal, event, &mut plan).await.ok()?;
            rows.extend(self.plan_ops(&mut plan, portal, *seq, event, ops));
        }
        if rows.is_empty() || !rows.iter().all(is_send) || plan.to_matrix() > 0 {
            return None;
        }
        batch.append(plan);
        Some(rows)
    }

    /// Hands what was planned to the portal's worker, before it is committed; the answer is to be told once it is.
    pub(crate) fn hand(
        self: &Arc<Self>,
        portal: Arc<Portal>,
        rows: Vec<RemoteOutboxRow>,
    ) -> Commits {
        let (commits, told) = oneshot::channel();
        *portal.handed() = Some(Handed { rows, commit: Commit::Pending(told) });
        self.wake_for_handed(portal);
        commits
    }

    /// Hands the task of a message that has just been decoded to the portal's worker, before it is committed, if nothing is before it
    /// and the homeserver keeps what it has accepted; the answer is to be told once it is.
    pub(crate) async fn hand_task(
        self: &Arc<Self>,
        portal: &Arc<Portal>,
        task: TaskRow,
    ) -> Option<Commits> {
        let durable = matches!(self.homeserver_is_durable().await, Ok(true));
        if !durable || !portal.is_still() || portal.room_id().is_none() {
            return None;
        }
        let (commits, told) = oneshot::channel();
        *portal.handed_task() = Some(HandedTask { task, commit: Commit::Pending(told) });
        self.wake_for_handed_task(portal.clone());
        Some(commits)
    }
}
