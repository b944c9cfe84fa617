//! Events that are sticky (MSC4354): a column of theirs says until when.

use landbridge_database::{Database, args};

use super::StorageError;
use crate::nid::{EventNid, Pos, RoomNid};

const LIVE: &str = "SELECT room, pos, nid, sender, sticky_until FROM event
    WHERE sticky_until > $1 AND pos IS NOT NULL ORDER BY pos";

/// An event that is sticky.
#[derive(Debug, Clone)]
pub struct StickyRow {
    /// Its room.
    pub room: RoomNid,
    /// Its position.
    pub pos: Pos,
    /// Its number.
    pub event: EventNid,
    /// Who sent it.
    pub sender: String,
    /// Until when, in ms since 1970.
    pub until: i64,
}

/// All events that are sticky at a time, in the order of their positions.
pub async fn live(db: &Database, now_ms: i64) -> Result<Vec<StickyRow>, StorageError> {
    let rows = db.fetch(LIVE, args![now_ms]).await?;
    rows.iter()
        .map(|row| {
            Ok(StickyRow {
                room: RoomNid(row.int(0)?),
                pos: row.int(1)?,
                event: EventNid(row.int(2)?),
                sender: row.text(3)?,
                until: row.int(4)?,
            })
        })
        .collect()
}
