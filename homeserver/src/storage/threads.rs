//! Subscriptions to threads.

use landbridge_database::{Database, Row, args};

use super::StorageError;
use crate::commit::CommitTx;
use crate::nid::{Pos, RoomNid};

const GET: &str = "SELECT subscribed, automatic, pos FROM thread_subscription
    WHERE user_id = $1 AND room = $2 AND root = $3";
const SET: &str =
    "INSERT INTO thread_subscription (user_id, room, root, subscribed, automatic, pos)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (user_id, room, root) DO UPDATE SET subscribed = excluded.subscribed,
        automatic = excluded.automatic, pos = excluded.pos";
const COUNT: &str = "SELECT COUNT(*) FROM thread_subscription WHERE user_id = $1";
const NEWEST: &str = "SELECT r.id, t.root, t.subscribed, t.automatic, t.pos
    FROM thread_subscription t JOIN room r ON r.nid = t.room
    WHERE t.user_id = $1 AND t.pos > $2 AND t.pos <= $3 ORDER BY t.pos DESC LIMIT $4";

/// What a user said of a thread last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription {
    /// Whether he follows it.
    pub subscribed: bool,
    /// Whether his client decided that, not he.
    pub automatic: bool,
    /// When.
    pub pos: Pos,
}

/// The same with the thread's room and root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The room's id.
    pub room: String,
    /// The thread's root.
    pub root: String,
    /// What the user said.
    pub subscription: Subscription,
}

fn subscription(row: &Row, from: usize) -> Result<Subscription, StorageError> {
    Ok(Subscription {
        subscribed: row.bool(from)?,
        automatic: row.bool(from + 1)?,
        pos: row.int(from + 2)?,
    })
}

/// What a user said of a thread.
pub async fn get(
    db: &Database,
    user: &str,
    room: RoomNid,
    thread: &str,
) -> Result<Option<Subscription>, StorageError> {
    let row = db.fetch_optional(GET, args![user, room.0, thread]).await?;
    row.map(|row| subscription(&row, 0)).transpose()
}

/// The same, as the running commit sees it.
pub async fn get_in(
    tx: &mut CommitTx,
    user: &str,
    room: RoomNid,
    thread: &str,
) -> Result<Option<Subscription>, StorageError> {
    let row = tx.sql().fetch_optional(GET, args![user, room.0, thread]).await?;
    row.map(|row| subscription(&row, 0)).transpose()
}

/// Sets what a user says of a thread.
pub async fn set(
    tx: &mut CommitTx,
    user: &str,
    room: RoomNid,
    thread: &str,
    said: Subscription,
) -> Result<(), StorageError> {
    let Subscription { subscribed, automatic, pos } = said;
    tx.sql().execute(SET, args![user, room.0, thread, subscribed, automatic, pos]).await?;
    Ok(())
}

/// Of how many threads a user has said something.
pub async fn count(tx: &mut CommitTx, user: &str) -> Result<i64, StorageError> {
    let row = tx.sql().fetch_optional(COUNT, args![user]).await?;
    Ok(row.map(|row| row.int(0)).transpose()?.unwrap_or(0))
}

/// What a user said last within a span of positions, the newest first.
pub async fn newest(
    db: &Database,
    user: &str,
    after: Pos,
    upto: Pos,
    limit: i64,
) -> Result<Vec<Listed>, StorageError> {
    let rows = db.fetch(NEWEST, args![user, after, upto, limit]).await?;
    rows.iter()
        .map(|row| {
            Ok(Listed {
                room: row.text(0)?,
                root: row.text(1)?,
                subscription: subscription(row, 2)?,
            })
        })
        .collect()
}
