//! Profiles: one row per field, its value as JSON; and the jobs that carry changed names into rooms.

use landbridge_database::{Database, args};
use ruma::{OwnedUserId, UserId};

use crate::commit::CommitTx;
use crate::nid::RoomNid;
use crate::storage::StorageError;
use crate::storage::accounts::parse_user;

const SET: &str = "INSERT INTO profiles (user_id, field, value) VALUES ($1, $2, $3)
    ON CONFLICT (user_id, field) DO UPDATE SET value = excluded.value";
const DELETE: &str = "DELETE FROM profiles WHERE user_id = $1 AND field = $2";
const CLEAR: &str = "DELETE FROM profiles WHERE user_id = $1";
const ALL: &str = "SELECT field, value FROM profiles WHERE user_id = $1 ORDER BY field";
const START_JOB: &str =
    "INSERT INTO profile_jobs (user_id, after_room, version) VALUES ($1, -1, $2)
    ON CONFLICT (user_id) DO UPDATE SET after_room = -1, version = excluded.version";
const ADVANCE_JOB: &str =
    "UPDATE profile_jobs SET after_room = $3 WHERE user_id = $1 AND version = $2";
const END_JOB: &str = "DELETE FROM profile_jobs WHERE user_id = $1 AND version = $2";
const JOBS: &str = "SELECT user_id, after_room, version FROM profile_jobs ORDER BY version";

/// A changed profile on its way into the rooms of its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileJob {
    /// Whose profile changed.
    pub user_id: OwnedUserId,
    /// Rooms up to this one (in the order of their numbers) have it already.
    pub after_room: RoomNid,
    /// Which change: a newer one starts the job over.
    pub version: i64,
}

/// Sets a field; `value` is JSON.
pub async fn set(
    tx: &mut CommitTx,
    user: &UserId,
    field: &str,
    value: &str,
) -> Result<(), StorageError> {
    tx.sql().execute(SET, args![user.as_str(), field, value]).await?;
    Ok(())
}

/// Removes a field.
pub async fn delete(tx: &mut CommitTx, user: &UserId, field: &str) -> Result<(), StorageError> {
    tx.sql().execute(DELETE, args![user.as_str(), field]).await?;
    Ok(())
}

/// Removes all fields.
pub async fn clear(tx: &mut CommitTx, user: &UserId) -> Result<(), StorageError> {
    tx.sql().execute(CLEAR, args![user.as_str()]).await?;
    Ok(())
}

/// All fields with their JSON, sorted by name.
pub async fn all(db: &Database, user: &UserId) -> Result<Vec<(String, String)>, StorageError> {
    let rows = db.fetch(ALL, args![user.as_str()]).await?;
    rows.iter().map(|row| Ok((row.text(0)?, row.text(1)?))).collect()
}

/// Starts (or starts over) the job that carries a user's name and avatar into their rooms.
pub async fn start_job(tx: &mut CommitTx, user: &UserId, version: i64) -> Result<(), StorageError> {
    tx.sql().execute(START_JOB, args![user.as_str(), version]).await?;
    Ok(())
}

/// Notes how far a job has come, so that a restart goes on from there.
pub async fn advance_job(tx: &mut CommitTx, job: &ProfileJob) -> Result<(), StorageError> {
    tx.sql()
        .execute(ADVANCE_JOB, args![job.user_id.as_str(), job.version, job.after_room.0])
        .await?;
    Ok(())
}

/// Ends a job, unless it has been started over meanwhile.
pub async fn end_job(tx: &mut CommitTx, job: &ProfileJob) -> Result<(), StorageError> {
    tx.sql().execute(END_JOB, args![job.user_id.as_str(), job.version]).await?;
    Ok(())
}

/// All jobs that aren't done.
pub async fn jobs(db: &Database) -> Result<Vec<ProfileJob>, StorageError> {
    let rows = db.fetch(JOBS, args![]).await?;
    rows.iter()
        .map(|row| {
            let user = row.text(0)?;
            Ok(ProfileJob {
                user_id: parse_user(&user)?,
                after_room: RoomNid(row.int(1)?),
                version: row.int(2)?,
            })
        })
        .collect()
}
