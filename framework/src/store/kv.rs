//! [`KeyValue`] in a table.

use async_trait::async_trait;
use landbridge_database::args;

use super::{Batch, Store, StoreError};
use crate::kv::{KeyValue, KvError};

impl From<StoreError> for KvError {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}
impl From<landbridge_database::DatabaseError> for KvError {
    fn from(error: landbridge_database::DatabaseError) -> Self {
        Self(error.to_string())
    }
}

impl Batch {
    /// [`KeyValue::put`], together with other changes.
    pub(crate) fn put_value(&mut self, key: &str, value: &str) {
        self.push(
            "INSERT INTO kv (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            args![key, value],
        );
    }
    /// [`KeyValue::delete`], together with other changes.
    pub(crate) fn forget_value(&mut self, key: &str) {
        self.push("DELETE FROM kv WHERE key = $1", args![key]);
    }
}

#[async_trait]
impl KeyValue for Store {
    async fn get(&self, key: &str) -> Result<Option<String>, KvError> {
        let row = self.db.fetch_optional("SELECT value FROM kv WHERE key = $1", args![key]).await?;
        Ok(row.map(|row| row.text(0)).transpose()?)
    }
    async fn put(&self, key: &str, value: &str) -> Result<(), KvError> {
        let mut batch = Batch::new();
        batch.put_value(key, value);
        self.commit(batch).await?;
        Ok(())
    }
    async fn delete(&self, key: &str) -> Result<(), KvError> {
        let mut batch = Batch::new();
        batch.forget_value(key);
        self.commit(batch).await?;
        Ok(())
    }
    async fn list(&self, prefix: &str) -> Result<Vec<(String, String)>, KvError> {
        // Compared by length, not by LIKE: a prefix may hold `%` and `_`, as user names do.
        let rows = self
            .db
            .fetch(
                "SELECT key, value FROM kv WHERE substr(key, 1, length($1)) = $1 ORDER BY key",
                args![prefix],
            )
            .await?;
        rows.iter().map(|row| Ok((row.text(0)?, row.text(1)?))).collect()
    }
}
