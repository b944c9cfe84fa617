//! The bridge between a homeserver (the testing kit's, or a real one: `LANDBRIDGE_TEST_HOMESERVER`) and a Discord of our own, over sockets:
//! everything that people do, and everything that goes wrong.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test may panic")]

#[path = "end_to_end/channels.rs"]
mod channels;
#[path = "end_to_end/embeds.rs"]
mod embeds;
#[path = "end_to_end/fake.rs"]
mod fake;
#[path = "end_to_end/fake_gateway.rs"]
mod fake_gateway;
#[path = "end_to_end/fake_oauth.rs"]
mod fake_oauth;
#[path = "end_to_end/fake_rest.rs"]
mod fake_rest;
#[path = "end_to_end/fake_server.rs"]
mod fake_server;
#[path = "end_to_end/files.rs"]
mod files;
#[path = "end_to_end/forums.rs"]
mod forums;
#[path = "end_to_end/messages.rs"]
mod messages;
#[path = "end_to_end/people.rs"]
mod people;
#[path = "end_to_end/servers.rs"]
mod servers;
#[path = "end_to_end/world.rs"]
mod world;

use std::time::Duration;

use serde_json::{Value, json};

use fake::{CHANNEL, Fake, GUILD, OTHER};
use landbridge_framework::{event::ThreadMode, testing::eventually};
use world::World;

fn texts(said: &[(String, String)]) -> Vec<&str> {
    said.iter().map(|(_, text)| text.as_str()).collect()
}

#[tokio::test]
async fn messages_edits_reactions_and_deletions_come_from_discord() {
    let world = World::opened().await;
    let first = world.fake.say(CHANNEL, "ann", "**hello**");
    eventually("a message", || texts(&world.said()) == ["hello"]).await;
    let (sender, _) = world.said().remove(0);
    assert!(sender.starts_with("@discord_"), "{sender}");
    assert_eq!(world.homeserver.profile(&sender)["displayname"], "ann");
    world.fake.edit(CHANNEL, &first, "good bye");
    eventually("the edit", || texts(&world.said()) == ["good bye"]).await;
    let react = json!({
        "user_id": "10999", "channel_id": CHANNEL, "guild_id": GUILD, "message_id": first,
        "emoji": { "id": null, "name": "👍" },
    });
    world.fake.dispatch("MESSAGE_REACTION_ADD", &react);
    eventually("the reaction", || world.count("m.reaction") == 1).await;
    world.fake.remove(CHANNEL, &first);
    eventually("the deletion", || world.count("m.room.redaction") >= 1).await;
    assert_eq!(world.fake.state().identified, 1);
}

#[tokio::test]
async fn messages_edits_reactions_and_deletions_go_to_discord() {
    let world = World::opened().await;
    let event = world.user.say(&world.room, "hi *there*").unwrap();
    eventually("a message", || texts(&world.heard()) == ["hi \\*there\\*"]).await;
    assert_eq!(world.heard()[0].0, "bob", "under the name of who said it");
    world.user.edit(&world.room, &event, "changed").unwrap();
    eventually("the edit", || texts(&world.heard()) == ["changed"]).await;
    world.user.react(&world.room, &event, "👍").unwrap();
    eventually("the reaction", || world.asked("PUT", "/reactions/%F0%9F%91%8D/@me") == 1).await;
    world.user.redact(&world.room, &event).unwrap();
    eventually("the deletion", || world.heard().is_empty()).await;
    // None of it came back.
    world.fake.say(CHANNEL, "ann", "last");
    eventually("the last message", || texts(&world.said()).last() == Some(&"last")).await;
    assert_eq!(
        world.said().iter().filter(|(sender, _)| sender.starts_with("@discord_")).count(),
        1
    );
}

#[tokio::test]
async fn a_long_message_is_several_and_is_changed_and_deleted_whole() {
    let world = World::opened().await;
    let long = "word ".repeat(900);
    let event = world.user.say(&world.room, long.trim()).unwrap();
    eventually("three messages", || world.heard().len() == 3).await;
    let all: String = texts(&world.heard()).join(" ");
    assert_eq!(all.split_whitespace().count(), 900);
    world.user.edit(&world.room, &event, "short").unwrap();
    eventually("one message", || texts(&world.heard()) == ["short"]).await;
    world.user.redact(&world.room, &event).unwrap();
    eventually("none", || world.heard().is_empty()).await;
}

