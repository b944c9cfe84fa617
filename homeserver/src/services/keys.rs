//! End-to-end encryption keys (Client-Server API, "End-to-end encryption"): the server keeps them, hands them out, and
//! checks what signatures it can.

mod dehydrated;
mod merge;
mod signatures;
mod signing;
mod upload;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures::FutureExt;
use landbridge_database::Database;
use ruma::{DeviceId, OwnedUserId, UserId};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::commit::Committer;
use crate::http::error::{ApiError, ApiResult};
use crate::services::key_counts::KeyCounts;
use crate::storage::keys::{self, Key};

pub use dehydrated::Dehydration;
pub use signatures::SignedObjects;
pub use signing::{CrossSigningKeys, Stored};
pub use upload::Upload;

use upload::Checked;

/// The answer to `POST /keys/query`, without what other servers would add.
#[derive(Debug, Default, serde::Serialize)]
pub struct Found {
    /// Keys by user and device.
    pub device_keys: BTreeMap<OwnedUserId, BTreeMap<String, Box<RawValue>>>,
    /// Master keys by user.
    pub master_keys: BTreeMap<OwnedUserId, Box<RawValue>>,
    /// Self-signing keys by user.
    pub self_signing_keys: BTreeMap<OwnedUserId, Box<RawValue>>,
    /// The asker's own user-signing key.
    pub user_signing_keys: BTreeMap<OwnedUserId, Box<RawValue>>,
    /// Servers that could not be asked.
    pub failures: BTreeMap<String, Map<String, Value>>,
}

/// Claimed one-time keys by user, device and `algorithm:id`.
pub type Claimed = BTreeMap<OwnedUserId, BTreeMap<String, BTreeMap<String, Box<RawValue>>>>;

/// The keys of this server's users.
pub struct Keys {
    db: Database,
    committer: Committer,
    counts: Arc<KeyCounts>,
}

impl Keys {
    /// The keys in a database.
    pub fn new(db: Database, committer: Committer, counts: Arc<KeyCounts>) -> Self {
        Self { db, committer, counts }
    }

    /// Stores what a device uploads; the counts of its one-time keys by algorithm.
    pub async fn upload(
        &self,
        user: &UserId,
        device: &DeviceId,
        upload: Upload,
    ) -> ApiResult<BTreeMap<String, i64>> {
        let upload = Checked::new(user, device, upload)?;
        if !upload.is_empty() {
            let upload = Arc::new(upload);
            let (owner, id) = (user.to_owned(), device.to_owned());
            let counts = self.counts.clone();
            self.committer
                .run(move |tx| {
                    let (owner, id, upload) = (owner.clone(), id.clone(), upload.clone());
                    let counts = counts.clone();
                    async move { upload.store(tx, &counts, (&owner, &id)).await }.boxed()
                })
                .await??;
        }
        self.counts(user, device).await
    }

    /// How many one-time keys of each algorithm a device has left.
    pub async fn counts(
        &self,
        user: &UserId,
        device: &DeviceId,
    ) -> ApiResult<BTreeMap<String, i64>> {
        let mut counts = keys::counts(&self.db, user, device).await?;
        // Clients take a missing count for "unknown" and don't upload more.
        counts.entry("signed_curve25519".to_owned()).or_insert(0);
        Ok(counts)
    }

    /// Collects the keys of users' devices (of all devices where the list is empty) as `viewer` may see them.
    pub async fn query(
        &self,
        viewer: &UserId,
        wanted: BTreeMap<OwnedUserId, HashSet<String>>,
    ) -> ApiResult<Found> {
        let mut found = Found::default();
        for (user, devices) in wanted {
            if user.server_name() != viewer.server_name() {
                found.failures.entry(user.server_name().to_string()).or_default();
                continue;
            }
            let signatures = keys::signatures(&self.db, &user, viewer).await?;
            let mut by_device = BTreeMap::new();
            for row in keys::of_user(&self.db, &user).await? {
                if devices.is_empty() || devices.contains(&row.device_id) {
                    let keys = merge::device(&row, &signatures)?;
                    by_device.insert(row.device_id, keys);
                }
            }
            for (usage, key) in keys::cross_signing(&self.db, &user).await? {
                let key = merge::cross_signing(&key, &signatures)?;
                let kind = match usage.as_str() {
                    signing::MASTER => &mut found.master_keys,
                    signing::SELF_SIGNING => &mut found.self_signing_keys,
                    _ if user == viewer => &mut found.user_signing_keys,
                    _ => continue,
                };
                kind.insert(user.clone(), key);
            }
            found.device_keys.insert(user, by_device);
        }
        Ok(found)
    }

    /// Claims one key for each user, device and algorithm. No key is given out twice, but for fallback keys.
    pub async fn claim(
        &self,
        wanted: BTreeMap<OwnedUserId, BTreeMap<String, String>>,
    ) -> ApiResult<Claimed> {
        let wanted = Arc::new(wanted);
        let counts = self.counts.clone();
        let claimed = self
            .committer
            .run(move |tx| {
                let (wanted, counts) = (wanted.clone(), counts.clone());
                async move {
                    let mut claimed = Vec::new();
                    for (user, devices) in wanted.iter() {
                        for (device, algorithm) in devices {
                            let id: &DeviceId = device.as_str().into();
                            if let Some(key) = keys::claim(tx, user, id, algorithm).await? {
                                let (counts, owner, id) =
                                    (counts.clone(), user.clone(), id.to_owned());
                                tx.on_commit(move || counts.invalidate(&owner, &id));
                                claimed.push((
                                    user.clone(),
                                    device.clone(),
                                    algorithm.clone(),
                                    key,
                                ));
                            }
                        }
                    }
                    Ok(claimed)
                }
                .boxed()
            })
            .await?;
        let mut answer = Claimed::new();
        for (user, device, algorithm, Key { key_id, key }) in claimed {
            let raw = RawValue::from_string(key).map_err(ApiError::internal)?;
            let keys = answer.entry(user).or_default().entry(device).or_default();
            keys.insert(format!("{algorithm}:{key_id}"), raw);
        }
        Ok(answer)
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}
