//! Messages to devices, waiting until their device has surely received them; and requests known to be done.

use landbridge_database::{Database, args};
use ruma::{DeviceId, UserId};

use crate::commit::CommitTx;
use crate::nid::Pos;
use crate::storage::StorageError;

const INSERT: &str =
    "INSERT INTO to_device (user_id, device_id, pos, message) VALUES ($1, $2, $3, $4)";
const AFTER: &str = "SELECT pos, message FROM to_device
    WHERE user_id = $1 AND device_id = $2 AND pos > $3 AND pos <= $4 ORDER BY pos LIMIT $5";
const DELETE: &str = "DELETE FROM to_device WHERE user_id = $1 AND device_id = $2 AND pos <= $3";
const WAITING: &str =
    "SELECT 1 FROM to_device WHERE user_id = $1 AND device_id = $2 AND pos <= $3 LIMIT 1";
const DONE: &str = "INSERT INTO done_requests (scope, request, done_ms) VALUES ($1, $2, $3)
    ON CONFLICT (scope, request) DO NOTHING";
const PURGE_DONE: &str = "DELETE FROM done_requests WHERE done_ms < $1";

/// Queues a message (`{"type", "sender", "content"}`) for a device at `pos`.
pub async fn insert(
    tx: &mut CommitTx,
    user: &UserId,
    device: &DeviceId,
    pos: Pos,
    message: &str,
) -> Result<(), StorageError> {
    tx.sql().execute(INSERT, args![user.as_str(), device.as_str(), pos, message]).await?;
    Ok(())
}

/// Messages for a device after `from` and not after `to`, the oldest first, at most `limit`.
pub async fn after(
    db: &Database,
    user: &UserId,
    device: &DeviceId,
    from: Pos,
    to: Pos,
    limit: i64,
) -> Result<Vec<(Pos, String)>, StorageError> {
    let rows = db.fetch(AFTER, args![user.as_str(), device.as_str(), from, to, limit]).await?;
    rows.iter().map(|row| Ok((row.int(0)?, row.text(1)?))).collect()
}

/// Whether messages up to `pos` wait for a device: asked before a delete, so that most syncs write nothing.
pub async fn waiting(
    db: &Database,
    user: &UserId,
    device: &DeviceId,
    pos: Pos,
) -> Result<bool, StorageError> {
    Ok(db.fetch_optional(WAITING, args![user.as_str(), device.as_str(), pos]).await?.is_some())
}

/// Deletes the messages up to `pos`, which the device has acknowledged.
pub async fn delete_up_to(
    tx: &mut CommitTx,
    user: &UserId,
    device: &DeviceId,
    pos: Pos,
) -> Result<(), StorageError> {
    tx.sql().execute(DELETE, args![user.as_str(), device.as_str(), pos]).await?;
    Ok(())
}

/// Notes that a request is done; `false` when it was done before. `scope` is the device or appservice that asks, `request`
/// the path with its transaction ID.
pub async fn mark_done(
    tx: &mut CommitTx,
    scope: &str,
    request: &str,
    now_ms: i64,
) -> Result<bool, StorageError> {
    Ok(tx.sql().execute(DONE, args![scope, request, now_ms]).await? == 1)
}

/// Forgets requests done before `before_ms`.
pub async fn purge_done(tx: &mut CommitTx, before_ms: i64) -> Result<(), StorageError> {
    tx.sql().execute(PURGE_DONE, args![before_ms]).await?;
    Ok(())
}
