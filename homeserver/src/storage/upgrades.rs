//! Upgrades of rooms that are not finished: the new room is there, the rest follows.

use landbridge_database::{Database, args};
use ruma::OwnedUserId;

use super::{StorageError, accounts::parse_user};
use crate::{commit::CommitTx, nid::RoomNid};

const INSERT: &str = "INSERT INTO room_upgrade (new_room, old_room, user_id) VALUES ($1, $2, $3)";
const END: &str = "DELETE FROM room_upgrade WHERE new_room = $1";
const ALL: &str = "SELECT new_room, old_room, user_id FROM room_upgrade ORDER BY new_room";

/// An upgrade whose new room is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// The new room.
    pub new: RoomNid,
    /// The room that it replaces.
    pub old: RoomNid,
    /// Who upgrades.
    pub user: OwnedUserId,
}

/// Begins an upgrade, with the new room.
pub async fn insert(
    tx: &mut CommitTx,
    new: RoomNid,
    old: RoomNid,
    user: &str,
) -> Result<(), StorageError> {
    tx.sql().execute(INSERT, args![new.0, old.0, user]).await?;
    Ok(())
}

/// Ends an upgrade.
pub async fn end(tx: &mut CommitTx, new: RoomNid) -> Result<(), StorageError> {
    tx.sql().execute(END, args![new.0]).await?;
    Ok(())
}

/// The upgrades that are not finished, the earliest first.
pub async fn all(db: &Database) -> Result<Vec<Upgrade>, StorageError> {
    let rows = db.fetch(ALL, args![]).await?;
    rows.iter()
        .map(|row| {
            let user = parse_user(&row.text(2)?)?;
            Ok(Upgrade { new: RoomNid(row.int(0)?), old: RoomNid(row.int(1)?), user })
        })
        .collect()
}
