//! Messages that disappear.

use serde_json::json;

use super::{eventually, stage::What, staged::Staged};

fn fades(id: &str, ms: u64, read: bool) -> What {
    What::Fades { id: id.into(), ms, read }
}

fn is_redacted(world: &Staged, room: &str, at: usize) -> bool {
    let events = world.events(room, "m.room.message");
    events.get(at).is_some_and(|event| event["unsigned"].get("redacted_because").is_some())
}

#[tokio::test]
async fn what_is_due_is_known_after_a_restart() {
    let (world, _ann, room, bridge) = Staged::new().await.opened().await;
    world.stage.tell("c", "bob", fades("m", 2000, false));
    world.stage.tell("c", "bob", What::Say { id: "n".into(), text: "stays".into() });
    eventually("two messages", || world.events(&room, "m.room.message").len() == 2).await;
    world.kill(Some(bridge)).await;
    let _bridge = world.start().await;
    eventually("its end", || is_redacted(&world, &room, 0)).await;
    assert!(!is_redacted(&world, &room, 1));
    let redactions = world.events(&room, "m.room.redaction");
    assert_eq!(redactions.len(), 1);
    assert_eq!(redactions[0]["sender"], "@stage_bob:hs.example");
}

#[tokio::test]
async fn what_disappears_after_reading_stays_until_it_is_read() {
    let (world, ann, room, bridge) = Staged::new().await.opened().await;
    world.stage.tell("c", "bob", fades("one", 50, true));
    world.stage.tell("c", "bob", fades("two", 50, true));
    world.stage.tell("c", "bob", What::Say { id: "n".into(), text: "stays".into() });
    eventually("three messages", || world.events(&room, "m.room.message").len() == 3).await;
    world.kill(Some(bridge)).await;
    let _bridge = world.start().await;
    let first = world.events(&room, "m.room.message")[0]["event_id"].as_str().unwrap().to_owned();
    ann.read(&room, &first);
    eventually("the end of the first", || is_redacted(&world, &room, 0)).await;
    assert!(!is_redacted(&world, &room, 1), "nobody has read the second");
    ann.say(&room, "an answer").unwrap();
    eventually("the end of the second", || is_redacted(&world, &room, 1)).await;
    assert!(!is_redacted(&world, &room, 2));
}

#[tokio::test]
async fn a_chats_timer_is_shown_set_and_obeyed() {
    let (world, ann, room, bridge) = Staged::new().await.opened().await;
    world.log_in(&bridge, &ann, "annie").await;
    let kind = "com.beeper.disappearing_timer";
    world.stage.tell("c", "bob", What::Timer(Some(60)));
    let shown = || world.homeserver.state(&room, kind, "");
    eventually("the timer", || shown() == Some(json!({ "type": "after_send", "timer": 60 }))).await;
    ann.say(&room, "soon gone").unwrap();
    eventually("its end", || is_redacted(&world, &room, 0)).await;
    // That it is gone is no wish of hers to be told to the network.
    world.stage.tell("c", "bob", What::Timer(None));
    eventually("no timer", || shown() == Some(json!({}))).await;
    let bot = world.homeserver.user("@stagebot:hs.example");
    let mut levels = world.homeserver.state(&room, "m.room.power_levels", "").unwrap();
    levels["users"][ann.id()] = 50.into();
    bot.set_state(&room, "m.room.power_levels", "", &levels).unwrap();
    ann.set_state(&room, kind, "", &json!({ "type": "after_send", "timer": 5000 })).unwrap();
    eventually("her timer", || world.stage.asked() == ["soon gone", "timer 5s"]).await;
}
