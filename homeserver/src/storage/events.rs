//! Events: the narrow row that decides, and the bytes.

use bytes::Bytes;
use landbridge_database::{Database, Row, args};

use super::StorageError;
use crate::{
    commit::CommitTx,
    nid::{EventNid, Pos, RoomNid, StateGroup, TimelineOrd},
};

/// The columns of [`StoredEvent`], for queries of other files: `FROM event e JOIN event_json j ON j.nid = e.nid`.
macro_rules! event_columns {
    () => {
        "e.nid, e.room, e.id, e.flags, e.pos, e.ord, e.state_before, e.state_after, e.replaces, \
         e.redacted_by, e.txn_scope, e.txn_id, e.redacts, j.json, e.sticky_until"
    };
}
pub(crate) use event_columns;

const INSERT: &str =
    "INSERT INTO event (nid, id, room, ord, pos, kind, state_key, sender, depth, ts,
        flags, state_before, state_after, replaces, membership, redacts, txn_scope, txn_id,
        relates_to, rel_type, sticky_until)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)";
const INSERT_JSON: &str = "INSERT INTO event_json (nid, json) VALUES ($1, $2)";
const BY_IDS: &str = concat!(
    "SELECT ",
    event_columns!(),
    " FROM event e JOIN event_json j ON j.nid = e.nid WHERE e.id = ANY($1)"
);
const BY_NIDS: &str = concat!(
    "SELECT ",
    event_columns!(),
    " FROM event e JOIN event_json j ON j.nid = e.nid WHERE e.nid = ANY($1)"
);
const KEYS: &str = "SELECT nid, id, kind, state_key, membership FROM event WHERE nid = ANY($1)";
const REDACTIONS: &str = "SELECT nid FROM event WHERE redacts = $1 AND room = $2 ORDER BY nid";
const SET_REDACTED: &str = "UPDATE event SET redacted_by = $2, flags = $3,
        relates_to = NULL, rel_type = NULL, sticky_until = NULL WHERE nid = $1";
const SET_JSON: &str = "UPDATE event_json SET json = $2 WHERE nid = $1";
const PLACE: &str =
    "UPDATE event SET flags = $2, state_before = $3, state_after = $4, replaces = $5,
        ord = $6, pos = $7, sticky_until = $8 WHERE nid = $1";

/// An event to be stored.
#[derive(Clone, Debug)]
pub struct NewEvent<'a> {
    /// Its number.
    pub nid: EventNid,
    /// Its id.
    pub id: &'a str,
    /// Its room.
    pub room: RoomNid,
    /// Its place in the timeline and its position; `None`: in no timeline. History has no position.
    pub place: Option<(TimelineOrd, Option<Pos>)>,
    /// Its type.
    pub kind: &'a str,
    /// Its state key.
    pub state_key: Option<&'a str>,
    /// Its sender.
    pub sender: &'a str,
    /// Its depth.
    pub depth: i64,
    /// When it says it was sent, in milliseconds since 1970.
    pub ts: i64,
    /// What was decided about it (`event::Flags`).
    pub flags: u32,
    /// The state before it.
    pub state_before: Option<StateGroup>,
    /// The state after it.
    pub state_after: Option<StateGroup>,
    /// The state event it replaced.
    pub replaces: Option<EventNid>,
    /// `content.membership` of a member event.
    pub membership: Option<&'a str>,
    /// The event it redacts.
    pub redacts: Option<&'a str>,
    /// Who sent it with which transaction id.
    pub txn: Option<(&'a str, &'a str)>,
    /// Until when it is sticky, in milliseconds since 1970.
    pub sticky_until: Option<i64>,
    /// Its canonical bytes.
    pub raw: &'a [u8],
}

/// An event as stored.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    /// Its number.
    pub nid: EventNid,
    /// Its room.
    pub room: RoomNid,
    /// Its id.
    pub id: String,
    /// What was decided about it (`event::Flags`).
    pub flags: u32,
    /// Its position; `None` for history and for what is in no timeline.
    pub pos: Option<Pos>,
    /// Its place in the timeline.
    pub ord: Option<TimelineOrd>,
    /// The state before it.
    pub state_before: Option<StateGroup>,
    /// The state after it.
    pub state_after: Option<StateGroup>,
    /// The state event it replaced.
    pub replaces: Option<EventNid>,
    /// The redaction that was applied to it.
    pub redacted_by: Option<EventNid>,
    /// Who sent it with which transaction id.
    pub txn: Option<(String, String)>,
    /// The event it redacts.
    pub redacts: Option<String>,
    /// Until when it is sticky, in milliseconds since 1970.
    pub sticky_until: Option<i64>,
    /// Its canonical bytes.
    pub raw: Bytes,
}

/// Stores an event.
pub async fn insert(tx: &mut CommitTx, event: &NewEvent<'_>) -> Result<(), StorageError> {
    let (ord, pos) = event.place.map_or((None, None), |(ord, pos)| (Some(ord), pos));
    let (scope, txn) = event.txn.map_or((None, None), |(scope, id)| (Some(scope), Some(id)));
    let (relates_to, rel_type) = relation(event.raw);
    tx.sql()
        .later(
            INSERT,
            args![
                event.nid.0,
                event.id,
                event.room.0,
                ord,
                pos,
                event.kind,
                event.state_key,
                event.sender,
                event.depth,
                event.ts,
                event.flags,
                event.state_before.map(|g| g.0),
                event.state_after.map(|g| g.0),
                event.replaces.map(|e| e.0),
                event.membership,
                event.redacts,
                scope,
                txn,
                relates_to,
                rel_type,
                event.sticky_until,
            ],
        )
        .await?;
    tx.sql().later(INSERT_JSON, args![event.nid.0, event.raw]).await?;
    Ok(())
}

