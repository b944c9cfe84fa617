//! A small durable map for what the edges of the framework must remember over restarts: who joined which room, which
//! ghosts are registered, where users talk to the bot. The store implements it with a table; tests in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

/// The map could not be read or written.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the bridge's store failed: {0}")]
pub struct KvError(pub String);

/// A durable map of strings. A write is durable when it returns.
#[async_trait]
pub trait KeyValue: Send + Sync {
    /// The value of a key.
    async fn get(&self, key: &str) -> Result<Option<String>, KvError>;
    /// Sets a value.
    async fn put(&self, key: &str, value: &str) -> Result<(), KvError>;
    /// Removes a key; fine if there is none.
    async fn delete(&self, key: &str) -> Result<(), KvError>;
    /// All keys that begin with `prefix`, with their values, in order.
    async fn list(&self, prefix: &str) -> Result<Vec<(String, String)>, KvError>;
}

/// A map that lives as long as the process.
#[derive(Debug, Default)]
pub struct MemoryKv(Mutex<BTreeMap<String, String>>);

#[async_trait]
impl KeyValue for MemoryKv {
    async fn get(&self, key: &str) -> Result<Option<String>, KvError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }

    async fn put(&self, key: &str, value: &str) -> Result<(), KvError> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<(), KvError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        Ok(())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<(String, String)>, KvError> {
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from = map.range(prefix.to_owned()..);
        Ok(from
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect())
    }
}
