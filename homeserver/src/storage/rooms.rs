//! Rooms: their numbers, and where their timeline and state stand.

use landbridge_database::{Database, Row, args};

use super::StorageError;
use crate::{
    commit::CommitTx,
    nid::{EventNid, Numbers, Pos, RoomNid, StateGroup},
};

const INSERT: &str = "INSERT INTO room (nid, id, version, extremities, state_group, depth, pos)
    VALUES ($1, $2, $3, $4, NULL, 0, 0)";
const SET_HEAD: &str = "UPDATE room SET extremities = $2, state_group = $3, depth = $4,
        pos = CASE WHEN pos < $5 THEN $5 ELSE pos END, bump = CASE WHEN bump < $6 THEN $6 ELSE bump END,
        encrypted = $7, kind = COALESCE($8, kind) WHERE nid = $1";
const BY_ID: &str =
    "SELECT nid, id, version, extremities, state_group, depth, pos FROM room WHERE id = $1";
const BY_NID: &str =
    "SELECT nid, id, version, extremities, state_group, depth, pos FROM room WHERE nid = $1";
const IDS: &str = "SELECT nid, id FROM room WHERE nid = ANY($1)";
const HEADS: &str = "SELECT nid, pos FROM room";
const MOVED: &str = "SELECT nid FROM room WHERE pos > $1 ORDER BY nid";
const ALL: &str = "SELECT nid, id, version, state_group, pos FROM room ORDER BY nid";
const HIGHEST: &str = "SELECT
    (SELECT MAX(n) FROM (SELECT MAX(nid) AS n FROM room UNION ALL SELECT room FROM number_floor) AS r),
    (SELECT MAX(n) FROM (SELECT MAX(nid) AS n FROM event UNION ALL SELECT event FROM number_floor) AS e),
    (SELECT MAX(n) FROM (SELECT MAX(nid) AS n FROM state_group UNION ALL SELECT state_group FROM number_floor) AS g)";

/// A room as stored.
#[derive(Clone, Debug)]
pub struct StoredRoom {
    /// Its number.
    pub nid: RoomNid,
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// The events that no other event refers to yet.
    pub extremities: Vec<EventNid>,
    /// The state after them all.
    pub state_group: Option<StateGroup>,
    /// The greatest depth of an event.
    pub depth: i64,
    /// The position of the newest event.
    pub pos: Pos,
}

/// Adds a room without events.
pub async fn insert(
    tx: &mut CommitTx,
    nid: RoomNid,
    id: &str,
    version: &str,
) -> Result<(), StorageError> {
    tx.sql().execute(INSERT, args![nid.0, id, version, pack(&[])]).await?;
    Ok(())
}

/// Where a room's DAG ends, and what lists of rooms need to know of it.
#[derive(Clone, Debug)]
pub struct Head<'a> {
    /// The events that no other event refers to yet.
    pub extremities: &'a [EventNid],
    /// The current state.
    pub state: StateGroup,
    /// The greatest depth of an event.
    pub depth: i64,
    /// Position of the newest event; 0 leaves it as it is.
    pub pos: Pos,
    /// Position of the newest event that moves the room up in lists; 0 leaves it as it is.
    pub bump: Pos,
    /// Whether the room is encrypted.
    pub encrypted: bool,
    /// The room's type, empty without one; `None` leaves it as it is.
    pub kind: Option<String>,
}

/// Moves the end of a room's DAG.
pub async fn set_head(
    tx: &mut CommitTx,
    room: RoomNid,
    head: &Head<'_>,
) -> Result<(), StorageError> {
    let Head { extremities, state, depth, pos, bump, encrypted, kind } = head;
    let kind = kind.as_deref();
    tx.sql()
        .later(
            SET_HEAD,
            args![room.0, pack(extremities), state.0, *depth, *pos, *bump, *encrypted, kind],
        )
        .await?;
    Ok(())
}

/// A room by its id.
pub async fn load(db: &Database, id: &str) -> Result<Option<StoredRoom>, StorageError> {
    db.fetch_optional(BY_ID, args![id]).await?.as_ref().map(stored).transpose()
}

/// A room by its number.
pub async fn by_nid(db: &Database, nid: RoomNid) -> Result<Option<StoredRoom>, StorageError> {
    db.fetch_optional(BY_NID, args![nid.0]).await?.as_ref().map(stored).transpose()
}

/// The ids of several rooms, in no order.
pub async fn ids(db: &Database, rooms: &[RoomNid]) -> Result<Vec<(RoomNid, String)>, StorageError> {
    let list: Vec<i64> = rooms.iter().map(|room| room.0).collect();
    let rows = db.fetch(IDS, args![list]).await?;
    rows.iter().map(|row| Ok((RoomNid(row.int(0)?), row.text(1)?))).collect()
}

/// Every room with the position of its newest event, for the feed at start.
pub async fn heads(db: &Database) -> Result<Vec<(RoomNid, Pos)>, StorageError> {
    let rows = db.fetch(HEADS, args![]).await?;
    rows.iter().map(|row| Ok((RoomNid(row.int(0)?), row.int(1)?))).collect()
}

/// The rooms that have an event after a position.
pub async fn moved_since(db: &Database, pos: Pos) -> Result<Vec<RoomNid>, StorageError> {
    let rows = db.fetch(MOVED, args![pos]).await?;
    rows.iter().map(|row| Ok(RoomNid(row.int(0)?))).collect()
}

/// A room as lists of all rooms need it.
#[derive(Clone, Debug)]
pub struct RoomRow {
    /// Its number.
    pub nid: RoomNid,
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// The current state.
    pub state_group: Option<StateGroup>,
    /// The position of the newest event.
    pub pos: Pos,
}

/// All rooms, the oldest first.
pub async fn all(db: &Database) -> Result<Vec<RoomRow>, StorageError> {
    let rows = db.fetch(ALL, args![]).await?;
    rows.iter()
        .map(|row| {
            Ok(RoomRow {
                nid: RoomNid(row.int(0)?),
                id: row.text(1)?,
                version: row.text(2)?,
                state_group: row.opt_int(3)?.map(StateGroup),
                pos: row.int(4)?,
            })
        })
        .collect()
}

/// The counters of numbers, going on after the highest ones stored.
pub async fn numbers(db: &Database) -> Result<Numbers, StorageError> {
    let row = db.fetch_optional(HIGHEST, args![]).await?;
    let row = row.ok_or_else(|| StorageError::Damaged("no highest numbers".into()))?;
    Ok(Numbers::after(row.int(0)?, row.int(1)?, row.int(2)?))
}

fn stored(row: &Row) -> Result<StoredRoom, StorageError> {
    Ok(StoredRoom {
        nid: RoomNid(row.int(0)?),
        id: row.text(1)?,
        version: row.text(2)?,
        extremities: unpack(&row.blob(3)?)?,
        state_group: row.opt_int(4)?.map(StateGroup),
        depth: row.int(5)?,
        pos: row.int(6)?,
    })
}

fn pack(events: &[EventNid]) -> Vec<u8> {
    events.iter().flat_map(|event| event.0.to_be_bytes()).collect()
}

fn unpack(bytes: &[u8]) -> Result<Vec<EventNid>, StorageError> {
    let (chunks, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(StorageError::Damaged("forward extremities".into()));
    }
    Ok(chunks.iter().map(|chunk| EventNid(i64::from_be_bytes(*chunk))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extremities_are_packed_and_unpacked() {
        let events = [EventNid(1), EventNid(i64::MAX)];
        assert_eq!(unpack(&pack(&events)).unwrap(), events);
        assert!(unpack(&[1, 2, 3]).is_err());
    }
}
