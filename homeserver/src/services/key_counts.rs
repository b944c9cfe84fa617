//! How many one-time keys each device has left, and which of its fallback keys are unused: every answer of `/sync` says so
//! ([`/sync` extensions](https://spec.matrix.org/v1.19/client-server-api/#e2e-extensions-to-sync)), and they seldom change.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use landbridge_database::Database;
use quick_cache::sync::Cache;
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};

use crate::storage::{StorageError, keys};

/// Devices whose counts are kept.
const MAX_DEVICES: usize = 20_000;

/// The keys of one device.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct KeyCount {
    /// Unclaimed one-time keys by algorithm.
    pub one_time: BTreeMap<String, i64>,
    /// Algorithms with an unused fallback key.
    pub unused_fallback: Vec<String>,
}

/// The counts of devices that sync.
#[derive(Debug)]
pub struct KeyCounts {
    cache: Cache<(OwnedUserId, OwnedDeviceId), Arc<KeyCount>>,
    /// Rises with every change, so that what was read before a change is not kept after it.
    changes: AtomicU64,
}

impl Default for KeyCounts {
    fn default() -> Self {
        Self { cache: Cache::new(MAX_DEVICES), changes: AtomicU64::new(0) }
    }
}

impl KeyCounts {
    /// The device's keys changed. To be called once the change is durable, before anyone can see it.
    pub fn invalidate(&self, user: &UserId, device: &DeviceId) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.cache.remove(&(user.to_owned(), device.to_owned()));
    }

    /// The device's counts.
    pub async fn of(
        &self,
        db: &Database,
        user: &UserId,
        device: &DeviceId,
    ) -> Result<Arc<KeyCount>, StorageError> {
        let key = (user.to_owned(), device.to_owned());
        if let Some(known) = self.cache.get(&key) {
            return Ok(known);
        }
        let before = self.changes.load(Ordering::Acquire);
        let count = Arc::new(KeyCount {
            one_time: keys::counts(db, user, device).await?,
            unused_fallback: keys::unused_fallback(db, user, device).await?,
        });
        if self.changes.load(Ordering::Acquire) == before {
            self.cache.insert(key, Arc::clone(&count));
        }
        Ok(count)
    }
}
