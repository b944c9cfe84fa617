//! Work on rooms that takes long, in the background and one after the other: deleting a room, or its history.
//!
//! What is to be done is written down before it is acknowledged, and so is each step that can't be taken twice: what a crash breaks
//! off goes on after the restart.

pub mod shutdown;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use landbridge_database::Database;
use ruma::{OwnedUserId, RoomId};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use self::shutdown::Shutdown;
use super::sessions::random_token;
use crate::app::App;
use crate::clock::Clock;
use crate::commit::{CommitError, Committer};
use crate::http::error::{ApiError, ApiResult};
use crate::nid::TimelineOrd;
use crate::room::{RoomError, Rooms};
use crate::storage::room_jobs::{self as rows, Job, Kind, Status};
use crate::storage::{StorageError, appservice_directory};

const RETRY: Duration = Duration::from_secs(5);
/// How long what has ended can be asked about.
const KEPT_MS: i64 = 24 * 60 * 60 * 1000;

/// How a room is to be deleted (Synapse's Delete Room API).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Deletion {
    /// Who makes a room in which its people are told why; nobody is told without one.
    pub new_room_user_id: Option<OwnedUserId>,
    /// That room's name.
    pub room_name: String,
    /// What they are told.
    pub message: String,
    /// Whether its events and all else go from the database.
    pub purge: bool,
    /// Whether they go even if somebody can't leave.
    pub force_purge: bool,
}

/// Which messages of a room are to be deleted (Synapse's Purge History API).
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct HistoryPurge {
    /// Those before this place.
    pub before: TimelineOrd,
    /// Also those of this server's users, of which there is no other copy.
    pub local_too: bool,
}

/// What is to be done, and who waits for it.
pub struct RoomJobs {
    db: Database,
    committer: Committer,
    clock: Arc<dyn Clock>,
    work: Notify,
    done: Notify,
}

impl RoomJobs {
    /// The work in a database.
    pub fn new(db: Database, committer: Committer, clock: Arc<dyn Clock>) -> Self {
        Self { db, committer, clock, work: Notify::new(), done: Notify::new() }
    }

    /// Has a room deleted. The ID of the work, which is durable.
    pub async fn delete(&self, room: &RoomId, deletion: &Deletion) -> ApiResult<String> {
        let request = serde_json::to_string(deletion).map_err(ApiError::internal)?;
        let result = serde_json::to_string(&Shutdown::default()).map_err(ApiError::internal)?;
        self.start(Kind::Delete, room, request, result).await
    }

    /// Has old messages of a room deleted.
    pub async fn purge_history(&self, room: &RoomId, purge: HistoryPurge) -> ApiResult<String> {
        let request = serde_json::to_string(&purge).map_err(ApiError::internal)?;
        self.start(Kind::PurgeHistory, room, request, "{}".to_owned()).await
    }

    async fn start(
        &self,
        kind: Kind,
        room: &RoomId,
        request: String,
        result: String,
    ) -> ApiResult<String> {
        let id = random_token();
        let (room_id, status) = (room.to_owned(), Status::Scheduled);
        let job =
            Job { id: id.clone(), kind, room_id, room: None, status, request, result, error: None };
        self.committer
            .run(move |tx| {
                let job = job.clone();
                async move { rows::insert(tx, &job).await }.boxed()
            })
            .await?;
        self.work.notify_one();
        Ok(id)
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
                None => return Err(ApiError::internal("work on a room was forgotten too early")),
            }
        }
    }

    /// All deletions of a room that are under way or ended lately.
    pub async fn deletions(&self, room: &RoomId) -> Result<Vec<Job>, StorageError> {
        rows::of_room(&self.db, room, Kind::Delete).await
    }

    /// Writes down how far a piece of work is.
    async fn save(&self, job: &Job) -> Result<(), CommitError> {
        let (job, now) = (job.clone(), self.clock.now_ms());
        let ended = job.status.is_final();
        self.committer
            .run(move |tx| {
                let job = job.clone();
                async move {
                    rows::prune(tx, now - KEPT_MS).await?;
                    rows::update(tx, &job, ended.then_some(now)).await
                }
                .boxed()
            })
            .await?;
        if ended {
            self.done.notify_waiters();
        }
        Ok(())
    }
}

/// Keeps everybody from rooms whose deletion was begun before a restart. Call it before anything is served.
pub async fn shut_rooms(db: &Database, rooms: &Rooms) -> Result<(), StorageError> {
    for job in rows::open(db).await?.into_iter().filter(|job| job.status == Status::Purging) {
        rooms.shut_id(job.room_id);
    }
    Ok(())
}

/// Works until the server stops.
pub async fn run(app: Arc<App>) {
    loop {
        match all(&app).await {
            Ok(()) => app.room_jobs.work.notified().await,
            Err(error) => {
                tracing::warn!(%error, "work on a room broke off, trying again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

async fn all(app: &App) -> ApiResult<()> {
    for mut job in rows::open(&app.db).await? {
        let done = match job.kind {
            Kind::Delete => delete(app, &mut job).await,
            Kind::PurgeHistory => purge_history(app, &mut job).await,
        };
        match done {
            Ok(()) => job.status = Status::Complete,
            // Half a room is no state to leave it in, and a stopping server goes on later.
            Err(error) if job.status == Status::Purging || error.status.as_u16() == 503 => {
                return Err(error);
            }
            Err(error) => {
                tracing::warn!(room = %job.room_id, %error, "work on a room failed");
                job.status = Status::Failed;
                job.error = Some(error.error.into_owned());
            }
        }
        app.room_jobs.save(&job).await?;
    }
    Ok(())
}

async fn delete(app: &App, job: &mut Job) -> ApiResult<()> {
    let request: Deletion = serde_json::from_str(&job.request).map_err(ApiError::internal)?;
    if job.status != Status::Purging {
        let room = match app.rooms.get(&job.room_id).await {
            // It was deleted meanwhile, by the work before.
            Err(RoomError::NotFound) => return Ok(()),
            room => room?,
        };
        job.room = Some(room.nid());
        job.status = Status::Active;
        app.room_jobs.save(job).await?;
        let shutdown = shutdown::shut_down(app, &room, &request, job).await?;
        if !request.purge {
            return Ok(());
        }
        if !shutdown.failed_to_kick_users.is_empty() && !request.force_purge {
            return Err(ApiError::unknown("Users are still in the room"));
        }
        job.status = Status::Purging;
        app.room_jobs.save(job).await?;
        app.rooms.shut(&room).await?;
    }
    let nid = job.room.ok_or_else(|| ApiError::internal("a deletion without its room"))?;
    app.committer.run(move |tx| appservice_directory::forget(tx, nid).boxed()).await?;
    app.rooms.purge(nid, &job.room_id).await?;
    tracing::info!(room = %job.room_id, "a room was deleted");
    Ok(())
}

async fn purge_history(app: &App, job: &mut Job) -> ApiResult<()> {
    let request: HistoryPurge = serde_json::from_str(&job.request).map_err(ApiError::internal)?;
    let room = app.rooms.get(&job.room_id).await?;
    job.room = Some(room.nid());
    job.status = Status::Active;
    app.room_jobs.save(job).await?;
    let count = app.rooms.purge_history(&room, request.before, request.local_too).await?;
    tracing::info!(room = %job.room_id, count, "old messages of a room were deleted");
    Ok(())
}

impl std::fmt::Debug for RoomJobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RoomJobs").finish_non_exhaustive()
    }
}
