//! Events that others refer to and that this server never got, so that it knows them for old when they come.

use landbridge_database::{Database, args};

use super::StorageError;
use crate::{commit::CommitTx, nid::RoomNid};

const INSERT: &str =
    "INSERT INTO gap (room, event_id) VALUES ($1, $2) ON CONFLICT (room, event_id) DO NOTHING";
const DELETE: &str = "DELETE FROM gap WHERE room = $1 AND event_id = $2";
const GET: &str = "SELECT 1 FROM gap WHERE room = $1 AND event_id = $2";

/// Remembers that a room refers to an event that isn't here.
pub async fn insert(tx: &mut CommitTx, room: RoomNid, event_id: &str) -> Result<(), StorageError> {
    tx.sql().execute(INSERT, args![room.0, event_id]).await?;
    Ok(())
}

/// The event has come.
pub async fn delete(tx: &mut CommitTx, room: RoomNid, event_id: &str) -> Result<(), StorageError> {
    tx.sql().execute(DELETE, args![room.0, event_id]).await?;
    Ok(())
}

/// Whether a room refers to an event that wasn't here.
pub async fn contains(db: &Database, room: RoomNid, event_id: &str) -> Result<bool, StorageError> {
    Ok(db.fetch_optional(GET, args![room.0, event_id]).await?.is_some())
}
