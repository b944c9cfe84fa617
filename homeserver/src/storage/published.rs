//! Rooms that stand in the public directory.

use landbridge_database::{Database, args};
use ruma::{OwnedRoomId, RoomId};

use super::StorageError;
use crate::commit::CommitTx;

const SET: &str = "INSERT INTO published_rooms (room_id, published_ms) VALUES ($1, $2)
    ON CONFLICT (room_id) DO NOTHING";
const DELETE: &str = "DELETE FROM published_rooms WHERE room_id = $1";
const GET: &str = "SELECT 1 FROM published_rooms WHERE room_id = $1";
const ALL: &str = "SELECT room_id FROM published_rooms ORDER BY room_id";

/// Puts a room into the directory.
pub async fn insert(tx: &mut CommitTx, room: &RoomId, now_ms: i64) -> Result<(), StorageError> {
    tx.sql().execute(SET, args![room.as_str(), now_ms]).await?;
    super::room_listing::add_by_id(tx, room.as_str()).await
}

/// Takes a room out of the directory.
pub async fn delete(tx: &mut CommitTx, room: &RoomId) -> Result<(), StorageError> {
    tx.sql().execute(DELETE, args![room.as_str()]).await?;
    Ok(())
}

/// Whether a room stands in the directory.
pub async fn contains(db: &Database, room: &RoomId) -> Result<bool, StorageError> {
    Ok(db.fetch_optional(GET, args![room.as_str()]).await?.is_some())
}

/// All rooms in the directory.
pub async fn all(db: &Database) -> Result<Vec<OwnedRoomId>, StorageError> {
    let rows = db.fetch(ALL, args![]).await?;
    rows.iter()
        .map(|row| {
            let id = row.text(0)?;
            RoomId::parse(&id)
                .map_err(|_| StorageError::Damaged(format!("{id:?} is not a room ID")))
        })
        .collect()
}
