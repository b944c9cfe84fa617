//! What one user has said in a room.

use landbridge_database::{Database, args};

use super::StorageError;
use super::timeline_read::{Placed, placed};
use crate::nid::{RoomNid, TimelineOrd};

// Joins have a name and a picture in them; what else is state is the room's.
const BY_USER: &str = "SELECT nid, ord FROM event
    WHERE room = $1 AND ord < $2 AND sender = $3 AND ts >= $4 AND ts <= $5 AND kind <> 'm.room.redaction'
        AND (state_key IS NULL OR (membership = 'join' AND state_key = $3))
    ORDER BY ord DESC LIMIT $6";

/// Events of a user below a place that were sent between two times (both included), the newest first: messages and all like them,
/// and joins.
pub async fn by_user(
    db: &Database,
    room: RoomNid,
    user: &str,
    below: TimelineOrd,
    (from_ms, until_ms): (i64, i64),
    limit: i64,
) -> Result<Vec<Placed>, StorageError> {
    placed(&db.fetch(BY_USER, args![room.0, below, user, from_ms, until_ms, limit]).await?)
}
