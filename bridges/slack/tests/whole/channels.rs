//! Channels and workspaces: what they are called, what is pinned in them, what becomes of them, what was said in them before.

use serde_json::json;

use crate::World;
use landbridge_framework::{config::BackfillConfig, testing::eventually};

#[tokio::test]
async fn channels_and_their_workspace_look_as_in_slack() {
    let world = World::new().await;
    let slack = &world.slack;
    slack.set_about("C01", "purpose", "For all of us");
    let (_ann, room, _bridge) = world.opened().await;
    eventually("the purpose, where there is no topic", || {
        world.has_state(&room, "m.room.topic", "topic", "For all of us")
    })
    .await;
    let space = || {
        let all = world.homeserver.all_rooms().into_iter();
        let mut spaces = all.filter(|it| world.has_state(it, "m.room.create", "type", "m.space"));
        spaces.find(|it| world.has_state(it, "m.room.name", "name", "Test"))
    };
    eventually("the workspace", || space().is_some()).await;
    let space = space().unwrap();
    let child = || world.homeserver.state(&space, "m.space.child", &room);
    eventually("its channel", || child().is_some_and(|child| child.get("via").is_some())).await;
    let avatar = world.homeserver.state(&space, "m.room.avatar", "").unwrap();
    assert_eq!(world.picture(&avatar["url"]).as_deref(), Some("team.png"));

    let is = |kind: &str, field: &str, value: &str| world.has_state(&room, kind, field, value);
    slack.inside().rename("C01", "lobby");
    eventually("its other name", || is("m.room.name", "name", "lobby")).await;
    slack.inside().describe("C01", "See <#C02|random> :wave:");
    eventually("its topic", || is("m.room.topic", "topic", "See #random 👋")).await;
    slack.inside().describe("C01", "");
    eventually("no topic", || is("m.room.topic", "topic", "")).await;
    slack.set_about("C01", "purpose", "For some of us");
    slack.say(
        "U01",
        json!({ "subtype": "channel_purpose", "purpose": "For some of us", "text": "" }),
    );
    eventually("its other purpose", || is("m.room.topic", "topic", "For some of us")).await;
}

#[tokio::test]
async fn name_topic_and_pins_go_to_slack() {
    let world = World::new().await;
    let (ann, room, _bridge) = world.plumbed().await;
    let slack = &world.slack;
    let channel = || slack.inside().channels["C02"].clone();
    ann.set_state(&room, "m.room.name", "", &json!({ "name": "General Talk!" })).unwrap();
    eventually("the name", || channel()["name"] == "general-talk").await;
    ann.set_state(&room, "m.room.topic", "", &json!({ "topic": "What is new" })).unwrap();
    eventually("the topic", || channel()["topic"]["value"] == "What is new").await;
    let ts = slack.say("U01", json!({ "text": "rules", "channel": "C02" }));
    eventually("a message", || world.said(&room) == ["rules"]).await;
    let event = world.event_of(&room, "rules")["event_id"].clone();
    let pin = |events: serde_json::Value| {
        ann.set_state(&room, "m.room.pinned_events", "", &json!({ "pinned": events })).unwrap();
    };
    pin(json!([event]));
    eventually("the pin", || slack.pins() == [ts.clone()]).await;
    pin(json!([]));
    eventually("no pin", || slack.pins().is_empty()).await;
    // What is done after it shows that it is done on both sides.
    ann.say(&room, "done").unwrap();
    eventually("her words", || slack.texts().contains(&"done".to_owned())).await;
    // And back.
    let pinned = |expected: serde_json::Value| {
        let pins = world.homeserver.state(&room, "m.room.pinned_events", "");
        pins.is_some_and(|pins| pins["pinned"] == expected)
    };
    slack.inside().pin("U01", &ts, true);
    eventually("her pin", || pinned(json!([event]))).await;
    slack.inside().pin("U01", &ts, false);
    eventually("its end", || pinned(json!([]))).await;
}

#[tokio::test]
async fn what_becomes_of_a_channel_is_told() {
    let world = World::new().await;
    let (_ann, room, _bridge) = world.opened().await;
    let slack = &world.slack;
    slack
        .say("U01", json!({ "subtype": "channel_archive", "text": "<@U01> archived the channel" }));
    eventually("that it is put away", || world.said(&room) == ["@Alice archived the channel"])
        .await;
    let note = world.last(&room, "m.room.message");
    assert_eq!(note["content"]["msgtype"], "m.notice");
    // With another identifier it is the same channel.
    let mut moved = slack.inside().channels["C01"].clone();
    moved["id"] = "C09".into();
    slack.inside().channels.insert("C09".into(), moved);
    slack.emit(
        &json!({ "type": "channel_id_changed", "old_channel_id": "C01", "new_channel_id": "C09",
        "event_ts": "4100000000.000001" }),
    );
    slack.say("U01", json!({ "text": "still here", "channel": "C09" }));
    eventually("what is said in it", || world.said(&room).contains(&"still here".to_owned())).await;
    slack.emit(
        &json!({ "type": "channel_deleted", "channel": "C09", "event_ts": "4100000001.000001" }),
    );
    let gone = "This chat no longer exists on the network.";
    let told = || world.homeserver.messages(&room).last().is_some_and(|(_, text)| text == gone);
    eventually("its end", told).await;
}

