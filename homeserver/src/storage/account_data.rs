//! Account data, global (an empty room ID) and per room; tags and push rules are account data too.

use landbridge_database::{Database, Row, args};
use ruma::UserId;

use crate::commit::CommitTx;
use crate::nid::Pos;
use crate::storage::StorageError;

const SET: &str = "INSERT INTO account_data (user_id, room_id, kind, content, pos) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (user_id, room_id, kind) DO UPDATE SET content = excluded.content, pos = excluded.pos";
const GET: &str = "SELECT room_id, kind, content, pos FROM account_data
    WHERE user_id = $1 AND room_id = $2 AND kind = $3";
const CHANGED: &str = "SELECT room_id, kind, content, pos FROM account_data
    WHERE user_id = $1 AND pos > $2 AND pos <= $3 ORDER BY pos";
const CLEAR: &str = "DELETE FROM account_data WHERE user_id = $1";

/// One piece of account data.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The room, or an empty string for global data.
    pub room_id: String,
    /// Its type.
    pub kind: String,
    /// Its content as JSON. `{}` also stands for data that was deleted: clients that sync must hear of it.
    pub content: String,
    /// When it was last set.
    pub pos: Pos,
}

pub(super) fn entry(row: &Row) -> Result<Entry, StorageError> {
    Ok(Entry { room_id: row.text(0)?, kind: row.text(1)?, content: row.text(2)?, pos: row.int(3)? })
}

/// Sets account data at `pos`.
pub async fn set(
    tx: &mut CommitTx,
    user: &UserId,
    room: &str,
    kind: &str,
    content: &str,
    pos: Pos,
) -> Result<(), StorageError> {
    tx.sql().execute(SET, args![user.as_str(), room, kind, content, pos]).await?;
    Ok(())
}

/// Reads account data.
pub async fn get(
    db: &Database,
    user: &UserId,
    room: &str,
    kind: &str,
) -> Result<Option<Entry>, StorageError> {
    db.fetch_optional(GET, args![user.as_str(), room, kind]).await?.as_ref().map(entry).transpose()
}

/// Reads account data as the transaction sees it.
pub async fn get_in(
    tx: &mut CommitTx,
    user: &UserId,
    room: &str,
    kind: &str,
) -> Result<Option<Entry>, StorageError> {
    tx.sql()
        .fetch_optional(GET, args![user.as_str(), room, kind])
        .await?
        .as_ref()
        .map(entry)
        .transpose()
}

/// Account data of all rooms and none, last set after `from` and not after `to`, in that order.
pub async fn changed(
    db: &Database,
    user: &UserId,
    from: Pos,
    to: Pos,
) -> Result<Vec<Entry>, StorageError> {
    db.fetch(CHANGED, args![user.as_str(), from, to]).await?.iter().map(entry).collect()
}

/// Deletes all account data of a user who is gone.
pub async fn clear(tx: &mut CommitTx, user: &UserId) -> Result<(), StorageError> {
    tx.sql().execute(CLEAR, args![user.as_str()]).await?;
    Ok(())
}
