//! Backups of room keys: their versions, and the keys in each.
//!
//! A backup that its user deleted stays as a marked row until its keys are gone, a few at a time: there may be hundreds of
//! thousands. Version numbers are never given twice.

use landbridge_database::{Database, Row, args};
use ruma::{OwnedUserId, UserId};

use crate::commit::CommitTx;
use crate::storage::StorageError;
use crate::storage::accounts::parse_user;

const NEXT_VERSION: &str = "INSERT INTO key_backup_versions (user_id, newest) VALUES ($1, 1)
    ON CONFLICT (user_id) DO UPDATE SET newest = key_backup_versions.newest + 1 RETURNING newest";
const NEWEST_VERSION: &str = "SELECT newest FROM key_backup_versions WHERE user_id = $1";
const CREATE: &str =
    "INSERT INTO key_backups (user_id, version, algorithm, auth_data, etag, key_count, deleted)
    VALUES ($1, $2, $3, $4, 0, 0, 0)";
const LIVE: &str = "SELECT COUNT(*) FROM key_backups WHERE user_id = $1 AND deleted = 0";
const CURRENT: &str = "SELECT version, algorithm, auth_data, etag, key_count FROM key_backups
    WHERE user_id = $1 AND deleted = 0 ORDER BY version DESC LIMIT 1";
const GET: &str = "SELECT version, algorithm, auth_data, etag, key_count FROM key_backups
    WHERE user_id = $1 AND version = $2 AND deleted = 0";
const SET_AUTH_DATA: &str =
    "UPDATE key_backups SET auth_data = $3 WHERE user_id = $1 AND version = $2";
const SET_CONTENTS: &str =
    "UPDATE key_backups SET etag = $3, key_count = $4 WHERE user_id = $1 AND version = $2";
const MARK: &str = "UPDATE key_backups SET deleted = 1 WHERE user_id = $1 AND version = $2";
const MARK_ALL: &str = "UPDATE key_backups SET deleted = 1 WHERE user_id = $1";
const DELETED: &str = "SELECT user_id, version FROM key_backups WHERE deleted = 1
    ORDER BY user_id, version LIMIT 1";
const PURGE: &str = "DELETE FROM key_backups WHERE user_id = $1 AND version = $2 AND deleted = 1";
const ADD: &str = "INSERT INTO key_backup_keys (user_id, version, room_id, session_id,
    first_message_index, forwarded_count, is_verified, session_data)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (user_id, version, room_id, session_id) DO NOTHING";
const REPLACE: &str = "UPDATE key_backup_keys SET first_message_index = $5, forwarded_count = $6,
    is_verified = $7, session_data = $8
    WHERE user_id = $1 AND version = $2 AND room_id = $3 AND session_id = $4
    AND (is_verified < $7 OR (is_verified = $7 AND (first_message_index > $5
        OR (first_message_index = $5 AND forwarded_count > $6))))";
const KEY: &str = "SELECT room_id, session_id, first_message_index, forwarded_count, is_verified,
    session_data FROM key_backup_keys
    WHERE user_id = $1 AND version = $2 AND room_id = $3 AND session_id = $4";
const PAGE: &str = "SELECT room_id, session_id, first_message_index, forwarded_count, is_verified,
    session_data FROM key_backup_keys
    WHERE user_id = $1 AND version = $2 AND (room_id, session_id) > ($3, $4)
    ORDER BY room_id, session_id LIMIT $5";
const PAGE_OF_ROOM: &str = "SELECT room_id, session_id, first_message_index, forwarded_count,
    is_verified, session_data FROM key_backup_keys
    WHERE user_id = $1 AND version = $2 AND room_id = $3 AND session_id > $4
    ORDER BY session_id LIMIT $5";
const DELETE_KEY: &str = "DELETE FROM key_backup_keys
    WHERE user_id = $1 AND version = $2 AND room_id = $3 AND session_id = $4";
const DELETE_OF_ROOM: &str = "DELETE FROM key_backup_keys
    WHERE user_id = $1 AND version = $2 AND room_id = $3 AND session_id IN
    (SELECT session_id FROM key_backup_keys WHERE user_id = $1 AND version = $2 AND room_id = $3
     LIMIT $4)";
const DELETE_ANY: &str = "DELETE FROM key_backup_keys
    WHERE user_id = $1 AND version = $2 AND (room_id, session_id) IN
    (SELECT room_id, session_id FROM key_backup_keys WHERE user_id = $1 AND version = $2 LIMIT $3)";

