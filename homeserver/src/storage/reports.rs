//! Complaints as administrators read them.

use landbridge_database::{Database, Row, args};

use super::StorageError;
use crate::commit::CommitTx;

macro_rules! passing {
    () => {
        " FROM reports r LEFT JOIN event e ON e.id = r.event_id
        WHERE r.event_id IS NOT NULL AND ($1 = '' OR r.reporter = $1) AND ($2 = '' OR r.room_id = $2)
            AND ($3 = '' OR e.sender = $3)"
    };
}

macro_rules! columns {
    () => {
        "SELECT r.id, r.reporter, r.room_id, r.event_id, r.reason, r.score, r.reported_ms, e.sender"
    };
}

const COUNT: &str = concat!("SELECT COUNT(*)", passing!());
const NEWEST: &str = concat!(columns!(), passing!(), " ORDER BY r.id DESC LIMIT $4 OFFSET $5");
const OLDEST: &str = concat!(columns!(), passing!(), " ORDER BY r.id LIMIT $4 OFFSET $5");
const GET: &str = concat!(
    columns!(),
    " FROM reports r LEFT JOIN event e ON e.id = r.event_id WHERE r.id = $1 AND r.event_id IS NOT NULL"
);
const DELETE: &str = "DELETE FROM reports WHERE id = $1 AND event_id IS NOT NULL";

macro_rules! of_users {
    () => {
        " FROM reports WHERE user_id IS NOT NULL AND ($1 = '' OR reporter = $1) AND ($2 = '' OR user_id = $2)"
    };
}

macro_rules! user_columns {
    () => {
        "SELECT id, reporter, user_id, reason, reported_ms"
    };
}

const COUNT_USERS: &str = concat!("SELECT COUNT(*)", of_users!());
const NEWEST_USERS: &str =
    concat!(user_columns!(), of_users!(), " ORDER BY id DESC LIMIT $3 OFFSET $4");
const OLDEST_USERS: &str = concat!(user_columns!(), of_users!(), " ORDER BY id LIMIT $3 OFFSET $4");
const GET_USER: &str =
    concat!(user_columns!(), " FROM reports WHERE id = $1 AND user_id IS NOT NULL");
const DELETE_USER: &str = "DELETE FROM reports WHERE id = $1 AND user_id IS NOT NULL";

/// A complaint about an event.
#[derive(Clone, Debug)]
pub struct EventReport {
    /// Its number.
    pub id: i64,
    /// Who complains.
    pub reporter: String,
    /// About an event of which room.
    pub room_id: String,
    /// About which event.
    pub event_id: String,
    /// In their words.
    pub reason: Option<String>,
    /// How bad, from -100 (worst) to 0.
    pub score: Option<i64>,
    /// When, in milliseconds since 1970.
    pub reported_ms: i64,
    /// Who sent the event, unless it is gone.
    pub sender: Option<String>,
}

/// Which complaints are asked for; empty texts are any.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Who complains.
    pub reporter: String,
    /// The room.
    pub room: String,
    /// Whom they complain of.
    pub sender: String,
}

fn report(row: &Row) -> Result<EventReport, StorageError> {
    Ok(EventReport {
        id: row.int(0)?,
        reporter: row.text(1)?,
        room_id: row.opt_text(2)?.unwrap_or_default(),
        event_id: row.text(3)?,
        reason: row.opt_text(4)?,
        score: row.opt_int(5)?,
        reported_ms: row.int(6)?,
        sender: row.opt_text(7)?,
    })
}

/// A page of the complaints about events, and how many there are in all.
pub async fn list(
    db: &Database,
    wanted: &Wanted,
    newest_first: bool,
    (from, limit): (i64, i64),
) -> Result<(Vec<EventReport>, i64), StorageError> {
    let mut filter = args![&wanted.reporter, &wanted.room, &wanted.sender];
    let total = db.fetch_optional(COUNT, filter.clone()).await?;
    let total = total.map_or(Ok(0), |row| row.int(0))?;
    filter.extend(args![limit, from]);
    let rows = db.fetch(if newest_first { NEWEST } else { OLDEST }, filter).await?;
    Ok((rows.iter().map(report).collect::<Result<_, _>>()?, total))
}

/// One complaint about an event.
pub async fn get(db: &Database, id: i64) -> Result<Option<EventReport>, StorageError> {
    db.fetch_optional(GET, args![id]).await?.as_ref().map(report).transpose()
}

/// A complaint about a user.
#[derive(Clone, Debug)]
pub struct UserReport {
    /// Its number.
    pub id: i64,
    /// Who complains.
    pub reporter: String,
    /// Of whom.
    pub user_id: String,
    /// In their words.
    pub reason: Option<String>,
    /// When, in milliseconds since 1970.
    pub reported_ms: i64,
}

fn user_report(row: &Row) -> Result<UserReport, StorageError> {
    Ok(UserReport {
        id: row.int(0)?,
        reporter: row.text(1)?,
        user_id: row.text(2)?,
        reason: row.opt_text(3)?,
        reported_ms: row.int(4)?,
    })
}

/// A page of the complaints about users (by whom and of whom, where those aren't empty), and how many there are in all.
pub async fn list_users(
    db: &Database,
    (reporter, user): (&str, &str),
    newest_first: bool,
    (from, limit): (i64, i64),
) -> Result<(Vec<UserReport>, i64), StorageError> {
    let total = db.fetch_optional(COUNT_USERS, args![reporter, user]).await?;
    let total = total.map_or(Ok(0), |row| row.int(0))?;
    let sql = if newest_first { NEWEST_USERS } else { OLDEST_USERS };
    let rows = db.fetch(sql, args![reporter, user, limit, from]).await?;
    Ok((rows.iter().map(user_report).collect::<Result<_, _>>()?, total))
}

/// One complaint about a user.
pub async fn get_user(db: &Database, id: i64) -> Result<Option<UserReport>, StorageError> {
    db.fetch_optional(GET_USER, args![id]).await?.as_ref().map(user_report).transpose()
}

/// Forgets a complaint about a user; `false` when there was none.
pub async fn delete_user(tx: &mut CommitTx, id: i64) -> Result<bool, StorageError> {
    Ok(tx.sql().execute(DELETE_USER, args![id]).await? == 1)
}

/// Forgets a complaint about an event; `false` when there was none.
pub async fn delete(tx: &mut CommitTx, id: i64) -> Result<bool, StorageError> {
    Ok(tx.sql().execute(DELETE, args![id]).await? == 1)
}
