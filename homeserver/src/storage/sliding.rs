//! Sliding sync: what rooms are ordered and filtered by, and what each connection has been told.

use landbridge_database::{Database, args};
use ruma::{OwnedRoomId, RoomId};

use super::StorageError;
use crate::commit::CommitTx;
use crate::nid::{Pos, RoomNid};

const FACTS: &str = "SELECT nid, id, CASE WHEN bump = 0 THEN pos ELSE bump END, encrypted, kind FROM room WHERE nid = ANY($1)";
const LOAD: &str = "SELECT state FROM sliding_connection
    WHERE user_id = $1 AND device_id = $2 AND conn_id = $3 AND number = $4";
const INSERT: &str =
    "INSERT INTO sliding_connection (user_id, device_id, conn_id, number, created, state)
    VALUES ($1, $2, $3, $4, $5, $6)";
const DELETE_OTHERS: &str = "DELETE FROM sliding_connection
    WHERE user_id = $1 AND device_id = $2 AND conn_id = $3 AND number <> $4";
const CONNECTIONS: &str = "SELECT conn_id FROM sliding_connection
    WHERE user_id = $1 AND device_id = $2 GROUP BY conn_id ORDER BY MAX(created) DESC, conn_id";
const DELETE_CONNECTION: &str =
    "DELETE FROM sliding_connection WHERE user_id = $1 AND device_id = $2 AND conn_id = $3";
const RECEIPTS_AT: &str = "SELECT room, user_id, kind, thread, event_id, ord, ts, pos FROM receipt
    WHERE room = ANY($1) AND event_id = ANY($2) AND pos <= $3 ORDER BY room, pos";
const TAGS: &str =
    "SELECT room_id, content FROM account_data WHERE user_id = $1 AND kind = 'm.tag'";
const DATA_OF_ROOMS: &str = "SELECT room_id, kind, content, pos FROM account_data
    WHERE user_id = $1 AND room_id = ANY($2) AND pos <= $3 ORDER BY pos";

/// What a list orders and filters a room by.
#[derive(Debug, Clone)]
pub struct RoomFacts {
    /// The room.
    pub nid: RoomNid,
    /// Its id.
    pub id: OwnedRoomId,
    /// Position of the newest event that moves it up.
    pub bump: Pos,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// Its type, empty without one; `None` while nobody has looked.
    pub kind: Option<String>,
}

/// The facts about several rooms, in no order.
pub async fn facts(db: &Database, rooms: &[RoomNid]) -> Result<Vec<RoomFacts>, StorageError> {
    let list: Vec<i64> = rooms.iter().map(|room| room.0).collect();
    let rows = db.fetch(FACTS, args![list]).await?;
    rows.iter()
        .map(|row| {
            let id = RoomId::parse(row.text(1)?)
                .map_err(|error| StorageError::Damaged(format!("room id: {error}")))?;
            Ok(RoomFacts {
                nid: RoomNid(row.int(0)?),
                id,
                bump: row.int(2)?,
                encrypted: row.bool(3)?,
                kind: row.opt_text(4)?,
            })
        })
        .collect()
}

/// One connection of one device.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ConnectionKey {
    /// The device's user.
    pub user: String,
    /// The device, empty for requests that belong to none.
    pub device: String,
    /// The id that the client gave the connection.
    pub conn: String,
}

/// A state of a connection.
pub async fn load(
    db: &Database,
    key: &ConnectionKey,
    number: i64,
) -> Result<Option<String>, StorageError> {
    let row = db.fetch_optional(LOAD, args![&key.user, &key.device, &key.conn, number]).await?;
    Ok(row.map(|row| row.text(0)).transpose()?)
}

/// Keeps a new state of a connection beside the one that the client came with, and of the device's connections only the `most` newest.
pub async fn save(
    tx: &mut CommitTx,
    key: &ConnectionKey,
    came_with: Option<i64>,
    number: i64,
    state: &str,
    now_ms: i64,
    most: usize,
) -> Result<(), StorageError> {
    let sql = tx.sql();
    sql.execute(
        DELETE_OTHERS,
        args![&key.user, &key.device, &key.conn, came_with.unwrap_or(number)],
    )
    .await?;
    sql.execute(INSERT, args![&key.user, &key.device, &key.conn, number, now_ms, state]).await?;
    if came_with.is_none() {
        let rows = sql.fetch(CONNECTIONS, args![&key.user, &key.device]).await?;
        for row in rows.iter().skip(most) {
            let conn = row.text(0)?;
            if conn != key.conn {
                sql.execute(DELETE_CONNECTION, args![&key.user, &key.device, conn]).await?;
            }
        }
    }
    Ok(())
}

/// The receipts that stand at some events, up to a position.
pub async fn receipts_at(
    db: &Database,
    rooms: &[RoomNid],
    events: Vec<String>,
    upto: Pos,
) -> Result<Vec<super::receipts::Receipt>, StorageError> {
    let rooms: Vec<i64> = rooms.iter().map(|room| room.0).collect();
    super::receipts::receipts(&db.fetch(RECEIPTS_AT, args![rooms, events, upto]).await?)
}

/// The tags of all rooms of a user: each room's `m.tag`.
pub async fn tags(db: &Database, user: &str) -> Result<Vec<(String, String)>, StorageError> {
    let rows = db.fetch(TAGS, args![user]).await?;
    rows.iter().map(|row| Ok((row.text(0)?, row.text(1)?))).collect()
}

/// A user's account data of some rooms, up to a position.
pub async fn account_data_of(
    db: &Database,
    user: &str,
    rooms: Vec<String>,
    upto: Pos,
) -> Result<Vec<super::account_data::Entry>, StorageError> {
    let rows = db.fetch(DATA_OF_ROOMS, args![user, rooms, upto]).await?;
    rows.iter().map(super::account_data::entry).collect()
}
