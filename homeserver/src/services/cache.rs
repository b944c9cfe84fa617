//! A bounded cache in front of the database that never keeps what was changed while it was being read.

use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::Cache;

/// Values by key; what isn't there is loaded. Misses are not remembered.
#[derive(Debug)]
pub struct LoadCache<K, V> {
    values: Cache<K, V>,
    changes: AtomicU64,
}

impl<K: Eq + Hash + Clone, V: Clone> LoadCache<K, V> {
    /// A cache of at most about `capacity` values.
    pub fn new(capacity: usize) -> Self {
        Self { values: Cache::new(capacity), changes: AtomicU64::new(0) }
    }

    /// The value if it is there.
    pub fn peek(&self, key: &K) -> Option<V> {
        self.values.get(key)
    }

    /// The value, from the cache or from `load`.
    pub async fn get<E>(
        &self,
        key: &K,
        load: impl Future<Output = Result<Option<V>, E>>,
    ) -> Result<Option<V>, E> {
        if let Some(value) = self.values.get(key) {
            return Ok(Some(value));
        }
        self.fill(key, load).await
    }

    /// The same without a look at what is there: for a value that `load` only makes.
    pub async fn fill<E>(
        &self,
        key: &K,
        load: impl Future<Output = Result<Option<V>, E>>,
    ) -> Result<Option<V>, E> {
        let before = self.changes.load(Ordering::SeqCst);
        let Some(value) = load.await? else { return Ok(None) };
        self.values.insert(key.clone(), value.clone());
        // A change between the read and the insert may have been forgotten too early: then nothing is kept.
        if self.changes.load(Ordering::SeqCst) != before {
            self.values.remove(key);
        }
        Ok(Some(value))
    }

    /// Drops a value. Call it after the change is durable.
    pub fn forget(&self, key: &K) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.values.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[tokio::test]
    async fn what_changes_while_it_is_read_is_not_kept() {
        let cache = LoadCache::<u8, u8>::new(10);
        let read = cache.get(&1, async {
            cache.forget(&1);
            Ok::<_, Infallible>(Some(7))
        });
        assert_eq!(read.await, Ok(Some(7)));
        assert_eq!(cache.peek(&1), None);
        assert_eq!(cache.get(&1, async { Ok::<_, Infallible>(Some(8)) }).await, Ok(Some(8)));
        assert_eq!(cache.peek(&1), Some(8));
        assert_eq!(cache.get(&2, async { Ok::<_, Infallible>(None) }).await, Ok(None));
    }
}
