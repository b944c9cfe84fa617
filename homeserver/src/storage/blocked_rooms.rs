//! Rooms that nobody may join.

use landbridge_database::{Database, args};
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};

use super::StorageError;
use super::accounts::parse_user;
use crate::commit::CommitTx;

const SET: &str = "INSERT INTO blocked_rooms (room_id, blocked_by, blocked_ms) VALUES ($1, $2, $3)
    ON CONFLICT (room_id) DO NOTHING";
const DELETE: &str = "DELETE FROM blocked_rooms WHERE room_id = $1";
const ALL: &str = "SELECT room_id, blocked_by FROM blocked_rooms";

/// Blocks a room; one that is blocked stays whoever's it was.
pub async fn insert(
    tx: &mut CommitTx,
    room: &RoomId,
    by: &UserId,
    now_ms: i64,
) -> Result<(), StorageError> {
    tx.sql().execute(SET, args![room.as_str(), by.as_str(), now_ms]).await?;
    Ok(())
}

/// Lets people join a room again.
pub async fn delete(tx: &mut CommitTx, room: &RoomId) -> Result<(), StorageError> {
    tx.sql().execute(DELETE, args![room.as_str()]).await?;
    Ok(())
}

/// All of them, each with who blocked it.
pub async fn all(db: &Database) -> Result<Vec<(OwnedRoomId, OwnedUserId)>, StorageError> {
    let rows = db.fetch(ALL, args![]).await?;
    rows.iter()
        .map(|row| {
            let id = row.text(0)?;
            let room = RoomId::parse(&id)
                .map_err(|_| StorageError::Damaged(format!("{id:?} is not a room ID")))?;
            Ok((room, parse_user(&row.text(1)?)?))
        })
        .collect()
}
