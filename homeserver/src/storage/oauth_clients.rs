//! Clients that registered for OAuth 2.0. Those without a session are forgotten after a while.

use landbridge_database::{Database, args};

use crate::commit::CommitTx;
use crate::storage::StorageError;

const REGISTER: &str = "INSERT INTO oauth_clients (client_id, digest, metadata, seen_ms)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT (digest) DO UPDATE SET seen_ms = excluded.seen_ms RETURNING client_id";
const METADATA: &str = "SELECT metadata FROM oauth_clients WHERE client_id = $1";
const FORGET: &str = "DELETE FROM oauth_clients WHERE seen_ms < $1
    AND NOT EXISTS (SELECT 1 FROM oauth_sessions s WHERE s.client_id = oauth_clients.client_id)";
const NEWEST_TO_FORGET: &str = "SELECT c.seen_ms FROM oauth_clients c
    WHERE NOT EXISTS (SELECT 1 FROM oauth_sessions s WHERE s.client_id = c.client_id)
    ORDER BY c.seen_ms DESC LIMIT 1 OFFSET $1";

/// Registers a client, unless one with the same metadata is there; the ID of whichever it is.
pub async fn register(
    tx: &mut CommitTx,
    id: &str,
    digest: &[u8],
    metadata: &str,
    now_ms: i64,
) -> Result<String, StorageError> {
    let row = tx.sql().fetch_optional(REGISTER, args![id, digest, metadata, now_ms]).await?;
    let row = row.ok_or_else(|| StorageError::Damaged("a client was not registered".to_owned()))?;
    Ok(row.text(0)?)
}

/// The metadata of a client, as JSON.
pub async fn metadata(db: &Database, id: &str) -> Result<Option<String>, StorageError> {
    let row = db.fetch_optional(METADATA, args![id]).await?;
    Ok(row.map(|row| row.text(0)).transpose()?)
}

/// Forgets clients without a session: those that were last heard of before `before_ms`, and all but about the newest `keep`.
pub async fn sweep(tx: &mut CommitTx, before_ms: i64, keep: i64) -> Result<(), StorageError> {
    let before_ms = match tx.sql().fetch_optional(NEWEST_TO_FORGET, args![keep]).await? {
        Some(row) => before_ms.max(row.int(0)? + 1),
        None => before_ms,
    };
    tx.sql().execute(FORGET, args![before_ms]).await?;
    Ok(())
}
