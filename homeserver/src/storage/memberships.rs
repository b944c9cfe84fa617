//! What every user is in every room, now.

use landbridge_database::{Database, args};

use super::StorageError;
use crate::{
    commit::CommitTx,
    nid::{EventNid, Pos, RoomNid},
};

const SET: &str = "INSERT INTO membership (user_id, room, membership, event, pos, forgotten)
    VALUES ($1, $2, $3, $4, $5, 0)
    ON CONFLICT (user_id, room) DO UPDATE SET membership = excluded.membership,
        event = excluded.event, pos = excluded.pos, forgotten = 0";
const FORGET: &str = "UPDATE membership SET forgotten = 1 WHERE user_id = $1 AND room = $2";
const OF_USER: &str =
    "SELECT room, membership, event, pos, forgotten FROM membership WHERE user_id = $1";

const LOCAL_DEVICES: &str =
    "SELECT COUNT(*) FROM devices d JOIN membership m ON m.user_id = d.user_id
    WHERE m.room = $1 AND m.user_id = ANY($2) AND m.membership = 'join'";
const REMEMBERED: &str =
    "SELECT COUNT(*) FROM membership WHERE room = $1 AND user_id = ANY($2) AND forgotten = 0";

/// What this server's users have to do with a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalMembers {
    /// How many devices those have who are in it.
    pub devices: i64,
    /// Whether all of them have forgotten it.
    pub all_forgot: bool,
}

/// What a user is in one room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMembership {
    /// The room.
    pub room: RoomNid,
    /// `join`, `invite`, `leave`, `ban` or `knock`.
    pub membership: String,
    /// The member event.
    pub event: EventNid,
    /// Its position.
    pub pos: Pos,
    /// Whether the user has forgotten the room since.
    pub forgotten: bool,
}

/// Sets what a user is in a room; the room is not forgotten any more.
pub async fn set(
    tx: &mut CommitTx,
    user: &str,
    room: RoomNid,
    membership: &str,
    event: EventNid,
    pos: Pos,
) -> Result<(), StorageError> {
    tx.sql().later(SET, args![user, room.0, membership, event.0, pos]).await?;
    Ok(())
}

/// Forgets a room for a user.
pub async fn forget(tx: &mut CommitTx, user: &str, room: RoomNid) -> Result<(), StorageError> {
    tx.sql().execute(FORGET, args![user, room.0]).await?;
    Ok(())
}

/// What a user is in all rooms.
pub async fn of_user(db: &Database, user: &str) -> Result<Vec<StoredMembership>, StorageError> {
    let rows = db.fetch(OF_USER, args![user]).await?;
    rows.iter()
        .map(|row| {
            Ok(StoredMembership {
                room: RoomNid(row.int(0)?),
                membership: row.text(1)?,
                event: EventNid(row.int(2)?),
                pos: row.int(3)?,
                forgotten: row.bool(4)?,
            })
        })
        .collect()
}

/// What some users of this server have to do with a room.
pub async fn local_of_room(
    db: &Database,
    room: RoomNid,
    users: &[String],
) -> Result<LocalMembers, StorageError> {
    let count = async |sql: &'static str| {
        let row = db.fetch_optional(sql, args![room.0, users.to_vec()]).await?;
        row.map_or(Ok(0), |row| row.int(0))
    };
    Ok(LocalMembers {
        devices: count(LOCAL_DEVICES).await?,
        all_forgot: count(REMEMBERED).await? == 0,
    })
}
