//! Groups begun from Matrix.

use serde_json::json;

use super::{eventually, staged::Staged};
use crate::{
    control::{ControlError, GroupWanted},
    testing::login_becomes,
};

fn wanted(room: Option<&str>) -> GroupWanted {
    GroupWanted {
        kind: "group".into(),
        name: Some("Club".into()),
        members: vec!["bob".into()],
        room: room.map(str::to_owned),
        ..GroupWanted::default()
    }
}

#[tokio::test]
async fn a_room_becomes_a_group_with_all_that_are_in_it() {
    let (world, ann, _, bridge) = Staged::new().await.opened().await;
    world.log_in(&bridge, &ann, "annie").await;
    let topic = json!({ "type": "m.room.topic", "content": { "topic": "fun" } });
    let body = json!({ "name": "Club", "initial_state": [topic] });
    let room = ann.create_room(&body).unwrap();
    let there = |user: &str| world.homeserver.membership(&room, user).as_deref() == Some("join");
    // The bot comes along.
    assert!(ann.invite(&room, "@stage_bob:hs.example"));
    for user in ["@stage_bob:hs.example", "@stagebot:hs.example"] {
        eventually("whoever is called", || there(user)).await;
    }
    let told =
        |what: &str| world.homeserver.messages(&room).iter().any(|(_, text)| text.contains(what));
    ann.say(&room, "!stage create-group eve shy").unwrap();
    eventually("the group", || world.stage.asked() == ["group Club (fun): bob, eve, shy"]).await;
    eventually("the answer", || told("now bridged to the new group")).await;
    assert!(told("they don't want to"));
    // What was said there at once is said here, and nowhere else.
    eventually("the welcome", || told("welcome")).await;
    assert_eq!(world.homeserver.all_rooms().len(), 2);
    ann.say(&room, "hello").unwrap();
    eventually("her words", || world.stage.asked().last().unwrap() == "hello").await;
    ann.say(&room, "!stage create-group eve").unwrap();
    eventually("a refusal", || told("bridged already")).await;
}

#[tokio::test]
async fn what_the_network_would_not_take_is_not_tried() {
    let (world, ann, _, bridge) = Staged::new().await.opened().await;
    let control = bridge.control();
    let refused = control.create_group(ann.id(), None, wanted(None)).await;
    assert!(matches!(refused, Err(ControlError::NoLogin(_))), "{refused:?}");
    world.log_in(&bridge, &ann, "annie").await;
    let nameless = GroupWanted { name: None, ..wanted(None) };
    let refused = control.create_group(ann.id(), None, nameless).await;
    assert!(matches!(refused, Err(ControlError::Denied(_))), "{refused:?}");
    let unknown = GroupWanted { kind: "club".into(), ..wanted(None) };
    let refused = control.create_group(ann.id(), None, unknown).await;
    assert!(matches!(refused, Err(ControlError::Unsupported(_))), "{refused:?}");
    // Herself is in it anyway.
    let alone = GroupWanted { members: vec!["annie".into()], ..wanted(None) };
    let refused = control.create_group(ann.id(), None, alone).await;
    assert!(matches!(refused, Err(ControlError::Denied(_))), "{refused:?}");
    assert!(world.stage.asked().is_empty());
    let made = control.create_group(ann.id(), None, wanted(None)).await.unwrap();
    eventually("an invitation", || ann.join(&made.room_id)).await;
    assert_eq!(world.stage.asked(), ["group Club (): bob"]);
}

#[test]
fn one_group_is_made_wherever_the_bridge_is_killed() {
    crate::testing::pump::run(async {
        for point in 1..=8 {
            let (world, ann, _, bridge) = Staged::new().await.opened().await;
            world.log_in(&bridge, &ann, "annie").await;
            let room = ann.create_room(&json!({ "name": "Club" })).unwrap();
            assert!(ann.invite(&room, "@stagebot:hs.example"));
            let bot = || world.homeserver.membership(&room, "@stagebot:hs.example");
            eventually("the bot", || bot().as_deref() == Some("join")).await;
            let control = bridge.control();
            world.faults.crash_at(point);
            let done = tokio::select! {
                made = control.create_group(ann.id(), None, wanted(Some(&room))) => made.is_ok(),
                () = world.faults.crashed() => false,
            };
            drop(control);
            world.kill(Some(bridge)).await;
            let bridge = world.start().await;
            let control = bridge.control();
            if !done && world.stage.asked().is_empty() {
                // Nothing was begun, or it is gone on with; neither is known before annie is connected again.
                login_becomes(&*control, ann.id(), |login| login.id == "annie", "connected").await;
                let again = control.create_group(ann.id(), None, wanted(Some(&room))).await;
                assert!(matches!(again, Ok(_) | Err(ControlError::Failed(_))), "{again:?}");
            }
            eventually("one group", || world.stage.asked() == ["group Club (): bob"]).await;
            let said = || world.homeserver.messages(&room);
            eventually("its room", || said().iter().any(|(_, text)| text == "welcome")).await;
            assert_eq!(world.homeserver.all_rooms().len(), 2, "killed at point {point}");
            world.kill(Some(bridge)).await;
        }
    });
}
