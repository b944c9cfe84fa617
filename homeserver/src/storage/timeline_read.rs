//! Reading rooms' timelines and members' histories: what sync and pagination ask.

use landbridge_database::{Database, Row, args};

use super::StorageError;
use crate::nid::{EventNid, RoomNid, TimelineOrd};

const BACKWARDS: &str = "SELECT nid, ord FROM event WHERE room = $1 AND ord < $2 AND ord >= $3 ORDER BY ord DESC LIMIT $4";
const FORWARDS: &str =
    "SELECT nid, ord FROM event WHERE room = $1 AND ord >= $2 AND ord < $3 ORDER BY ord LIMIT $4";
const LIVE_BACKWARDS: &str = "SELECT nid, ord FROM event
    WHERE room = $1 AND ord < $2 AND pos IS NOT NULL ORDER BY ord DESC LIMIT $3";
const LIVE_BETWEEN: &str = "SELECT nid, ord FROM event
    WHERE room = $1 AND ord > $2 AND ord < $3 AND pos IS NOT NULL ORDER BY ord DESC LIMIT $4";
const MEMBERSHIP_AT: &str = "SELECT nid, ord, membership FROM event
    WHERE state_key = $1 AND room = $2 AND ord < $3 AND membership IS NOT NULL ORDER BY ord DESC LIMIT 1";
const LAST_JOIN: &str = "SELECT MAX(ord) FROM event
    WHERE state_key = $1 AND room = $2 AND ord < $3 AND membership = 'join'";
const AFTER_TIME: &str = "SELECT nid, ord FROM event
    WHERE room = $1 AND ord IS NOT NULL AND (ts, ord) >= ($2, $3) ORDER BY ts, ord LIMIT $4";
const BEFORE_TIME: &str = "SELECT nid, ord FROM event
    WHERE room = $1 AND ord IS NOT NULL AND (ts, ord) <= ($2, $3) ORDER BY ts DESC, ord DESC LIMIT $4";

/// An event and where it stands in its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The event.
    pub nid: EventNid,
    /// Its place.
    pub ord: TimelineOrd,
}

/// What a user was to a room at some place in its timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastMembership {
    /// The member event.
    pub event: EventNid,
    /// Its place.
    pub ord: TimelineOrd,
    /// The membership it gave, as the spec writes it.
    pub membership: String,
}

/// The newest events below `below` and not below `floor`, newest first.
pub async fn backwards(
    db: &Database,
    room: RoomNid,
    below: TimelineOrd,
    floor: TimelineOrd,
    limit: usize,
) -> Result<Vec<Placed>, StorageError> {
    placed(&db.fetch(BACKWARDS, args![room.0, below, floor, limit as i64]).await?)
}

/// The newest live events below `below`, newest first: imported history is not among them.
pub async fn live_backwards(
    db: &Database,
    room: RoomNid,
    below: TimelineOrd,
    limit: usize,
) -> Result<Vec<Placed>, StorageError> {
    placed(&db.fetch(LIVE_BACKWARDS, args![room.0, below, limit as i64]).await?)
}

/// The newest live events above a place and below another, newest first.
pub async fn live_between(
    db: &Database,
    room: RoomNid,
    above: TimelineOrd,
    below: TimelineOrd,
    limit: usize,
) -> Result<Vec<Placed>, StorageError> {
    placed(&db.fetch(LIVE_BETWEEN, args![room.0, above, below, limit as i64]).await?)
}

/// The oldest events from `from` on and below `ceiling`, oldest first.
pub async fn forwards(
    db: &Database,
    room: RoomNid,
    from: TimelineOrd,
    ceiling: TimelineOrd,
    limit: usize,
) -> Result<Vec<Placed>, StorageError> {
    placed(&db.fetch(FORWARDS, args![room.0, from, ceiling, limit as i64]).await?)
}

/// What a user was to a room just below a place; `None` if no event ever said.
pub async fn membership_below(
    db: &Database,
    user: &str,
    room: RoomNid,
    below: TimelineOrd,
) -> Result<Option<PastMembership>, StorageError> {
    let row = db.fetch_optional(MEMBERSHIP_AT, args![user, room.0, below]).await?;
    row.map(|row| {
        Ok(PastMembership {
            event: EventNid(row.int(0)?),
            ord: row.int(1)?,
            membership: row.text(2)?,
        })
    })
    .transpose()
}

/// The place of the last event below `below` by which a user joined a room, or stayed in it under another name.
pub async fn last_join(
    db: &Database,
    user: &str,
    room: RoomNid,
    below: TimelineOrd,
) -> Result<Option<TimelineOrd>, StorageError> {
    let row = db.fetch_optional(LAST_JOIN, args![user, room.0, below]).await?;
    Ok(row.map(|row| row.opt_int(0)).transpose()?.flatten())
}

/// The events nearest to a time, from it on forwards in time or back; of those at the time itself, from a place on.
pub async fn near_time(
    db: &Database,
    room: RoomNid,
    (ts, ord): (i64, TimelineOrd),
    forwards: bool,
    limit: usize,
) -> Result<Vec<Placed>, StorageError> {
    let sql = if forwards { AFTER_TIME } else { BEFORE_TIME };
    placed(&db.fetch(sql, args![room.0, ts, ord, limit as i64]).await?)
}

pub(super) fn placed(rows: &[Row]) -> Result<Vec<Placed>, StorageError> {
    rows.iter().map(|row| Ok(Placed { nid: EventNid(row.int(0)?), ord: row.int(1)? })).collect()
}