#[tokio::test]
async fn an_answer_that_is_lost_doubles_nothing() {
    let world = World::opened().await;
    world.user.say(&world.room, "one").unwrap();
    eventually("one", || world.heard().len() == 1).await;
    world.fake.faults(|faults| faults.lose_answers = 1);
    world.user.say(&world.room, "two").unwrap();
    world.user.say(&world.room, "three").unwrap();
    eventually("three", || world.heard().len() >= 3).await;
    assert_eq!(texts(&world.heard()), ["one", "two", "three"]);
}

#[tokio::test]
async fn what_was_found_is_not_taken_for_the_next() {
    let world = World::opened().await;
    world.fake.say(CHANNEL, "ann", "zero");
    eventually("zero", || world.said().len() == 1).await;
    // The gateway doesn't tell what is said.
    world.fake.faults(|faults| {
        faults.deaf = true;
        faults.lose_answers = 1;
    });
    world.user.say(&world.room, "one").unwrap();
    eventually("one", || world.heard().len() == 1).await;
    world.fake.faults(|faults| faults.fail = 1);
    world.user.say(&world.room, "two").unwrap();
    eventually("two", || world.heard().len() == 2).await;
    assert_eq!(texts(&world.heard()), ["one", "two"]);
}

#[tokio::test]
async fn limits_and_failures_lose_and_reorder_nothing() {
    let world = World::opened().await;
    world.fake.faults(|faults| {
        faults.limit = 2;
        faults.fail = 1;
    });
    for number in 0..5 {
        world.user.say(&world.room, &format!("m{number}")).unwrap();
    }
    eventually("five", || world.heard().len() >= 5).await;
    assert_eq!(texts(&world.heard()), ["m0", "m1", "m2", "m3", "m4"]);
}

#[tokio::test]
async fn a_broken_connection_is_resumed() {
    let world = World::opened().await;
    world.fake.say(CHANNEL, "ann", "before");
    eventually("before", || world.said().len() == 1).await;
    world.fake.cut();
    world.fake.say(CHANNEL, "ann", "between");
    world.fake.say(CHANNEL, "ann", "after");
    eventually("all", || texts(&world.said()) == ["before", "between", "after"]).await;
    assert!(world.fake.state().resumed >= 1);
    assert_eq!(world.fake.state().identified, 1);
}

#[tokio::test]
async fn a_connection_that_only_seems_to_live_is_left() {
    let world = World::opened().await;
    world.fake.faults(|faults| faults.mute = true);
    world.fake.say(CHANNEL, "ann", "unheard");
    let connections = world.fake.state().connected;
    // The heart beats unanswered, so the connection is given up and another one made.
    eventually("another connection", || world.fake.state().connected > connections).await;
    world.fake.faults(|faults| faults.mute = false);
    eventually("what was not heard", || texts(&world.said()) == ["unheard"]).await;
}

#[tokio::test]
async fn a_lost_session_is_caught_up_in_order() {
    let world = World::opened().await;
    world.fake.say(CHANNEL, "ann", "one");
    eventually("one", || world.said().len() == 1).await;
    world.fake.faults(|faults| faults.deaf = true);
    let texts_missed: Vec<String> = (0..150).map(|number| format!("missed {number}")).collect();
    for text in &texts_missed {
        world.fake.say(CHANNEL, "ann", text);
    }
    world.fake.faults(|faults| faults.deaf = false);
    world.fake.forget_sessions();
    eventually("what was missed", || world.said().len() >= 151).await;
    world.fake.say(CHANNEL, "ann", "last");
    eventually("the last", || world.said().len() >= 152).await;
    let mut expected: Vec<&str> = vec!["one"];
    expected.extend(texts_missed.iter().map(String::as_str));
    expected.push("last");
    assert_eq!(texts(&world.said()), expected);
}

/// What was said shortly before the gap is read again, and takes nothing away from what was missed.
#[tokio::test]
async fn much_that_was_heard_before_a_gap_hides_nothing_of_it() {
    let mut world = World::with(|bridge, network| {
        bridge.portals.clear();
        network.gateway.catch_up = 100;
    })
    .await;
    world.open(CHANNEL).await;
    let heard: Vec<String> = (0..230).map(|number| format!("heard {number}")).collect();
    for text in &heard {
        world.fake.say(CHANNEL, "ann", text);
    }
    eventually("what was heard", || world.said().len() == heard.len()).await;
    world.fake.faults(|faults| faults.deaf = true);
    let missed: Vec<String> = (0..90).map(|number| format!("missed {number}")).collect();
    for text in &missed {
        world.fake.say(CHANNEL, "ann", text);
    }
    world.fake.faults(|faults| faults.deaf = false);
    world.fake.forget_sessions();
    let all = heard.len() + missed.len();
    eventually("what was missed", || world.said().len() >= all).await;
    let expected: Vec<&str> = heard.iter().chain(&missed).map(String::as_str).collect();
    assert_eq!(texts(&world.said()), expected);
}

