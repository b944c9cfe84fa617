//! What a bridge does when nothing is new to it.

use super::{
    readback::{push, transaction},
    stage::What,
    staged::Staged,
    *,
};
use crate::testing::Rates;

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

/// The homeserver may hang up at any moment, and sends it again then.
#[tokio::test]
async fn a_transaction_that_is_broken_off_anywhere_is_heard_once() {
    let (world, _ann, room, bridge) = World::with_room(|_| {}).await;
    for number in 0..60_u64 {
        let (id, text) = (format!("$broken{number}"), number.to_string());
        let messages = [(id.as_str(), text.as_str())];
        let mut taking = Box::pin(transaction(&world, &bridge, 900 + number, &room, &messages));
        for _ in 0..number % 12 {
            if futures::poll!(&mut taking).is_ready() {
                break;
            }
            tokio::time::sleep(Duration::from_micros(50 * (number % 5))).await;
        }
        drop(taking);
        transaction(&world, &bridge, 900 + number, &room, &messages).await;
        let heard = || world.heard().len() as u64 == number + 1;
        eventually(&format!("message {number}"), heard).await;
    }
    let expected = (0..60).map(|number| format!("ann: {number}"));
    assert!(expected.eq(world.heard()), "{:?}", world.heard());
}

/// What is said before a message that was planned as it came is done, and after it.
#[tokio::test]
async fn what_is_planned_as_it_comes_keeps_its_place() {
    let (world, ann, room, _bridge) = World::with_room(|_| {}).await;
    let mut expected = Vec::new();
    for round in 0..30 {
        let first = ann.say(&room, &format!("{round}")).unwrap();
        expected.push(format!("ann: {round}"));
        if round % 3 == 0 {
            ann.edit(&room, &first, &format!("{round}!")).unwrap();
        }
        ann.say(&room, &format!("{round} again")).unwrap();
        expected.push(format!("ann: {round} again"));
        if round % 2 == 0 {
            tokio::time::sleep(Duration::from_millis(round)).await;
        }
    }
    let count = expected.len();
    eventually("all of them", || world.heard().len() >= count).await;
    let heard: Vec<String> = world.heard().into_iter().map(|text| text.replace('!', "")).collect();
    assert_eq!(heard, expected);
}

/// Others hear of an event before the homeserver has answered who sent it.
#[tokio::test]
async fn who_is_quicker_than_the_answer_is_understood() {
    let (world, ann, room, _bridge) = Staged::new().await.opened().await;
    world.faults.set_rates(Rates { late_answer: 1000, ..Rates::NONE });
    for number in 1..=4 {
        let (id, text) = (format!("m{number}"), format!("words {number}"));
        world.stage.tell("c", "bob", What::Say { id, text: text.clone() });
        let said = || {
            let messages = world.events(&room, "m.room.message");
            messages.into_iter().find(|event| event["content"]["body"] == *text)
        };
        eventually("the message", || said().is_some()).await;
        let event = said().unwrap();
        ann.react(&room, event["event_id"].as_str().unwrap(), "👍").unwrap();
        let reacted = format!("reactions to m{number}: 👍");
        eventually("the reaction", || world.stage.asked().last() == Some(&reacted)).await;
    }
}
