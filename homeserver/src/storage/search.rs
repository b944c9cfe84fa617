//! The words of events: SQLite's FTS5, Postgres' `tsvector`.

use landbridge_database::{Database, Sql, args};
use serde_json::{Value, json};

use super::StorageError;
use crate::{
    commit::CommitTx,
    nid::{EventNid, ORD_SHIFT, Pos, RoomNid, TimelineOrd},
};

/// Matches that are looked at for one request, the newest of them. It bounds what a word that stands everywhere costs.
const MATCHES: i64 = 20_000;
/// Rooms that are named to SQLite's index itself; with more of them the matches are sorted out afterwards.
const NAMED_ROOMS: usize = 100;
/// Bytes of words, about, that are written by one statement.
const AT_ONCE: usize = 256 * 1024;

const DROP_DOCS: &str = "DELETE FROM search_doc WHERE nid = ANY($1) RETURNING nid";
const DROP_WORDS: Sql = Sql::Each {
    sqlite: "DELETE FROM search_words WHERE rowid IN (SELECT value FROM json_each($1))",
    postgres: "DELETE FROM search_words WHERE nid = ANY($1)",
};
// Events that were deleted since they were read are not written any more.
const PUT_DOCS: Sql = Sql::Each {
    sqlite: "INSERT INTO search_doc (nid, part, source)
        SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each($1)
        WHERE EXISTS (SELECT 1 FROM event e WHERE e.nid = value ->> 0)",
    postgres: "INSERT INTO search_doc (nid, part, source)
        SELECT (value ->> 0)::bigint, (value ->> 1)::bigint, (value ->> 2)::bigint FROM jsonb_array_elements($1::jsonb)
        WHERE EXISTS (SELECT 1 FROM event e WHERE e.nid = (value ->> 0)::bigint)",
};
const PUT_WORDS: Sql = Sql::Each {
    sqlite: "INSERT INTO search_words (rowid, room, words)
        SELECT value ->> 0, 'r' || (value ->> 1), value ->> 2 FROM json_each($1)
        WHERE EXISTS (SELECT 1 FROM event e WHERE e.nid = value ->> 0)",
    postgres: "INSERT INTO search_words (nid, room, words)
        SELECT (value ->> 0)::bigint, (value ->> 1)::bigint, to_tsvector('simple', value ->> 2) FROM jsonb_array_elements($1::jsonb)
        WHERE EXISTS (SELECT 1 FROM event e WHERE e.nid = (value ->> 0)::bigint)",
};
const OF_SOURCES: &str = "SELECT nid FROM search_doc WHERE source = ANY($1)";
const CURSOR: &str = "SELECT pos FROM follower WHERE name = 'search'";
const SET_CURSOR: &str = "UPDATE follower SET pos = $1 WHERE name = 'search' AND pos < $1";
const SINCE: &str = "SELECT e.nid, e.pos FROM room r JOIN event e ON e.room = r.nid AND e.ord > $1
    WHERE r.pos > $2 AND e.pos > $2 AND e.pos <= $3 AND e.kind = ANY($4) ORDER BY e.pos LIMIT $5";
const BACKLOG: &str = "SELECT id, lowest, highest FROM search_backlog ORDER BY id DESC LIMIT 1";
const ADD_BACKLOG: &str = "INSERT INTO search_backlog (id, lowest, highest)
    SELECT COALESCE(MAX(id), 0) + 1, $1, $2 FROM search_backlog";
const SHRINK_BACKLOG: &str = "UPDATE search_backlog SET highest = $2 WHERE id = $1";
const END_BACKLOG: &str = "DELETE FROM search_backlog WHERE id = $1";
const RANGE: &str = "SELECT nid FROM event WHERE nid >= $1 AND nid <= $2 AND kind = ANY($3)
    AND ord IS NOT NULL ORDER BY nid DESC LIMIT $4";

