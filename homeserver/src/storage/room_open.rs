//! Rooms that show their members to anyone.

use landbridge_database::{Database, args};

use super::StorageError;
use crate::{commit::CommitTx, nid::RoomNid};

const SET: &str = "INSERT INTO room_open (room, open) VALUES ($1, $2)
    ON CONFLICT (room) DO UPDATE SET open = excluded.open";
const FILL: &str = "INSERT INTO room_open (room, open) SELECT nid, $2 FROM room WHERE nid = $1
    ON CONFLICT (room) DO NOTHING";
const MISSING: &str = "SELECT r.nid FROM room r LEFT JOIN room_open o ON o.room = r.nid
    WHERE o.room IS NULL AND r.state_group IS NOT NULL AND r.nid > $1 ORDER BY r.nid LIMIT $2";

/// Notes whether a room is open.
pub async fn set(tx: &mut CommitTx, room: RoomNid, open: bool) -> Result<(), StorageError> {
    tx.sql().execute(SET, args![room.0, open]).await?;
    Ok(())
}

/// The same for a room of which nothing was noted; what was meanwhile stays.
pub async fn fill(tx: &mut CommitTx, room: RoomNid, open: bool) -> Result<(), StorageError> {
    tx.sql().execute(FILL, args![room.0, open]).await?;
    Ok(())
}

/// Rooms of which nothing was noted, after one of them.
pub async fn missing(
    db: &Database,
    after: RoomNid,
    limit: usize,
) -> Result<Vec<RoomNid>, StorageError> {
    let rows = db.fetch(MISSING, args![after.0, limit as i64]).await?;
    rows.iter().map(|row| Ok(RoomNid(row.int(0)?))).collect()
}
