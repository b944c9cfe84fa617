//! Which events relate to which ([Relationships](https://spec.matrix.org/v1.19/client-server-api/#forming-relationships-between-events)).

use std::collections::HashSet;

use landbridge_database::{Database, Row, args};

use super::StorageError;
use crate::nid::{EventNid, RoomNid, TimelineOrd};

const CHILDREN_BACK: &str = "SELECT nid, ord, relates_to, rel_type, kind, sender FROM event
    WHERE relates_to = ANY($1) AND room = $2 AND ord < $3 AND ord >= $4
    AND ($5 = '' OR rel_type = $5) AND ($6 = '' OR kind = $6) ORDER BY ord DESC LIMIT $7";
const CHILDREN_FORTH: &str = "SELECT nid, ord, relates_to, rel_type, kind, sender FROM event
    WHERE relates_to = ANY($1) AND room = $2 AND ord >= $3 AND ord < $4
    AND ($5 = '' OR rel_type = $5) AND ($6 = '' OR kind = $6) ORDER BY ord LIMIT $7";
const IDS_OF_CHILDREN: &str = "SELECT id FROM event WHERE relates_to = ANY($1) AND room = $2 AND ord IS NOT NULL ORDER BY ord LIMIT $3";
const BUNDLED: &str = "SELECT c.nid, c.ord, c.relates_to, c.rel_type, c.kind, c.sender FROM event c
    WHERE c.relates_to = ANY($1) AND c.room = $2 AND c.rel_type IN ('m.replace', 'm.reference') AND c.ord < $3 ORDER BY c.ord DESC LIMIT $4";
const THREADS_OF: &str = "SELECT relates_to, COUNT(*), MAX(ord),
    SUM(CASE WHEN sender = $3 THEN 1 ELSE 0 END) FROM event
    WHERE relates_to = ANY($1) AND room = $2 AND rel_type = 'm.thread' AND ord < $5 AND NOT (sender = ANY($4))
    GROUP BY relates_to";
const ANY: &str = "SELECT 1 FROM event WHERE relates_to = ANY($1) LIMIT 1";
const EDITED: &str =
    "SELECT DISTINCT relates_to FROM event WHERE relates_to = ANY($1) AND rel_type = 'm.replace'";
const ANNOTATIONS: &str = "SELECT nid FROM event
    WHERE relates_to = $1 AND rel_type = 'm.annotation' AND room = $2 AND sender = $3 AND kind = $4 LIMIT $5";
const AT_PLACES: &str = "SELECT nid, ord FROM event WHERE room = $1 AND ord = ANY($2)";
const ROOTS: &str = "SELECT c.relates_to, MAX(c.ord) AS latest FROM event c JOIN event r ON r.id = c.relates_to AND r.room = c.room
    WHERE c.room = $1 AND c.rel_type = 'm.thread' AND c.ord < $5 AND r.ord IS NOT NULL
    AND ($2 = '' OR r.sender = $2 OR EXISTS (SELECT 1 FROM event p
        WHERE p.relates_to = c.relates_to AND p.rel_type = 'm.thread' AND p.sender = $2 AND p.room = $1))
    GROUP BY c.relates_to HAVING MAX(c.ord) < $3 ORDER BY latest DESC LIMIT $4";

/// Annotations of one user on one event that are looked through; nobody has so many to say.
const MAX_ANNOTATIONS: i64 = 1_000;

/// An event that relates to another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// The event.
    pub nid: EventNid,
    /// Its place in the timeline.
    pub ord: TimelineOrd,
    /// The event it relates to.
    pub parent: String,
    /// How.
    pub rel_type: String,
    /// Its type.
    pub kind: String,
    /// Who sent it.
    pub sender: String,
}

/// What is asked of the children of some events.
#[derive(Clone, Debug)]
pub struct Query<'a> {
    /// The room of all of them.
    pub room: RoomNid,
    /// The parents.
    pub parents: &'a [String],
    /// Only children of this relation, if any is named.
    pub rel_type: Option<&'a str>,
    /// Only children of this event type, if any is named.
    pub kind: Option<&'a str>,
    /// Lowest place, inclusive.
    pub floor: TimelineOrd,
    /// Highest place, exclusive.
    pub ceiling: TimelineOrd,
    /// Whether the oldest come first.
    pub forwards: bool,
    /// How many at most.
    pub limit: usize,
}

/// A thread as one user sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Its root.
    pub root: String,
    /// How many events it has beside the root.
    pub count: i64,
    /// Place of the latest one.
    pub latest: TimelineOrd,
    /// Whether the user wrote one of them.
    pub participated: bool,
}

/// The children of some events.
pub async fn children(db: &Database, query: &Query<'_>) -> Result<Vec<Child>, StorageError> {
    let (sql, from, to) = if query.forwards {
        (CHILDREN_FORTH, query.floor, query.ceiling)
    } else {
        (CHILDREN_BACK, query.ceiling, query.floor)
    };
    let (rel_type, kind) = (query.rel_type.unwrap_or_default(), query.kind.unwrap_or_default());
    let args =
        args![query.parents.to_vec(), query.room.0, from, to, rel_type, kind, query.limit as i64];
    kin(&db.fetch(sql, args).await?)
}

