//! Filters that clients uploaded. The same filter uploaded again gets the same ID.

use landbridge_database::{Database, args};
use ruma::UserId;
use sha2::{Digest, Sha256};

use crate::commit::CommitTx;
use crate::storage::StorageError;

const FIND: &str = "SELECT filter_id FROM filters WHERE user_id = $1 AND hash = $2";
const INSERT: &str = "INSERT INTO filters (user_id, filter_id, hash, definition)
    SELECT $1, COALESCE(MAX(filter_id), 0) + 1, $2, $3 FROM filters WHERE user_id = $1 RETURNING filter_id";
const GET: &str = "SELECT definition FROM filters WHERE user_id = $1 AND filter_id = $2";

/// Stores a filter and gives its ID.
pub async fn insert(
    tx: &mut CommitTx,
    user: &UserId,
    definition: &str,
) -> Result<i64, StorageError> {
    let hash: [u8; 32] = Sha256::digest(definition.as_bytes()).into();
    if let Some(row) = tx.sql().fetch_optional(FIND, args![user.as_str(), &hash[..]]).await? {
        return Ok(row.int(0)?);
    }
    let row = tx.sql().fetch_optional(INSERT, args![user.as_str(), &hash[..], definition]).await?;
    Ok(row
        .ok_or_else(|| StorageError::Damaged("filters: an insert returned no row".into()))?
        .int(0)?)
}

/// The definition of a filter.
pub async fn get(db: &Database, user: &UserId, id: i64) -> Result<Option<String>, StorageError> {
    Ok(db
        .fetch_optional(GET, args![user.as_str(), id])
        .await?
        .map(|row| row.text(0))
        .transpose()?)
}
