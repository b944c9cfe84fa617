//! Forums: posts as Matrix threads and as rooms, their tags, and posts that begin on Matrix.

use serde_json::{Value, json};

use crate::{
    fake::{FORUM, Fake, HELP_WANTED},
    texts,
    world::World,
};
use landbridge_framework::{event::ThreadMode, testing::eventually};

#[tokio::test]
async fn what_is_said_in_a_forums_room_begins_a_post() {
    let world = World::opened_for(FORUM, |_| {}).await;
    world.fake.faults(|faults| faults.lose_answers = 1);
    let event = world.user.say(&world.room, "How to?\nI can't see.").unwrap();
    eventually("the post", || world.fake.posts(FORUM) == ["How to?"]).await;
    let post = world.fake.thread_of(FORUM).unwrap();
    let answer = json!({
        "msgtype": "m.text", "body": "more",
        "m.relates_to": { "rel_type": "m.thread", "event_id": event },
    });
    world.user.send(&world.room, "m.room.message", &answer).unwrap();
    eventually("more of it", || {
        texts(&world.fake.heard(&post)) == ["How to?\nI can't see.", "more"]
    })
    .await;
    assert_eq!(world.fake.posts(FORUM).len(), 1, "the lost answer did not double it");
    world.fake.say(&post, "ann", "like so");
    eventually("the answer", || texts(&world.said()).contains(&"like so")).await;
    assert_eq!(world.find("like so")["content"]["m.relates_to"]["event_id"], event);
}

#[tokio::test]
async fn the_bot_begins_posts_where_it_has_no_webhook() {
    let world = World::opened_for(FORUM, |_| {}).await;
    world.fake.faults(|faults| faults.no_webhooks = true);
    world.user.say(&world.room, "Anybody?").unwrap();
    eventually("the post", || world.fake.posts(FORUM) == ["Anybody?"]).await;
    let post = world.fake.thread_of(FORUM).unwrap();
    assert_eq!(texts(&world.fake.heard(&post)), ["**bob**: Anybody?"]);
}

#[tokio::test]
async fn posts_are_rooms_in_the_space_of_their_forum() {
    let world = World::opened_for(FORUM, |bridge| bridge.threads = ThreadMode::Rooms).await;
    let asked = json!({ "author": Fake::user("ann"), "content": "I can't see." });
    let post = world.fake.begin(FORUM, "How to?", &json!([HELP_WANTED]), asked);
    let room = world.enter("How to?").await;
    eventually("the post", || world.homeserver.messages(&room).len() == 1).await;
    let homeserver = &world.homeserver;
    let state = |room: &str, kind: &str, key: &str| homeserver.state(room, kind, key);
    let is_space = |room: &String| {
        state(room, "m.room.create", "").is_some_and(|create| create["type"] == "m.space")
            && state(room, "m.room.name", "").is_some_and(|name| name["name"] == "forum")
    };
    let space = || homeserver.all_rooms().into_iter().find(is_space);
    eventually("the post in its space", || {
        space().is_some_and(|space| state(&space, "m.space.child", &room).is_some())
    })
    .await;
    let space = space().unwrap();
    let topic = |expected: &str| {
        state(&room, "m.room.topic", "").is_some_and(|topic| topic["topic"] == expected)
    };
    assert!(topic("Tags: Help wanted"));
    // Whoever is in the forum's room may join the space and its posts, and nobody else.
    let rule = state(&space, "m.room.join_rules", "").unwrap();
    let from = |room: &str| json!({ "type": "m.room_membership", "room_id": room });
    assert_eq!(rule, json!({ "join_rule": "restricted", "allow": [from(&world.room)] }));
    let rule = state(&room, "m.room.join_rules", "").unwrap();
    assert_eq!(rule["allow"], json!([from(&space), from(&world.room)]));
    world.fake.change(&post, "applied_tags", json!([HELP_WANTED, "91"]));
    eventually("the other tag", || topic("Tags: Help wanted, Solved")).await;
    // The forum has another name, and so has its space.
    world.fake.change(FORUM, "name", "questions".into());
    let named =
        |room: &str| state(room, "m.room.name", "").is_some_and(|name| name["name"] == "questions");
    eventually("the name of both", || named(&space) && named(&world.room)).await;
    world.user.say(&room, "Me neither.").unwrap();
    eventually("an answer", || texts(&world.fake.heard(&post)) == ["Me neither."]).await;
}

#[tokio::test]
async fn tags_that_change_show_where_the_post_has_no_room() {
    let world = World::opened_for(FORUM, |_| {}).await;
    let asked = json!({ "author": Fake::user("ann"), "content": "I can't see." });
    let post = world.fake.begin(FORUM, "How to?", &json!([HELP_WANTED]), asked);
    let shows = |words: &[&str]| {
        let said = world.said();
        said.last().is_some_and(|(_, text)| words.iter().all(|word| text.contains(word)))
    };
    eventually("the post", || shows(&["How to?", "Tags: Help wanted", "I can't see."])).await;
    world.fake.change(&post, "applied_tags", json!([HELP_WANTED, "91"]));
    eventually("the other tag", || shows(&["How to?", "Tags: Help wanted, Solved"])).await;
    world.fake.change(&post, "name", "How so?".into());
    eventually("the other title", || shows(&["How so?", "Tags: Help wanted, Solved"])).await;
}

#[tokio::test]
async fn a_post_takes_its_tags_from_its_last_line() {
    let world = World::opened_for(FORUM, |_| {}).await;
    world.user.say(&world.room, "How to?\nI can't see.\n#help-wanted").unwrap();
    eventually("the post", || world.fake.posts(FORUM) == ["How to?"]).await;
    let post = world.fake.thread_of(FORUM).unwrap();
    assert_eq!(texts(&world.fake.heard(&post)), ["How to?\nI can't see."]);
    let tags = world.fake.state().channels[&post]["applied_tags"].clone();
    assert_eq!(tags, json!([HELP_WANTED]));
}

#[tokio::test]
async fn a_forum_that_wants_a_tag_says_which_there_are() {
    let world = World::opened_for(FORUM, |_| {}).await;
    world.fake.change(FORUM, "flags", json!(16));
    let asked = json!({ "author": Fake::user("ann"), "content": "seen" });
    world.fake.begin(FORUM, "First", &json!([HELP_WANTED]), asked);
    // Now the bridge knows what the forum wants.
    let first = || {
        let said = world.said();
        said.iter().any(|(_, text)| text.contains("Tags: Help wanted"))
    };
    eventually("the first post with its tags", first).await;
    world.user.say(&world.room, "Anybody?").unwrap();
    let answered = || {
        let events: Vec<Value> = world.homeserver.timeline(&world.room);
        events.iter().any(|event| event.to_string().contains("`#help-wanted`"))
    };
    eventually("which tags there are", answered).await;
    assert_eq!(world.fake.posts(FORUM), ["First"]);
}
