//! Work for administrators that takes long: what is asked for, how far it is, what came of it.

use landbridge_database::{Database, Row, args};

use super::StorageError;
use crate::{commit::CommitTx, nid::RoomNid};

macro_rules! columns {
    () => {
        "SELECT id, kind, subject, room, status, request, result, error, changed_ms FROM job "
    };
}

const INSERT: &str =
    "INSERT INTO job (id, number, kind, subject, status, request, result, changed_ms)
    SELECT $1, COALESCE(MAX(number), 0) + 1, $2, $3, 'scheduled', $4, $5, $6 FROM job";
const UPDATE: &str = "UPDATE job SET room = $2, status = $3, result = $4, error = $5,
    changed_ms = $6 WHERE id = $1";
const PRUNE: &str = "DELETE FROM job WHERE status IN ('complete', 'failed') AND changed_ms < $1";
const GET: &str = concat!(columns!(), "WHERE id = $1");
const OF_SUBJECT: &str = concat!(columns!(), "WHERE subject = $1 AND kind = $2 ORDER BY number");
const OPEN: &str = concat!(
    columns!(),
    "WHERE status IN ('scheduled', 'active', 'purging') AND kind = ANY($1) ORDER BY number"
);
const ALL: &str = concat!(
    columns!(),
    "WHERE ($1 = '' OR kind = $1) AND ($2 = '' OR subject = $2) AND changed_ms < $3 ORDER BY number"
);

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole room is taken away.
    Delete,
    /// A room's old messages are.
    PurgeHistory,
    /// What a user has said is redacted.
    Redact,
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
    /// To which room or user.
    pub subject: String,
    /// The room's number, once the work has begun.
    pub room: Option<RoomNid>,
    /// How far it is.
    pub status: Status,
    /// What was asked for, as JSON.
    pub request: String,
    /// What has come of it, as JSON.
    pub result: String,
    /// Why it was given up.
    pub error: Option<String>,
    /// When it was last written, in milliseconds since 1970.
    pub changed_ms: i64,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Delete, Self::PurgeHistory, Self::Redact];

    /// Its name, which is Synapse's.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "shutdown_and_purge_room",
            Self::PurgeHistory => "purge_history",
            Self::Redact => "redact_all_events",
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
    let (id, kind, status) = (row.text(0)?, row.text(1)?, row.text(4)?);
    let damaged = |what: &str| StorageError::Damaged(format!("job {id}: {what}"));
    Ok(Job {
        kind: Kind::ALL
            .into_iter()
            .find(|known| known.as_str() == kind)
            .ok_or_else(|| damaged("kind"))?,
        subject: row.text(2)?,
        room: row.opt_int(3)?.map(RoomNid),
        status: Status::ALL
            .into_iter()
            .find(|known| known.stored() == status)
            .ok_or_else(|| damaged("status"))?,
        request: row.text(5)?,
        result: row.text(6)?,
        error: row.opt_text(7)?,
        changed_ms: row.int(8)?,
        id,
    })
}

/// Writes down what is to be done.
pub async fn insert(tx: &mut CommitTx, job: &Job) -> Result<(), StorageError> {
    let (kind, subject) = (job.kind.as_str(), job.subject.as_str());
    let values = args![&job.id, kind, subject, &job.request, &job.result, job.changed_ms];
    tx.sql().execute(INSERT, values).await?;
    Ok(())
}

/// Writes down how far it is.
pub async fn update(tx: &mut CommitTx, job: &Job) -> Result<(), StorageError> {
    let (room, status) = (job.room.map(|room| room.0), job.status.stored());
    let values = args![&job.id, room, status, &job.result, job.error.as_deref(), job.changed_ms];
    tx.sql().execute(UPDATE, values).await?;
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

/// All work of a kind on a room or user, the oldest first.
pub async fn of(db: &Database, subject: &str, kind: Kind) -> Result<Vec<Job>, StorageError> {
    db.fetch(OF_SUBJECT, args![subject, kind.as_str()]).await?.iter().map(job).collect()
}

/// All of some kinds that is still to be done, in order.
pub async fn open(db: &Database, kinds: &[Kind]) -> Result<Vec<Job>, StorageError> {
    let kinds: Vec<String> = kinds.iter().map(|kind| kind.as_str().to_owned()).collect();
    db.fetch(OPEN, args![kinds]).await?.iter().map(job).collect()
}

/// All that was written before a time, of one kind and on one subject unless those are empty.
pub async fn all(
    db: &Database,
    kind: &str,
    subject: &str,
    before_ms: i64,
) -> Result<Vec<Job>, StorageError> {
    db.fetch(ALL, args![kind, subject, before_ms]).await?.iter().map(job).collect()
}
