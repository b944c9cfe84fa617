//! Spaces, threads that are chats, pins.

use serde_json::{Value, json};

use super::{eventually, stage::What, staged::Staged};
use crate::{config::PortalConfig, event::ChatKind, testing::SimHomeserver};

fn say(id: &str, text: &str) -> What {
    What::Say { id: id.into(), text: text.into() }
}

/// Whether a room is in a space, as both say.
fn is_in(homeserver: &SimHomeserver, space: &str, child: &str) -> bool {
    let says = |state: Option<Value>| state.is_some_and(|content| content.get("via").is_some());
    says(homeserver.state(space, "m.space.child", child))
        && says(homeserver.state(child, "m.space.parent", space))
}

#[tokio::test]
async fn rooms_are_in_the_spaces_of_what_their_chats_are_part_of() {
    let world = Staged::new().await;
    world.stage.chat("guild", ChatKind::Space, None);
    world.stage.chat("texts", ChatKind::Space, Some("guild"));
    world.stage.chat("lobby", ChatKind::Group, Some("texts"));
    let _bridge = world.start().await;
    world.stage.tell("lobby", "bob", say("1", "hi"));
    let room = |chat: &str| world.room_of(chat).unwrap_or_default();
    let inside = |space: &str, child: &str| is_in(&world.homeserver, &room(space), &room(child));
    eventually("the lobby in its category", || inside("texts", "lobby")).await;
    eventually("the category in its server", || inside("guild", "texts")).await;
    let create = world.homeserver.state(&room("guild"), "m.room.create", "").unwrap();
    assert_eq!(create["type"], "m.space");
    // It moves, and then it is gone.
    world.stage.tell("lobby", "bob", What::Parent(Some("guild".into())));
    eventually("the lobby in the server", || inside("guild", "lobby")).await;
    eventually("no longer in its category", || !inside("texts", "lobby")).await;
    world.stage.tell("lobby", "bob", What::Gone);
    eventually("no longer anywhere", || !inside("guild", "lobby")).await;
    assert_eq!(world.homeserver.all_rooms().len(), 3);
}

#[tokio::test]
async fn a_login_may_have_a_space_of_its_own() {
    let mut world = Staged::new().await;
    world.config.spaces.personal = true;
    let (world, ann, room, bridge) = world.opened().await;
    world.log_in(&bridge, &ann, "annie").await;
    bridge.control().open_portal(ann.id(), Some("annie"), "c").await.unwrap();
    let space = || {
        world.homeserver.all_rooms().into_iter().find(|room| {
            let name = world.homeserver.state(room, "m.room.name", "");
            name.is_some_and(|name| name["name"] == "Stage (annie)")
        })
    };
    eventually("her space", || space().is_some()).await;
    let space = space().unwrap();
    eventually("the room in it", || is_in(&world.homeserver, &space, &room)).await;
    let there = || world.homeserver.membership(&space, ann.id()).as_deref() == Some("join");
    eventually("her in it", there).await;
    assert_eq!(world.homeserver.state(&space, "m.room.create", "").unwrap()["type"], "m.space");
}

#[tokio::test]
async fn who_is_in_a_space_may_join_what_is_in_it() {
    let world = Staged::new().await;
    world.stage.chat("guild", ChatKind::Space, None);
    world.stage.chat("texts", ChatKind::Space, Some("guild"));
    world.stage.chat("open", ChatKind::Channel, Some("texts"));
    let _bridge = world.start().await;
    world.stage.tell("open", "bob", say("1", "hi"));
    eventually("its room", || world.room_of("open").is_some()).await;
    let room = |chat: &str| world.room_of(chat).unwrap_or_default();
    let rule = world.homeserver.state(&room("open"), "m.room.join_rules", "").unwrap();
    assert_eq!(rule["join_rule"], "restricted");
    let allowed: Vec<_> =
        rule["allow"].as_array().unwrap().iter().map(|from| from["room_id"].clone()).collect();
    assert_eq!(allowed, [room("texts"), room("guild")]);
}

#[tokio::test]
async fn who_is_in_a_server_may_not_join_what_belongs_to_one_of_its_chats() {
    let world = Staged::new().await;
    world.stage.chat("guild", ChatKind::Space, None);
    world.stage.chat("hidden", ChatKind::Group, Some("guild"));
    world.stage.chat("aside", ChatKind::Channel, Some("hidden"));
    let _bridge = world.start().await;
    world.stage.tell("aside", "bob", say("1", "among us"));
    eventually("its room", || world.room_of("aside").is_some()).await;
    let room = |chat: &str| world.room_of(chat).unwrap_or_default();
    let rule = world.homeserver.state(&room("aside"), "m.room.join_rules", "").unwrap();
    let from = json!({ "type": "m.room_membership", "room_id": room("hidden") });
    assert_eq!(rule, json!({ "join_rule": "restricted", "allow": [from] }));
}