/// A backup, without its keys.
#[derive(Debug, Clone)]
pub struct BackupRow {
    /// Its number.
    pub version: i64,
    /// How its keys are encrypted.
    pub algorithm: String,
    /// What the algorithm needs to know, as JSON.
    pub auth_data: String,
    /// Rises whenever its keys change.
    pub etag: i64,
    /// How many keys it holds.
    pub key_count: i64,
}

/// A key in a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// The room.
    pub room_id: String,
    /// The session.
    pub session_id: String,
    /// The first message that it decrypts.
    pub first_message_index: i64,
    /// How often it was forwarded.
    pub forwarded_count: i64,
    /// Whether the device that it came from was verified.
    pub is_verified: bool,
    /// The encrypted key as JSON.
    pub session_data: String,
}

/// Which keys of a backup.
#[derive(Debug, Clone, Copy)]
pub enum Selection<'a> {
    /// All.
    All,
    /// Those of a room.
    Room(&'a str),
    /// That of a session.
    Session(&'a str, &'a str),
}

fn backup(row: &Row) -> Result<BackupRow, StorageError> {
    Ok(BackupRow {
        version: row.int(0)?,
        algorithm: row.text(1)?,
        auth_data: row.text(2)?,
        etag: row.int(3)?,
        key_count: row.int(4)?,
    })
}

fn key(row: &Row) -> Result<KeyRow, StorageError> {
    Ok(KeyRow {
        room_id: row.text(0)?,
        session_id: row.text(1)?,
        first_message_index: row.int(2)?,
        forwarded_count: row.int(3)?,
        is_verified: row.int(4)? != 0,
        session_data: row.text(5)?,
    })
}

/// Creates a backup and gives its version.
pub async fn create(
    tx: &mut CommitTx,
    user: &UserId,
    algorithm: &str,
    auth_data: &str,
) -> Result<i64, StorageError> {
    let row = tx.sql().fetch_optional(NEXT_VERSION, args![user.as_str()]).await?;
    let version =
        row.ok_or_else(|| StorageError::Damaged("no version came back".to_owned()))?.int(0)?;
    tx.sql().execute(CREATE, args![user.as_str(), version, algorithm, auth_data]).await?;
    Ok(version)
}

/// The newest version that a user's backups ever had; 0 when there never was one.
pub async fn newest_version(db: &Database, user: &UserId) -> Result<i64, StorageError> {
    let row = db.fetch_optional(NEWEST_VERSION, args![user.as_str()]).await?;
    Ok(row.map(|row| row.int(0)).transpose()?.unwrap_or(0))
}

/// How many backups a user has.
pub async fn live(tx: &mut CommitTx, user: &UserId) -> Result<i64, StorageError> {
    let row = tx.sql().fetch_optional(LIVE, args![user.as_str()]).await?;
    Ok(row.map(|row| row.int(0)).transpose()?.unwrap_or(0))
}

/// The newest backup of a user.
pub async fn current(db: &Database, user: &UserId) -> Result<Option<BackupRow>, StorageError> {
    db.fetch_optional(CURRENT, args![user.as_str()]).await?.as_ref().map(backup).transpose()
}

/// The newest backup of a user, as the transaction sees it.
pub async fn current_in(
    tx: &mut CommitTx,
    user: &UserId,
) -> Result<Option<BackupRow>, StorageError> {
    let row = tx.sql().fetch_optional(CURRENT, args![user.as_str()]).await?;
    row.as_ref().map(backup).transpose()
}

/// A backup of a user.
pub async fn get(
    db: &Database,
    user: &UserId,
    version: i64,
) -> Result<Option<BackupRow>, StorageError> {
    db.fetch_optional(GET, args![user.as_str(), version]).await?.as_ref().map(backup).transpose()
}

/// A backup of a user, as the transaction sees it.
pub async fn get_in(
    tx: &mut CommitTx,
    user: &UserId,
    version: i64,
) -> Result<Option<BackupRow>, StorageError> {
    let row = tx.sql().fetch_optional(GET, args![user.as_str(), version]).await?;
    row.as_ref().map(backup).transpose()
}

/// Sets what the algorithm of a backup needs to know.
pub async fn set_auth_data(
    tx: &mut CommitTx,
    user: &UserId,
    version: i64,
    auth_data: &str,
) -> Result<(), StorageError> {
    tx.sql().execute(SET_AUTH_DATA, args![user.as_str(), version, auth_data]).await?;
    Ok(())
}

