//! Channels, categories and the server: what they are called, where they belong, what was said in them before, and who asks about them.

use serde_json::{Value, json};

use crate::{
    fake::{CHANNEL, FORUM, Fake, GUILD, HELP_WANTED, OTHER},
    texts,
    world::World,
};
use landbridge_framework::{config::BackfillConfig, testing::eventually};

/// A category.
const CATEGORY: &str = "610";

/// The space that is called so.
fn space(world: &World, name: &str) -> Option<String> {
    let is_it = |room: &String| {
        world.has_state(room, "m.room.create", "type", &"m.space".into())
            && world.has_state(room, "m.room.name", "name", &name.into())
    };
    world.homeserver.all_rooms().into_iter().find(is_it)
}

/// Whether a space is there that holds a room.
fn holds(world: &World, space_name: &str, room: &str) -> bool {
    let child = |space: String| world.homeserver.state(&space, "m.space.child", room);
    space(world, space_name).and_then(child).is_some_and(|child| child.get("via").is_some())
}

#[tokio::test]
async fn channels_and_their_server_look_as_on_discord() {
    let mut world = World::with(|bridge, _| bridge.portals.clear()).await;
    let category = json!({
        "id": CATEGORY, "type": 4, "guild_id": GUILD, "name": "Talk", "position": 0,
        "permission_overwrites": [],
    });
    world.fake.state().channels.insert(CATEGORY.into(), category.clone());
    world.fake.dispatch("CHANNEL_CREATE", &category);
    world.fake.change(CHANNEL, "topic", "About all".into());
    world.fake.change(CHANNEL, "parent_id", CATEGORY.into());
    world.fake.change_server("icon", "4e5f".into());
    world.fake.change_server("description", "Who tests".into());
    // The gateway tells in order: with this everything before it is known.
    world.fake.say(OTHER, "ann", "unheard");
    world.open(CHANNEL).await;
    let room = world.room.clone();
    let is = |room: &str, kind: &str, field: &str, value: &str| {
        world.has_state(room, kind, field, &value.into())
    };
    eventually("the channel's name", || is(&room, "m.room.name", "name", "#general")).await;
    eventually("its topic", || is(&room, "m.room.topic", "topic", "About all")).await;
    eventually("the channel in its category", || holds(&world, "Talk", &room)).await;
    let talk = space(&world, "Talk").unwrap();
    eventually("the category in its server", || holds(&world, "Testers", &talk)).await;
    let server = space(&world, "Testers").unwrap();
    let picture = |path: &str| {
        let avatar = world.homeserver.state(&server, "m.room.avatar", "").unwrap_or_default();
        world.picture(&avatar["url"]).is_some_and(|found| found == path)
    };
    eventually("the server's picture", || picture("icons/500/4e5f.png")).await;
    eventually("what it is for", || is(&server, "m.room.topic", "topic", "Who tests")).await;

    world.fake.change(CHANNEL, "name", "lobby".into());
    eventually("the channel's other name", || is(&room, "m.room.name", "name", "#lobby")).await;
    world.fake.change(CHANNEL, "topic", "All".into());
    eventually("its other topic", || is(&room, "m.room.topic", "topic", "All")).await;
    world.fake.change(CATEGORY, "name", "Chatter".into());
    eventually("the category's other name", || is(&talk, "m.room.name", "name", "Chatter")).await;
    world.fake.change(CHANNEL, "parent_id", Value::Null);
    eventually("the channel outside of it", || {
        holds(&world, "Testers", &room) && !holds(&world, "Chatter", &room)
    })
    .await;
    world.fake.change_server("name", "Examiners".into());
    eventually("the server's other name", || is(&server, "m.room.name", "name", "Examiners")).await;
    world.fake.change_server("icon", "6a7b".into());
    eventually("its other picture", || picture("icons/500/6a7b.png")).await;
}

