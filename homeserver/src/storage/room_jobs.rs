//! Work on rooms that takes long: what is asked for, how far it is, what came of it.

use landbridge_database::{Database, Row, args};
use ruma::{OwnedRoomId, RoomId};

use super::StorageError;
use crate::{commit::CommitTx, nid::RoomNid};

macro_rules! columns {
    () => {
        "SELECT id, kind, room_id, room, status, request, result, error FROM room_job "
    };
}

const INSERT: &str = "INSERT INTO room_job (id, number, kind, room_id, status, request, result)
    SELECT $1, COALESCE(MAX(number), 0) + 1, $2, $3, 'scheduled', $4, $5 FROM room_job";
const UPDATE: &str = "UPDATE room_job SET room = $2, status = $3, result = $4, error = $5,
    finished_ms = $6 WHERE id = $1";
const PRUNE: &str = "DELETE FROM room_job WHERE finished_ms < $1";
const GET: &str = concat!(columns!(), "WHERE id = $1");
const OF_ROOM: &str = concat!(columns!(), "WHERE room_id = $1 AND kind = $2 ORDER BY number");
const OPEN: &str =
    concat!(columns!(), "WHERE status IN ('scheduled', 'active', 'purging') ORDER BY number");

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The whole room is taken away.
    Delete,
    /// Its old messages are.
    PurgeHistory,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Waiting for its turn.
    Scheduled,
    /// Under way.
    Active,
    /// Under way, and nothing of the room is served any more.
    Purging,
    /// Done.
    Complete,
    /// Given up.
    Failed,
}

/// A piece of work.
#[derive(Clone, Debug)]
pub struct Job {
    /// What it is asked about by.
    pub id: String,
    /// What is done.
    pub kind: Kind,
    /// To which room.
    pub room_id: OwnedRoomId,
    /// Its number, once the work has begun.
    pub room: Option<RoomNid>,
    /// How far it is.
    pub status: Status,
    /// What was asked for, as JSON.
    pub request: String,
    /// What has come of it, as JSON.
    pub result: String,
    /// Why it was given up.
    pub error: Option<String>,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::PurgeHistory => "purge_history",
        }
    }
}

impl Status {
    const ALL: [Self; 5] =
        [Self::Scheduled, Self::Active, Self::Purging, Self::Complete, Self::Failed];

    fn stored(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Active => "active",
            Self::Purging => "purging",
            Self::Complete => "complete",
            Self::Failed => "failed",
        }
    }

    /// As administrators are told.
    pub fn as_str(self) -> &'static str {
        if self == Self::Purging { "active" } else { self.stored() }
    }

    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Complete | Self::Failed)
    }
}

fn job(row: &Row) -> Result<Job, StorageError> {
    let (id, kind, room, status) = (row.text(0)?, row.text(1)?, row.text(2)?, row.text(4)?);
    let damaged = |what: &str| StorageError::Damaged(format!("room_job {id}: {what}"));
    Ok(Job {
        kind: [Kind::Delete, Kind::PurgeHistory]
            .into_iter()
            .find(|known| known.as_str() == kind)
            .ok_or_else(|| damaged("kind"))?,
        room_id: RoomId::parse(&room).map_err(|_| damaged("room"))?,
        room: row.opt_int(3)?.map(RoomNid),
        status: Status::ALL
            .into_iter()
            .find(|known| known.stored() == status)
            .ok_or_else(|| damaged("status"))?,
        request: row.text(5)?,
        result: row.text(6)?,
        error: row.opt_text(7)?,
        id,
    })
}

/// Writes down what is to be done.
pub async fn insert(tx: &mut CommitTx, job: &Job) -> Result<(), StorageError> {
    let (kind, room) = (job.kind.as_str(), job.room_id.as_str());
    tx.sql().execute(INSERT, args![&job.id, kind, room, &job.request, &job.result]).await?;
    Ok(())
}

/// Writes down how far it is. `finished_ms` is when it ended.
pub async fn update(
    tx: &mut CommitTx,
    job: &Job,
    finished_ms: Option<i64>,
) -> Result<(), StorageError> {
    let (room, status) = (job.room.map(|room| room.0), job.status.stored());
    let args = args![&job.id, room, status, &job.result, job.error.as_deref(), finished_ms];
    tx.sql().execute(UPDATE, args).await?;
    Ok(())
}

/// Forgets what ended before a time.
pub async fn prune(tx: &mut CommitTx, before_ms: i64) -> Result<(), StorageError> {
    tx.sql().execute(PRUNE, args![before_ms]).await?;
    Ok(())
}

/// A piece of work.
pub async fn get(db: &Database, id: &str) -> Result<Option<Job>, StorageError> {
    db.fetch_optional(GET, args![id]).await?.as_ref().map(job).transpose()
}

/// All work of a kind on a room, the oldest first.
pub async fn of_room(db: &Database, room: &RoomId, kind: Kind) -> Result<Vec<Job>, StorageError> {
    db.fetch(OF_ROOM, args![room.as_str(), kind.as_str()]).await?.iter().map(job).collect()
}

/// All that is still to be done, in order.
pub async fn open(db: &Database) -> Result<Vec<Job>, StorageError> {
    db.fetch(OPEN, args![]).await?.iter().map(job).collect()
}