macro_rules! find {
    ($order:literal) => {
        Sql::Each {
            sqlite: concat!(
                "SELECT m.nid, e.ord, CAST(-1000000000000.0 * m.score AS INTEGER), e.room FROM (
                    SELECT rowid AS nid, bm25(search_words, 0.0, 1.0) AS score FROM search_words
                    WHERE search_words MATCH $1 ORDER BY rowid DESC LIMIT $7) m
                JOIN event e ON e.nid = m.nid JOIN search_doc d ON d.nid = m.nid
                WHERE e.room IN (SELECT value FROM json_each($2))
                    AND d.part IN (SELECT value FROM json_each($3))
                    AND (e.ord < $4 OR (e.ord = $4 AND e.nid < $5)) ORDER BY ",
                $order,
                " LIMIT $6"
            ),
            postgres: concat!(
                "SELECT m.nid, e.ord, CAST(-1000000000000 * m.score AS BIGINT), e.room FROM (
                    SELECT nid, -ts_rank(words, to_tsquery('simple', $1), 1) AS score FROM search_words
                    WHERE words @@ to_tsquery('simple', $1) AND room = ANY($2) ORDER BY nid DESC LIMIT $7) m
                JOIN event e ON e.nid = m.nid JOIN search_doc d ON d.nid = m.nid
                WHERE d.part = ANY($3) AND (e.ord < $4 OR (e.ord = $4 AND e.nid < $5)) ORDER BY ",
                $order,
                " LIMIT $6"
            ),
        }
    };
}
const BY_RANK: Sql = find!("m.score, e.ord DESC, e.nid DESC");
const BY_TIME: Sql = find!("e.ord DESC, e.nid DESC");

/// What can be found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The room.
    pub room: RoomNid,
    /// What of the event: see the table.
    pub part: i64,
    /// The edit whose words these are, if they are an edit's.
    pub source: Option<EventNid>,
    /// The words, separated by spaces.
    pub words: String,
}

/// Events whose words are still to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// Which of the ranges it is.
    pub id: i64,
    /// The lowest number.
    pub lowest: EventNid,
    /// The highest number.
    pub highest: EventNid,
}

/// What is looked for.
#[derive(Debug)]
pub struct Look<'a> {
    /// Words that all must begin some word; letters and digits only.
    pub words: Vec<&'a str>,
    /// Where.
    pub rooms: &'a [RoomNid],
    /// In what.
    pub parts: &'a [i64],
    /// Below this place; of events at the place itself, below this number.
    pub below: (TimelineOrd, EventNid),
    /// Whether the best come first instead of the newest.
    pub by_rank: bool,
    /// How many.
    pub limit: usize,
}

/// An event that has the words.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// The event.
    pub nid: EventNid,
    /// Its place.
    pub ord: TimelineOrd,
    /// How well it fits; more is better.
    pub rank: f64,
    /// Its room.
    pub room: RoomNid,
}

/// Takes the words of events away.
pub async fn forget(tx: &mut CommitTx, events: &[EventNid]) -> Result<(), StorageError> {
    let nids: Vec<i64> = events.iter().map(|event| event.0).collect();
    let gone = tx.sql().fetch(DROP_DOCS, args![nids]).await?;
    if !gone.is_empty() {
        let gone: Vec<i64> = gone.iter().map(|row| row.int(0)).collect::<Result<_, _>>()?;
        tx.sql().execute(DROP_WORDS, args![gone]).await?;
    }
    Ok(())
}

/// Writes the words of events in the place of those before; none: it can't be found any more. A few statements, however many events.
pub async fn put(
    tx: &mut CommitTx,
    events: &[(EventNid, Option<Document>)],
) -> Result<(), StorageError> {
    let nids: Vec<EventNid> = events.iter().map(|(nid, _)| *nid).collect();
    forget(tx, &nids).await?;
    for (docs, words) in chunks(events) {
        tx.sql().execute(PUT_DOCS, args![docs]).await?;
        tx.sql().execute(PUT_WORDS, args![words]).await?;
    }
    Ok(())
}

/// The rows of documents and of their words, as JSON, a piece at a time.
fn chunks(events: &[(EventNid, Option<Document>)]) -> Vec<(String, String)> {
    let mut chunks = Vec::new();
    let mut found = events.iter().filter_map(|(nid, document)| Some((nid.0, document.as_ref()?)));
    loop {
        let (mut docs, mut words, mut size) = (Vec::new(), Vec::new(), 0);
        while size < AT_ONCE
            && let Some((nid, document)) = found.next()
        {
            size += document.words.len();
            docs.push(json!([nid, document.part, document.source.map(|source| source.0)]));
            words.push(json!([nid, document.room.0, document.words]));
        }
        if docs.is_empty() {
            return chunks;
        }
        chunks.push((Value::Array(docs).to_string(), Value::Array(words).to_string()));
    }
}

/// The events that are found by the words of these edits.
pub async fn of_sources(
    db: &Database,
    sources: &[EventNid],
) -> Result<Vec<EventNid>, StorageError> {
    let sources: Vec<i64> = sources.iter().map(|source| source.0).collect();
    let rows = db.fetch(OF_SOURCES, args![sources]).await?;
    rows.iter().map(|row| Ok(EventNid(row.int(0)?))).collect()
}

