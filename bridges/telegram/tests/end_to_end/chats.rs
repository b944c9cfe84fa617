//! Chats that are more than a direct one or a supergroup: forums with their topics, and basic groups.

use landbridge_framework::testing::eventually;
use landbridge_telegram_peer::Place;
use serde_json::json;

use crate::rig::{ALICE, BOB, Rig};

const FORUM: i64 = 6000;
const CLUB: i64 = 400;
const SUPERCLUB: i64 = 4000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_are_rooms_in_their_forums_space() {
    let rig = Rig::start().await;
    {
        let mut world = rig.peer.world();
        world.channel(FORUM, "Forum", &[ALICE, BOB]);
        world.forum(FORUM);
    }
    rig.log_in("+15550001").await;
    eventually("Alice is connected", || rig.peer.world().is_connected(ALICE)).await;
    let plans = rig.peer.world().begin_topic(BOB, FORUM, "Plans");
    let asked = rig.peer.world().say_in_topic(BOB, FORUM, plans, "any plans?");
    let room = rig.room_named("Plans").await;
    eventually("Bob's words are there", || rig.heard(&room).contains(&"any plans?".to_owned()))
        .await;
    let space = rig.room_named("Forum").await;
    eventually("the room is in the space", || {
        rig.homeserver.state(&space, "m.space.child", &room).is_some()
    })
    .await;

    // What is said in the room is said in the topic, answers too.
    rig.ann.say(&room, "none").expect("Ann may speak");
    let event = rig
        .events(&room, "m.room.message")
        .into_iter()
        .find(|event| event["content"]["body"] == "any plans?");
    let about = json!({
        "msgtype": "m.text", "body": "or one",
        "m.relates_to": { "m.in_reply_to": { "event_id": event.expect("it is there")["event_id"] } },
    });
    rig.ann.send(&room, "m.room.message", &about).expect("Ann may answer");
    let forum = Place::Channel(FORUM);
    eventually("both are there", || rig.said_by(forum, ALICE) == ["none", "or one"]).await;
    let said = rig.peer.world().said(forum);
    let own: Vec<_> = said.iter().filter(|said| said.from == ALICE).collect();
    assert_eq!((own[0].topic, own[0].reply_to), (Some(plans), None));
    assert_eq!((own[1].topic, own[1].reply_to), (Some(plans), Some(asked)));

    // What belongs to no topic is in the one that every forum has.
    rig.peer.world().say(BOB, forum, "hello all");
    let general = rig.room_named("General").await;
    eventually("it is there", || rig.heard(&general).contains(&"hello all".to_owned())).await;
    rig.ann.say(&general, "hello Bob").expect("Ann may speak");
    eventually("Ann's is there", || {
        let said = rig.peer.world().said(forum);
        said.last().is_some_and(|said| said.text == "hello Bob" && said.topic.is_none())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_are_made_renamed_and_closed_from_matrix() {
    let rig = Rig::start().await;
    {
        let mut world = rig.peer.world();
        world.channel(FORUM, "Forum", &[ALICE, BOB]);
        world.forum(FORUM);
    }
    rig.log_in("+15550001").await;
    eventually("Alice is connected", || rig.peer.world().is_connected(ALICE)).await;
    rig.peer.world().say(BOB, Place::Channel(FORUM), "hello all");
    let general = rig.room_named("General").await;
    let answered = async |room: &str, said: &str, answer: &str| {
        rig.ann.say(room, said).expect("Ann may speak");
        eventually(answer, || rig.heard(room).iter().any(|body| body.contains(answer))).await;
    };
    answered(&general, "!telegram topic", "Say what").await;
    answered(&general, "!telegram topic new", "must have a name").await;
    answered(&general, "!telegram topic new Big plans", "is made").await;
    let plans = rig.room_named("Big plans").await;
    let topic = rig.peer.world().topics(FORUM);
    assert_eq!(topic.iter().map(|(_, name)| &**name).collect::<Vec<_>>(), ["Big plans"]);
    let topic = topic[0].0;
    rig.ann.say(&plans, "which?").expect("Ann may speak");
    eventually("it is said in the topic", || {
        let said = rig.peer.world().said(Place::Channel(FORUM));
        said.iter().any(|said| said.text == "which?" && said.topic == Some(topic))
    })
    .await;

    answered(&plans, "!telegram topic rename Small plans", "its new name").await;
    assert_eq!(rig.peer.world().topic(FORUM, topic), Some("Small plans"));
    eventually("its room has the name", || {
        rig.homeserver.state(&plans, "m.room.name", "").is_some_and(|s| s["name"] == "Small plans")
    })
    .await;
    answered(&plans, "!telegram topic close", "is closed").await;
    assert!(rig.peer.world().is_closed(FORUM, topic));
    // She did it herself, so it is she who is shown doing it.
    eventually("people see it", || {
        let said = rig.events(&plans, "m.room.message");
        said.iter().any(|event| event["content"]["body"] == "Closed the topic")
    })
    .await;
    answered(&plans, "!telegram topic reopen", "open again").await;
    assert!(!rig.peer.world().is_closed(FORUM, topic));
    // To change it into what it is does no harm.
    rig.ann.say(&plans, "!telegram topic reopen").expect("Ann may speak");
    eventually("it is answered as before", || {
        rig.heard(&plans).iter().filter(|body| body.contains("open again")).count() == 2
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_keeps_its_room_when_it_becomes_a_supergroup() {
    let rig = Rig::start().await;
    rig.peer.world().group(CLUB, "Club", &[ALICE, BOB]);
    rig.log_in("+15550001").await;
    eventually("Alice is connected", || rig.peer.world().is_connected(ALICE)).await;
    rig.peer.world().say(BOB, Place::Group(CLUB), "before");
    let room = rig.room_named("Club").await;
    eventually("the group's are there", || rig.heard(&room).contains(&"before".to_owned())).await;
    rig.ann.say(&room, "indeed").expect("Ann may speak");
    eventually("Ann's are Alice's", || rig.said_by(Place::Group(CLUB), ALICE) == ["indeed"]).await;

    rig.peer.world().upgrade(BOB, CLUB, SUPERCLUB);
    // It is said before the bridge has read of the move.
    rig.peer.world().say(BOB, Place::Channel(SUPERCLUB), "after");
    eventually("the supergroup's are there", || rig.heard(&room).contains(&"after".to_owned()))
        .await;
    rig.ann.say(&room, "as ever").expect("Ann may speak");
    let there = Place::Channel(SUPERCLUB);
    eventually("Ann's are Alice's", || rig.said_by(there, ALICE) == ["as ever"]).await;
    let clubs = rig.homeserver.all_rooms().into_iter().filter(|room| {
        let state = rig.homeserver.state(room, "m.room.name", "");
        state.is_some_and(|state| state["name"] == "Club")
    });
    assert_eq!(clubs.count(), 1, "no second room was opened");
}
