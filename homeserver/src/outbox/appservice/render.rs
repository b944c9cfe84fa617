//! Events and to-device messages as application services get them.

use std::fmt::Write as _;
use std::sync::Arc;

use ruma::events::TimelineEventType;
use ruma::{DeviceId, UserId};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::event::{Event, Unsigned};
use crate::feed::{Change, Published};
use crate::nid::EventNid;
use crate::room::Rooms;
use crate::storage::StorageError;

/// What an invitation shows of its room (Client-Server API, "Stripped state").
const STRIPPED: [&str; 7] = [
    "m.room.create",
    "m.room.join_rules",
    "m.room.canonical_alias",
    "m.room.avatar",
    "m.room.encryption",
    "m.room.name",
    "m.room.topic",
];

/// An event in the client format, with its age at the top as well, where older bridges look for it. `changes` is
/// what the running commit has published, `at` the event's place in it.
pub(super) async fn event(
    rooms: Option<&Rooms>,
    changes: &[Published],
    at: usize,
    event: &Event,
    now_ms: i64,
) -> Result<String, StorageError> {
    let replaced = match event.replaces {
        Some(nid) => find(rooms, &changes[..at], nid).await?,
        None => None,
    };
    let age = (now_ms - event.pdu.origin_server_ts).max(0);
    let unsigned = Unsigned {
        age: Some(age),
        prev_content: replaced.as_ref().map(|event| event.pdu.content()),
        prev_sender: replaced.as_ref().map(|event| event.pdu.sender.as_str()),
        replaces_state: replaced.as_ref().map(|event| event.pdu.event_id.as_str()),
        transaction_id: event.txn.as_ref().map(|txn| txn.id.as_str()),
        ..Unsigned::default()
    };
    let mut out = String::with_capacity(event.client().open().len() + 256);
    let _ = write!(out, "{{\"age\":{age},");
    let start = out.len();
    event.write_client(&mut out, true, &unsigned);
    // Its opening brace is written already.
    out.remove(start);
    if is_invite(event) {
        let state = stripped(rooms, &changes[..at], event).await?;
        // `unsigned` holds the age, so it is there, and it stands last.
        out.truncate(out.len() - 2);
        let _ = write!(out, ",\"invite_room_state\":[{state}]}}}}");
    }
    Ok(out)
}

/// A to-device message with its addressee (MSC2409, MSC4203).
pub(super) fn to_device(
    message: &str,
    user: &UserId,
    device: &DeviceId,
) -> Result<String, StorageError> {
    let mut object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(message)
        .map_err(|error| {
            StorageError::Damaged(format!("a to-device message is not JSON: {error}"))
        })?;
    object.insert("to_user_id".to_owned(), user.as_str().into());
    object.insert("to_device_id".to_owned(), device.as_str().into());
    Ok(serde_json::Value::Object(object).to_string())
}

fn is_invite(event: &Event) -> bool {
    #[derive(serde::Deserialize)]
    struct Content {
        membership: String,
    }
    *event.kind() == TimelineEventType::RoomMember
        && serde_json::from_str::<Content>(event.pdu.content().get())
            .is_ok_and(|content| content.membership == "invite")
}

/// An event that is durable, or that came earlier in this commit.
async fn find(
    rooms: Option<&Rooms>,
    earlier: &[Published],
    nid: EventNid,
) -> Result<Option<Arc<Event>>, StorageError> {
    let near = earlier.iter().rev().find_map(|published| match &published.change {
        Change::Event(event, _) if event.nid == nid => Some(event.clone()),
        _ => None,
    });
    match (near, rooms) {
        (Some(event), _) => Ok(Some(event)),
        (None, Some(rooms)) => Ok(rooms.cache().get(nid).await?),
        (None, None) => Ok(None),
    }
}

/// The stripped state of an invitation's room at that moment, with the inviter's member event: the durable state, and
/// over it what came earlier in this commit, which for a new room is all of it.
async fn stripped(
    rooms: Option<&Rooms>,
    earlier: &[Published],
    invite: &Event,
) -> Result<String, StorageError> {
    let wanted = STRIPPED
        .iter()
        .map(|kind| (*kind, ""))
        .chain([("m.room.member", invite.pdu.sender.as_str())]);
    let room = rooms.and_then(|rooms| rooms.loaded(invite.room));
    let snapshot = room.map(|room| room.snapshot());
    let mut out = String::new();
    for (kind, key) in wanted {
        let fresh = earlier.iter().rev().find_map(|published| match &published.change {
            Change::Event(event, _)
                if event.room == invite.room
                    && event.pdu.state_key() == Some(key)
                    && event.kind().to_string() == kind =>
            {
                Some(event.clone())
            }
            _ => None,
        });
        let known = snapshot.as_ref().and_then(|snapshot| snapshot.state_nid(kind, key));
        let event = match (fresh, known) {
            (Some(event), _) => Some(event),
            (None, Some(nid)) => find(rooms, earlier, nid).await?,
            (None, None) => None,
        };
        if let Some(event) = event {
            if !out.is_empty() {
                out.push(',');
            }
            event.write_stripped(&mut out);
        }
    }
    Ok(out)
}

/// Typing or a receipt: as in `/sync`, with the room's id (Application Service API, "Pushing ephemeral data").
pub(super) fn ephemeral(kind: &str, room: &str, content: &Value) -> Option<Box<RawValue>> {
    let event = json!({ "type": kind, "room_id": room, "content": content });
    serde_json::value::to_raw_value(&event).ok()
}

/// A user's presence.
pub(super) fn presence(user: &UserId, content: &Value) -> Option<Box<RawValue>> {
    let event = json!({ "type": "m.presence", "sender": user, "content": content });
    serde_json::value::to_raw_value(&event).ok()
}