#[tokio::test]
async fn a_configured_room_may_be_open_to_everybody() {
    let mut world = Staged::new().await;
    world.stage.chat("lobby", ChatKind::Group, None);
    world.stage.chat("office", ChatKind::Group, None);
    let portal =
        |id: &str, public| PortalConfig { remote_id: id.into(), public, ..PortalConfig::default() };
    world.config.portals = vec![portal("lobby", true), portal("office", false)];
    let _bridge = world.start().await;
    eventually("both rooms", || {
        world.room_of("lobby").is_some() && world.room_of("office").is_some()
    })
    .await;
    let bea = world.homeserver.user("@bea:hs.example");
    assert!(bea.join(&world.room_of("lobby").unwrap()));
    assert!(!bea.join(&world.room_of("office").unwrap()));
}

#[tokio::test]
async fn a_chat_that_becomes_everybodys_begins_anew_with_its_numbers() {
    let world = Staged::new().await;
    let _bridge = world.start().await;
    let react = || What::React { target: "1".into(), emoji: "👍".into(), file: None, set: true };
    world.stage.tell("own club", "bob", say("1", "before"));
    world.stage.tell("own club", "eve", react());
    world.stage.tell("own club", "bob", What::Pin { target: "1".into(), pinned: true });
    world.stage.tell("own club", "bob", What::Moved("club".into()));
    world.stage.tell("club", "bob", say("1", "after"));
    world.stage.tell("club", "eve", react());
    world.stage.tell("club", "bob", What::Pin { target: "1".into(), pinned: true });
    eventually("its room", || world.homeserver.all_rooms().len() == 1).await;
    let room = world.homeserver.all_rooms().remove(0);
    eventually("both reactions", || world.events(&room, "m.reaction").len() == 2).await;
    let said = world.events(&room, "m.room.message");
    let words: Vec<_> = said.iter().map(|event| &event["content"]["body"]).collect();
    assert_eq!(words, ["before", "after"]);
    let reactions = world.events(&room, "m.reaction");
    for (said, reaction) in said.iter().zip(&reactions) {
        assert_eq!(reaction["content"]["m.relates_to"]["event_id"], said["event_id"]);
    }
    let pinned = json!({ "pinned": [said[1]["event_id"]] });
    eventually("the pin", || {
        world.homeserver.state(&room, "m.room.pinned_events", "").as_ref() == Some(&pinned)
    })
    .await;
    assert_eq!(world.homeserver.all_rooms().len(), 1);
}

#[test]
fn spaces_are_complete_wherever_the_bridge_is_killed() {
    crate::testing::pump::run(async {
        let world = Staged::new().await;
        world.stage.chat("guild", ChatKind::Space, None);
        for chat in ["one", "two"] {
            world.stage.chat(chat, ChatKind::Group, Some("guild"));
            world.stage.tell(chat, "bob", say(chat, "hi"));
        }
        world.crash(40).await;
        let _bridge = world.start().await;
        let room = |chat: &str| world.room_of(chat).unwrap_or_default();
        for chat in ["one", "two"] {
            let inside = || is_in(&world.homeserver, &room("guild"), &room(chat));
            eventually("a room in its space", inside).await;
            let said = || world.homeserver.messages(&room(chat)).len() == 1;
            eventually("its message", said).await;
        }
        assert_eq!(world.homeserver.all_rooms().len(), 3, "none twice");
    });
}

#[tokio::test]
async fn a_thread_is_shown_in_the_room_of_its_chat() {
    let (world, ann, room, _bridge) = Staged::new().await.opened().await;
    world.stage.tell("c", "bob", say("root", "a question"));
    world.stage.tell_in("t", ("c", "root"), "eve", say("a1", "an answer"));
    eventually("both", || world.homeserver.messages(&room).len() == 2).await;
    let events = world.events(&room, "m.room.message");
    let relates = &events[1]["content"]["m.relates_to"];
    assert_eq!(relates["rel_type"], "m.thread");
    assert_eq!(relates["event_id"], events[0]["event_id"]);
    let content = json!({
        "msgtype": "m.text", "body": "thanks",
        "m.relates_to": { "rel_type": "m.thread", "event_id": events[0]["event_id"] },
    });
    ann.send(&room, "m.room.message", &content).unwrap();
    eventually("her answer", || world.stage.asked() == ["ann: thanks (in root)"]).await;
    assert_eq!(world.homeserver.all_rooms().len(), 1);
}

