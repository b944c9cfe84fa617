//! What of an event can be found: the text, and where it comes from.

use std::sync::Arc;

use landbridge_database::Database;
use ruma::events::TimelineEventType;
use serde_json::Value;

use super::Words;
use crate::event::{Event, Flags};
use crate::nid::TimelineOrd;
use crate::room::{RoomError, Rooms};
use crate::services::relations::{is_valid_edit, relation_of};
use crate::storage::relations::{Query, children};
use crate::storage::search::Document;

/// The body of a message.
pub(super) const BODY: i64 = 0;
/// The name of a room.
pub(super) const NAME: i64 = 1;
/// The topic of a room.
pub(super) const TOPIC: i64 = 2;

/// The types of events that can be found.
pub(super) const KINDS: [&str; 3] = ["m.room.message", "m.room.name", "m.room.topic"];
pub(super) const REDACTION: &str = "m.room.redaction";

/// Edits of one event that are looked at.
const MAX_EDITS: usize = 100;

/// The event that this one edits, if it says so.
pub(super) fn edited(event: &Event) -> Option<String> {
    let relation = relation_of(event).filter(|relation| relation.rel_type == "m.replace")?;
    (!event.is_state()).then(|| relation.event_id.into_owned())
}

/// Whether an event is of a type that can be found.
pub(super) fn is_found(event: &Event) -> bool {
    use TimelineEventType::{RoomMessage, RoomName, RoomTopic};
    matches!(event.kind(), RoomMessage | RoomName | RoomTopic)
}

/// What an event can be found by, as it is now: with its newest edit, and not at all where it was redacted.
pub(super) fn document(event: &Event, edit: Option<&Event>) -> Option<Document> {
    if event.flags.has(Flags::REDACTED) || !event.flags.is_shown() || edited(event).is_some() {
        return None;
    }
    let state = event.pdu.state_key() == Some("");
    let (part, text, source) = match event.kind() {
        TimelineEventType::RoomMessage if !event.is_state() => {
            let text = match edit {
                Some(edit) => new_body(edit),
                None => event.pdu.content_str("body"),
            };
            (BODY, text?, edit.map(|edit| edit.nid))
        }
        TimelineEventType::RoomName if state => (NAME, event.pdu.content_str("name")?, None),
        TimelineEventType::RoomTopic if state => (TOPIC, topic(event)?, None),
        _ => return None,
    };
    let words = Words::of(&text);
    if words.is_empty() {
        return None;
    }
    let words = words.iter().collect::<Vec<_>>().join(" ");
    Some(Document { room: event.room, part, source, words })
}

/// The edit that an event is shown with.
pub(super) async fn newest_edit(
    db: &Database,
    rooms: &Rooms,
    event: &Arc<Event>,
) -> Result<Option<Arc<Event>>, RoomError> {
    let parents = [event.pdu.event_id.to_string()];
    let query = Query {
        room: event.room,
        parents: &parents,
        rel_type: Some("m.replace"),
        kind: Some("m.room.message"),
        floor: TimelineOrd::MIN,
        ceiling: TimelineOrd::MAX,
        forwards: false,
        limit: MAX_EDITS,
    };
    let nids: Vec<_> = children(db, &query).await?.iter().map(|child| child.nid).collect();
    if nids.is_empty() {
        return Ok(None);
    }
    let edits = rooms.events(&nids).await?;
    let valid = edits.into_iter().filter(|edit| {
        edit.flags.is_shown() && !edit.flags.has(Flags::REDACTED) && is_valid_edit(event, edit)
    });
    Ok(valid.max_by(|one, other| {
        let rank = |event: &Arc<Event>| (event.pdu.origin_server_ts, event.pdu.event_id.clone());
        rank(one).cmp(&rank(other))
    }))
}

fn new_body(edit: &Event) -> Option<String> {
    let content: Value = serde_json::from_str(edit.pdu.content().get()).ok()?;
    Some(content["m.new_content"]["body"].as_str()?.to_owned())
}

/// A topic in both of its forms.
fn topic(event: &Event) -> Option<String> {
    let content: Value = serde_json::from_str(event.pdu.content().get()).ok()?;
    let plain = content["topic"].as_str();
    let texts = content["m.topic"]["m.text"].as_array().into_iter().flatten();
    let mut texts = texts
        .filter(|text| text["mimetype"].as_str().is_none_or(|mimetype| mimetype == "text/plain"));
    let other = texts.find_map(|text| text["body"].as_str()).filter(|text| Some(*text) != plain);
    match (plain, other) {
        (None, None) => None,
        (one, other) => Some([one, other].into_iter().flatten().collect::<Vec<_>>().join(" ")),
    }
}
