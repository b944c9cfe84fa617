//! Delayed events: what is to be sent later, and what became of it.

use landbridge_database::{Database, Row, args};

use super::StorageError;
use crate::commit::CommitTx;
use crate::nid::Pos;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, user_id, scope, request, txn_id, room_id, kind, state_key, content, ts, delay, since, pos, due, status, sticky \
             FROM delayed_event ",
            $rest
        )
    };
}

const INSERT: &str = "INSERT INTO delayed_event (id, user_id, scope, request, txn_id, room_id, kind, state_key, content, ts, delay,
        since, pos, due, sticky, status)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 0)";
const BY_ID: &str = select!("WHERE id = $1");
const OF_USER: &str =
    select!("WHERE user_id = $1 AND finished IS NULL AND status = 0 ORDER BY since, id LIMIT $2");
const DUE: &str = select!("WHERE finished IS NULL AND due <= $1 ORDER BY due, id LIMIT $2");
const NEXT: &str = "SELECT MIN(due) FROM delayed_event WHERE finished IS NULL";
const BY_REQUEST: &str = "SELECT id FROM delayed_event WHERE scope = $1 AND request = $2";
const COUNT: &str =
    "SELECT COUNT(*) FROM delayed_event WHERE user_id = $1 AND finished IS NULL AND status = 0";
const CLAIM: &str =
    "UPDATE delayed_event SET status = 1, due = $4 WHERE id = $1 AND status = $2 AND due = $3";
const FINISH: &str = "UPDATE delayed_event SET status = $3, finished = $4 WHERE id = $1 AND status = $2 AND finished IS NULL";
const RESTART: &str =
    "UPDATE delayed_event SET since = $2, due = $3, pos = $4 WHERE id = $1 AND status = 0";
const PRUNE: &str = "DELETE FROM delayed_event WHERE id IN
    (SELECT id FROM delayed_event WHERE finished IS NOT NULL AND finished < $1 LIMIT 500)";

/// It waits for its time.
pub const WAITING: i64 = 0;
/// It is being sent.
pub const SENDING: i64 = 1;
/// It was sent.
pub const SENT: i64 = 2;
/// It will not be sent.
pub const CANCELLED: i64 = 3;
/// The room refused it.
pub const REFUSED: i64 = 4;

/// A delayed event.
#[derive(Debug, Clone)]
pub struct Delayed {
    /// Its id, known to nobody but whom its sender told.
    pub id: String,
    /// Who sends it.
    pub user: String,
    /// Within what transaction ids are unique.
    pub scope: String,
    /// The request that made it, where it had a transaction id.
    pub request: Option<String>,
    /// That transaction id.
    pub txn_id: Option<String>,
    /// Its room.
    pub room: String,
    /// Its type.
    pub kind: String,
    /// Its state key, if it is state.
    pub state_key: Option<String>,
    /// Its content, as JSON.
    pub content: String,
    /// The time that an application service gives it.
    pub ts: Option<i64>,
    /// How long it waits, in ms.
    pub delay: i64,
    /// When it began to wait, in ms since 1970.
    pub since: i64,
    /// The stream's head then.
    pub pos: Pos,
    /// When it is to be sent, or sending it to be tried again.
    pub due: i64,
    /// [`WAITING`], [`SENDING`]...
    pub status: i64,
    /// For how long it is sticky once it is sent, in ms, if it is.
    pub sticky: Option<i64>,
}

/// What a new one came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    /// It has this id, or had it already: the request was made before.
    Id(String),
    /// Its user has too many.
    TooMany,
}

/// Adds one, unless its request was made before or its user has `most` of them.
pub async fn add(tx: &mut CommitTx, new: &Delayed, most: i64) -> Result<Added, StorageError> {
    let sql = tx.sql();
    if let Some(request) = &new.request
        && let Some(row) = sql.fetch_optional(BY_REQUEST, args![&new.scope, request]).await?
    {
        return Ok(Added::Id(row.text(0)?));
    }
    let count = sql.fetch_optional(COUNT, args![&new.user]).await?;
    if count.map(|row| row.int(0)).transpose()?.unwrap_or(0) >= most {
        return Ok(Added::TooMany);
    }
    let Delayed { id, user, scope, request, txn_id, room, kind, state_key, content, ts, .. } =
        new.clone();
    let Delayed { delay, since, pos, due, sticky, .. } = *new;
    let args = args![
        &id, user, scope, request, txn_id, room, kind, state_key, content, ts, delay, since, pos,
        due, sticky
    ];
    sql.execute(INSERT, args).await?;
    Ok(Added::Id(id))
}

/// One by its id.
pub async fn get(db: &Database, id: &str) -> Result<Option<Delayed>, StorageError> {
    db.fetch_optional(BY_ID, args![id]).await?.as_ref().map(delayed).transpose()
}

/// Those of a user that wait, the oldest first.
pub async fn of_user(db: &Database, user: &str, limit: i64) -> Result<Vec<Delayed>, StorageError> {
    db.fetch(OF_USER, args![user, limit]).await?.iter().map(delayed).collect()
}

/// Those whose time has come.
pub async fn due(db: &Database, now_ms: i64, limit: i64) -> Result<Vec<Delayed>, StorageError> {
    db.fetch(DUE, args![now_ms, limit]).await?.iter().map(delayed).collect()
}

/// When the next one's time comes.
pub async fn next(db: &Database) -> Result<Option<i64>, StorageError> {
    let row = db.fetch_optional(NEXT, args![]).await?;
    Ok(row.map(|row| row.opt_int(0)).transpose()?.flatten())
}

/// Takes one to send it, until some time; `false` when somebody else did, or it is done.
pub async fn claim(
    tx: &mut CommitTx,
    event: &Delayed,
    until_ms: i64,
) -> Result<bool, StorageError> {
    let args = args![&event.id, event.status, event.due, until_ms];
    Ok(tx.sql().execute(CLAIM, args).await? == 1)
}

/// It is done; `false` when it was not in the status `from` any more.
pub async fn finish(
    tx: &mut CommitTx,
    id: &str,
    from: i64,
    to: i64,
    now_ms: i64,
) -> Result<bool, StorageError> {
    Ok(tx.sql().execute(FINISH, args![id, from, to, now_ms]).await? == 1)
}

/// It waits once more from now on; `false` when it waits no longer.
pub async fn restart(
    tx: &mut CommitTx,
    id: &str,
    now_ms: i64,
    due_ms: i64,
    pos: Pos,
) -> Result<bool, StorageError> {
    Ok(tx.sql().execute(RESTART, args![id, now_ms, due_ms, pos]).await? == 1)
}

/// Forgets some of those that were done before a time; says how many.
pub async fn prune(tx: &mut CommitTx, before_ms: i64) -> Result<u64, StorageError> {
    Ok(tx.sql().execute(PRUNE, args![before_ms]).await?)
}

fn delayed(row: &Row) -> Result<Delayed, StorageError> {
    Ok(Delayed {
        id: row.text(0)?,
        user: row.text(1)?,
        scope: row.text(2)?,
        request: row.opt_text(3)?,
        txn_id: row.opt_text(4)?,
        room: row.text(5)?,
        kind: row.text(6)?,
        state_key: row.opt_text(7)?,
        content: row.text(8)?,
        ts: row.opt_int(9)?,
        delay: row.int(10)?,
        since: row.int(11)?,
        pos: row.int(12)?,
        due: row.int(13)?,
        status: row.int(14)?,
        sticky: row.opt_int(15)?,
    })
}
