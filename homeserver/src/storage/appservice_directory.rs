//! The rooms that application services publish under their networks.

use landbridge_database::args;

use super::StorageError;
use crate::{commit::CommitTx, nid::RoomNid};

const ADD: &str = "INSERT INTO appservice_directory (service, network, room) VALUES ($1, $2, $3)
    ON CONFLICT (service, network, room) DO NOTHING";
const REMOVE: &str =
    "DELETE FROM appservice_directory WHERE service = $1 AND network = $2 AND room = $3";
const FORGET: &str = "DELETE FROM appservice_directory WHERE room = $1";

/// Publishes a room.
pub async fn add(
    tx: &mut CommitTx,
    service: &str,
    network: &str,
    room: RoomNid,
) -> Result<(), StorageError> {
    tx.sql().execute(ADD, args![service, network, room.0]).await?;
    super::room_listing::add(tx, room).await
}

/// Takes a room back.
pub async fn remove(
    tx: &mut CommitTx,
    service: &str,
    network: &str,
    room: RoomNid,
) -> Result<(), StorageError> {
    tx.sql().execute(REMOVE, args![service, network, room.0]).await?;
    Ok(())
}

/// Takes a room out of all networks.
pub async fn forget(tx: &mut CommitTx, room: RoomNid) -> Result<(), StorageError> {
    tx.sql().execute(FORGET, args![room.0]).await?;
    Ok(())
}
