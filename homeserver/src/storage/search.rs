//! Looking for words in events.

use landbridge_database::{Database, Sql, args};

use super::{StorageError, timeline_read::Placed};
use crate::nid::{EventNid, RoomNid, TimelineOrd};

/// Of the newest events of the kinds, those whose bytes have the pattern in them. What is older than the newest `$4` is not looked
/// at: without an index of words that is what bounds the work.
const NEWEST: Sql = Sql::Each {
    sqlite: "SELECT c.nid, c.ord FROM (SELECT nid, ord FROM event WHERE room IN (SELECT value FROM json_each($1))
            AND kind IN (SELECT value FROM json_each($2)) AND ord < $3 ORDER BY ord DESC LIMIT $4) c
        JOIN event_json j ON j.nid = c.nid WHERE CAST(j.json AS TEXT) LIKE $5 ORDER BY c.ord DESC",
    postgres: "SELECT c.nid, c.ord FROM (SELECT nid, ord FROM event WHERE room = ANY($1)
            AND kind = ANY($2) AND ord < $3 ORDER BY ord DESC LIMIT $4) c
        JOIN event_json j ON j.nid = c.nid WHERE convert_from(j.json, 'UTF8') ILIKE $5 ORDER BY c.ord DESC",
};

/// What is looked for.
#[derive(Debug)]
pub struct Look<'a> {
    /// Where.
    pub rooms: &'a [RoomNid],
    /// Types of the events.
    pub kinds: &'a [&'a str],
    /// Below which place.
    pub below: TimelineOrd,
    /// How many of the newest events are looked at.
    pub scan: i64,
    /// A word that is in them; any event when absent.
    pub word: Option<&'a str>,
}

/// Events that may be meant, newest first.
pub async fn candidates(db: &Database, look: &Look<'_>) -> Result<Vec<Placed>, StorageError> {
    let rooms: Vec<i64> = look.rooms.iter().map(|room| room.0).collect();
    let kinds: Vec<String> = look.kinds.iter().map(ToString::to_string).collect();
    let pattern = look.word.map_or_else(|| "%".to_owned(), |word| format!("%{word}%"));
    let rows = db.fetch(NEWEST, args![rooms, kinds, look.below, look.scan, pattern]).await?;
    rows.iter().map(|row| Ok(Placed { nid: EventNid(row.int(0)?), ord: row.int(1)? })).collect()
}
