//! The devices of users. Creating one by logging in, and deleting one, is [`Sessions`](super::sessions::Sessions)' work.

use std::sync::Arc;

use futures::FutureExt;
use landbridge_database::Database;
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};

use crate::clock::Clock;
use crate::commit::{CommitError, Committer};
use crate::services::cache::LoadCache;
use crate::services::sessions::announce;
use crate::storage::devices::{self, Device};
use crate::storage::{StorageError, keys};

const CACHED: usize = 50_000;

/// The devices of this server's users.
pub struct Devices {
    db: Database,
    committer: Committer,
    clock: Arc<dyn Clock>,
    known: LoadCache<(OwnedUserId, OwnedDeviceId), ()>,
}

impl Devices {
    /// The devices in a database.
    pub fn new(db: Database, committer: Committer, clock: Arc<dyn Clock>) -> Self {
        Self { db, committer, clock, known: LoadCache::new(CACHED) }
    }

    /// Whether a user has this device; without I/O for one that was asked for lately. For application services that act as
    /// a device (MSC4326).
    pub async fn exists(&self, user: &UserId, device: &DeviceId) -> Result<bool, StorageError> {
        let load =
            async { Ok::<_, StorageError>(devices::get(&self.db, user, device).await?.map(drop)) };
        Ok(self.known.get(&(user.to_owned(), device.to_owned()), load).await?.is_some())
    }

    /// Forgets what [`exists`](Self::exists) remembers of devices that were deleted.
    pub fn forget(&self, user: &UserId, ids: &[OwnedDeviceId]) {
        for id in ids {
            self.known.forget(&(user.to_owned(), id.clone()));
        }
    }

    /// One device.
    pub async fn get(
        &self,
        user: &UserId,
        device: &DeviceId,
    ) -> Result<Option<Device>, StorageError> {
        devices::get(&self.db, user, device).await
    }

    /// Whether one of a user's cross-signing keys has this ID; devices may not be named like one.
    pub async fn is_key(&self, user: &UserId, id: &DeviceId) -> Result<bool, StorageError> {
        let named = format!("ed25519:{id}");
        let known = keys::cross_signing(&self.db, user).await?;
        Ok(known.values().any(|text| {
            let key: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
            key["keys"].get(&named).is_some()
        }))
    }

    /// All devices of a user.
    pub async fn list(&self, user: &UserId) -> Result<Vec<Device>, StorageError> {
        devices::list(&self.db, user).await
    }

    /// Renames a device; `false` when there is none.
    pub async fn rename(
        &self,
        user: &UserId,
        device: &DeviceId,
        name: Option<String>,
    ) -> Result<bool, CommitError> {
        let (user, device) = (user.to_owned(), device.to_owned());
        self.committer
            .run(move |tx| {
                let (user, device, name) = (user.clone(), device.clone(), name.clone());
                async move {
                    let renamed = devices::rename(tx, &user, &device, name.as_deref()).await?;
                    if renamed && keys::device_in(tx, &user, &device).await?.is_some() {
                        announce(tx, &user).await?;
                    }
                    Ok(renamed)
                }
                .boxed()
            })
            .await
    }

    /// Creates a device without a session (MSC4190).
    pub async fn create(
        &self,
        user: &UserId,
        device: &DeviceId,
        name: Option<String>,
    ) -> Result<(), CommitError> {
        let now = self.clock.now_ms();
        let (user, device) = (user.to_owned(), device.to_owned());
        self.committer
            .run(move |tx| {
                let (user, device, name) = (user.clone(), device.clone(), name.clone());
                async move { devices::upsert(tx, &user, &device, name.as_deref(), now).await }
                    .boxed()
            })
            .await
    }
}

impl std::fmt::Debug for Devices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Devices").finish_non_exhaustive()
    }
}