#[tokio::test]
async fn name_topic_and_pins_go_to_discord() {
    let mut world = World::with(|bridge, network| {
        bridge.portals.clear();
        network.moderation.channels = true;
    })
    .await;
    world.plumb(OTHER).await;
    let is = |field: &str, value: &str| world.fake.state().channels[OTHER][field] == value;
    let set = |kind: &str, content: Value| world.user.set_state(&world.room, kind, "", &content);
    set("m.room.name", json!({ "name": "#news" })).unwrap();
    eventually("the name", || is("name", "news")).await;
    set("m.room.topic", json!({ "topic": "What is new" })).unwrap();
    eventually("the topic", || is("topic", "What is new")).await;
    let id = world.fake.say(OTHER, "ann", "rules");
    eventually("a message", || texts(&world.said()).contains(&"rules")).await;
    let event = world.event_of("rules");
    set("m.room.pinned_events", json!({ "pinned": [event] })).unwrap();
    let pinned = || world.fake.state().pins.get(OTHER).cloned().unwrap_or_default();
    eventually("the pin", || pinned() == [id.clone()]).await;
    set("m.room.pinned_events", json!({ "pinned": [] })).unwrap();
    eventually("no pin", || pinned().is_empty()).await;
}

#[tokio::test]
async fn what_was_said_before_there_was_a_room_is_told_with_its_threads() {
    let mut world = World::with(|bridge, _| bridge.portals.clear()).await;
    let root = world.fake.say(CHANNEL, "ann", "root");
    world.fake.begin_thread(CHANNEL, &root, "Aside");
    world.fake.say(&root, "eve", "in the thread");
    world.fake.say(CHANNEL, "ann", "after it");
    world.open(CHANNEL).await;
    let expected = ["root", "in the thread", "after it"];
    eventually("all of it", || texts(&world.said()) == expected).await;
    assert_eq!(world.said()[1].0, World::ghost("eve"));
    let answer = world.find("in the thread");
    assert_eq!(answer["content"]["m.relates_to"]["rel_type"], "m.thread");
    assert_eq!(answer["content"]["m.relates_to"]["event_id"], world.event_of("root"));
    // It goes on where it was.
    world.fake.say(&root, "eve", "more");
    eventually("what is new", || texts(&world.said()).last() == Some(&"more")).await;
    assert_eq!(world.said().len(), 4);
}

#[tokio::test]
async fn what_is_older_still_comes_where_the_homeserver_takes_it() {
    let mut world = World::with(|bridge, _| {
        bridge.portals.clear();
        bridge.backfill =
            BackfillConfig { on_create: 2, older: 3, page: 2, ..BackfillConfig::default() };
    })
    .await;
    let said = ["one", "two", "three", "four", "five", "six"];
    for words in said {
        world.fake.say(CHANNEL, "ann", words);
    }
    world.open(CHANNEL).await;
    let there = if world.homeserver.imports_history() { &said[1..] } else { &said[4..] };
    eventually("what was said", || texts(&world.said()) == there).await;
    world.fake.say(CHANNEL, "ann", "seven");
    let now = [there, &["seven"]].concat();
    eventually("what comes now is behind it", || texts(&world.said()) == now).await;
}

#[tokio::test]
async fn the_posts_of_a_forum_are_told_when_its_room_is_made() {
    let mut world = World::with(|bridge, _| bridge.portals.clear()).await;
    let asked = json!({ "author": Fake::user("ann"), "content": "I can't see." });
    let post = world.fake.begin(FORUM, "How to?", &json!([HELP_WANTED]), asked);
    world.fake.say(&post, "eve", "Look closer.");
    world.open(FORUM).await;
    eventually("the post and its answer", || world.said().len() == 2).await;
    let said = world.said();
    assert!(said[0].1.contains("How to?") && said[0].1.contains("I can't see."), "{said:?}");
    let answer = world.find("Look closer.");
    assert_eq!(answer["content"]["m.relates_to"]["event_id"], world.event_of(&said[0].1));
}

#[tokio::test]
async fn a_command_says_who_one_is_and_what_is_bridged() {
    let world = World::opened().await;
    let words = world.command(CHANNEL, "who").await;
    assert!(words.contains("not linked") && words.contains("is bridged"), "{words}");
    let words = world.command(OTHER, "who").await;
    assert!(words.contains("is not bridged"), "{words}");
    let code = world.command(CHANNEL, "link").await.split('`').nth(3).unwrap().to_owned();
    world.link(&code).await;
    let words = world.command(CHANNEL, "who").await;
    assert!(words.contains("linked to @bob:hs.example"), "{words}");
}