#[tokio::test]
async fn what_was_said_before_there_was_a_room_is_told_with_threads_and_reactions() {
    let world = World::with(|bridge, _| bridge.backfill.on_create = 50).await;
    let slack = &world.slack;
    let ts = slack.say("U01", json!({ "text": "root" }));
    slack.say("U02", json!({ "text": "in the thread", "thread_ts": ts }));
    slack.say("U01", json!({ "text": "after it" }));
    slack.react("U02", &ts, "tada", true);
    let (_ann, room, _bridge) = world.opened().await;
    let expected = ["root", "in the thread", "after it"];
    eventually("all of it", || world.said(&room) == expected).await;
    let began = world.event_of(&room, "root");
    let answer = world.event_of(&room, "in the thread");
    assert_eq!(answer["content"]["m.relates_to"]["rel_type"], "m.thread");
    assert_eq!(answer["content"]["m.relates_to"]["event_id"], began["event_id"]);
    eventually("the reaction", || world.last(&room, "m.reaction")["sender"].is_string()).await;
    let reaction = world.last(&room, "m.reaction");
    assert_eq!(reaction["sender"], World::ghost("U02"));
    let about = &reaction["content"]["m.relates_to"];
    assert_eq!((&about["event_id"], &about["key"]), (&began["event_id"], &json!("🎉")));
}

#[tokio::test]
async fn what_is_older_still_comes_where_the_homeserver_takes_it() {
    let world = World::with(|bridge, _| {
        bridge.backfill =
            BackfillConfig { on_create: 2, older: 3, page: 2, ..BackfillConfig::default() };
    })
    .await;
    let said = ["one", "two", "three", "four", "five", "six"];
    for words in said {
        world.slack.say("U01", json!({ "text": words }));
    }
    let (_ann, room, _bridge) = world.opened().await;
    let there = if world.homeserver.imports_history() { &said[1..] } else { &said[4..] };
    eventually("what was said", || world.said(&room) == there).await;
    world.slack.say("U01", json!({ "text": "seven" }));
    let now = [there, &["seven"]].concat();
    eventually("what comes now is behind it", || world.said(&room) == now).await;
}

#[tokio::test]
async fn channels_are_bridged_and_left_by_the_bots_commands() {
    let world = World::new().await;
    let (ann, lobby, _bridge) = world.opened().await;
    let slack = &world.slack;
    let room = world.ruled().await;
    let workspaces = world.answer(&room, "!slack workspaces").await;
    assert!(workspaces.contains("Test") && workspaces.contains("T01"), "{workspaces}");
    let nothing = world.answer(&room, "!slack bridge #nothing").await;
    assert!(
        !slack.asked("conversations.join").iter().any(|it| it["channel"] == "C02"),
        "{nothing}"
    );
    world.answer(&room, "!slack bridge #random").await;
    let enters = || slack.asked("conversations.join").iter().any(|it| it["channel"] == "C02");
    eventually("the app in the channel", enters).await;
    slack.say("U01", json!({ "text": "hello", "channel": "C02" }));
    eventually("her words", || world.said(&room) == ["hello"]).await;
    ann.say(&room, "hello Alice").unwrap();
    eventually("the answer", || slack.texts() == ["hello", "hello Alice"]).await;
    assert_eq!(slack.messages()[1]["channel"], "C02");

    world.answer(&room, "!slack unbridge").await;
    eventually("the app has gone", || slack.called("conversations.leave") == 1).await;
    assert_eq!(slack.asked("conversations.leave")[0]["channel"], "C02");
    slack.say("U01", json!({ "text": "unheard", "channel": "C02" }));
    slack.say("U01", json!({ "text": "heard" }));
    eventually("what is bridged", || world.said(&lobby) == ["heard"]).await;
    assert_eq!(world.said(&room), ["hello"]);
    ann.say(&room, "to nobody").unwrap();
    ann.say(&lobby, "to all").unwrap();
    eventually("her words", || slack.texts().last().is_some_and(|text| text == "to all")).await;
    assert!(!slack.texts().contains(&"to nobody".to_owned()));
}
