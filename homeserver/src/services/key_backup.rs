//! Backups of room keys (Client-Server API, "Server-side key backups"). The keys are encrypted by the clients; the server
//! keeps the best one for each session, and counts.

pub mod purge;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use http::StatusCode;
use landbridge_database::Database;
use ruma::{OwnedRoomId, RoomId, UInt, UserId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::Notify;

use crate::commit::{CommitTx, Committer};
use crate::http::error::{ApiError, ApiResult};
use crate::storage::StorageError;
use crate::storage::key_backup::{self as table, BackupRow, KeyRow, Selection};

/// Backups that a user may have at once. Clients keep one, and perhaps the one before it.
const MAX_BACKUPS: i64 = 100;
/// Keys in one backup.
const MAX_KEYS: i64 = 1_000_000;
/// Keys in one upload; clients send 100 to 200.
const MAX_UPLOAD: usize = 10_000;
/// Bytes of the name of an algorithm or a session.
const MAX_NAME: usize = 255;
/// Bytes of `auth_data`.
const MAX_AUTH_DATA: usize = 65_536;
/// Bytes of an encrypted key. They have about a thousand, and forty for each time that the key was forwarded.
const MAX_SESSION_DATA: usize = 16_384;
/// Keys that are deleted in one commit, so that others are not kept waiting.
const DELETED_AT_ONCE: i64 = 2_000;

/// A backed up key (`KeyBackupData`).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionKey {
    /// The index of the first message that it decrypts.
    pub first_message_index: UInt,
    /// How often it was forwarded from device to device.
    pub forwarded_count: UInt,
    /// Whether the device that it came from was verified.
    pub is_verified: bool,
    /// The encrypted key.
    pub session_data: Box<RawValue>,
}

/// Keys by room and session.
pub type RoomKeys = BTreeMap<OwnedRoomId, BTreeMap<String, SessionKey>>;

/// A backup as clients see it, without its keys.
#[derive(Debug, Serialize)]
pub struct Backup {
    /// How its keys are encrypted.
    pub algorithm: String,
    /// What the algorithm needs to know.
    pub auth_data: Box<RawValue>,
    /// How many keys it holds.
    pub count: i64,
    /// Changes whenever its keys do.
    pub etag: String,
    /// Its version.
    pub version: String,
}

/// What a backup holds after a change.
#[derive(Debug, Serialize)]
pub struct Contents {
    /// Changes whenever the keys do.
    pub etag: String,
    /// How many there are.
    pub count: i64,
}

/// A page of keys.
pub type Page = Vec<KeyRow>;

/// The backups of this server's users.
pub struct KeyBackups {
    db: Database,
    committer: Committer,
    purge: Notify,
}

fn unknown() -> ApiError {
    ApiError::not_found("There is no such key backup")
}

fn wrong_version(current: i64) -> ApiError {
    let text = "Keys can only be written to the newest key backup";
    ApiError::new(StatusCode::FORBIDDEN, "M_WRONG_ROOM_KEYS_VERSION", text)
        .with("current_version", current.to_string())
}

/// Whether a name has the form, and the namespace, of the
/// [Common Namespaced Identifier Grammar](https://spec.matrix.org/v1.19/appendices/#common-namespaced-identifier-grammar).
fn is_identifier(name: &str) -> bool {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-_.".contains(&c);
    name.len() <= MAX_NAME
        && name.as_bytes().first().is_some_and(u8::is_ascii_lowercase)
        && name.bytes().all(inner)
        && name.contains('.')
}

/// The number behind a version, if it is spelled as this server spells it.
fn number(version: &str) -> ApiResult<i64> {
    version
        .parse::<i64>()
        .ok()
        .filter(|number| *number > 0 && number.to_string() == version)
        .ok_or_else(unknown)
}

fn check_auth_data(auth_data: &RawValue) -> ApiResult<()> {
    if !auth_data.get().starts_with('{') {
        return Err(ApiError::bad_json("auth_data must be an object"));
    }
    if auth_data.get().len() > MAX_AUTH_DATA {
        return Err(ApiError::too_large(format!("auth_data may have {MAX_AUTH_DATA} bytes")));
    }
    Ok(())
}

/// Checks keys and puts them into rows.
fn rows(keys: RoomKeys) -> ApiResult<Vec<KeyRow>> {
    if keys.values().map(BTreeMap::len).sum::<usize>() > MAX_UPLOAD {
        return Err(ApiError::too_large(format!("At most {MAX_UPLOAD} keys can be sent at once")));
    }
    let mut rows = Vec::new();
    for (room, sessions) in keys {
        for (session_id, key) in sessions {
            if session_id.is_empty() || session_id.len() > MAX_NAME {
                return Err(ApiError::invalid_param(format!(
                    "A session's ID must have 1 to {MAX_NAME} bytes"
                )));
            }
            let session_data = key.session_data.get();
            if !session_data.starts_with('{') {
                return Err(ApiError::bad_json("session_data must be an object"));
            }
            if session_data.len() > MAX_SESSION_DATA {
                return Err(ApiError::too_large(format!(
                    "session_data may have {MAX_SESSION_DATA} bytes"
                )));
            }
            rows.push(KeyRow {
                room_id: room.to_string(),
                session_id,
                first_message_index: key.first_message_index.into(),
                forwarded_count: key.forwarded_count.into(),
                is_verified: key.is_verified,
                session_data: session_data.to_owned(),
            });
        }
    }
    Ok(rows)
}

