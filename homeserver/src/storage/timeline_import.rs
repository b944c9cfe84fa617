//! Where imported history goes in a timeline.

use landbridge_database::{Database, Transaction, args};

use super::StorageError;
use crate::nid::{RoomNid, TimelineOrd};

const FIRST_MESSAGE: &str = "SELECT ord FROM event
    WHERE room = $1 AND ord IS NOT NULL AND state_key IS NULL ORDER BY ord LIMIT 1";

/// The place of the first event that isn't state, as the running commit sees it.
pub async fn first_message(
    tx: &mut Transaction,
    room: RoomNid,
) -> Result<Option<TimelineOrd>, StorageError> {
    let row = tx.fetch_optional(FIRST_MESSAGE, args![room.0]).await?;
    Ok(row.map(|row| row.int(0)).transpose()?)
}

/// Whether a timeline has anything but state.
pub async fn has_messages(db: &Database, room: RoomNid) -> Result<bool, StorageError> {
    Ok(db.fetch_optional(FIRST_MESSAGE, args![room.0]).await?.is_some())
}