/// What the event says it relates to, and how: both or nothing.
fn relation(raw: &[u8]) -> (Option<String>, Option<String>) {
    #[derive(serde::Deserialize)]
    struct Event {
        content: Content,
    }
    #[derive(serde::Deserialize)]
    struct Content {
        #[serde(rename = "m.relates_to")]
        relates_to: RelatesTo,
    }
    #[derive(serde::Deserialize)]
    struct RelatesTo {
        event_id: String,
        rel_type: String,
    }
    const KEY: &[u8] = b"m.relates_to";
    // Most events relate to nothing, which a search tells much sooner than a parser.
    if !raw.windows(KEY.len()).any(|window| window == KEY) {
        return (None, None);
    }
    let Ok(Event { content: Content { relates_to } }) = serde_json::from_slice(raw) else {
        return (None, None);
    };
    (Some(relates_to.event_id), Some(relates_to.rel_type))
}

/// Gives an event that was known only as an outlier what was decided about it since, and its place.
pub async fn place(tx: &mut CommitTx, event: &NewEvent<'_>) -> Result<(), StorageError> {
    let (ord, pos) = event.place.map_or((None, None), |(ord, pos)| (Some(ord), pos));
    let groups = (event.state_before.map(|g| g.0), event.state_after.map(|g| g.0));
    let (flags, replaces) = (event.flags, event.replaces.map(|e| e.0));
    let args =
        args![event.nid.0, flags, groups.0, groups.1, replaces, ord, pos, event.sticky_until];
    tx.sql().later(PLACE, args).await?;
    Ok(())
}

/// Puts what redaction left of an event in its place.
pub async fn redact(
    tx: &mut CommitTx,
    nid: EventNid,
    by: EventNid,
    flags: u32,
    raw: &[u8],
) -> Result<(), StorageError> {
    tx.sql().execute(SET_REDACTED, args![nid.0, by.0, flags]).await?;
    tx.sql().execute(SET_JSON, args![nid.0, raw]).await?;
    Ok(())
}

/// Events by their ids, in no order; unknown ones are left out.
pub async fn by_ids(db: &Database, ids: Vec<String>) -> Result<Vec<StoredEvent>, StorageError> {
    db.fetch(BY_IDS, args![ids]).await?.iter().map(stored).collect()
}

/// Events by their numbers, in no order; unknown ones are left out.
pub async fn by_nids(db: &Database, nids: &[EventNid]) -> Result<Vec<StoredEvent>, StorageError> {
    let list: Vec<i64> = nids.iter().map(|nid| nid.0).collect();
    db.fetch(BY_NIDS, args![list]).await?.iter().map(stored).collect()
}

/// The type, state key and membership of an event, as a state needs them.
#[derive(Clone, Debug)]
pub struct EventKey {
    /// Its number.
    pub nid: EventNid,
    /// Its id.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// Its state key.
    pub state_key: Option<String>,
    /// `content.membership` of a member event.
    pub membership: Option<String>,
}

/// The keys of events by their numbers, in no order.
pub async fn keys(db: &Database, nids: &[EventNid]) -> Result<Vec<EventKey>, StorageError> {
    let list: Vec<i64> = nids.iter().map(|nid| nid.0).collect();
    let rows = db.fetch(KEYS, args![list]).await?;
    rows.iter()
        .map(|row| {
            Ok(EventKey {
                nid: EventNid(row.int(0)?),
                id: row.text(1)?,
                kind: row.text(2)?,
                state_key: row.opt_text(3)?,
                membership: row.opt_text(4)?,
            })
        })
        .collect()
}

/// The events of a room that say they redact `target`, first stored first.
pub async fn redactions_of(
    db: &Database,
    room: RoomNid,
    target: &str,
) -> Result<Vec<EventNid>, StorageError> {
    let rows = db.fetch(REDACTIONS, args![target, room.0]).await?;
    rows.iter().map(|row| Ok(EventNid(row.int(0)?))).collect()
}

/// Reads a row of [`event_columns`].
pub(super) fn stored(row: &Row) -> Result<StoredEvent, StorageError> {
    Ok(StoredEvent {
        nid: EventNid(row.int(0)?),
        room: RoomNid(row.int(1)?),
        id: row.text(2)?,
        flags: row.int(3)? as u32,
        pos: row.opt_int(4)?,
        ord: row.opt_int(5)?,
        state_before: row.opt_int(6)?.map(StateGroup),
        state_after: row.opt_int(7)?.map(StateGroup),
        replaces: row.opt_int(8)?.map(EventNid),
        redacted_by: row.opt_int(9)?.map(EventNid),
        txn: row.opt_text(10)?.zip(row.opt_text(11)?),
        redacts: row.opt_text(12)?,
        raw: Bytes::from(row.blob(13)?),
        sticky_until: row.opt_int(14)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relation_is_whole_or_none() {
        let whole = br#"{"content":{"m.relates_to":{"event_id":"$a","rel_type":"m.thread"}}}"#;
        assert_eq!(relation(whole), (Some("$a".to_owned()), Some("m.thread".to_owned())));
        let reply = br#"{"content":{"m.relates_to":{"m.in_reply_to":{"event_id":"$a"}}}}"#;
        assert_eq!(relation(reply), (None, None));
        let odd = br#"{"content":{"m.relates_to":{"event_id":5,"rel_type":"m.thread"}}}"#;
        assert_eq!(relation(odd), (None, None));
        assert_eq!(relation(br#"{"content":{"body":"m.relates_to"}}"#), (None, None));
    }
}
