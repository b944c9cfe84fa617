//! History visibility and ignored users, on every way to read a room.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::rig::{Person, Rig, bodies};
use crate::nid::{ORD_SHIFT, TimelineOrd};
use crate::room::{Preset, Room};
use crate::sync::lens::Lens;

const SLIDING: &str = "unstable/org.matrix.simplified_msc3575/sync";

/// Everything that a user gets of a room by all the ways that tell of many events, by the way's name.
async fn all_ways(who: &Person<'_>, room: &Room, around: &str) -> Vec<(&'static str, Value)> {
    let id = room.id();
    let sliding = json!({"lists": {"all": {"ranges": [[0, 9]], "timeline_limit": 100,
        "required_state": [["m.room.member", "$LAZY"]]}}});
    let search = json!({"search_categories": {"room_events": {"search_term": "secret",
        "event_context": {"before_limit": 9, "after_limit": 9}}}});
    let limit = json!({"room": {"timeline": {"limit": 100}}});
    vec![
        ("sync", who.sync(None, limit.clone()).await.0["rooms"].take()),
        ("sync, state after", {
            let (mut answer, _) = who.sync_with(None, limit, "&use_state_after=true").await;
            answer["rooms"].take()
        }),
        ("sliding sync", who.call(Method::POST, SLIDING, sliding).await["rooms"].take()),
        ("messages back", who.get(&format!("v3/rooms/{id}/messages?dir=b&limit=100")).await),
        ("messages forth", who.get(&format!("v3/rooms/{id}/messages?dir=f&limit=100")).await),
        ("context", who.get(&format!("v3/rooms/{id}/context/{around}?limit=100")).await),
        ("relations", who.get(&format!("v1/rooms/{id}/relations/{around}?recurse=true")).await),
        ("threads", who.get(&format!("v1/rooms/{id}/threads")).await),
        ("event", who.get(&format!("v3/rooms/{id}/event/{around}")).await),
        ("search", {
            let mut answer = who.call(Method::POST, "v3/search", search).await;
            answer["search_categories"]["room_events"]["results"].take()
        }),
    ]
}

fn related(body: &str, rel_type: &str, to: &str) -> Value {
    let mut content = json!({"msgtype": "m.text", "body": body,
        "m.relates_to": {"rel_type": rel_type, "event_id": to}});
    if rel_type == "m.replace" {
        content["m.new_content"] = json!({"msgtype": "m.text", "body": body});
    }
    content
}

#[tokio::test]
async fn what_was_said_before_one_came_is_shown_by_no_way() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, Some("joined")).await;
    let id = room.id();
    let before = alice.say(&room, "secret").await;
    for rel_type in ["m.thread", "m.replace", "m.reference"] {
        alice.send(&room, "m.room.message", &related("secret too", rel_type, &before)).await;
    }
    bob.join(&room).await;
    let after = alice.say(&room, "open").await;
    for (way, told) in all_ways(&bob, &room, &after).await {
        assert!(!told.to_string().contains("secret"), "{way}: {told}");
    }
    // The same ways show it to whoever was there.
    for (way, told) in all_ways(&alice, &room, &before).await {
        assert!(told.to_string().contains("secret"), "{way}: {told}");
    }
    let subscription = "unstable/io.element.msc4306/rooms";
    for (method, path) in [
        (Method::GET, format!("v3/rooms/{id}/event/{before}")),
        (Method::GET, format!("v3/rooms/{id}/context/{before}")),
        (Method::GET, format!("v1/rooms/{id}/relations/{before}")),
        (Method::GET, format!("{subscription}/{id}/thread/{before}/subscription")),
        (Method::PUT, format!("{subscription}/{id}/thread/{before}/subscription")),
        (Method::POST, format!("v3/rooms/{id}/receipt/m.read/{before}")),
    ] {
        let body = json!({});
        let body = (method != Method::GET).then_some(&body);
        let (status, answer) = bob.ask(method, &path, body).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}: {answer}");
    }
    let near = bob.get(&format!("v1/rooms/{id}/timestamp_to_event?ts=0&dir=f")).await;
    let (status, _) = bob
        .ask(
            Method::GET,
            &format!("v3/rooms/{id}/event/{}", near["event_id"].as_str().expect("an id")),
            None,
        )
        .await;
    assert_eq!(status, StatusCode::OK, "what is found by its time can be read");
}

