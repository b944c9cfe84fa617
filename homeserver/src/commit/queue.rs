//! The committer's task: takes what waits, writes it, publishes, answers.

use std::{
    any::Any,
    collections::HashMap,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::{FutureExt as _, future::BoxFuture};
use landbridge_database::Database;
use tokio::sync::{mpsc, oneshot};

use super::{CommitHook, CommitTx};
use crate::{
    feed::Feed,
    nid::RoomNid,
    storage::{
        StorageError,
        server::{self, Stream},
    },
};

/// The most units in one transaction.
const GROUP: usize = 256;

/// Why a unit of work was not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// It could not be written.
    #[error(transparent)]
    Storage(#[from] Arc<StorageError>),
    /// An earlier unit of the same room and epoch was not written.
    #[error("an earlier write of this room failed")]
    Superseded,
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopped,
}

/// The answer to come.
pub struct CommitReply<T>(oneshot::Receiver<Result<T, CommitError>>);

impl<T> Future for CommitReply<T> {
    type Output = Result<T, CommitError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.0).poll(cx));
        Poll::Ready(answer.unwrap_or(Err(CommitError::Stopped)))
    }
}

/// One piece of work, whatever its result's type.
pub(super) trait Unit: Send {
    fn room(&self) -> Option<(RoomNid, u64)>;
    fn write<'a>(&'a mut self, tx: &'a mut CommitTx) -> BoxFuture<'a, Result<(), StorageError>>;
    fn answer(self: Box<Self>, outcome: Result<(), CommitError>);
}

pub(super) struct Task<T, F> {
    room: Option<(RoomNid, u64)>,
    work: F,
    result: Option<T>,
    reply: oneshot::Sender<Result<T, CommitError>>,
}

impl<T, F> Task<T, F> {
    pub(super) fn new(room: Option<(RoomNid, u64)>, work: F) -> (Self, CommitReply<T>) {
        let (reply, receiver) = oneshot::channel();
        (Self { room, work, result: None, reply }, CommitReply(receiver))
    }
}

impl<T, F> Unit for Task<T, F>
where
    F: for<'a> Fn(&'a mut CommitTx) -> BoxFuture<'a, Result<T, StorageError>> + Send + Sync,
    T: Send,
{
    fn room(&self) -> Option<(RoomNid, u64)> {
        self.room
    }

    fn write<'a>(&'a mut self, tx: &'a mut CommitTx) -> BoxFuture<'a, Result<(), StorageError>> {
        Box::pin(async move {
            self.result = Some((self.work)(tx).await?);
            Ok(())
        })
    }

    fn answer(mut self: Box<Self>, outcome: Result<(), CommitError>) {
        let answer = match (outcome, self.result.take()) {
            (Ok(()), Some(result)) => Ok(result),
            (Ok(()), None) => Err(CommitError::Stopped),
            (Err(e), _) => Err(e),
        };
        // Nobody may be waiting any more; the work is done all the same.
        let _ = self.reply.send(answer);
    }
}

pub(super) struct Queue {
    pub(super) db: Database,
    pub(super) feed: Feed,
    pub(super) hooks: Vec<Arc<dyn CommitHook>>,
    pub(super) units: mpsc::UnboundedReceiver<Box<dyn Unit>>,
    pub(super) stream: Stream,
    /// The newest epoch of a room in which a unit failed.
    pub(super) failed: HashMap<RoomNid, u64>,
}

impl Queue {
    pub(super) async fn run(mut self) {
        let mut group = Vec::with_capacity(GROUP);
        // While one group is synced to disk the next one gathers in the channel, so there is no need to
        // wait for company: an idle server commits at once, a busy one in large groups.
        while self.units.recv_many(&mut group, GROUP).await > 0 {
            metrics::histogram!("landbridge_commit_group_units").record(group.len() as f64);
            let mut units = self.without_superseded(group.drain(..));
            if units.is_empty() {
                continue;
            }
            if let Err(e) = self.write(&mut units).await {
                if units.len() > 1 {
                    tracing::warn!(error = %e, units = units.len(), "a group commit failed; one by one");
                }
                self.one_by_one(units, e).await;
            } else {
                for unit in units {
                    unit.answer(Ok(()));
                }
            }
        }
    }