#[tokio::test]
async fn a_thread_that_was_put_away_meanwhile_is_caught_up() {
    let world = World::opened().await;
    let root = world.fake.say(CHANNEL, "ann", "root");
    eventually("the root", || world.said().len() == 1).await;
    world.fake.begin_thread(CHANNEL, &root, "Aside");
    world.fake.faults(|faults| faults.deaf = true);
    world.fake.say(&root, "ann", "in the thread");
    world.fake.put_away(&root);
    world.fake.faults(|faults| faults.deaf = false);
    world.fake.forget_sessions();
    eventually("what was missed", || texts(&world.said()) == ["root", "in the thread"]).await;
}

#[tokio::test]
async fn pins_come_from_discord_also_those_of_a_gap() {
    let world = World::opened().await;
    let first = world.fake.say(CHANNEL, "ann", "first");
    let second = world.fake.say(CHANNEL, "ann", "second");
    eventually("both", || world.said().len() == 2).await;
    let events = [world.event_of("first"), world.event_of("second")];
    let pinned = |expected: &[String]| {
        let state = world.homeserver.state(&world.room, "m.room.pinned_events", "");
        state.is_some_and(|content| content["pinned"] == json!(expected))
    };
    world.fake.pin(CHANNEL, &first);
    eventually("the first pin", || pinned(&events[..1])).await;
    world.fake.faults(|faults| faults.deaf = true);
    world.fake.pin(CHANNEL, &second);
    world.fake.faults(|faults| faults.deaf = false);
    world.fake.forget_sessions();
    eventually("the second pin", || pinned(&events)).await;
}

#[tokio::test]
async fn what_was_pinned_before_the_room_was_made_shows_in_it() {
    let mut world = World::with(|bridge, _| bridge.portals.clear()).await;
    let pinned = world.fake.say(CHANNEL, "ann", "rules");
    world.fake.say(CHANNEL, "ann", "hello");
    world.fake.pin(CHANNEL, &pinned);
    world.open(CHANNEL).await;
    eventually("what was said before", || texts(&world.said()) == ["rules", "hello"]).await;
    let event = world.event_of("rules");
    eventually("the pin", || {
        let state = world.homeserver.state(&world.room, "m.room.pinned_events", "");
        state.is_some_and(|content| content["pinned"] == json!([event]))
    })
    .await;
}

#[tokio::test]
async fn pins_of_a_thread_are_shown_where_the_thread_is() {
    let world = World::opened().await;
    let root = world.fake.say(CHANNEL, "ann", "root");
    eventually("the root", || world.said().len() == 1).await;
    world.fake.begin_thread(CHANNEL, &root, "Aside");
    let answer = world.fake.say(&root, "ann", "answer");
    eventually("both", || world.said().len() == 2).await;
    let events = [world.event_of("answer"), world.event_of("root")];
    let pinned = |expected: &[String]| {
        let state = world.homeserver.state(&world.room, "m.room.pinned_events", "");
        state.is_some_and(|content| content["pinned"] == json!(expected))
    };
    world.fake.pin(&root, &answer);
    eventually("the thread's pin", || pinned(&events[..1])).await;
    world.fake.pin(CHANNEL, &root);
    eventually("the channel's pin", || {
        pinned(&[events[1].clone(), events[0].clone()]) || pinned(&events)
    })
    .await;
    world.fake.unpin(&root, &answer);
    eventually("the channel's pin alone", || pinned(&events[1..])).await;
    // In a gap, too.
    world.fake.faults(|faults| faults.deaf = true);
    world.fake.pin(&root, &answer);
    world.fake.faults(|faults| faults.deaf = false);
    world.fake.forget_sessions();
    eventually("the thread's pin again", || {
        pinned(&[events[1].clone(), events[0].clone()]) || pinned(&events)
    })
    .await;
}

