//! Devices, and which users' lists of devices changed when.

use landbridge_database::{Database, Row, args};
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};

use crate::commit::CommitTx;
use crate::nid::{ORD_SHIFT, Pos, RoomNid};
use crate::storage::StorageError;
use crate::storage::accounts::parse_user;

const UPSERT: &str =
    "INSERT INTO devices (user_id, device_id, display_name, last_seen_ms) VALUES ($1, $2, $3, $4)
    ON CONFLICT (user_id, device_id) DO UPDATE SET last_seen_ms = excluded.last_seen_ms";
const GET: &str =
    "SELECT device_id, display_name, last_seen_ms, last_seen_ip, user_agent FROM devices
    WHERE user_id = $1 AND device_id = $2";
const LIST: &str =
    "SELECT device_id, display_name, last_seen_ms, last_seen_ip, user_agent FROM devices
    WHERE user_id = $1 ORDER BY device_id";
const RENAME: &str = "UPDATE devices SET display_name = $3 WHERE user_id = $1 AND device_id = $2";
const USERS_SEEN_SINCE: &str = "SELECT user_id FROM devices WHERE last_seen_ms > $1
    GROUP BY user_id ORDER BY MAX(last_seen_ms) DESC LIMIT $2";
const SEEN: &str = "UPDATE devices SET last_seen_ms = $3, last_seen_ip = $4, user_agent = $5
    WHERE user_id = $1 AND device_id = $2";
const DELETE: [&str; 9] = [
    "DELETE FROM devices WHERE user_id = $1 AND device_id = $2",
    "DELETE FROM device_keys WHERE user_id = $1 AND device_id = $2",
    "DELETE FROM one_time_keys WHERE user_id = $1 AND device_id = $2",
    "DELETE FROM fallback_keys WHERE user_id = $1 AND device_id = $2",
    "DELETE FROM to_device WHERE user_id = $1 AND device_id = $2",
    "DELETE FROM pushers WHERE user_id = $1 AND device_id = $2",
    "DELETE FROM key_signatures WHERE target_user = $1 AND target_key = $2",
    "DELETE FROM dehydrated_devices WHERE user_id = $1 AND device_id = $2",
    "DELETE FROM sliding_connection WHERE user_id = $1 AND device_id = $2",
];
const CHANGED: &str = "INSERT INTO device_list_changes (user_id, pos) VALUES ($1, $2)
    ON CONFLICT (user_id) DO UPDATE SET pos = excluded.pos";
const CHANGED_BETWEEN: &str =
    "SELECT user_id FROM device_list_changes WHERE pos > $1 AND pos <= $2 ORDER BY pos";
const SIGNED: &str = "INSERT INTO signed_users (user_id, target, pos) VALUES ($1, $2, $3)
    ON CONFLICT (user_id, target) DO UPDATE SET pos = excluded.pos";
const SIGNED_BETWEEN: &str = "SELECT target FROM signed_users
    WHERE user_id = $1 AND pos > $2 AND pos <= $3 ORDER BY pos";
const MEMBERS_CHANGED: &str = "SELECT DISTINCT state_key FROM event
    WHERE room = ANY($1) AND ord > $2 AND ord <= $3 AND kind = 'm.room.member' AND state_key IS NOT NULL";
const ROOMS: &str = "SELECT room FROM membership WHERE user_id = $1 AND membership = 'join'";

/// A device.
#[derive(Debug, Clone)]
pub struct Device {
    /// Its ID.
    pub device_id: OwnedDeviceId,
    /// What its user calls it.
    pub display_name: Option<String>,
    /// When it was last heard of.
    pub last_seen_ms: Option<i64>,
    /// From where.
    pub last_seen_ip: Option<String>,
    /// What program it was then (`User-Agent`).
    pub user_agent: Option<String>,
}

fn device(row: &Row) -> Result<Device, StorageError> {
    Ok(Device {
        device_id: row.text(0)?.into(),
        display_name: row.opt_text(1)?,
        last_seen_ms: row.opt_int(2)?,
        last_seen_ip: row.opt_text(3)?,
        user_agent: row.opt_text(4)?,
    })
}

/// Creates a device; one that exists keeps its name.
pub async fn upsert(
    tx: &mut CommitTx,
    user: &UserId,
    device: &DeviceId,
    display_name: Option<&str>,
    now_ms: i64,
) -> Result<(), StorageError> {
    tx.sql().execute(UPSERT, args![user.as_str(), device.as_str(), display_name, now_ms]).await?;
    Ok(())
}

/// One device.
pub async fn get(
    db: &Database,
    user: &UserId,
    id: &DeviceId,
) -> Result<Option<Device>, StorageError> {
    db.fetch_optional(GET, args![user.as_str(), id.as_str()])
        .await?
        .as_ref()
        .map(device)
        .transpose()
}

