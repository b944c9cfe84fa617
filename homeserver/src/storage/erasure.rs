//! Users whose messages are erased for those who come later.

use landbridge_database::{Database, args};
use ruma::UserId;

use super::StorageError;
use crate::commit::CommitTx;

const ALL: &str = "SELECT user_id FROM erased_user";
const ADD: &str = "INSERT INTO erased_user (user_id, erased_ms) VALUES ($1, $2)
    ON CONFLICT (user_id) DO NOTHING";
const REMOVE: &str = "DELETE FROM erased_user WHERE user_id = $1";

/// All of them.
pub async fn all(db: &Database) -> Result<Vec<String>, StorageError> {
    db.fetch(ALL, args![]).await?.iter().map(|row| Ok(row.text(0)?)).collect()
}

/// Adds one.
pub async fn add(tx: &mut CommitTx, user: &UserId, now_ms: i64) -> Result<(), StorageError> {
    tx.sql().execute(ADD, args![user.as_str(), now_ms]).await?;
    Ok(())
}

/// Takes one out again.
pub async fn remove(tx: &mut CommitTx, user: &UserId) -> Result<(), StorageError> {
    tx.sql().execute(REMOVE, args![user.as_str()]).await?;
    Ok(())
}