#[tokio::test]
async fn threads_become_rooms_where_that_is_chosen() {
    let (world, ann, room, bridge) = Staged::new().await.opened().await;
    world.stage.tell("c", "bob", say("root", "a question"));
    world.stage.tell_in("old", ("c", "root"), "eve", say("a1", "an answer"));
    eventually("both", || world.homeserver.messages(&room).len() == 2).await;
    bridge.control().set_threads(ann.id(), &room, crate::event::ThreadMode::Rooms).await.unwrap();
    world.stage.tell("c", "bob", say("root2", "another question"));
    world.stage.tell_in("new", ("c", "root2"), "eve", say("a2", "in a room"));
    world.stage.tell_in("old", ("c", "root"), "eve", say("a3", "in the thread"));
    eventually("the new thread's room", || world.room_of("new").is_some()).await;
    let new = world.room_of("new").unwrap();
    eventually("its message", || world.homeserver.messages(&new).len() == 1).await;
    eventually("the old thread's message", || world.homeserver.messages(&room).len() == 4).await;
    assert!(world.room_of("old").is_none());
    assert_eq!(world.homeserver.messages(&new)[0].1, "in a room");
}

#[tokio::test]
async fn pins_go_both_ways_one_by_one() {
    let (world, ann, room, _bridge) = Staged::new().await.opened().await;
    for id in ["1", "2"] {
        world.stage.tell("c", "bob", say(id, id));
        world.stage.tell("c", "bob", What::Pin { target: id.into(), pinned: true });
    }
    // One that was said before the bridge came.
    world.stage.tell("c", "bob", What::Pin { target: "0".into(), pinned: true });
    let pinned = || world.homeserver.state(&room, "m.room.pinned_events", "");
    let ids = |events: &[Value]| -> Vec<Value> {
        events.iter().map(|event| event["event_id"].clone()).collect()
    };
    let events = || ids(&world.events(&room, "m.room.message"));
    eventually("two pins", || {
        events().len() == 2 && pinned() == Some(json!({ "pinned": events() }))
    })
    .await;
    let bot = world.homeserver.user("@stagebot:hs.example");
    let mut levels = world.homeserver.state(&room, "m.room.power_levels", "").unwrap();
    levels["users"][ann.id()] = 50.into();
    bot.set_state(&room, "m.room.power_levels", "", &levels).unwrap();
    let second = json!({ "pinned": [events()[1]] });
    ann.set_state(&room, "m.room.pinned_events", "", &second).unwrap();
    eventually("one less", || world.stage.asked() == ["pins + -1"]).await;
    world.stage.tell("c", "bob", What::Pin { target: "1".into(), pinned: false });
    world.stage.tell("c", "bob", What::Pin { target: "2".into(), pinned: false });
    eventually("none", || pinned() == Some(json!({ "pinned": [] }))).await;
    assert_eq!(world.stage.asked().len(), 1, "what the network did is not told to it");
}

#[tokio::test]
async fn what_a_thread_has_pinned_is_pinned_in_the_room_that_shows_it() {
    let (world, ann, room, _bridge) = Staged::new().await.opened().await;
    let pins = |ids: &[&str]| What::Pins(ids.iter().map(ToString::to_string).collect());
    world.stage.tell("c", "bob", say("root", "a question"));
    world.stage.tell_in("t", ("c", "root"), "eve", say("a1", "an answer"));
    world.stage.tell_in("t", ("c", "root"), "eve", pins(&["a1"]));
    world.stage.tell("c", "bob", pins(&["root"]));
    let events = || -> Vec<Value> {
        let said = world.events(&room, "m.room.message");
        said.iter().map(|event| event["event_id"].clone()).collect()
    };
    let pinned = |expected: &[Value]| {
        let state = world.homeserver.state(&room, "m.room.pinned_events", "");
        state == Some(json!({ "pinned": expected }))
    };
    eventually("both pins", || events().len() == 2 && pinned(&events())).await;
    world.stage.tell("c", "bob", pins(&[]));
    eventually("that of the thread", || pinned(&events()[1..])).await;
    world.stage.tell_in("t", ("c", "root"), "eve", pins(&[]));
    eventually("none", || pinned(&[])).await;
    // Pinned from here and unpinned there.
    let bot = world.homeserver.user("@stagebot:hs.example");
    let mut levels = world.homeserver.state(&room, "m.room.power_levels", "").unwrap();
    levels["users"][ann.id()] = 50.into();
    bot.set_state(&room, "m.room.power_levels", "", &levels).unwrap();
    let answer = json!({ "pinned": [events()[1]] });
    ann.set_state(&room, "m.room.pinned_events", "", &answer).unwrap();
    // What she says next goes when that is settled.
    ann.say(&room, "pinned").unwrap();
    eventually("hers", || world.stage.asked() == ["pins +a1 -", "ann: pinned"]).await;
    world.stage.tell_in("t", ("c", "root"), "eve", pins(&[]));
    eventually("none again", || pinned(&[])).await;
}
