//! Imported history stands where it belongs, and leaves the DAG alone.

use ruma::{EventId, OwnedEventId, RoomVersionId, events::TimelineEventType};

use super::rig::{Rig, text, user};
use crate::{
    event::{Event, Flags},
    nid::TimelineOrd,
    room::{Direction, Import, ImportEvent, Interest, Room, RoomError},
    storage::timeline,
};

fn batch(bodies: &[&str], direction: Direction) -> Import {
    let event = |body: &&str| ImportEvent {
        event_id: Some(id(body)),
        sender: user("ghost"),
        kind: TimelineEventType::RoomMessage,
        content: text(body),
        ts: 1_000_000,
    };
    let events = bodies.iter().map(event).collect();
    Import { events, direction, notify: false, by: Interest::EMPTY }
}

fn id(body: &str) -> OwnedEventId {
    EventId::parse(format!("$import-{body}:network.example")).unwrap()
}

const BACK: Direction = Direction::Backward { forward_if_empty: false };

/// The bodies of all messages, as someone who pages through the room reads them.
async fn bodies(rig: &Rig, room: &Room) -> Vec<String> {
    let rows = timeline::forward(&rig.db, room.nid(), 0, TimelineOrd::MAX, 1000).await.unwrap();
    let events = rig.rooms.cache().read(rows, rig.rooms.cache().mark()).await.unwrap();
    let created = events.iter().position(|event| event.pdu.depth == 1).unwrap();
    assert_eq!(created, 0, "nothing stands before the create event");
    events
        .iter()
        .filter(|event| !event.is_state())
        .filter_map(|event| event.pdu.content_str("body"))
        .collect()
}

fn is_import(event: &Event) -> bool {
    event.flags.has(Flags::IMPORTED)
}

#[tokio::test]
async fn older_and_older_batches_end_up_in_order() {
    let rig = Rig::new().await;
    let room = rig.room(RoomVersionId::V12).await;
    let before = room.snapshot();
    let head = rig.feed.head();
    room.import(batch(&["c", "d"], BACK)).await.unwrap();
    assert_eq!(rig.feed.head(), head, "history takes no position");
    let live = room.say("alice", "live").await.unwrap().event.unwrap();
    assert_eq!(live.pdu.prev_events, [before.extremities[0].reference.id.clone()]);
    room.import(batch(&["a", "b"], BACK)).await.unwrap();
    room.import(batch(&["x"], Direction::Forward)).await.unwrap();
    assert_eq!(bodies(&rig, &room).await, ["a", "b", "c", "d", "live", "x"]);
    let last = room.snapshot().recent().last().unwrap().clone();
    assert!(is_import(&last) && last.place().unwrap().pos > live.place().unwrap().pos);
    let after = room.say("alice", "after").await.unwrap().event.unwrap();
    assert_eq!(
        after.pdu.prev_events,
        std::slice::from_ref(&live.pdu.event_id),
        "history is no extremity"
    );
    assert_eq!(room.snapshot().state, before.state);

    let room_id = room.id().to_owned();
    drop(room);
    let rig = rig.reopen().await;
    let room = rig.rooms.get(&room_id).await.unwrap();
    assert_eq!(bodies(&rig, &room).await, ["a", "b", "c", "d", "live", "x", "after"]);
    let event = rig.rooms.event(&id("a")).await.unwrap().unwrap();
    assert!(is_import(&event));
    assert_eq!((event.pdu.origin_server_ts, event.pdu.sender.clone()), (1_000_000, user("ghost")));
}

#[tokio::test]
async fn an_import_can_be_repeated() {
    let rig = Rig::new().await;
    let room = rig.room(RoomVersionId::V12).await;
    let first = room.import(batch(&["a", "b"], BACK)).await.unwrap();
    assert_eq!(room.import(batch(&["a", "b", "c"], BACK)).await.unwrap()[..2], first);
    assert_eq!(bodies(&rig, &room).await.len(), 3);
    let other = rig.room(RoomVersionId::V12).await;
    assert!(matches!(other.import(batch(&["a"], BACK)).await, Err(RoomError::InvalidParam(_))));
}

#[tokio::test]
async fn an_empty_room_can_ask_for_forward() {
    let rig = Rig::new().await;
    let room = rig.room(RoomVersionId::V12).await;
    let either = Direction::Backward { forward_if_empty: true };
    room.import(batch(&["b"], either)).await.unwrap();
    assert!(room.snapshot().recent().last().is_some_and(|event| is_import(event)));
    room.import(batch(&["a"], either)).await.unwrap();
    assert_eq!(bodies(&rig, &room).await, ["a", "b"]);
}

#[tokio::test]
async fn imported_events_can_be_redacted() {
    let rig = Rig::new().await;
    let room = rig.room(RoomVersionId::V12).await;
    room.import(batch(&["a"], BACK)).await.unwrap();
    let draft = crate::room::Draft {
        redacts: Some(id("a")),
        ..crate::room::Draft::message(
            user("alice"),
            TimelineEventType::RoomRedaction,
            super::rig::raw(&serde_json::json!({})),
        )
    };
    room.send(draft).await.unwrap();
    let event = rig.rooms.event(&id("a")).await.unwrap().unwrap();
    assert!(event.flags.has(Flags::REDACTED) && event.place().is_some());
}
