//! States of rooms: one packed row each, a difference from a parent or a whole.

use landbridge_database::{Database, args};

use super::StorageError;
use crate::{
    commit::CommitTx,
    nid::{RoomNid, StateGroup},
};

const INSERT: &str = "INSERT INTO state_group (nid, room, parent, hops, hash, delta)
    VALUES ($1, $2, $3, $4, $5, $6)";
const BY_HASH: &str = "SELECT nid FROM state_group WHERE room = $1 AND hash = $2 LIMIT 1";
const CHAIN: &str = "WITH RECURSIVE chain (nid, room, parent, hops, hash, delta) AS (
        SELECT nid, room, parent, hops, hash, delta FROM state_group WHERE nid = $1
        UNION ALL
        SELECT g.nid, g.room, g.parent, g.hops, g.hash, g.delta
        FROM state_group g JOIN chain c ON g.nid = c.parent
    )
    SELECT nid, room, parent, hops, hash, delta FROM chain ORDER BY hops DESC";

/// One stored state.
#[derive(Clone, Debug)]
pub struct GroupRow {
    /// Its number.
    pub nid: StateGroup,
    /// Its room.
    pub room: RoomNid,
    /// What `delta` is a difference from; `None`: `delta` is the whole state.
    pub parent: Option<StateGroup>,
    /// How many parents are above it.
    pub hops: i64,
    /// The hash of the whole set.
    pub hash: [u8; 32],
    /// The packed difference; `room::state` knows the form.
    pub delta: Vec<u8>,
}

/// Adds a state.
pub async fn insert(tx: &mut CommitTx, group: &GroupRow) -> Result<(), StorageError> {
    let GroupRow { nid, room, parent, hops, hash, delta } = group;
    let parent = parent.map(|p| p.0);
    tx.sql().later(INSERT, args![nid.0, room.0, parent, *hops, hash.as_slice(), delta]).await?;
    Ok(())
}

/// The state with this hash in this room, if it is stored.
pub async fn by_hash(
    db: &Database,
    room: RoomNid,
    hash: &[u8; 32],
) -> Result<Option<StateGroup>, StorageError> {
    let row = db.fetch_optional(BY_HASH, args![room.0, hash.as_slice()]).await?;
    row.map(|row| Ok(StateGroup(row.int(0)?))).transpose()
}

/// A state and its parents, the state itself first, the whole one last.
pub async fn chain(db: &Database, group: StateGroup) -> Result<Vec<GroupRow>, StorageError> {
    let rows = db.fetch(CHAIN, args![group.0]).await?;
    rows.iter()
        .map(|row| {
            let hash = row.blob(4)?.try_into();
            Ok(GroupRow {
                nid: StateGroup(row.int(0)?),
                room: RoomNid(row.int(1)?),
                parent: row.opt_int(2)?.map(StateGroup),
                hops: row.int(3)?,
                hash: hash.map_err(|_| StorageError::Damaged("state hash".into()))?,
                delta: row.blob(5)?,
            })
        })
        .collect()
}