/// Notes that a backup holds other keys now.
pub async fn set_contents(
    tx: &mut CommitTx,
    user: &UserId,
    version: i64,
    etag: i64,
    key_count: i64,
) -> Result<(), StorageError> {
    tx.sql().execute(SET_CONTENTS, args![user.as_str(), version, etag, key_count]).await?;
    Ok(())
}

/// Marks a backup as deleted; [`purge`] takes it away once its keys are gone.
pub async fn mark_deleted(
    tx: &mut CommitTx,
    user: &UserId,
    version: i64,
) -> Result<(), StorageError> {
    tx.sql().execute(MARK, args![user.as_str(), version]).await?;
    Ok(())
}

/// Marks all backups of a user who is gone as deleted.
pub async fn mark_all_deleted(tx: &mut CommitTx, user: &UserId) -> Result<(), StorageError> {
    tx.sql().execute(MARK_ALL, args![user.as_str()]).await?;
    Ok(())
}

/// A backup that is marked as deleted.
pub async fn deleted(db: &Database) -> Result<Option<(OwnedUserId, i64)>, StorageError> {
    let Some(row) = db.fetch_optional(DELETED, args![]).await? else { return Ok(None) };
    Ok(Some((parse_user(&row.text(0)?)?, row.int(1)?)))
}

/// Takes a deleted backup away for good.
pub async fn purge(tx: &mut CommitTx, user: &UserId, version: i64) -> Result<(), StorageError> {
    tx.sql().execute(PURGE, args![user.as_str(), version]).await?;
    Ok(())
}

/// Adds a key; `false` when there is one for its session.
pub async fn add(
    tx: &mut CommitTx,
    user: &UserId,
    version: i64,
    key: &KeyRow,
) -> Result<bool, StorageError> {
    write(tx, ADD, user, version, key).await
}

/// Puts a key in the place of another one for its session, if it is better (Client-Server API, "Server-side key backups");
/// `false` when it isn't.
pub async fn replace(
    tx: &mut CommitTx,
    user: &UserId,
    version: i64,
    key: &KeyRow,
) -> Result<bool, StorageError> {
    write(tx, REPLACE, user, version, key).await
}

async fn write(
    tx: &mut CommitTx,
    sql: &'static str,
    user: &UserId,
    version: i64,
    key: &KeyRow,
) -> Result<bool, StorageError> {
    let values = args![
        user.as_str(),
        version,
        &key.room_id,
        &key.session_id,
        key.first_message_index,
        key.forwarded_count,
        i64::from(key.is_verified),
        &key.session_data
    ];
    Ok(tx.sql().execute(sql, values).await? == 1)
}

/// The key of a session.
pub async fn one(
    db: &Database,
    user: &UserId,
    version: i64,
    (room, session): (&str, &str),
) -> Result<Option<KeyRow>, StorageError> {
    let row = db.fetch_optional(KEY, args![user.as_str(), version, room, session]).await?;
    row.as_ref().map(key).transpose()
}

/// Keys in the order of rooms and sessions, those after the session `after` of a room, at most `limit`; of one room or of all.
pub async fn page(
    db: &Database,
    user: &UserId,
    version: i64,
    room: Option<&str>,
    after: (&str, &str),
    limit: i64,
) -> Result<Vec<KeyRow>, StorageError> {
    let rows = match room {
        Some(room) => {
            db.fetch(PAGE_OF_ROOM, args![user.as_str(), version, room, after.1, limit]).await?
        }
        None => db.fetch(PAGE, args![user.as_str(), version, after.0, after.1, limit]).await?,
    };
    rows.iter().map(key).collect()
}

/// Deletes keys, at most `limit` of them; how many there were.
pub async fn delete(
    tx: &mut CommitTx,
    user: &UserId,
    version: i64,
    selection: Selection<'_>,
    limit: i64,
) -> Result<i64, StorageError> {
    let user = user.as_str();
    let deleted = match selection {
        Selection::All => tx.sql().execute(DELETE_ANY, args![user, version, limit]).await?,
        Selection::Room(room) => {
            tx.sql().execute(DELETE_OF_ROOM, args![user, version, room, limit]).await?
        }
        Selection::Session(room, session) => {
            tx.sql().execute(DELETE_KEY, args![user, version, room, session]).await?
        }
    };
    Ok(i64::try_from(deleted).unwrap_or(i64::MAX))
}