#[tokio::test]
async fn ignored_users_are_heard_by_no_way() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    bob.join(&room).await;
    let said = alice.say(&room, "mine").await;
    bob.say(&room, "secret").await;
    for rel_type in ["m.thread", "m.reference"] {
        bob.send(&room, "m.room.message", &related("secret too", rel_type, &said)).await;
    }
    for (way, told) in all_ways(&alice, &room, &said).await {
        // An event is told with the ids of what refers to it.
        let heard = if way == "event" { "m.relations" } else { "secret" };
        assert!(told.to_string().contains(heard), "{way}: {told}");
    }
    let path = format!("v3/user/{}/account_data/m.ignored_user_list", alice.id);
    let mut ignored = serde_json::Map::new();
    ignored.insert(bob.id.to_string(), json!({}));
    alice.call(Method::PUT, &path, json!({ "ignored_users": ignored })).await;
    for (way, told) in all_ways(&alice, &room, &said).await {
        assert!(!told.to_string().contains("secret"), "{way}: {told}");
        assert!(!told.to_string().contains("m.relations"), "{way}: {told}");
    }
    let path = format!("v3/rooms/{}/typing/{}", room.id(), bob.id);
    bob.call(Method::PUT, &path, json!({"typing": true})).await;
    let mut body = json!({"lists": {"all": {"ranges": [[0, 9]], "timeline_limit": 1}}});
    body["extensions"] = json!({"typing": {"enabled": true}});
    let answer = alice.call(Method::POST, SLIDING, body).await;
    let typing = &answer["extensions"]["typing"]["rooms"][room.id().as_str()];
    assert_eq!(typing["content"]["user_ids"], json!([]));
}

#[tokio::test]
async fn whoever_left_and_was_banned_sees_the_state_that_he_left() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    let id = room.id();
    alice.set(&room, "m.room.topic", "", &json!({"topic": "then"})).await;
    bob.join(&room).await;
    let everything = json!({"room": {"include_leave": true, "timeline": {"limit": 1}}});
    bob.leave(&room).await;
    alice.set(&room, "m.room.topic", "", &json!({"topic": "later"})).await;
    alice.member(&room, &bob.id, "ban").await;
    let sliding = json!({"lists": {"all": {"ranges": [[0, 9]], "timeline_limit": 9,
        "required_state": [["*", "*"]]}}});
    let lazy = "%7B%22lazy_load_members%22:true%7D";
    for (way, told) in [
        ("sync", bob.sync(None, everything.clone()).await.0["rooms"].take()),
        ("sliding sync", bob.call(Method::POST, SLIDING, sliding).await["rooms"].take()),
        ("state", bob.get(&format!("v3/rooms/{id}/state")).await),
    ] {
        assert!(told.to_string().contains("then"), "{way}: {told}");
        assert!(!told.to_string().contains("later"), "{way}: {told}");
    }
    let page = bob.get(&format!("v3/rooms/{id}/messages?dir=b&limit=9&filter={lazy}")).await;
    assert!(!page.to_string().contains("later"), "{page}");
}

#[tokio::test]
async fn what_was_said_while_one_was_asked_in_again_and_declined_is_to_be_read_back() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, Some("invited")).await;
    let id = room.id().as_str();
    bob.join(&room).await;
    let sliding = json!({"lists": {"all": {"ranges": [[0, 9]], "timeline_limit": 9}}});
    let slide = async |pos: &str| {
        let path = format!("{SLIDING}?pos={pos}");
        bob.call(Method::POST, &path, sliding.clone()).await
    };
    let pos_of = |answer: &Value| answer["pos"].as_str().unwrap().to_owned();
    let (_, inside) = bob.sync(None, json!({})).await;
    let pos_inside = pos_of(&bob.call(Method::POST, SLIDING, sliding.clone()).await);
    bob.leave(&room).await;
    let (_, outside) = bob.sync(Some(&inside), json!({})).await;
    alice.say(&room, "among us").await;
    alice.member(&room, &bob.id, "invite").await;
    alice.say(&room, "come back").await;
    let (_, asked) = bob.sync(Some(&outside), json!({})).await;
    let pos_asked = pos_of(&slide(&pos_inside).await);
    bob.leave(&room).await;
    let ways = [("when he was asked", &asked), ("when out", &outside), ("when in", &inside)];
    for (way, since) in ways {
        let (answer, _) = bob.sync(Some(since), json!({})).await;
        let told = &answer["rooms"]["leave"][id]["timeline"];
        assert_eq!(told["limited"], true, "{way}: {answer}");
        let from = told["prev_batch"].as_str().unwrap();
        let page = bob.get(&format!("v3/rooms/{id}/messages?dir=b&limit=3&from={from}")).await;
        assert_eq!(bodies(&page["chunk"]), ["come back"], "{way}");
    }
    let answer = slide(&pos_asked).await;
    let told = &answer["rooms"][id];
    assert_eq!(told["limited"], true, "{answer}");
    let from = told["prev_batch"].as_str().unwrap();
    let page = bob.get(&format!("v3/rooms/{id}/messages?dir=b&limit=3&from={from}")).await;
    assert_eq!(bodies(&page["chunk"]), ["come back"]);

    // Whoever was never inside is told of no gap that he could not read.
    let carol = rig.person("carol").await;
    let (_, before) = carol.sync(None, json!({})).await;
    alice.member(&room, &carol.id, "invite").await;
    alice.say(&room, "come in").await;
    carol.leave(&room).await;
    let (answer, _) = carol.sync(Some(&before), json!({})).await;
    assert_eq!(answer["rooms"]["leave"][id]["timeline"]["limited"], false, "{answer}");
}

