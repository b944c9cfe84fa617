//! Groups begun from Matrix.

use landbridge_framework::{control::GroupWanted, testing::eventually};
use landbridge_telegram_peer::{Faults, Place};
use serde_json::json;

use crate::rig::{ALICE, BOB, Rig};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_becomes_a_supergroup() {
    let rig = Rig::with_alice().await;
    let topic = json!({ "type": "m.room.topic", "content": { "topic": "of friends" } });
    let body = json!({ "name": "Circle", "initial_state": [topic] });
    let room = rig.ann.create_room(&body).expect("Ann may make rooms");
    let is_there = |user: &str| rig.homeserver.membership(&room, user).as_deref() == Some("join");
    // The bot comes along.
    assert!(rig.ann.invite(&room, "@telegram_1002:hs.example"));
    for user in ["@telegram_1002:hs.example", "@telegrambot:hs.example"] {
        eventually("whoever is called is there", || is_there(user)).await;
    }
    rig.ann.say(&room, "!telegram create-group supergroup").expect("Ann may speak");
    let told = |what: &str| rig.heard(&room).iter().any(|body| body.contains(what));
    eventually("it is made", || told("now bridged to the new")).await;
    let made = rig.peer.world().named("Circle");
    let [(place, members, about)] = &made[..] else { panic!("not one, but {made:?}") };
    assert_eq!((&members[..], &**about), (&[ALICE, BOB][..], "of friends"));
    rig.ann.say(&room, "hello").expect("Ann may speak");
    eventually("it is said there", || rig.said_by(*place, ALICE) == ["hello"]).await;
    rig.peer.world().say(BOB, *place, "hello Alice");
    eventually("the answer is here", || told("hello Alice")).await;
    let rooms = rig.homeserver.all_rooms().into_iter().filter(|room| {
        let name = rig.homeserver.state(room, "m.room.name", "");
        name.is_some_and(|name| name["name"] == "Circle")
    });
    assert_eq!(rooms.count(), 1, "it has one room");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_whose_answer_is_lost_is_found() {
    let mut rig = Rig::with_alice().await;
    rig.peer.world().shy.insert(BOB);
    let wanted = |name: &str, members: &[i64]| GroupWanted {
        kind: "group".into(),
        name: Some(name.into()),
        members: members.iter().map(ToString::to_string).collect(),
        ..GroupWanted::default()
    };
    let control = rig.control();
    let made = control.create_group(rig.ann.id(), None, wanted("Trio", &[BOB, 1000])).await;
    let made = made.expect("it is made");
    assert_eq!(made.failed.len(), 1, "Bob doesn't want to: {made:?}");
    eventually("Ann is called", || rig.ann.join(&made.room_id)).await;

    // It is made, but neither the answer comes nor does the bridge live.
    rig.peer.world().faults = Faults { lose_answer: Some(1), ..Faults::default() };
    let asking = {
        let (control, user) = (rig.control(), rig.ann.id().to_owned());
        let wanted = wanted("Duo", &[1000]);
        tokio::spawn(async move { control.create_group(&user, None, wanted).await.is_ok() })
    };
    eventually("it is made", || rig.peer.world().named("Duo").len() == 1).await;
    rig.kill().await;
    assert!(!asking.await.unwrap_or(false), "nobody was told");
    rig.peer.world().faults = Faults::default();
    rig.go().await;
    let mut room = None;
    eventually("its room is there", || {
        room = rig.homeserver.all_rooms().into_iter().find(|room| {
            let name = rig.homeserver.state(room, "m.room.name", "");
            name.is_some_and(|name| name["name"] == "Duo")
        });
        room.is_some()
    })
    .await;
    let made = rig.peer.world().named("Duo");
    assert_eq!(made.len(), 1, "and there is one");
    assert!(matches!(made[0].0, Place::Group(_)));
    let room = room.expect("it was found");
    eventually("Ann is called", || rig.ann.join(&room)).await;
}
