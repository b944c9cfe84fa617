//! Room aliases of this server.

use landbridge_database::{Database, args};

use super::StorageError;
use crate::{commit::CommitTx, nid::RoomNid};

const GET: &str = "SELECT room, creator FROM alias WHERE alias = $1";
const OF_ROOM: &str = "SELECT alias FROM alias WHERE room = $1 ORDER BY alias";
const INSERT: &str = "INSERT INTO alias (alias, room, creator, created) VALUES ($1, $2, $3, $4)
    ON CONFLICT (alias) DO NOTHING";
const DELETE: &str = "DELETE FROM alias WHERE alias = $1";
const MOVE: &str = "UPDATE alias SET room = $2 WHERE room = $1";

/// The room of an alias, and who made the alias.
pub async fn get(db: &Database, alias: &str) -> Result<Option<(RoomNid, String)>, StorageError> {
    let row = db.fetch_optional(GET, args![alias]).await?;
    row.map(|row| Ok((RoomNid(row.int(0)?), row.text(1)?))).transpose()
}

/// The aliases of a room, sorted.
pub async fn of_room(db: &Database, room: RoomNid) -> Result<Vec<String>, StorageError> {
    let rows = db.fetch(OF_ROOM, args![room.0]).await?;
    rows.iter().map(|row| Ok(row.text(0)?)).collect()
}

/// Adds an alias; false when it is taken.
pub async fn insert(
    tx: &mut CommitTx,
    alias: &str,
    room: RoomNid,
    creator: &str,
    now_ms: i64,
) -> Result<bool, StorageError> {
    Ok(tx.sql().execute(INSERT, args![alias, room.0, creator, now_ms]).await? > 0)
}

/// Removes an alias; false when there was none.
pub async fn delete(tx: &mut CommitTx, alias: &str) -> Result<bool, StorageError> {
    Ok(tx.sql().execute(DELETE, args![alias]).await? > 0)
}

/// Moves all aliases of a room to the room that replaces it.
pub async fn move_all(tx: &mut CommitTx, from: RoomNid, to: RoomNid) -> Result<(), StorageError> {
    tx.sql().execute(MOVE, args![from.0, to.0]).await?;
    Ok(())
}
