//! Requests already carried out: what makes a repeated one answer as the first did.

use landbridge_database::{Database, args};
use sha2::{Digest as _, Sha256};

use super::StorageError;
use crate::{commit::CommitTx, nid::EventNid};

const GET: &str = "SELECT event, event_id FROM txn WHERE digest = $1";
const INSERT: &str = "INSERT INTO txn (digest, event, event_id, created) VALUES ($1, $2, $3, $4)";
const PRUNE: &str =
    "DELETE FROM txn WHERE digest IN (SELECT digest FROM txn WHERE created < $1 LIMIT 1000)";

/// The event that a request made, if it was made before. `scope` is the user and device, or the
/// appservice; `path` the request's path with its transaction id.
pub async fn get(
    db: &Database,
    scope: &str,
    path: &str,
) -> Result<Option<(EventNid, String)>, StorageError> {
    let row = db.fetch_optional(GET, args![digest(scope, path)]).await?;
    row.map(|row| Ok((EventNid(row.int(0)?), row.text(1)?))).transpose()
}

/// Remembers the event that a request made.
pub async fn insert(
    tx: &mut CommitTx,
    scope: &str,
    path: &str,
    event: EventNid,
    event_id: &str,
    now_ms: i64,
) -> Result<(), StorageError> {
    tx.sql().later(INSERT, args![digest(scope, path), event.0, event_id, now_ms]).await?;
    Ok(())
}

/// Forgets some of the requests made before `before_ms`; says how many.
pub async fn prune(tx: &mut CommitTx, before_ms: i64) -> Result<u64, StorageError> {
    Ok(tx.sql().execute(PRUNE, args![before_ms]).await?)
}

fn digest(scope: &str, path: &str) -> Vec<u8> {
    // A path of HTTP holds no zero byte, so no two pairs run together to the same text.
    Sha256::new().chain_update(scope).chain_update([0]).chain_update(path).finalize().to_vec()
}
