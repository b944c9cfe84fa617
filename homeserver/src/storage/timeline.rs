//! Timelines: the events of a room in the order that people see.
//!
//! The place (`ord`) of a live event is its position shifted, so a range of positions is a range of
//! places; imported history stands between and has no position.

use landbridge_database::{Database, args};

use super::{
    StorageError,
    events::{StoredEvent, event_columns, stored},
};
use crate::{
    commit::CommitTx,
    nid::{ORD_SHIFT, Pos, RoomNid, TimelineOrd},
};

const BACKWARD: &str = concat!(
    "SELECT ",
    event_columns!(),
    " FROM event e JOIN event_json j ON j.nid = e.nid \
     WHERE e.room = $1 AND e.ord < $2 AND e.ord >= $3 ORDER BY e.ord DESC LIMIT $4"
);
const FORWARD: &str = concat!(
    "SELECT ",
    event_columns!(),
    " FROM event e JOIN event_json j ON j.nid = e.nid \
     WHERE e.room = $1 AND e.ord > $2 AND e.ord <= $3 ORDER BY e.ord LIMIT $4"
);
const LIVE: &str = concat!(
    "SELECT ",
    event_columns!(),
    " FROM event e JOIN event_json j ON j.nid = e.nid \
     WHERE e.room = $1 AND e.ord > $2 AND e.ord <= $3 AND e.pos IS NOT NULL \
     ORDER BY e.ord DESC LIMIT $4"
);
const NEIGHBOUR_BEFORE: &str =
    "SELECT ord FROM event WHERE room = $1 AND ord < $2 ORDER BY ord DESC LIMIT 1";
const NEIGHBOUR_AFTER: &str =
    "SELECT ord FROM event WHERE room = $1 AND ord > $2 ORDER BY ord LIMIT 1";
const MOVE: &str = "UPDATE event SET ord = $2 WHERE room = $1 AND ord = $3";

/// The place of a live event with this position.
pub const fn ord_of(pos: Pos) -> TimelineOrd {
    pos << ORD_SHIFT
}

/// At most `limit` events before `from` (exclusive) down to `to` (inclusive), newest first.
pub async fn backward(
    db: &Database,
    room: RoomNid,
    from: TimelineOrd,
    to: TimelineOrd,
    limit: i64,
) -> Result<Vec<StoredEvent>, StorageError> {
    db.fetch(BACKWARD, args![room.0, from, to, limit]).await?.iter().map(stored).collect()
}

/// At most `limit` events after `from` (exclusive) up to `to` (inclusive), oldest first.
pub async fn forward(
    db: &Database,
    room: RoomNid,
    from: TimelineOrd,
    to: TimelineOrd,
    limit: i64,
) -> Result<Vec<StoredEvent>, StorageError> {
    db.fetch(FORWARD, args![room.0, from, to, limit]).await?.iter().map(stored).collect()
}

/// The newest `limit` live events with positions after `from` up to `to`, newest first: what `/sync`
/// shows. Imported history is not among them.
pub async fn live(
    db: &Database,
    room: RoomNid,
    from: Pos,
    to: Pos,
    limit: i64,
) -> Result<Vec<StoredEvent>, StorageError> {
    let (from, to) = (ord_of(from), ord_of(to));
    db.fetch(LIVE, args![room.0, from, to, limit]).await?.iter().map(stored).collect()
}

/// The place of the next event before `ord`, as the running commit sees it.
pub async fn before(
    tx: &mut CommitTx,
    room: RoomNid,
    ord: TimelineOrd,
) -> Result<Option<TimelineOrd>, StorageError> {
    let row = tx.sql().fetch_optional(NEIGHBOUR_BEFORE, args![room.0, ord]).await?;
    Ok(row.map(|row| row.int(0)).transpose()?)
}

/// The place of the next event after `ord`, as the running commit sees it.
pub async fn after(
    tx: &mut CommitTx,
    room: RoomNid,
    ord: TimelineOrd,
) -> Result<Option<TimelineOrd>, StorageError> {
    let row = tx.sql().fetch_optional(NEIGHBOUR_AFTER, args![room.0, ord]).await?;
    Ok(row.map(|row| row.int(0)).transpose()?)
}

/// Moves one event to another place, to make room for history beside it.
pub async fn shift(
    tx: &mut CommitTx,
    room: RoomNid,
    from: TimelineOrd,
    to: TimelineOrd,
) -> Result<(), StorageError> {
    tx.sql().execute(MOVE, args![room.0, to, from]).await?;
    Ok(())
}
