//! What people were notified of: one row for each of them and each event, bounded for each of them.

use landbridge_database::{Database, Row, args};
use ruma::UserId;

use super::StorageError;
use crate::commit::CommitTx;
use crate::nid::{EventNid, Pos, RoomNid, TimelineOrd};

// The accounts are asked, so that nobody is noted who has none: those of application services read elsewhere, closed ones not at all.
const INSERT: &str =
    "INSERT INTO notification (user_id, pos, room, event, ord, thread, highlight, actions, ts)
    SELECT user_id, $2, $3, $4, $5, $6, $7, $8, $9 FROM accounts
    WHERE user_id = ANY($1) AND deactivated = 0 AND appservice IS NULL
    ON CONFLICT (user_id, pos) DO NOTHING";
const BELOW: &str = "SELECT pos, room, event, ord, thread, highlight, actions, ts FROM notification
    WHERE user_id = $1 AND pos < $2 ORDER BY pos DESC LIMIT $3";
const HIGHLIGHTS_BELOW: &str =
    "SELECT pos, room, event, ord, thread, highlight, actions, ts FROM notification
    WHERE user_id = $1 AND pos < $2 AND highlight = 1 ORDER BY pos DESC LIMIT $3";
const AFTER: &str = "SELECT pos, room, event, ord, thread, highlight, actions, ts FROM notification
    WHERE user_id = $1 AND pos > $2 AND pos <= $3 ORDER BY pos LIMIT $4";
const ROOMS: &str = "SELECT DISTINCT room FROM notification WHERE user_id = $1";
const PRUNE: &str = "DELETE FROM notification WHERE user_id = $1 AND (ts < $3 OR pos <=
    (SELECT pos FROM notification WHERE user_id = $1 ORDER BY pos DESC LIMIT 1 OFFSET $2))";
const CLEAR: &str = "DELETE FROM notification WHERE user_id = $1";

/// That some people are notified of an event, all by the same actions.
#[derive(Clone, Debug)]
pub struct NewNotification {
    /// Who; those without an account that somebody reads are left out.
    pub users: Vec<String>,
    /// What of.
    pub notification: Notification,
}

/// That somebody was notified of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The event's position.
    pub pos: Pos,
    /// Its room.
    pub room: RoomNid,
    /// The event.
    pub event: EventNid,
    /// Its place in the timeline.
    pub ord: TimelineOrd,
    /// The root of the thread that it is in.
    pub thread: Option<String>,
    /// Whether it is highlighted.
    pub highlight: bool,
    /// The actions of the rule that matched, as JSON.
    pub actions: String,
    /// When, in ms since 1970.
    pub ts: i64,
}

/// Notes that people are notified; who is noted already for this event stays as he is.
pub async fn insert(tx: &mut CommitTx, new: &NewNotification) -> Result<(), StorageError> {
    let Notification { pos, room, event, ord, thread, highlight, actions, ts } = &new.notification;
    let values = args![
        new.users.clone(),
        *pos,
        room.0,
        event.0,
        *ord,
        thread.as_deref(),
        *highlight,
        actions,
        *ts
    ];
    tx.sql().execute(INSERT, values).await?;
    Ok(())
}

/// The newest notifications of a user below a position, newest first.
pub async fn below(
    db: &Database,
    user: &UserId,
    pos: Pos,
    only_highlights: bool,
    limit: usize,
) -> Result<Vec<Notification>, StorageError> {
    let sql = if only_highlights { HIGHLIGHTS_BELOW } else { BELOW };
    read(&db.fetch(sql, args![user.as_str(), pos, limit as i64]).await?)
}

/// The oldest notifications of a user after a position and up to another, oldest first.
pub async fn after(
    db: &Database,
    user: &UserId,
    pos: Pos,
    upto: Pos,
    limit: usize,
) -> Result<Vec<Notification>, StorageError> {
    read(&db.fetch(AFTER, args![user.as_str(), pos, upto, limit as i64]).await?)
}

/// The rooms whose notifications of a user are kept.
pub async fn rooms(db: &Database, user: &UserId) -> Result<Vec<RoomNid>, StorageError> {
    let rows = db.fetch(ROOMS, args![user.as_str()]).await?;
    rows.iter().map(|row| Ok(RoomNid(row.int(0)?))).collect()
}

/// Deletes a user's notifications beyond the newest `keep`, and those from before `since`.
pub async fn prune(
    tx: &mut CommitTx,
    user: &UserId,
    keep: usize,
    since: i64,
) -> Result<(), StorageError> {
    tx.sql().execute(PRUNE, args![user.as_str(), keep as i64, since]).await?;
    Ok(())
}

/// Deletes all notifications of a user.
pub async fn clear(tx: &mut CommitTx, user: &UserId) -> Result<(), StorageError> {
    tx.sql().execute(CLEAR, args![user.as_str()]).await?;
    Ok(())
}

fn read(rows: &[Row]) -> Result<Vec<Notification>, StorageError> {
    rows.iter()
        .map(|row| {
            Ok(Notification {
                pos: row.int(0)?,
                room: RoomNid(row.int(1)?),
                event: EventNid(row.int(2)?),
                ord: row.int(3)?,
                thread: row.opt_text(4)?,
                highlight: row.bool(5)?,
                actions: row.text(6)?,
                ts: row.int(7)?,
            })
        })
        .collect()
}
