//! Taking rooms and old messages out of the tables for good, a piece at a time.

use landbridge_database::{Database, args};

use super::{StorageError, search};
use crate::{
    commit::CommitTx,
    nid::{EventNid, RoomNid, TimelineOrd},
};

/// Rows that one commit deletes at most of each kind.
const PIECE: i64 = 500;

const RAISE_FLOOR: &str = "UPDATE number_floor SET
        room = (SELECT MAX(n) FROM (SELECT MAX(nid) AS n FROM room UNION ALL SELECT f.room FROM number_floor f) AS r),
        event = (SELECT MAX(n) FROM (SELECT MAX(nid) AS n FROM event UNION ALL SELECT f.event FROM number_floor f) AS e),
        state_group = (SELECT MAX(n) FROM (SELECT MAX(nid) AS n FROM state_group
            UNION ALL SELECT f.state_group FROM number_floor f) AS g)
    WHERE id = 1";
const PLACED: &str = "SELECT nid, state_key, membership FROM event
    WHERE room = $1 AND ord IS NOT NULL LIMIT $2";
const UNPLACED: &str = "SELECT nid, state_key, membership FROM event
    WHERE room = $1 AND ord IS NULL LIMIT $2";
const DELETE_EVENTS: &str = "DELETE FROM event WHERE nid = ANY($1)";
const DELETE_JSON: &str = "DELETE FROM event_json WHERE nid = ANY($1)";
const DELETE_MEMBERSHIPS: &str = "DELETE FROM membership WHERE room = $1 AND user_id = ANY($2)";
const DELETE_DATA: &str = "DELETE FROM account_data WHERE room_id = $1 AND user_id = ANY($2)";
const DELETE_NOTIFICATIONS: &str = "DELETE FROM notification WHERE room = $1 AND user_id = ANY($2)";
const DELETE_SUBSCRIPTIONS: &str =
    "DELETE FROM thread_subscription WHERE room = $1 AND user_id = ANY($2)";
const DELETE_GROUPS: &str = "DELETE FROM state_group
    WHERE nid IN (SELECT nid FROM state_group WHERE room = $1 LIMIT $2)";
/// What is left of a room when its events and states are gone.
const DELETE_REST: [&str; 8] = [
    "DELETE FROM receipt WHERE room = $1",
    "DELETE FROM gap WHERE room = $1",
    "DELETE FROM alias WHERE room = $1",
    "DELETE FROM appservice_directory WHERE room = $1",
    "DELETE FROM room_listing WHERE room = $1",
    "DELETE FROM room_open WHERE room = $1",
    "DELETE FROM room_upgrade WHERE new_room = $1 OR old_room = $1",
    "DELETE FROM room WHERE nid = $1",
];
/// The same, of what names it by its ID.
const DELETE_REST_BY_ID: [&str; 2] = [
    "DELETE FROM published_rooms WHERE room_id = $1",
    "DELETE FROM delayed_event WHERE room_id = $1",
];
const OLD_MESSAGES: &str = "SELECT nid, ord, sender FROM event
    WHERE room = $1 AND ord > $2 AND ord < $3 AND state_key IS NULL ORDER BY ord LIMIT $4";

/// What a piece took away.
#[derive(Clone, Debug, Default)]
pub struct Gone {
    /// The events.
    pub events: Vec<EventNid>,
    /// The users who had a membership.
    pub users: Vec<String>,
    /// Whether nothing of the room is left.
    pub all: bool,
}

async fn delete_events(tx: &mut CommitTx, events: &[EventNid]) -> Result<(), StorageError> {
    let nids: Vec<i64> = events.iter().map(|event| event.0).collect();
    search::forget(tx, events).await?;
    // Whoever counts on after a restart must not come to these numbers again.
    tx.sql().execute(RAISE_FLOOR, args![]).await?;
    tx.sql().execute(DELETE_JSON, args![nids.clone()]).await?;
    tx.sql().execute(DELETE_EVENTS, args![nids]).await?;
    Ok(())
}

/// Deletes a piece of a room: first its events with the memberships, the account data and what else there is in it of those they
/// speak of, then its states, then everything else.
pub async fn room(tx: &mut CommitTx, room: RoomNid, id: &str) -> Result<Gone, StorageError> {
    let mut rows = tx.sql().fetch(PLACED, args![room.0, PIECE]).await?;
    if rows.is_empty() {
        rows = tx.sql().fetch(UNPLACED, args![room.0, PIECE]).await?;
    }
    let mut gone = Gone::default();
    for row in &rows {
        gone.events.push(EventNid(row.int(0)?));
        if row.opt_text(2)?.is_some() {
            gone.users.extend(row.opt_text(1)?);
        }
    }
    if !gone.events.is_empty() {
        gone.users.sort_unstable();
        gone.users.dedup();
        tx.sql().execute(DELETE_MEMBERSHIPS, args![room.0, gone.users.clone()]).await?;
        tx.sql().execute(DELETE_DATA, args![id, gone.users.clone()]).await?;
        tx.sql().execute(DELETE_NOTIFICATIONS, args![room.0, gone.users.clone()]).await?;
        tx.sql().execute(DELETE_SUBSCRIPTIONS, args![room.0, gone.users.clone()]).await?;
        delete_events(tx, &gone.events).await?;
    } else if tx.sql().execute(DELETE_GROUPS, args![room.0, PIECE]).await? == 0 {
        tx.sql().execute(RAISE_FLOOR, args![]).await?;
        for sql in DELETE_REST {
            tx.sql().execute(sql, args![room.0]).await?;
        }
        for sql in DELETE_REST_BY_ID {
            tx.sql().execute(sql, args![id]).await?;
        }
        gone.all = true;
    }
    Ok(gone)
}

/// A message that may be purged.
#[derive(Clone, Debug)]
pub struct OldMessage {
    /// Its number.
    pub nid: EventNid,
    /// Its place.
    pub ord: TimelineOrd,
    /// Its sender.
    pub sender: String,
}

/// The first messages between two places, without both; state is not among them.
pub async fn old_messages(
    db: &Database,
    room: RoomNid,
    after: TimelineOrd,
    before: TimelineOrd,
) -> Result<Vec<OldMessage>, StorageError> {
    let rows = db.fetch(OLD_MESSAGES, args![room.0, after, before, PIECE]).await?;
    rows.iter()
        .map(|row| {
            let (nid, ord, sender) = (EventNid(row.int(0)?), row.int(1)?, row.text(2)?);
            Ok(OldMessage { nid, ord, sender })
        })
        .collect()
}

/// Deletes some events.
pub async fn events(tx: &mut CommitTx, events: &[EventNid]) -> Result<(), StorageError> {
    delete_events(tx, events).await
}
