//! Work for administrators that takes long, in the background: [`room_jobs`](super::room_jobs) and
//! [`redactions`](super::redactions) do it.
//!
//! What is to be done is written down before it is acknowledged, and so is each step that can't be taken twice: what a crash breaks
//! off goes on after the restart.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use landbridge_database::Database;
use tokio::sync::Notify;

use super::sessions::random_token;
use crate::clock::Clock;
use crate::commit::{CommitError, Committer};
use crate::http::error::{ApiError, ApiResult};
use crate::storage::StorageError;
use crate::storage::jobs::{self as rows, Job, Kind, Status};

/// After which time what broke off is tried again.
pub const RETRY: Duration = Duration::from_secs(5);
/// How long what has ended can be asked about.
const KEPT_MS: i64 = 24 * 60 * 60 * 1000;

/// What is to be done, and who waits for it.
pub struct Jobs {
    db: Database,
    committer: Committer,
    clock: Arc<dyn Clock>,
    rooms: Notify,
    users: Notify,
    done: Notify,
}

impl Jobs {
    /// The work in a database.
    pub fn new(db: Database, committer: Committer, clock: Arc<dyn Clock>) -> Self {
        let [rooms, users, done] = [Notify::new(), Notify::new(), Notify::new()];
        Self { db, committer, clock, rooms, users, done }
    }

    /// Has something done. The ID of the work, which is durable.
    pub async fn start(
        &self,
        kind: Kind,
        subject: &str,
        request: String,
        result: String,
    ) -> ApiResult<String> {
        let job = Job {
            id: random_token(),
            kind,
            subject: subject.to_owned(),
            room: None,
            status: Status::Scheduled,
            request,
            result,
            error: None,
            changed_ms: self.clock.now_ms(),
        };
        let id = job.id.clone();
        self.committer
            .run(move |tx| {
                let job = job.clone();
                async move { rows::insert(tx, &job).await }.boxed()
            })
            .await?;
        self.of(kind).notify_one();
        Ok(id)
    }

    fn of(&self, kind: Kind) -> &Notify {
        match kind {
            Kind::Delete | Kind::PurgeHistory => &self.rooms,
            Kind::Redact => &self.users,
        }
    }

    /// Waits for work of a kind, and what else is done by the same worker.
    pub async fn wanted(&self, kind: Kind) {
        self.of(kind).notified().await;
    }

    /// How far a piece of work is.
    pub async fn get(&self, id: &str) -> Result<Option<Job>, StorageError> {
        rows::get(&self.db, id).await
    }

    /// Waits until a piece of work has ended.
    pub async fn ended(&self, id: &str) -> ApiResult<Job> {
        loop {
            // Listening starts before looking, so that an end in between is not missed.
            let end = self.done.notified();
            tokio::pin!(end);
            end.as_mut().enable();
            match self.get(id).await? {
                Some(job) if job.status.is_final() => return Ok(job),
                Some(_) => end.await,
                None => return Err(ApiError::internal("work was forgotten too early")),
            }
        }
    }

    /// All work of a kind on a room or user that is under way or ended lately.
    pub async fn on(&self, subject: &str, kind: Kind) -> Result<Vec<Job>, StorageError> {
        rows::of(&self.db, subject, kind).await
    }

    /// Writes down how far a piece of work is.
    pub async fn save(&self, job: &Job) -> Result<(), CommitError> {
        let now = self.clock.now_ms();
        let (job, ended) = (Job { changed_ms: now, ..job.clone() }, job.status.is_final());
        self.committer
            .run(move |tx| {
                let job = job.clone();
                async move {
                    rows::prune(tx, now - KEPT_MS).await?;
                    rows::update(tx, &job).await
                }
                .boxed()
            })
            .await?;
        if ended {
            self.done.notify_waiters();
        }
        Ok(())
    }

    /// Writes down how a piece of work ended.
    pub async fn end(&self, mut job: Job, done: ApiResult<()>) -> ApiResult<()> {
        match done {
            Ok(()) => job.status = Status::Complete,
            // Half a room is no state to leave it in, and a stopping server goes on later.
            Err(error) if job.status == Status::Purging || error.status.as_u16() == 503 => {
                return Err(error);
            }
            Err(error) => {
                tracing::warn!(kind = job.kind.as_str(), subject = job.subject, %error, "work failed");
                job.status = Status::Failed;
                job.error = Some(error.error.into_owned());
            }
        }
        self.save(&job).await?;
        Ok(())
    }
}

impl std::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jobs").finish_non_exhaustive()
    }
}
