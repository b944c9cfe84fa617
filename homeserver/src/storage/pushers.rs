//! Pushers: where clients want to be told of what happens while they sleep.

use landbridge_database::{Database, args};
use ruma::{DeviceId, UserId};

use crate::commit::CommitTx;
use crate::storage::StorageError;

const SET: &str = "INSERT INTO pushers (user_id, app_id, pushkey, device_id, definition) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (user_id, app_id, pushkey)
    DO UPDATE SET device_id = excluded.device_id, definition = excluded.definition";
const DELETE: &str = "DELETE FROM pushers WHERE user_id = $1 AND app_id = $2 AND pushkey = $3";
const DELETE_OF_OTHERS: &str =
    "DELETE FROM pushers WHERE user_id <> $1 AND app_id = $2 AND pushkey = $3";
const DELETE_OF_OTHER_DEVICES: &str = "DELETE FROM pushers
    WHERE user_id = $1 AND (device_id IS NULL OR device_id <> $2)";
const LIST: &str = "SELECT definition FROM pushers WHERE user_id = $1 ORDER BY app_id, pushkey";

/// What identifies a pusher of a user.
#[derive(Debug, Clone)]
pub struct PusherKey {
    /// The app.
    pub app_id: String,
    /// The app's key for the device.
    pub pushkey: String,
}

/// Creates or replaces a pusher. Unless `append`, the same key of other users is dropped: one device, one user.
pub async fn set(
    tx: &mut CommitTx,
    user: &UserId,
    device: Option<&DeviceId>,
    key: &PusherKey,
    definition: &str,
    append: bool,
) -> Result<(), StorageError> {
    if !append {
        tx.sql().execute(DELETE_OF_OTHERS, args![user.as_str(), &key.app_id, &key.pushkey]).await?;
    }
    let device = device.map(DeviceId::as_str);
    tx.sql()
        .execute(SET, args![user.as_str(), &key.app_id, &key.pushkey, device, definition])
        .await?;
    Ok(())
}

/// Deletes a pusher.
pub async fn delete(tx: &mut CommitTx, user: &UserId, key: &PusherKey) -> Result<(), StorageError> {
    tx.sql().execute(DELETE, args![user.as_str(), &key.app_id, &key.pushkey]).await?;
    Ok(())
}

/// Deletes the pushers that other devices than `keep` made.
pub async fn delete_of_others(
    tx: &mut CommitTx,
    user: &UserId,
    keep: &DeviceId,
) -> Result<(), StorageError> {
    tx.sql().execute(DELETE_OF_OTHER_DEVICES, args![user.as_str(), keep.as_str()]).await?;
    Ok(())
}

/// The definitions of a user's pushers, as JSON.
pub async fn list(db: &Database, user: &UserId) -> Result<Vec<String>, StorageError> {
    let rows = db.fetch(LIST, args![user.as_str()]).await?;
    rows.iter().map(|row| Ok(row.text(0)?)).collect()
}