/// Only the invitation was told: it hid that there was something before he left.
#[tokio::test]
async fn the_end_of_a_stay_is_to_be_read_back_after_an_invitation_that_was_declined() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, Some("joined")).await;
    let id = room.id().as_str();
    bob.join(&room).await;
    let sliding = json!({"lists": {"all": {"ranges": [[0, 9]], "timeline_limit": 9}}});
    let (_, mut since) = bob.sync(None, json!({})).await;
    let mut pos = String::new();
    let mut told = Vec::new();
    for step in 0..3 {
        match step {
            1 => {
                alice.say(&room, "while you were here").await;
                bob.leave(&room).await;
                alice.member(&room, &bob.id, "invite").await;
            }
            2 => drop(bob.leave(&room).await),
            _ => {}
        }
        let (mut full, next) = bob.sync(Some(&since), json!({})).await;
        let path = format!("{SLIDING}{pos}");
        let mut slid = bob.call(Method::POST, &path, sliding.clone()).await;
        pos = format!("?pos={}", slid["pos"].as_str().unwrap());
        since = next;
        told = vec![full["rooms"]["leave"][id]["timeline"].take(), slid["rooms"][id].take()];
        assert_eq!(step == 1, told[1].get("invite_state").is_some(), "{told:?}");
    }
    for told in told {
        assert_eq!(told["limited"], true, "{told}");
        let from = told["prev_batch"].as_str().unwrap();
        let page = bob.get(&format!("v3/rooms/{id}/messages?dir=b&from={from}")).await;
        assert_eq!(bodies(&page["chunk"]), ["while you were here"]);
    }
}

#[tokio::test]
async fn what_was_missed_outside_is_told_to_whoever_came_back_and_left_once_more() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, Some("shared")).await;
    let id = room.id().as_str();
    bob.join(&room).await;
    let body = json!({"lists": {"all": {"ranges": [[0, 9]], "timeline_limit": 9}}});
    let mut pos = String::new();
    let mut answer = Value::Null;
    for step in 0..4 {
        match step {
            1 => drop(bob.leave(&room).await),
            2 => drop(alice.say(&room, "without you").await),
            3 => {
                bob.join(&room).await;
                bob.leave(&room).await;
            }
            _ => {}
        }
        answer = bob.call(Method::POST, &format!("{SLIDING}{pos}"), body.clone()).await;
        pos = format!("?pos={}", answer["pos"].as_str().unwrap());
    }
    assert!(bodies(&answer["rooms"][id]["timeline"]).contains(&"without you"), "{answer}");
}

#[tokio::test]
async fn an_older_value_of_hidden_state_is_not_told_after_it() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    // Everybody may see the first name; who comes later doesn't see the second.
    let room = alice.room(Preset::PublicChat, Some("shared")).await;
    let id = room.id().as_str();
    let name = |name: &str| json!({ "name": name });
    alice.set(&room, "m.room.name", "", &name("first")).await;
    let hide = json!({"history_visibility": "joined"});
    alice.set(&room, "m.room.history_visibility", "", &hide).await;
    let second = alice.set(&room, "m.room.name", "", &name("second")).await;
    bob.join(&room).await;
    let (answer, _) = bob.sync(None, json!({"room": {"timeline": {"limit": 50}}})).await;
    let told = &answer["rooms"]["join"][id];
    let state = told["state"]["events"].as_array().unwrap().iter();
    let timeline = told["timeline"]["events"].as_array().unwrap().iter();
    let names: Vec<&Value> =
        state.chain(timeline).filter(|event| event["type"] == "m.room.name").collect();
    assert_eq!(names.last().unwrap()["event_id"], second.as_str(), "{told}");
    assert_eq!(told["timeline"]["limited"], true, "{told}");
    let from = told["timeline"]["prev_batch"].as_str().unwrap();
    let page = bob.get(&format!("v3/rooms/{id}/messages?dir=b&limit=50&from={from}")).await;
    let older = page["chunk"].as_array().unwrap().iter();
    assert_eq!(older.filter(|event| event["type"] == "m.room.name").count(), 1, "{page}");
}

#[tokio::test]
async fn whoever_leaves_and_comes_back_after_an_answers_end_was_not_away_within_it() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    let place = || (rig.app().feed.head() + 1) << ORD_SHIFT;
    bob.join(&room).await;
    let from = place();
    alice.say(&room, "within").await;
    let below = place();
    bob.leave(&room).await;
    bob.join(&room).await;
    let snapshot = room.snapshot();
    let mut lens = Lens::new(&rig.app().rooms, &bob.id, &snapshot.state);
    assert!(!lens.was_away(from, below).await.unwrap());
    assert!(lens.was_away(from, place()).await.unwrap());
    assert!(lens.was_away(TimelineOrd::MIN, below).await.unwrap());
}
