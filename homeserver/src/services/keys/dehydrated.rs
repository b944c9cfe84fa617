//! Dehydrated devices ([MSC3814](https://github.com/matrix-org/matrix-spec-proposals/pull/3814)): a device without a session,
//! which gets messages while its user is logged in nowhere, and hands them to the next client that knows its secret.

use std::sync::Arc;

use futures::FutureExt;
use ruma::{DeviceId, OwnedDeviceId, UserId};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Checked, Keys, Upload};
use crate::commit::CommitTx;
use crate::http::error::{ApiError, ApiResult};
use crate::nid::Pos;
use crate::services::sessions::delete_devices;
use crate::storage::dehydrated::{self as table, DehydratedRow};
use crate::storage::{StorageError, devices, to_device};

/// Bytes of a device's ID.
const MAX_ID: usize = 255;
/// Bytes of a device's name.
const MAX_NAME: usize = 1_024;
/// Bytes of the encrypted device: a pickle has about a hundred for each of its one-time keys.
const MAX_DATA: usize = 131_072;

/// `PUT /dehydrated_device`.
#[derive(Debug)]
pub struct Dehydration {
    /// The device's ID.
    pub device_id: OwnedDeviceId,
    /// Its encrypted private keys.
    pub device_data: Box<RawValue>,
    /// What to call it.
    pub display_name: Option<String>,
    /// Its public keys; those of the device itself must be there.
    pub keys: Upload,
}

fn none() -> ApiError {
    ApiError::not_found("There is no dehydrated device")
}

fn check(new: &Dehydration) -> ApiResult<()> {
    if new.device_id.as_str().is_empty() || new.device_id.as_str().len() > MAX_ID {
        return Err(ApiError::invalid_param(format!("device_id must have 1 to {MAX_ID} bytes")));
    }
    if new.device_data.get().len() > MAX_DATA {
        return Err(ApiError::too_large(format!("device_data may have {MAX_DATA} bytes")));
    }
    if new.display_name.as_ref().is_some_and(|name| name.len() > MAX_NAME) {
        return Err(ApiError::too_large(format!("A device's name may have {MAX_NAME} bytes")));
    }
    let data: Map<String, Value> = serde_json::from_str(new.device_data.get())
        .map_err(|_| ApiError::bad_json("device_data must be an object"))?;
    if !data.get("algorithm").is_some_and(Value::is_string) {
        return Err(ApiError::bad_json("device_data needs an algorithm"));
    }
    if new.keys.device_keys.is_none() {
        return Err(ApiError::missing("device_keys"));
    }
    Ok(())
}

impl Keys {
    /// Stores a dehydrated device in the place of the one before; the ID of that one.
    pub async fn dehydrate(
        &self,
        user: &UserId,
        new: Dehydration,
        now: i64,
    ) -> ApiResult<Option<OwnedDeviceId>> {
        check(&new)?;
        if self.is_key(user, &new.device_id).await? {
            return Err(ApiError::forbidden("A cross-signing key is named like that device"));
        }
        let Dehydration { device_id, device_data, display_name, keys } = new;
        let keys = Arc::new(Checked::new(user, &device_id, keys)?);
        let row = DehydratedRow { device_id, device_data: device_data.get().to_owned() };
        let (owner, row) = (user.to_owned(), Arc::new(row));
        let counts = self.counts.clone();
        self.committer
            .run(move |tx| {
                let (owner, row, name) = (owner.clone(), row.clone(), display_name.clone());
                let (keys, counts) = (keys.clone(), counts.clone());
                async move {
                    let old = table::get_in(tx, &owner).await?.map(|old| old.device_id);
                    let id = &row.device_id;
                    if old.as_ref() != Some(id) && exists(tx, &owner, id).await? {
                        return Ok(Err(ApiError::invalid_param("You have a device of that name")));
                    }
                    if let Some(old) = &old {
                        delete_devices(tx, &counts, &owner, std::slice::from_ref(old)).await?;
                    }
                    devices::upsert(tx, &owner, id, name.as_deref(), now).await?;
                    if let Err(refused) = keys.store(tx, &counts, (&owner, id)).await? {
                        // Unlikely, since a new device has no keys yet; and what was done so far must not stay.
                        return Err(StorageError::Damaged(refused.to_string()));
                    }
                    table::set(tx, &owner, &row).await?;
                    Ok(Ok(old))
                }
                .boxed()
            })
            .await?
    }

    /// The dehydrated device of a user.
    pub async fn dehydrated(&self, user: &UserId) -> ApiResult<DehydratedRow> {
        table::get(&self.db, user).await?.ok_or_else(none)
    }

    /// Whether a device is the user's dehydrated one.
    pub async fn is_dehydrated(&self, user: &UserId, device: &DeviceId) -> ApiResult<bool> {
        Ok(table::get(&self.db, user).await?.is_some_and(|row| row.device_id == device))
    }

    /// Whether a session may not have a device of this name: a cross-signing key or the dehydrated device has it.
    pub async fn is_taken(&self, user: &UserId, device: &DeviceId) -> ApiResult<bool> {
        Ok(self.is_key(user, device).await? || self.is_dehydrated(user, device).await?)
    }

    /// Deletes the dehydrated device of a user; its ID.
    pub async fn forget_dehydrated(&self, user: &UserId) -> ApiResult<OwnedDeviceId> {
        let owner = user.to_owned();
        let counts = self.counts.clone();
        let deleted = self
            .committer
            .run(move |tx| {
                let (owner, counts) = (owner.clone(), counts.clone());
                async move {
                    let Some(row) = table::get_in(tx, &owner).await? else { return Ok(None) };
                    let ids = [row.device_id];
                    delete_devices(tx, &counts, &owner, &ids).await?;
                    Ok(ids.into_iter().next())
                }
                .boxed()
            })
            .await?;
        deleted.ok_or_else(none)
    }

    /// Messages to the dehydrated device after one position and not after another, at most `limit`. They stay: whoever reads
    /// them may fail to finish.
    pub async fn dehydrated_messages(
        &self,
        user: &UserId,
        device: &DeviceId,
        (from, to): (Pos, Pos),
        limit: i64,
    ) -> ApiResult<Vec<(Pos, String)>> {
        if !self.is_dehydrated(user, device).await? {
            return Err(ApiError::forbidden("That is not your dehydrated device"));
        }
        Ok(to_device::after(&self.db, user, device, from, to, limit).await?)
    }
}

async fn exists(tx: &mut CommitTx, user: &UserId, id: &DeviceId) -> Result<bool, StorageError> {
    Ok(devices::list_in(tx, user).await?.iter().any(|device| device.device_id == id))
}
