//! The public lists of rooms, in their order: a page costs the page.

use landbridge_database::{Database, Sql, args};

use super::StorageError;
use crate::{commit::CommitTx, nid::RoomNid};

const ADD: &str = "INSERT INTO room_listing (room, room_id) SELECT nid, id FROM room WHERE nid = $1
    ON CONFLICT (room) DO UPDATE SET stale = room_listing.stale + 1";
const ADD_BY_ID: &str =
    "INSERT INTO room_listing (room, room_id) SELECT nid, id FROM room WHERE id = $1
    ON CONFLICT (room) DO UPDATE SET stale = room_listing.stale + 1";
const TOUCH: &str = "UPDATE room_listing SET stale = stale + 1 WHERE room = $1";
const STALE: &str = "SELECT room, stale FROM room_listing WHERE stale > 0 ORDER BY room LIMIT $1";
const SET: &str =
    "UPDATE room_listing SET members = $3, kind = $4, words = $5, listed = $6, stale = 0
    WHERE room = $1 AND stale = $2";
const DELETE: &str = "DELETE FROM room_listing WHERE room = $1";

/// The rooms of a list that pass a filter: `$1` `$2` the network, `$3` a pattern, `$4` whether types matter, `$5` the types.
macro_rules! of_list {
    () => {
        " FROM room_listing l WHERE l.listed IS NOT NULL
            AND (CASE WHEN $1 = '' THEN EXISTS (SELECT 1 FROM published_rooms p WHERE p.room_id = l.room_id)
                    OR ($2 = '*' AND EXISTS (SELECT 1 FROM appservice_directory d WHERE d.room = l.room))
                ELSE EXISTS (SELECT 1 FROM appservice_directory d
                    WHERE d.room = l.room AND d.service = $1 AND d.network = $2) END)
            AND ($3 = '' OR l.words LIKE $3 ESCAPE '!') AND ($4 = 0 OR l.kind = ANY($5))"
    };
}
const COUNT: &str = concat!("SELECT COUNT(*)", of_list!());
const PAGE: &str = concat!(
    "SELECT l.listed, l.members, l.room_id",
    of_list!(),
    " AND (l.members < $6 OR (l.members = $6 AND l.room_id > $7))
    ORDER BY l.members DESC, l.room_id LIMIT $8"
);
const BEFORE: &str = concat!(
    "SELECT l.listed, l.members, l.room_id",
    of_list!(),
    " AND (l.members > $6 OR (l.members = $6 AND l.room_id <= $7))
    ORDER BY l.members, l.room_id DESC LIMIT $8"
);

/// A room that changed since it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale {
    /// The room.
    pub room: RoomNid,
    /// How many changes there were.
    pub changes: i64,
}

/// A room as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// How many are in it.
    pub members: i64,
    /// Its type, empty for none.
    pub kind: String,
    /// Name, topic and alias in small letters.
    pub words: String,
    /// What clients are told, as JSON.
    pub listed: String,
}

/// Which list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum List {
    /// The server's own.
    Own,
    /// The server's own and those of all networks.
    All,
    /// That of one network of an application service.
    Network(String, String),
}

/// What is asked of a list.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// Which list.
    pub list: &'a List,
    /// What must stand in name, topic or alias; in small letters.
    pub term: &'a str,
    /// Only rooms of these types, the empty text being none.
    pub kinds: Option<&'a [String]>,
}

/// A room's place in a list: its members and its id.
pub type Place = (i64, String);

/// A room comes into a list.
pub async fn add(tx: &mut CommitTx, room: RoomNid) -> Result<(), StorageError> {
    tx.sql().execute(ADD, args![room.0]).await?;
    Ok(())
}

/// The same, by the room's id.
pub async fn add_by_id(tx: &mut CommitTx, room: &str) -> Result<(), StorageError> {
    tx.sql().execute(ADD_BY_ID, args![room]).await?;
    Ok(())
}

/// A room's state has changed.
pub async fn touch(tx: &mut CommitTx, room: RoomNid) -> Result<(), StorageError> {
    tx.sql().later(TOUCH, args![room.0]).await?;
    Ok(())
}

/// Rooms that changed since they were looked at.
pub async fn stale(db: &Database, limit: usize) -> Result<Vec<Stale>, StorageError> {
    let rows = db.fetch(STALE, args![limit as i64]).await?;
    rows.iter().map(|row| Ok(Stale { room: RoomNid(row.int(0)?), changes: row.int(1)? })).collect()
}

/// Writes what a room is like, unless it has changed again; `None` for one that is gone.
pub async fn set(
    tx: &mut CommitTx,
    stale: Stale,
    listing: Option<&Listing>,
) -> Result<(), StorageError> {
    let Some(listing) = listing else {
        tx.sql().execute(DELETE, args![stale.room.0]).await?;
        return Ok(());
    };
    let Listing { members, kind, words, listed } = listing;
    tx.sql()
        .execute(SET, args![stale.room.0, stale.changes, *members, kind, words, listed])
        .await?;
    Ok(())
}

fn values(ask: &Ask<'_>) -> Vec<landbridge_database::Value> {
    let (service, network) = match ask.list {
        List::Own => ("", ""),
        List::All => ("", "*"),
        List::Network(service, network) => (service.as_str(), network.as_str()),
    };
    let escaped = ask.term.replace('!', "!!").replace('%', "!%").replace('_', "!_");
    let pattern = if ask.term.is_empty() { String::new() } else { format!("%{escaped}%") };
    args![service, network, pattern, ask.kinds.is_some(), ask.kinds.unwrap_or_default().to_vec()]
}

/// How many rooms there are.
pub async fn count(db: &Database, ask: &Ask<'_>) -> Result<i64, StorageError> {
    let row = db.fetch_optional(Sql::from(COUNT), values(ask)).await?;
    row.map_or(Ok(0), |row| Ok(row.int(0)?))
}

/// Rooms after a place, in order: what clients are told of each, and its place.
pub async fn page(
    db: &Database,
    ask: &Ask<'_>,
    after: &Place,
    limit: usize,
) -> Result<Vec<(String, Place)>, StorageError> {
    places(db, PAGE, ask, after, limit).await
}

/// Rooms up to a place, the last first.
pub async fn before(
    db: &Database,
    ask: &Ask<'_>,
    upto: &Place,
    limit: usize,
) -> Result<Vec<(String, Place)>, StorageError> {
    places(db, BEFORE, ask, upto, limit).await
}

async fn places(
    db: &Database,
    sql: &'static str,
    ask: &Ask<'_>,
    (members, room): &Place,
    limit: usize,
) -> Result<Vec<(String, Place)>, StorageError> {
    let mut values = values(ask);
    values.extend(args![*members, room, limit as i64]);
    let rows = db.fetch(sql, values).await?;
    rows.iter().map(|row| Ok((row.text(0)?, (row.int(1)?, row.text(2)?)))).collect()
}
