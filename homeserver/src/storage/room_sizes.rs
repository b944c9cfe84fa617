//! How much of the database rooms take up, roughly.

use landbridge_database::{Database, args};

use super::StorageError;
use crate::nid::RoomNid;

const COUNTS: &str = "SELECT room, COUNT(*) AS events FROM event WHERE ord IS NOT NULL
    GROUP BY room ORDER BY events DESC, room LIMIT $1";
const SAMPLE: &str = "SELECT CAST(COALESCE(SUM(LENGTH(j.json)), 0) AS BIGINT), COUNT(*) FROM event_json j
    WHERE j.nid IN (SELECT nid FROM event WHERE room = $1 AND ord IS NOT NULL ORDER BY ord DESC LIMIT $2)";
/// Bytes of an event's row and its places in indexes, beside its JSON.
const OVERHEAD: i64 = 600;
/// Events of a room that are measured.
const MEASURED: i64 = 200;

/// The rooms with the most events, with how many bytes those take up if all are like the newest ones; the largest first.
pub async fn largest(db: &Database, rooms: i64) -> Result<Vec<(RoomNid, i64)>, StorageError> {
    let mut sizes = Vec::new();
    for row in db.fetch(COUNTS, args![rooms]).await? {
        let (room, events) = (row.int(0)?, row.int(1)?);
        let Some(sample) = db.fetch_optional(SAMPLE, args![room, MEASURED]).await? else {
            continue;
        };
        let (bytes, measured) = (sample.int(0)?, sample.int(1)?.max(1));
        sizes.push((RoomNid(room), events.saturating_mul(bytes / measured + OVERHEAD)));
    }
    sizes.sort_by_key(|(room, bytes)| (std::cmp::Reverse(*bytes), *room));
    Ok(sizes)
}