/// Up to which position the words are written.
pub async fn cursor(db: &Database) -> Result<Pos, StorageError> {
    let row = db.fetch_optional(CURSOR, args![]).await?;
    let row = row.ok_or_else(|| StorageError::Damaged("no cursor of the search".into()))?;
    Ok(row.int(0)?)
}

/// Moves the cursor.
pub async fn set_cursor(tx: &mut CommitTx, pos: Pos) -> Result<(), StorageError> {
    tx.sql().execute(SET_CURSOR, args![pos]).await?;
    Ok(())
}

/// Live events of some types after a position and up to another, oldest first, with their positions.
pub async fn since(
    db: &Database,
    after: Pos,
    upto: Pos,
    kinds: &[&str],
    limit: usize,
) -> Result<Vec<(EventNid, Pos)>, StorageError> {
    let values = args![after << ORD_SHIFT, after, upto, owned(kinds), limit as i64];
    let rows = db.fetch(SINCE, values).await?;
    rows.iter().map(|row| Ok((EventNid(row.int(0)?), row.int(1)?))).collect()
}

/// A range of events whose words are still to be written, the newest range first.
pub async fn backlog(db: &Database) -> Result<Option<Backlog>, StorageError> {
    let row = db.fetch_optional(BACKLOG, args![]).await?;
    row.map(|row| {
        let (lowest, highest) = (EventNid(row.int(1)?), EventNid(row.int(2)?));
        Ok(Backlog { id: row.int(0)?, lowest, highest })
    })
    .transpose()
}

/// Notes a range of events whose words are to be written.
pub async fn add_backlog(
    tx: &mut CommitTx,
    lowest: EventNid,
    highest: EventNid,
) -> Result<(), StorageError> {
    tx.sql().execute(ADD_BACKLOG, args![lowest.0, highest.0]).await?;
    Ok(())
}

/// Takes the events from `done` on out of a range.
pub async fn shrink_backlog(
    tx: &mut CommitTx,
    backlog: Backlog,
    done: EventNid,
) -> Result<(), StorageError> {
    if done <= backlog.lowest {
        tx.sql().execute(END_BACKLOG, args![backlog.id]).await?;
    } else {
        tx.sql().execute(SHRINK_BACKLOG, args![backlog.id, done.0 - 1]).await?;
    }
    Ok(())
}

/// Events of some types in a range, the highest numbers first.
pub async fn range(
    db: &Database,
    backlog: Backlog,
    kinds: &[&str],
    limit: usize,
) -> Result<Vec<EventNid>, StorageError> {
    let values = args![backlog.lowest.0, backlog.highest.0, owned(kinds), limit as i64];
    let rows = db.fetch(RANGE, values).await?;
    rows.iter().map(|row| Ok(EventNid(row.int(0)?))).collect()
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

/// The events that have all the words.
pub async fn find(db: &Database, look: &Look<'_>) -> Result<Vec<Match>, StorageError> {
    if look.words.is_empty() || look.rooms.is_empty() {
        return Ok(Vec::new());
    }
    let rooms: Vec<i64> = look.rooms.iter().map(|room| room.0).collect();
    let query = match db.engine() {
        landbridge_database::Engine::Sqlite => for_sqlite(look),
        landbridge_database::Engine::Postgres => for_postgres(look),
    };
    let (ord, nid) = look.below;
    let limit = look.limit as i64;
    let values = args![query, rooms, look.parts.to_vec(), ord, nid.0, limit, MATCHES];
    let rows = db.fetch(if look.by_rank { BY_RANK } else { BY_TIME }, values).await?;
    rows.iter()
        .map(|row| {
            Ok(Match {
                nid: EventNid(row.int(0)?),
                ord: row.int(1)?,
                rank: row.int(2)? as f64 / 1e12,
                room: RoomNid(row.int(3)?),
            })
        })
        .collect()
}

/// The query in the language of FTS5.
fn for_sqlite(look: &Look<'_>) -> String {
    let words: Vec<_> = look.words.iter().map(|word| format!("\"{word}\" *")).collect();
    let words = format!("words : ({})", words.join(" AND "));
    if look.rooms.len() > NAMED_ROOMS {
        return words;
    }
    let rooms: Vec<_> = look.rooms.iter().map(|room| format!("\"r{room}\"")).collect();
    format!("{words} AND room : ({})", rooms.join(" OR "))
}

/// The query in the language of `to_tsquery`.
fn for_postgres(look: &Look<'_>) -> String {
    let words: Vec<_> = look.words.iter().map(|word| format!("'{word}':*")).collect();
    words.join(" & ")
}