/// All devices of a user.
pub async fn list(db: &Database, user: &UserId) -> Result<Vec<Device>, StorageError> {
    db.fetch(LIST, args![user.as_str()]).await?.iter().map(device).collect()
}

/// All devices of a user, as the transaction sees them.
pub async fn list_in(tx: &mut CommitTx, user: &UserId) -> Result<Vec<Device>, StorageError> {
    tx.sql().fetch(LIST, args![user.as_str()]).await?.iter().map(device).collect()
}

/// Renames a device; `false` when there is none.
pub async fn rename(
    tx: &mut CommitTx,
    user: &UserId,
    id: &DeviceId,
    name: Option<&str>,
) -> Result<bool, StorageError> {
    Ok(tx.sql().execute(RENAME, args![user.as_str(), id.as_str(), name]).await? == 1)
}

/// Notes when, from where and as what program a device was last heard of.
pub async fn seen(
    tx: &mut CommitTx,
    user: &UserId,
    id: &DeviceId,
    now_ms: i64,
    address: Option<&str>,
    agent: Option<&str>,
) -> Result<(), StorageError> {
    tx.sql().execute(SEEN, args![user.as_str(), id.as_str(), now_ms, address, agent]).await?;
    Ok(())
}

/// The users of whose devices one was heard of after a time, the last ones first, at most so many.
pub async fn users_seen_since(
    db: &Database,
    since_ms: i64,
    most: i64,
) -> Result<Vec<OwnedUserId>, StorageError> {
    let rows = db.fetch(USERS_SEEN_SINCE, args![since_ms, most]).await?;
    rows.iter().map(|row| parse_user(&row.text(0)?)).collect()
}

/// Deletes a device with its keys, pushers and waiting messages (its tokens are [`super::tokens`]' to delete).
pub async fn delete(tx: &mut CommitTx, user: &UserId, id: &DeviceId) -> Result<bool, StorageError> {
    let mut existed = false;
    for (i, sql) in DELETE.into_iter().enumerate() {
        let touched = tx.sql().execute(sql, args![user.as_str(), id.as_str()]).await?;
        existed |= i == 0 && touched == 1;
    }
    Ok(existed)
}

/// Notes that a user's devices or their keys changed at `pos`. Only the newest change of each user is kept.
pub async fn changed(tx: &mut CommitTx, user: &UserId, pos: Pos) -> Result<(), StorageError> {
    tx.sql().execute(CHANGED, args![user.as_str(), pos]).await?;
    Ok(())
}

/// The rooms a user is in, where others see the user's devices; as the transaction sees them.
pub async fn rooms_of(tx: &mut CommitTx, user: &UserId) -> Result<Vec<RoomNid>, StorageError> {
    let rows = tx.sql().fetch(ROOMS, args![user.as_str()]).await?;
    rows.iter().map(|row| Ok(RoomNid(row.int(0)?))).collect()
}

/// Users whose newest device-list change lies after `from` and not after `to`.
pub async fn changed_between(
    db: &Database,
    from: Pos,
    to: Pos,
) -> Result<Vec<OwnedUserId>, StorageError> {
    users(&db.fetch(CHANGED_BETWEEN, args![from, to]).await?)
}

fn users(rows: &[Row]) -> Result<Vec<OwnedUserId>, StorageError> {
    rows.iter()
        .map(|row| {
            let text = row.text(0)?;
            parse_user(&text)
        })
        .collect()
}

/// Notes that `user` signed a key of `target` at `pos`, which nobody else sees.
pub async fn signed(
    tx: &mut CommitTx,
    user: &UserId,
    target: &UserId,
    pos: Pos,
) -> Result<(), StorageError> {
    tx.sql().execute(SIGNED, args![user.as_str(), target.as_str(), pos]).await?;
    Ok(())
}

/// Users whose keys `user` signed last after `from` and not after `to`.
pub async fn signed_between(
    db: &Database,
    user: &UserId,
    from: Pos,
    to: Pos,
) -> Result<Vec<OwnedUserId>, StorageError> {
    users(&db.fetch(SIGNED_BETWEEN, args![user.as_str(), from, to]).await?)
}

/// Users whose membership of one of the rooms changed after `from` and not after `to`.
pub async fn members_changed(
    db: &Database,
    rooms: &[RoomNid],
    from: Pos,
    to: Pos,
) -> Result<Vec<OwnedUserId>, StorageError> {
    let rooms: Vec<i64> = rooms.iter().map(|room| room.0).collect();
    let place = |pos: Pos| pos.saturating_mul(1 << ORD_SHIFT);
    let rows = db.fetch(MEMBERS_CHANGED, args![rooms, place(from), place(to)]).await?;
    let keys: Result<Vec<String>, _> = rows.iter().map(|row| row.text(0)).collect();
    Ok(keys?.iter().filter_map(|key| UserId::parse(key).ok()).collect())
}