/// A key as clients see it.
pub fn shown(row: KeyRow) -> ApiResult<SessionKey> {
    let count = |number: i64| UInt::try_from(number).map_err(ApiError::internal);
    Ok(SessionKey {
        first_message_index: count(row.first_message_index)?,
        forwarded_count: count(row.forwarded_count)?,
        is_verified: row.is_verified,
        session_data: RawValue::from_string(row.session_data).map_err(ApiError::internal)?,
    })
}

impl KeyBackups {
    /// The backups in a database.
    pub fn new(db: Database, committer: Committer) -> Self {
        Self { db, committer, purge: Notify::new() }
    }

    /// Creates a backup, from now on the only one that takes keys, and gives its version.
    pub async fn create(
        &self,
        user: &UserId,
        algorithm: String,
        auth_data: Box<RawValue>,
    ) -> ApiResult<String> {
        check_auth_data(&auth_data)?;
        if !is_identifier(&algorithm) {
            return Err(ApiError::invalid_param("algorithm must be a namespaced identifier"));
        }
        let user = user.to_owned();
        let version = self
            .committer
            .run(move |tx| {
                let (user, algorithm, auth_data) =
                    (user.clone(), algorithm.clone(), auth_data.clone());
                async move {
                    if table::live(tx, &user).await? >= MAX_BACKUPS {
                        return Ok(None);
                    }
                    table::create(tx, &user, &algorithm, auth_data.get()).await.map(Some)
                }
                .boxed()
            })
            .await?;
        version.map(|version| version.to_string()).ok_or_else(|| {
            ApiError::forbidden(format!("You have {MAX_BACKUPS} key backups; delete old ones"))
        })
    }

    /// A backup; the newest one without a version.
    pub async fn get(&self, user: &UserId, version: Option<&str>) -> ApiResult<Backup> {
        let row = match version {
            Some(version) => table::get(&self.db, user, number(version)?).await?,
            None => table::current(&self.db, user).await?,
        };
        let row = row.ok_or_else(unknown)?;
        Ok(Backup {
            algorithm: row.algorithm,
            auth_data: RawValue::from_string(row.auth_data).map_err(ApiError::internal)?,
            count: row.key_count,
            etag: row.etag.to_string(),
            version: row.version.to_string(),
        })
    }

    /// Changes the `auth_data` of a backup; the algorithm has to stay.
    pub async fn update(
        &self,
        user: &UserId,
        version: &str,
        algorithm: String,
        auth_data: Box<RawValue>,
    ) -> ApiResult<()> {
        let version = number(version)?;
        check_auth_data(&auth_data)?;
        let user = user.to_owned();
        self.committer
            .run(move |tx| {
                let (user, algorithm, auth_data) =
                    (user.clone(), algorithm.clone(), auth_data.clone());
                async move {
                    match table::get_in(tx, &user, version).await? {
                        None => return Ok(Err(unknown())),
                        Some(row) if row.algorithm != algorithm => {
                            let text = "The algorithm is not that of the key backup";
                            return Ok(Err(ApiError::invalid_param(text)));
                        }
                        Some(_) => {}
                    }
                    table::set_auth_data(tx, &user, version, auth_data.get()).await.map(Ok)
                }
                .boxed()
            })
            .await?
    }

    /// Deletes a backup with its keys. Nothing is left to do for one that was deleted before.
    pub async fn delete(&self, user: &UserId, version: &str) -> ApiResult<()> {
        let version = number(version)?;
        if version > table::newest_version(&self.db, user).await? {
            return Err(unknown());
        }
        let user = user.to_owned();
        self.committer
            .run(move |tx| {
                let user = user.clone();
                async move { table::mark_deleted(tx, &user, version).await }.boxed()
            })
            .await?;
        self.wake();
        Ok(())
    }

    /// Stores keys in the newest backup, each only if it is better than the one that is there for its session.
    pub async fn put(&self, user: &UserId, version: &str, keys: RoomKeys) -> ApiResult<Contents> {
        let version = number(version)?;
        let keys = Arc::new(rows(keys)?);
        let user = user.to_owned();
        self.committer
            .run(move |tx| {
                let (user, keys) = (user.clone(), keys.clone());
                async move { put(tx, &user, version, &keys).await }.boxed()
            })
            .await?
    }

    /// The key of a session.
    pub async fn key(
        &self,
        user: &UserId,
        version: &str,
        room: &RoomId,
        session: &str,
    ) -> ApiResult<SessionKey> {
        let version = self.existing(user, version).await?;
        let row = table::one(&self.db, user, version, (room.as_str(), session)).await?;
        shown(row.ok_or_else(|| ApiError::not_found("The key backup has no such key"))?)
    }

