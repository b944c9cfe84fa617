//! Previews of links that were made.

use landbridge_database::{Database, args};

use super::StorageError;
use crate::commit::CommitTx;

const GET: &str = "SELECT fetched, body FROM url_preview WHERE key = $1";
const SET: &str = "INSERT INTO url_preview (key, url, fetched, body) VALUES ($1, $2, $3, $4)
    ON CONFLICT (key) DO UPDATE SET fetched = excluded.fetched, body = excluded.body";
const PRUNE: &str = "DELETE FROM url_preview WHERE fetched < $1";

/// A preview.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPreview {
    /// When its page was fetched, in milliseconds since 1970.
    pub fetched: i64,
    /// What clients are told: JSON.
    pub body: String,
}

/// The preview of a URL, by a hash of it.
pub async fn get(db: &Database, key: &[u8]) -> Result<Option<StoredPreview>, StorageError> {
    let row = db.fetch_optional(GET, args![key.to_vec()]).await?;
    row.map(|row| Ok(StoredPreview { fetched: row.int(0)?, body: row.text(1)? })).transpose()
}

/// Keeps a preview in the place of the one before.
pub async fn set(
    tx: &mut CommitTx,
    key: &[u8],
    url: &str,
    preview: &StoredPreview,
) -> Result<(), StorageError> {
    let values = args![key.to_vec(), url, preview.fetched, preview.body.as_str()];
    tx.sql().execute(SET, values).await?;
    Ok(())
}

/// Drops the previews of pages that were fetched before a time.
pub async fn prune(tx: &mut CommitTx, before_ms: i64) -> Result<(), StorageError> {
    tx.sql().execute(PRUNE, args![before_ms]).await?;
    Ok(())
}