#[tokio::test]
async fn a_restart_misses_and_doubles_nothing() {
    let mut world = World::opened().await;
    world.fake.say(CHANNEL, "ann", "one");
    eventually("one", || world.said().len() == 1).await;
    world.stop();
    let gone = world.fake.say(CHANNEL, "ann", "two");
    world.fake.edit(CHANNEL, &gone, "two, changed");
    world.user.say(&world.room, "from here").unwrap();
    world.start().await;
    eventually("two", || texts(&world.said()).contains(&"two, changed")).await;
    eventually("from here", || texts(&world.heard()) == ["from here"]).await;
    assert_eq!(world.fake.state().identified, 1, "the session was resumed over the restart");
    world.fake.say(CHANNEL, "ann", "three");
    eventually("three", || texts(&world.said()).contains(&"three")).await;
    let said = world.said();
    let from_discord: Vec<&str> =
        said.iter().filter(|(s, _)| s.starts_with("@discord_")).map(|(_, t)| t.as_str()).collect();
    assert_eq!(from_discord, ["one", "two, changed", "three"]);
}

#[tokio::test]
async fn events_that_come_twice_count_once() {
    let world = World::opened().await;
    world.fake.faults(|faults| faults.double = true);
    for number in 0..20 {
        world.fake.say(CHANNEL, "ann", &format!("m{number}"));
    }
    world.fake.faults(|faults| faults.double = false);
    world.fake.say(CHANNEL, "ann", "last");
    eventually("all", || world.said().len() >= 21).await;
    let expected: Vec<String> = (0..20).map(|n| format!("m{n}")).chain(["last".into()]).collect();
    assert_eq!(texts(&world.said()), expected);
}

#[tokio::test]
async fn what_cannot_be_read_is_left_out() {
    let world = World::opened().await;
    world.fake.dispatch("MESSAGE_CREATE", &json!({ "id": {}, "channel_id": [] }));
    world.fake.dispatch("SOMETHING_NEW", &json!("what"));
    world.fake.say(CHANNEL, "ann", "still here");
    eventually("the message", || texts(&world.said()) == ["still here"]).await;
}

#[tokio::test]
async fn files_cross_both_ways() {
    let world = World::opened().await;
    world.fake.post(
        CHANNEL,
        json!({
            "author": Fake::user("ann"), "content": "",
            "sticker_items": [{ "id": "90", "name": "Wave", "format_type": 1 }],
        }),
    );
    eventually("the sticker", || world.count("m.sticker") == 1).await;
    assert!(world.homeserver.uploads() >= 1);
    world.fake.post(
        CHANNEL,
        json!({
            "author": Fake::user("ann"), "content": "",
            "sticker_items": [{ "id": "91", "name": "Roll", "format_type": 3 }],
        }),
    );
    eventually("the drawn sticker", || world.count("m.sticker") == 2).await;
    let timeline = world.homeserver.timeline(&world.room);
    let drawn = timeline.iter().rfind(|event| event["type"] == "m.sticker").unwrap();
    assert_eq!(drawn["content"]["info"]["mimetype"], "image/gif");
    assert!(drawn["content"]["url"].as_str().unwrap().starts_with("mxc://"));
    let mxc = world.user.upload("image/png", b"a picture").unwrap();
    let content = json!({ "msgtype": "m.image", "body": "cat.png", "url": mxc, "info": { "mimetype": "image/png" } });
    world.user.send(&world.room, "m.room.message", &content).unwrap();
    eventually("the file", || world.files(CHANNEL) == ["cat.png"]).await;
}

#[tokio::test]
async fn a_thread_is_a_thread_on_both_sides() {
    let world = World::opened().await;
    let root = world.fake.say(CHANNEL, "ann", "root");
    eventually("the root", || world.said().len() == 1).await;
    let event = world.event_of("root");
    let content = json!({
        "msgtype": "m.text", "body": "in the thread",
        "m.relates_to": { "rel_type": "m.thread", "event_id": event, "is_falling_back": true, "m.in_reply_to": { "event_id": event } },
    });
    world.user.send(&world.room, "m.room.message", &content).unwrap();
    eventually("the thread", || world.fake.heard(&root).len() == 1).await;
    world.fake.say(&root, "ann", "answer");
    eventually("the answer", || texts(&world.said()).contains(&"answer")).await;
    let answer = world.find("answer");
    assert_eq!(answer["content"]["m.relates_to"]["rel_type"], "m.thread");
    assert_eq!(answer["content"]["m.relates_to"]["event_id"], event);
}

