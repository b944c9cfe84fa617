//! Dehydrated devices (MSC3814): at most one for each user, a row beside that of the device itself.

use landbridge_database::{Database, args};
use ruma::{OwnedDeviceId, UserId};

use crate::commit::CommitTx;
use crate::storage::StorageError;

const SET: &str = "INSERT INTO dehydrated_devices (user_id, device_id, device_data) VALUES ($1, $2, $3)
    ON CONFLICT (user_id) DO UPDATE SET device_id = excluded.device_id, device_data = excluded.device_data";
const GET: &str = "SELECT device_id, device_data FROM dehydrated_devices WHERE user_id = $1";

/// A dehydrated device.
#[derive(Debug, Clone)]
pub struct DehydratedRow {
    /// Its ID.
    pub device_id: OwnedDeviceId,
    /// Its encrypted private keys, as JSON.
    pub device_data: String,
}

/// Makes a device the user's dehydrated one.
pub async fn set(
    tx: &mut CommitTx,
    user: &UserId,
    device: &DehydratedRow,
) -> Result<(), StorageError> {
    let values = args![user.as_str(), device.device_id.as_str(), &device.device_data];
    tx.sql().execute(SET, values).await?;
    Ok(())
}

/// The dehydrated device of a user.
pub async fn get(db: &Database, user: &UserId) -> Result<Option<DehydratedRow>, StorageError> {
    let row = db.fetch_optional(GET, args![user.as_str()]).await?;
    row.map(|row| Ok(DehydratedRow { device_id: row.text(0)?.into(), device_data: row.text(1)? }))
        .transpose()
}

/// The dehydrated device of a user, as the transaction sees it.
pub async fn get_in(
    tx: &mut CommitTx,
    user: &UserId,
) -> Result<Option<DehydratedRow>, StorageError> {
    let row = tx.sql().fetch_optional(GET, args![user.as_str()]).await?;
    row.map(|row| Ok(DehydratedRow { device_id: row.text(0)?.into(), device_data: row.text(1)? }))
        .transpose()
}