    /// Writes the units of a failed group each in a transaction of its own.
    async fn one_by_one(&mut self, units: Vec<Box<dyn Unit>>, failure: StorageError) {
        if units.len() == 1 {
            return self.refuse(units, failure);
        }
        for unit in units {
            for unit in self.without_superseded(std::iter::once(unit)) {
                let mut alone = vec![unit];
                match self.write(&mut alone).await {
                    Ok(()) => alone.into_iter().for_each(|unit| unit.answer(Ok(()))),
                    Err(e) => self.refuse(alone, e),
                }
            }
        }
    }

    /// Answers the units whose room has moved on from them, and gives back the others.
    fn without_superseded(
        &mut self,
        units: impl Iterator<Item = Box<dyn Unit>>,
    ) -> Vec<Box<dyn Unit>> {
        let mut kept = Vec::new();
        for unit in units {
            match unit.room() {
                // The room has begun another epoch.
                Some((room, epoch)) if self.failed.get(&room).is_some_and(|&f| epoch > f) => {
                    self.failed.remove(&room);
                    kept.push(unit);
                }
                Some((room, epoch)) if self.failed.get(&room).is_some_and(|&f| epoch <= f) => {
                    unit.answer(Err(CommitError::Superseded));
                }
                _ => kept.push(unit),
            }
        }
        kept
    }

    fn refuse(&mut self, units: Vec<Box<dyn Unit>>, error: StorageError) {
        let error = Arc::new(error);
        for unit in units {
            if let Some((room, epoch)) = unit.room() {
                self.failed.insert(room, epoch);
            }
            unit.answer(Err(CommitError::Storage(Arc::clone(&error))));
        }
    }

    /// Writes units in one transaction, makes it durable, tells the readers.
    async fn write(&mut self, units: &mut [Box<dyn Unit>]) -> Result<(), StorageError> {
        let result = self.try_write(units).await;
        if result.is_err() {
            self.hooks.iter().for_each(|hook| hook.after_rollback());
        }
        result
    }

    async fn try_write(&mut self, units: &mut [Box<dyn Unit>]) -> Result<(), StorageError> {
        let mut tx = CommitTx::new(self.db.begin().await?, self.stream.head);
        for unit in units {
            AssertUnwindSafe(unit.write(&mut tx)).catch_unwind().await.map_err(panicked)??;
        }
        for hook in &self.hooks {
            hook.before_commit(&mut tx).await?;
        }
        let next = Stream { head: tx.head(), commits: self.stream.commits + 1 };
        server::advance(&mut tx, next).await?;

        let (sql, changes, callbacks) = tx.into_parts();
        if let Err(e) = sql.commit().await
            && !self.was_committed(next).await?
        {
            return Err(e.into());
        }
        self.stream = next;
        for callback in callbacks {
            callback();
        }
        for hook in &self.hooks {
            hook.after_commit(&changes);
        }
        self.feed.publish(next.head, changes);
        Ok(())
    }
}

impl Queue {
    /// Whether a commit that was answered with an error happened after all: the connection can break when
    /// the database has committed and before it says so. The stream's row knows.
    async fn was_committed(&self, expected: Stream) -> Result<bool, StorageError> {
        let mut tries = 0;
        loop {
            match server::stream(&self.db).await {
                Ok(stream) => return Ok(stream == expected),
                Err(e) if tries >= 30 => return Err(e),
                Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
            }
            tries += 1;
        }
    }
}

#[allow(clippy::needless_pass_by_value, reason = "a payload of a panic comes as a box")]
fn panicked(payload: Box<dyn Any + Send>) -> StorageError {
    let message = payload
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| payload.downcast_ref::<String>().cloned());
    StorageError::Damaged(format!("a write panicked: {}", message.unwrap_or_default()))
}
