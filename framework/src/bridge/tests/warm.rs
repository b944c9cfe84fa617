//! What a bridge does when nothing is new to it.

use super::{readback::push, *};

/// The homeserver tells of its ghosts' memberships late: when many were made, long after they were followed.
#[tokio::test]
async fn a_message_is_one_request_whatever_is_told_late_of_its_sender() {
    let (world, _ann, room, bridge) = World::with_room(|_| {}).await;
    world.network.say("c", "bob", "one");
    eventually("a message", || !world.said(&room).is_empty()).await;
    eventually("an empty queue", || world.homeserver.undelivered() == 0).await;
    let before = world.homeserver.requests();
    let invite = json!({
        "type": "m.room.member", "event_id": "$late", "room_id": room, "sender": "@simbot:hs.example",
        "state_key": "@sim_bob:hs.example", "origin_server_ts": 1, "content": { "membership": "invite" },
    });
    push(&world, &bridge, 900, &json!({ "events": [invite] })).await;
    world.network.say("c", "bob", "two");
    eventually("another", || world.said(&room).len() == 2).await;
    assert_eq!(world.homeserver.requests(), before + 1);
    assert_eq!(
        world.homeserver.membership(&room, "@sim_bob:hs.example").as_deref(),
        Some("join"),
        "the name of bob's ghost"
    );
}

/// Nothing else happens in the room that would wake its way to Matrix.
#[tokio::test]
async fn who_may_not_speak_is_told_at_once() {
    let (world, ann, room, _bridge) = World::with_room(|config| config.relay.default = false).await;
    ann.say(&room, "hello?").unwrap();
    let told = || world.said(&room).iter().any(|(_, text)| text.contains("was not bridged"));
    eventually("a word about it", told).await;
    assert!(world.heard().is_empty());
}

/// Each is planned, sent and settled in turn; what a message answers is known when it is sent.
#[tokio::test]
async fn what_is_said_in_one_go_is_sent_once_and_in_order() {
    let (world, ann, room, _bridge) = World::with_room(|_| {}).await;
    let texts: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    let ids: Vec<_> = texts.iter().map(|text| ann.say(&room, text).unwrap()).collect();
    ann.edit(&room, &ids[99], "the last").unwrap();
    let all = || world.heard().last().is_some_and(|text| text.ends_with("the last"));
    eventually("all of them", all).await;
    let heard = world.heard();
    let expected = texts[..99].iter().map(|text| format!("ann: {text}"));
    assert!(expected.eq(heard[..99].iter().cloned()), "{heard:?}");
    assert_eq!(heard.len(), 100);
}
