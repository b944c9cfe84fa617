//! Deleting rooms and their old messages, one after the other.

pub mod shutdown;

use std::sync::Arc;

use futures::FutureExt as _;
use landbridge_database::Database;
use ruma::{OwnedRoomId, OwnedUserId, RoomId};
use serde::{Deserialize, Serialize};

use self::shutdown::Shutdown;
use super::jobs::{Jobs, RETRY};
use crate::app::App;
use crate::http::error::{ApiError, ApiResult};
use crate::nid::TimelineOrd;
use crate::room::{RoomError, Rooms};
use crate::storage::jobs::{self as rows, Job, Kind, Status};
use crate::storage::{StorageError, appservice_directory};

const KINDS: [Kind; 2] = [Kind::Delete, Kind::PurgeHistory];

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

impl Deletion {
    /// Has a room deleted in this way. The ID of the work.
    pub async fn start(&self, jobs: &Jobs, room: &RoomId) -> ApiResult<String> {
        let request = serde_json::to_string(self).map_err(ApiError::internal)?;
        let result = serde_json::to_string(&Shutdown::default()).map_err(ApiError::internal)?;
        jobs.start(Kind::Delete, room.as_str(), request, result).await
    }
}

impl HistoryPurge {
    /// Has these messages of a room deleted. The ID of the work.
    pub async fn start(&self, jobs: &Jobs, room: &RoomId) -> ApiResult<String> {
        let request = serde_json::to_string(self).map_err(ApiError::internal)?;
        jobs.start(Kind::PurgeHistory, room.as_str(), request, "{}".to_owned()).await
    }
}

fn room_of(job: &Job) -> Result<OwnedRoomId, StorageError> {
    let damaged = |_| StorageError::Damaged(format!("job {}: {:?}", job.id, job.subject));
    RoomId::parse(&job.subject).map_err(damaged)
}

/// Keeps everybody from rooms whose deletion was begun before a restart. Call it before anything is served.
pub async fn shut_rooms(db: &Database, rooms: &Rooms) -> Result<(), StorageError> {
    for job in rows::open(db, &KINDS).await? {
        if job.status == Status::Purging {
            rooms.shut_id(room_of(&job)?);
        }
    }
    Ok(())
}

/// Works until the server stops.
pub async fn run(app: Arc<App>) {
    loop {
        match all(&app).await {
            Ok(()) => app.jobs.wanted(Kind::Delete).await,
            Err(error) => {
                tracing::warn!(%error, "work on a room broke off, trying again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

async fn all(app: &App) -> ApiResult<()> {
    let mut result = Ok(());
    for mut job in rows::open(&app.db, &KINDS).await? {
        let done = match job.kind {
            Kind::PurgeHistory => purge_history(app, &mut job).await,
            _ => delete(app, &mut job).await,
        };
        // What can't go on now must not keep other rooms waiting.
        result = app.jobs.end(job, done).await.and(result);
    }
    result
}

async fn delete(app: &App, job: &mut Job) -> ApiResult<()> {
    let request: Deletion = serde_json::from_str(&job.request).map_err(ApiError::internal)?;
    let id = room_of(job)?;
    if job.status != Status::Purging {
        let room = match app.rooms.get(&id).await {
            // It was deleted meanwhile, by the work before.
            Err(RoomError::NotFound) => return Ok(()),
            room => room?,
        };
        job.room = Some(room.nid());
        job.status = Status::Active;
        app.jobs.save(job).await?;
        let shutdown = shutdown::shut_down(app, &room, &request, job).await?;
        if !request.purge {
            return Ok(());
        }
        if !shutdown.failed_to_kick_users.is_empty() && !request.force_purge {
            return Err(ApiError::unknown("Users are still in the room"));
        }
        job.status = Status::Purging;
        app.jobs.save(job).await?;
        app.rooms.shut(&room).await?;
    }
    let nid = job.room.ok_or_else(|| ApiError::internal("a deletion without its room"))?;
    app.committer.run(move |tx| appservice_directory::forget(tx, nid).boxed()).await?;
    app.rooms.purge(nid, &id).await?;
    tracing::info!(room = %id, "a room was deleted");
    Ok(())
}

async fn purge_history(app: &App, job: &mut Job) -> ApiResult<()> {
    let request: HistoryPurge = serde_json::from_str(&job.request).map_err(ApiError::internal)?;
    let room = app.rooms.get(&room_of(job)?).await?;
    job.room = Some(room.nid());
    job.status = Status::Active;
    app.jobs.save(job).await?;
    let count = app.rooms.purge_history(&room, request.before, request.local_too).await?;
    tracing::info!(room = %room.id(), count, "old messages of a room were deleted");
    Ok(())
}
