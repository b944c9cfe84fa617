//! The rooms in which the server speaks to its users.

use landbridge_database::{Database, args};
use ruma::{OwnedRoomId, RoomId, UserId};

use crate::commit::CommitTx;
use crate::storage::StorageError;

const GET: &str = "SELECT room_id FROM notice_rooms WHERE user_id = $1";
const SET: &str = "INSERT INTO notice_rooms (user_id, room_id) VALUES ($1, $2)
    ON CONFLICT (user_id) DO UPDATE SET room_id = excluded.room_id";

/// The room of a user.
pub async fn get(db: &Database, user: &UserId) -> Result<Option<OwnedRoomId>, StorageError> {
    let Some(row) = db.fetch_optional(GET, args![user.as_str()]).await? else { return Ok(None) };
    let text = row.text(0)?;
    let damaged = |_| StorageError::Damaged(format!("{text:?} is not a room ID"));
    RoomId::parse(&text).map(Some).map_err(damaged)
}

/// Sets the room of a user.
pub async fn set(tx: &mut CommitTx, user: &UserId, room: &RoomId) -> Result<(), StorageError> {
    tx.sql().execute(SET, args![user.as_str(), room.as_str()]).await?;
    Ok(())
}
