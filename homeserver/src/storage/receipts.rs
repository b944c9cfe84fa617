//! Read receipts: one row for each user, room, type and thread, which moves ahead.

use landbridge_database::{Database, Row, args};
use ruma::UserId;

use super::StorageError;
use crate::commit::CommitTx;
use crate::nid::{Pos, RoomNid, TimelineOrd};

const SET: &str = "INSERT INTO receipt (room, user_id, kind, thread, event_id, ord, ts, pos) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (room, user_id, kind, thread) DO UPDATE SET event_id = excluded.event_id, ord = excluded.ord, ts = excluded.ts, pos = excluded.pos";
const LAST: &str =
    "SELECT ord FROM receipt WHERE room = $1 AND user_id = $2 AND kind = $3 AND thread = $4";
const SINCE: &str = "SELECT room, user_id, kind, thread, event_id, ord, ts, pos FROM receipt
    WHERE room = ANY($1) AND pos > $2 AND pos <= $3 ORDER BY room, pos";
const OF_USER: &str = "SELECT room, user_id, kind, thread, event_id, ord, ts, pos FROM receipt WHERE user_id = $1 AND room = ANY($2)";

const ANY_SINCE: &str = "SELECT 1 FROM receipt WHERE user_id = $1 AND pos > $2 LIMIT 1";
const HEADS: &str = "SELECT room, MAX(pos) FROM receipt GROUP BY room";

/// The thread of receipts that speak of the whole room.
pub const UNTHREADED: &str = "";

/// A receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The room.
    pub room: RoomNid,
    /// Whose it is.
    pub user: String,
    /// `m.read` or `m.read.private`.
    pub kind: String,
    /// `main`, a thread's root, or [`UNTHREADED`].
    pub thread: String,
    /// The event read.
    pub event_id: String,
    /// That event's place in the timeline.
    pub ord: TimelineOrd,
    /// When, in ms since 1970.
    pub ts: i64,
    /// Position of the receipt in the stream.
    pub pos: Pos,
}

/// Writes a receipt over the one before it.
pub async fn set(tx: &mut CommitTx, receipt: &Receipt) -> Result<(), StorageError> {
    let Receipt { room, user, kind, thread, event_id, ord, ts, pos } = receipt;
    tx.sql().execute(SET, args![room.0, user, kind, thread, event_id, *ord, *ts, *pos]).await?;
    Ok(())
}

/// Where a user's receipt of a kind and thread stands, as the running commit sees it.
pub async fn last(
    tx: &mut CommitTx,
    room: RoomNid,
    user: &str,
    kind: &str,
    thread: &str,
) -> Result<Option<TimelineOrd>, StorageError> {
    let row = tx.sql().fetch_optional(LAST, args![room.0, user, kind, thread]).await?;
    Ok(row.map(|row| row.int(0)).transpose()?)
}

/// The receipts of some rooms that were given after `since` and not after `upto`, by room and position.
pub async fn since(
    db: &Database,
    rooms: &[RoomNid],
    since: Pos,
    upto: Pos,
) -> Result<Vec<Receipt>, StorageError> {
    let rooms: Vec<i64> = rooms.iter().map(|room| room.0).collect();
    receipts(&db.fetch(SINCE, args![rooms, since, upto]).await?)
}

/// Every room in which there are receipts with the position of the newest one, for the feed at start.
pub async fn heads(db: &Database) -> Result<Vec<(RoomNid, Pos)>, StorageError> {
    let rows = db.fetch(HEADS, args![]).await?;
    rows.iter().map(|row| Ok((RoomNid(row.int(0)?), row.int(1)?))).collect()
}

/// All receipts of one user in some rooms.
pub async fn of_user(
    db: &Database,
    user: &str,
    rooms: &[RoomNid],
) -> Result<Vec<Receipt>, StorageError> {
    let rooms: Vec<i64> = rooms.iter().map(|room| room.0).collect();
    receipts(&db.fetch(OF_USER, args![user, rooms]).await?)
}

/// Whether a user has read anything after a position.
pub async fn any_since(db: &Database, user: &UserId, pos: Pos) -> Result<bool, StorageError> {
    Ok(db.fetch_optional(ANY_SINCE, args![user.as_str(), pos]).await?.is_some())
}

pub(super) fn receipts(rows: &[Row]) -> Result<Vec<Receipt>, StorageError> {
    rows.iter()
        .map(|row| {
            Ok(Receipt {
                room: RoomNid(row.int(0)?),
                user: row.text(1)?,
                kind: row.text(2)?,
                thread: row.text(3)?,
                event_id: row.text(4)?,
                ord: row.int(5)?,
                ts: row.int(6)?,
                pos: row.int(7)?,
            })
        })
        .collect()
}
