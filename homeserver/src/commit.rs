//! The committer: the only place that opens a write transaction of the homeserver's database.
//!
//! Everything that waits goes into one durable transaction, so that many small writes share one sync to
//! disk. Positions are given inside that transaction and become visible after it: a position that a
//! reader can see is committed, and so is every one below it. Callers are answered last.
//!
//! A unit of work is a function that can be called again: when a group fails, its units are tried one by
//! one, so that a unit that can't be written fails alone.

mod queue;
mod tx;

use std::{collections::HashMap, sync::Arc};

use futures::future::BoxFuture;
use landbridge_database::Database;
use tokio::sync::mpsc;

use self::queue::{Queue, Task, Unit};
pub use self::{
    queue::{CommitError, CommitReply},
    tx::CommitTx,
};
use crate::{
    feed::{Feed, Published},
    nid::RoomNid,
    storage::{StorageError, server},
};

/// Takes part in every group commit. The appservice outbox closes its transactions through this.
pub trait CommitHook: Send + Sync + 'static {
    /// Called after the units of a group, inside their transaction; may read [`CommitTx::changes`] and write.
    /// Called again when the group has to be split.
    fn before_commit<'a>(&'a self, tx: &'a mut CommitTx)
    -> BoxFuture<'a, Result<(), StorageError>>;

    /// The transaction is durable; `committed` is what it changed. Must not block.
    fn after_commit(&self, committed: &[Published]);

    /// The transaction was undone.
    fn after_rollback(&self);
}

/// A handle on the committer. Clones share it.
#[derive(Clone)]
pub struct Committer {
    queue: mpsc::UnboundedSender<Box<dyn Unit>>,
}

impl Committer {
    /// Starts the committer of a database. The feed stands at the database's head.
    pub async fn start(
        db: Database,
        feed: Feed,
        hooks: Vec<Arc<dyn CommitHook>>,
    ) -> Result<Self, StorageError> {
        let stream = server::stream(&db).await?;
        // Unbounded in itself: whoever puts something in waits for its answer, and room tasks and
        // requests are bounded.
        let (queue, units) = mpsc::unbounded_channel();
        let task = Queue { db, feed, hooks, units, stream, failed: HashMap::new() };
        tokio::spawn(task.run());
        Ok(Self { queue })
    }

    /// Waits until everything that is in the queue by now was carried out.
    pub async fn flush(&self) -> Result<(), CommitError> {
        self.run(|_| Box::pin(async { Ok(()) })).await
    }

    /// Carries out `work` in the next group commit; durable when this returns.
    ///
    /// `work` is called again if its group fails, so it clones what it moves.
    pub async fn run<T, F>(&self, work: F) -> Result<T, CommitError>
    where
        F: for<'a> Fn(&'a mut CommitTx) -> BoxFuture<'a, Result<T, StorageError>>
            + Send
            + Sync
            + 'static,
        T: Send + 'static,
    {
        self.enqueue(None, work).await
    }

    /// Puts `work` in the queue now; the answer comes later. Units are carried out in the order in which
    /// they were put in.
    ///
    /// A room builds event upon event ahead of the commit. It names itself with an epoch: once a unit of
    /// an epoch has failed, the later ones of that room and epoch fail with [`CommitError::Superseded`],
    /// until the room begins another.
    pub fn enqueue<T, F>(&self, room: Option<(RoomNid, u64)>, work: F) -> CommitReply<T>
    where
        F: for<'a> Fn(&'a mut CommitTx) -> BoxFuture<'a, Result<T, StorageError>>
            + Send
            + Sync
            + 'static,
        T: Send + 'static,
    {
        let (unit, reply) = Task::new(room, work);
        // When the committer has stopped, the unit is dropped here and the reply says so.
        let _ = self.queue.send(Box::new(unit));
        reply
    }
}

#[cfg(test)]
mod tests;