#[tokio::test]
async fn a_thread_is_a_room_where_that_is_chosen() {
    let world = World::opened_for(CHANNEL, |bridge| bridge.threads = ThreadMode::Rooms).await;
    let head = world.fake.say(CHANNEL, "ann", "root");
    world.fake.begin_thread(CHANNEL, &head, "Aside");
    let first = world.fake.say(&head, "ann", "in the thread");
    let room = world.enter("Aside").await;
    eventually("its message", || texts(&world.homeserver.messages(&room)) == ["in the thread"])
        .await;
    let event = world.user.say(&room, "an answer").unwrap();
    eventually("the answer", || texts(&world.fake.heard(&head)) == ["an answer"]).await;
    world.user.edit(&room, &event, "a better answer").unwrap();
    eventually("the edit", || texts(&world.fake.heard(&head)) == ["a better answer"]).await;
    world.fake.edit(&head, &first, "changed");
    eventually("the change", || texts(&world.homeserver.messages(&room))[0] == "changed").await;
    assert_eq!(texts(&world.said()), ["root"]);
}

#[tokio::test]
async fn private_threads_stay_private() {
    let world = World::opened().await;
    let secret = json!({ "id": "650", "type": 12, "guild_id": GUILD, "parent_id": CHANNEL, "name": "secret" });
    world.fake.state().channels.insert("650".into(), secret.clone());
    world.fake.dispatch("THREAD_CREATE", &secret);
    world.fake.say("650", "ann", "among us");
    world.fake.say(CHANNEL, "ann", "for all");
    eventually("the public message", || texts(&world.said()) == ["for all"]).await;
}

#[tokio::test]
async fn who_manages_a_channel_bridges_it_and_ends_that() {
    let world = World::opened().await;
    assert!(world.command(OTHER, "bridge").await.contains("/matrix link"), "whom to invite?");
    let code = world.command(CHANNEL, "link").await.split('`').nth(3).unwrap().to_owned();
    world.link(&code).await;
    assert!(world.command(OTHER, "bridge").await.contains("is being made"));
    let room = world.enter("#other").await;
    world.fake.say(OTHER, "eve", "here");
    eventually("a message", || texts(&world.homeserver.messages(&room)).contains(&"here")).await;
    assert!(world.command(OTHER, "unbridge").await.contains("no longer"));
    let said = world.homeserver.messages(&room);
    assert!(said.last().unwrap().1.contains("ann has ended"), "{said:?}");
    world.fake.say(OTHER, "eve", "unheard");
    world.fake.say(CHANNEL, "eve", "heard");
    eventually("what is bridged", || texts(&world.said()).contains(&"heard")).await;
    assert_eq!(world.homeserver.messages(&room).len(), said.len());
    assert!(world.command(OTHER, "unbridge").await.contains("not bridged"));
    assert!(world.command(CHANNEL, "unbridge").await.contains("configuration"));
}

#[tokio::test]
async fn people_link_themselves_by_a_code() {
    let world = World::opened().await;
    let words = world.command(CHANNEL, "link").await;
    let code = words.split('`').nth(3).unwrap();
    world.link(code).await;
    // What they say here carries their name there, and what they say there is theirs here.
    world.user.say(&world.room, "it is me").unwrap();
    eventually("their words", || world.heard() == [("ann".to_owned(), "it is me".to_owned())])
        .await;
}

#[tokio::test]
async fn a_wrong_token_is_told() {
    let world =
        World::with(|_, config| config.token = landbridge_discord::config::Secret("wrong".into()))
            .await;
    let refused = async {
        while world.bot_state().await != "bad_credentials" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_mins(1), refused).await.is_ok(), "it is not told");
}

#[tokio::test]
async fn polls_go_to_discord() {
    let world = World::opened().await;
    let event = world.user.say(&world.room, "hi").unwrap();
    eventually("a message", || world.heard().len() == 1).await;
    world.user.edit(&world.room, &event, "ho").unwrap();
    eventually("an edit", || texts(&world.heard()) == ["ho"]).await;
    let poll = json!({
        "org.matrix.msc1767.text": "Tea?",
        "org.matrix.msc3381.poll.start": {
            "kind": "org.matrix.msc3381.poll.disclosed", "max_selections": 1,
            "question": { "org.matrix.msc1767.text": "Tea?" },
            "answers": [{ "id": "a", "org.matrix.msc1767.text": "Yes" }, { "id": "b", "org.matrix.msc1767.text": "No" }],
        },
    });
    world.user.send(&world.room, "org.matrix.msc3381.poll.start", &poll).unwrap();
    eventually("a poll", || world.asked("POST", "/webhooks/") == 2).await;
    world.user.redact(&world.room, &event).unwrap();
    eventually("a deletion", || world.asked("DELETE", "/webhooks/") == 1).await;
    let requests: Vec<Value> = world.fake.requests.lock().unwrap().clone();
    assert!(requests.iter().any(|r| r["path"].as_str().unwrap().ends_with("/commands")));
}
