//! What we know about our users on the homeserver, so that a warm send is one request: who is registered, who is in
//! which room, who is called what. Kept in the store; a bounded cache of hashes stands before it.

use std::sync::Arc;

use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

use crate::kv::{KeyValue, KvError};

/// Entries in the cache; about 40 bytes each.
const CACHED: usize = 65_536;
/// How many joins of people's own accounts may be on their way back to us.
const JOINING: usize = 1024;

/// Facts, each a key with a value.
pub(super) struct Memory {
    kv: Arc<dyn KeyValue>,
    cache: Cache<u128, u64>,
    /// Who was made to join what. Only in memory: what is forgotten is asked of the network, which knows that they are there.
    joining: Cache<u128, ()>,
}

impl Memory {
    pub(super) fn new(kv: Arc<dyn KeyValue>) -> Self {
        Self { kv, cache: Cache::new(CACHED), joining: Cache::new(JOINING) }
    }

    /// Whether the fact `key` has this value.
    async fn holds(&self, key: &str, value: &str) -> Result<bool, KvError> {
        let (id, hash) = (digest(key), digest(value) as u64);
        if let Some(known) = self.cache.get(&id) {
            return Ok(known == hash);
        }
        let Some(stored) = self.kv.get(key).await? else { return Ok(false) };
        self.cache.insert(id, digest(&stored) as u64);
        Ok(stored == value)
    }

    async fn set(&self, key: &str, value: &str) -> Result<(), KvError> {
        if self.holds(key, value).await? {
            return Ok(());
        }
        self.kv.put(key, value).await?;
        self.cache.insert(digest(key), digest(value) as u64);
        Ok(())
    }

    async fn clear(&self, key: &str) -> Result<(), KvError> {
        self.cache.remove(&digest(key));
        self.kv.delete(key).await
    }

    pub(super) async fn is_registered(&self, user: &str) -> Result<bool, KvError> {
        self.holds(&format!("mx/registered/{user}"), "1").await
    }

    pub(super) async fn set_registered(&self, user: &str) -> Result<(), KvError> {
        self.set(&format!("mx/registered/{user}"), "1").await
    }

    pub(super) async fn is_joined(&self, room: &str, user: &str) -> Result<bool, KvError> {
        self.holds(&joined(room, user), "1").await
    }

    pub(super) async fn set_joined(&self, room: &str, user: &str, is: bool) -> Result<(), KvError> {
        let key = joined(room, user);
        if is {
            self.set(&key, "1").await
        } else if self.holds(&key, "1").await? {
            self.clear(&key).await
        } else {
            Ok(())
        }
    }

    /// A person's own account is made to join; that this is to be told of is known before it can be told.
    pub(super) fn begin_join(&self, room: &str, user: &str) {
        self.joining.insert(digest(&joined(room, user)), ());
    }

    /// Whether somebody was made to join; asked once, when they have joined or left.
    pub(super) fn end_join(&self, room: &str, user: &str) -> bool {
        self.joining.remove(&digest(&joined(room, user))).is_some()
    }

    pub(super) async fn forget_room(&self, room: &str) -> Result<(), KvError> {
        for (key, _) in self.kv.list(&joined(room, "")).await? {
            self.clear(&key).await?;
        }
        Ok(())
    }

    /// After a refusal that shows that our memory is wrong: the next time everything is asked again.
    pub(super) async fn doubt(&self, room: &str, user: &str) -> Result<(), KvError> {
        self.clear(&joined(room, user)).await?;
        self.clear(&format!("mx/registered/{user}")).await
    }

    pub(super) async fn has_profile(
        &self,
        user: &str,
        field: &str,
        value: &str,
    ) -> Result<bool, KvError> {
        self.holds(&format!("mx/profile/{user}/{field}"), value).await
    }

    pub(super) async fn set_profile(
        &self,
        user: &str,
        field: &str,
        value: &str,
    ) -> Result<(), KvError> {
        self.set(&format!("mx/profile/{user}/{field}"), value).await
    }
}

fn joined(room: &str, user: &str) -> String {
    format!("mx/joined/{room}/{user}")
}

/// The first half of SHA-256: no two keys of a bridge share it.
fn digest(text: &str) -> u128 {
    let hash = Sha256::digest(text.as_bytes());
    let mut half = [0u8; 16];
    half.copy_from_slice(&hash[..16]);
    u128::from_be_bytes(half)
}