    /// The number of a version of which there is a backup.
    pub async fn existing(&self, user: &UserId, version: &str) -> ApiResult<i64> {
        let version = number(version)?;
        table::get(&self.db, user, version).await?.ok_or_else(unknown)?;
        Ok(version)
    }

    /// Keys after a session of a room, in that order, at most `limit`; of one room or of all.
    pub async fn page(
        &self,
        user: &UserId,
        version: i64,
        room: Option<&RoomId>,
        after: (&str, &str),
        limit: usize,
    ) -> Result<Page, StorageError> {
        let room = room.map(RoomId::as_str);
        table::page(&self.db, user, version, room, after, limit as i64).await
    }

    /// Deletes the key of a session, the keys of a room, or all keys of a backup.
    pub async fn delete_keys(
        &self,
        user: &UserId,
        version: &str,
        room: Option<OwnedRoomId>,
        session: Option<String>,
    ) -> ApiResult<Contents> {
        let version = number(version)?;
        let names = Arc::new((room, session));
        loop {
            let (user, names) = (user.to_owned(), names.clone());
            let (contents, more) = self
                .committer
                .run(move |tx| {
                    let (user, names) = (user.clone(), names.clone());
                    async move {
                        let selection = match &*names {
                            (Some(room), Some(session)) => {
                                Selection::Session(room.as_str(), session)
                            }
                            (Some(room), None) => Selection::Room(room.as_str()),
                            (None, _) => Selection::All,
                        };
                        delete(tx, &user, version, selection).await
                    }
                    .boxed()
                })
                .await??;
            if !more {
                return Ok(contents);
            }
        }
    }

    /// Backups were deleted: their keys are to be taken away.
    pub fn wake(&self) {
        self.purge.notify_one();
    }
}

async fn put(
    tx: &mut CommitTx,
    user: &UserId,
    version: i64,
    keys: &[KeyRow],
) -> Result<ApiResult<Contents>, StorageError> {
    let current = match table::current_in(tx, user).await? {
        Some(current) if current.version == version => current,
        Some(current) => {
            let known = table::get_in(tx, user, version).await?.is_some();
            return Ok(Err(if known { wrong_version(current.version) } else { unknown() }));
        }
        None => return Ok(Err(unknown())),
    };
    if current.key_count + keys.len() as i64 > MAX_KEYS {
        let text = format!("A key backup may hold {MAX_KEYS} keys");
        return Ok(Err(ApiError::too_large(text)));
    }
    let (mut added, mut replaced) = (0, 0);
    for key in keys {
        if table::add(tx, user, version, key).await? {
            added += 1;
        } else if table::replace(tx, user, version, key).await? {
            replaced += 1;
        }
    }
    changed(tx, user, current, added, added + replaced > 0).await.map(Ok)
}

/// Deletes some keys; also whether there are more.
async fn delete(
    tx: &mut CommitTx,
    user: &UserId,
    version: i64,
    selection: Selection<'_>,
) -> Result<ApiResult<(Contents, bool)>, StorageError> {
    let Some(backup) = table::get_in(tx, user, version).await? else { return Ok(Err(unknown())) };
    let deleted = table::delete(tx, user, version, selection, DELETED_AT_ONCE).await?;
    let contents = changed(tx, user, backup, -deleted, deleted > 0).await?;
    Ok(Ok((contents, deleted == DELETED_AT_ONCE)))
}

/// Notes what a backup holds now.
async fn changed(
    tx: &mut CommitTx,
    user: &UserId,
    backup: BackupRow,
    more: i64,
    changed: bool,
) -> Result<Contents, StorageError> {
    let etag = backup.etag + i64::from(changed);
    let count = backup.key_count + more;
    if changed {
        table::set_contents(tx, user, backup.version, etag, count).await?;
    }
    Ok(Contents { etag: etag.to_string(), count })
}

impl std::fmt::Debug for KeyBackups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyBackups").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_one_spelling() {
        assert_eq!(number("12").unwrap(), 12);
        for other in ["", "0", "-1", "+1", "01", " 1", "1.0", "99999999999999999999", "v1"] {
            assert_eq!(number(other).unwrap_err().errcode, "M_NOT_FOUND", "{other}");
        }
    }

    #[test]
    fn keys_have_limits() {
        let upload = |session: &str, data: &str| {
            let key = SessionKey {
                first_message_index: UInt::MIN,
                forwarded_count: UInt::MIN,
                is_verified: false,
                session_data: RawValue::from_string(data.to_owned()).unwrap(),
            };
            let room = ruma::owned_room_id!("!a:x");
            rows(BTreeMap::from([(room, BTreeMap::from([(session.to_owned(), key)]))]))
        };
        assert_eq!(upload("s", "{}").unwrap().len(), 1);
        assert_eq!(upload("", "{}").unwrap_err().errcode, "M_INVALID_PARAM");
        assert_eq!(upload("s", "\"text\"").unwrap_err().errcode, "M_BAD_JSON");
        let long = format!("{{\"ciphertext\":\"{}\"}}", "x".repeat(MAX_SESSION_DATA));
        assert_eq!(upload("s", &long).unwrap_err().errcode, "M_TOO_LARGE");
    }
}