/// The ids of the children of some events, for looking further down.
pub async fn child_ids(
    db: &Database,
    room: RoomNid,
    parents: &[String],
    limit: usize,
) -> Result<Vec<String>, StorageError> {
    let rows = db.fetch(IDS_OF_CHILDREN, args![parents.to_vec(), room.0, limit as i64]).await?;
    rows.iter().map(|row| Ok(row.text(0)?)).collect()
}

/// Whether anything relates to one of these events.
pub async fn any(db: &Database, parents: &[String]) -> Result<bool, StorageError> {
    Ok(db.fetch_optional(ANY, args![parents.to_vec()]).await?.is_some())
}

/// Which of these events something wants to edit.
pub async fn edited(db: &Database, parents: Vec<String>) -> Result<HashSet<String>, StorageError> {
    let rows = db.fetch(EDITED, args![parents]).await?;
    rows.iter().map(|row| Ok(row.text(0)?)).collect()
}

/// The edits and references of some events of a room that stand below a place, newest first: what is bundled with the events.
pub async fn edits_and_references(
    db: &Database,
    room: RoomNid,
    parents: &[String],
    below: TimelineOrd,
    limit: usize,
) -> Result<Vec<Child>, StorageError> {
    kin(&db.fetch(BUNDLED, args![parents.to_vec(), room.0, below, limit as i64]).await?)
}

/// Whose threads are asked for, and by whom.
#[derive(Clone, Copy, Debug)]
pub struct ThreadsOf<'a> {
    /// The room.
    pub room: RoomNid,
    /// The events that threads may be on.
    pub roots: &'a [String],
    /// Who asks.
    pub user: &'a str,
    /// Users whose events don't count.
    pub ignored: &'a [String],
    /// Events from this place on don't count.
    pub below: TimelineOrd,
}

/// The threads that some events of a room are roots of.
pub async fn threads_of(db: &Database, of: &ThreadsOf<'_>) -> Result<Vec<Thread>, StorageError> {
    let (roots, ignored) = (of.roots.to_vec(), of.ignored.to_vec());
    let rows = db.fetch(THREADS_OF, args![roots, of.room.0, of.user, ignored, of.below]).await?;
    rows.iter()
        .map(|row| {
            Ok(Thread {
                root: row.text(0)?,
                count: row.int(1)?,
                latest: row.int(2)?,
                participated: row.int(3)? > 0,
            })
        })
        .collect()
}

/// Whose annotations are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Annotations<'a> {
    /// The room.
    pub room: RoomNid,
    /// The event that they are on.
    pub to: &'a str,
    /// Who made them.
    pub sender: &'a str,
    /// Their type.
    pub kind: &'a str,
}

/// The annotations that a user has made on an event and not redacted.
pub async fn annotations(
    db: &Database,
    of: &Annotations<'_>,
) -> Result<Vec<EventNid>, StorageError> {
    let args = args![of.to, of.room.0, of.sender, of.kind, MAX_ANNOTATIONS];
    let rows = db.fetch(ANNOTATIONS, args).await?;
    rows.iter().map(|row| Ok(EventNid(row.int(0)?))).collect()
}

/// The events at some places of a room's timeline.
pub async fn at_places(
    db: &Database,
    room: RoomNid,
    places: &[TimelineOrd],
) -> Result<Vec<(EventNid, TimelineOrd)>, StorageError> {
    let rows = db.fetch(AT_PLACES, args![room.0, places.to_vec()]).await?;
    rows.iter().map(|row| Ok((EventNid(row.int(0)?), row.int(1)?))).collect()
}

/// Which threads of a room are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Roots<'a> {
    /// The room.
    pub room: RoomNid,
    /// Only threads that he began or wrote in, if anyone is named.
    pub participant: Option<&'a str>,
    /// Only threads whose latest event stands below this place.
    pub latest_below: TimelineOrd,
    /// Events from this place on don't count.
    pub ceiling: TimelineOrd,
    /// How many at most.
    pub limit: usize,
}

/// The roots of a room's threads with the place of each one's latest event, the latest thread first.
pub async fn roots(
    db: &Database,
    asked: &Roots<'_>,
) -> Result<Vec<(String, TimelineOrd)>, StorageError> {
    let participant = asked.participant.unwrap_or_default();
    let (below, ceiling) = (asked.latest_below, asked.ceiling);
    let args = args![asked.room.0, participant, below, asked.limit as i64, ceiling];
    let rows = db.fetch(ROOTS, args).await?;
    rows.iter().map(|row| Ok((row.text(0)?, row.int(1)?))).collect()
}

fn kin(rows: &[Row]) -> Result<Vec<Child>, StorageError> {
    rows.iter()
        .map(|row| {
            Ok(Child {
                nid: EventNid(row.int(0)?),
                ord: row.int(1)?,
                parent: row.text(2)?,
                rel_type: row.text(3)?,
                kind: row.text(4)?,
                sender: row.text(5)?,
            })
        })
        .collect()
}
