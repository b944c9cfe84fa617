//! Who may replace their cross-signing keys without confirming it, because an administrator allowed it.

use landbridge_database::{Database, args};
use ruma::UserId;

use super::StorageError;
use crate::commit::CommitTx;

const SET: &str = "INSERT INTO cross_signing_grants (user_id, until_ms) VALUES ($1, $2)
    ON CONFLICT (user_id) DO UPDATE SET until_ms = excluded.until_ms";
const GET: &str = "SELECT 1 FROM cross_signing_grants WHERE user_id = $1 AND until_ms > $2";

/// Allows it until a time.
pub async fn set(tx: &mut CommitTx, user: &UserId, until_ms: i64) -> Result<(), StorageError> {
    tx.sql().execute(SET, args![user.as_str(), until_ms]).await?;
    Ok(())
}

/// Whether it is allowed.
pub async fn holds(db: &Database, user: &UserId, now_ms: i64) -> Result<bool, StorageError> {
    Ok(db.fetch_optional(GET, args![user.as_str(), now_ms]).await?.is_some())
}
