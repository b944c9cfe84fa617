//! Sticky events: told once to everybody in the room, while they are sticky.

use std::collections::HashSet;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::rig::{Person, Rig, bodies, ids};
use crate::room::{Draft, Preset, Room};

const PARAM: &str = "org.matrix.msc4354.sticky_duration_ms";
const EXTENSION: &str = "org.matrix.msc4354.sticky_events";
const TTL: &str = "msc4354_sticky_duration_ttl_ms";
const HOUR: i64 = 3_600_000;

impl Person<'_> {
    /// Sends something sticky and gives its id.
    async fn stick(&self, room: &Room, txn: &str, body: &str) -> String {
        let path = format!("v3/rooms/{}/send/m.room.message/{txn}?{PARAM}={HOUR}", room.id());
        let answer =
            self.call(Method::PUT, &path, json!({"msgtype": "m.text", "body": body})).await;
        answer["event_id"].as_str().expect("an id").to_owned()
    }
}

fn short() -> Value {
    json!({"room": {"timeline": {"limit": 1}}})
}

fn section<'a>(answer: &'a Value, room: &Room) -> &'a Value {
    &answer["rooms"]["join"][room.id().as_str()]["msc4354_sticky"]["events"]
}

fn timeline<'a>(answer: &'a Value, room: &Room) -> &'a Value {
    &answer["rooms"]["join"][room.id().as_str()]["timeline"]["events"]
}

fn left(event: &Value) -> i64 {
    event["unsigned"][TTL].as_i64().expect("a time")
}

#[tokio::test]
async fn it_is_told_once_however_short_the_timeline_is() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    bob.join(&room).await;
    let (answer, since) = bob.sync(None, short()).await;
    assert_eq!(answer["rooms"]["join"][room.id().as_str()].get("msc4354_sticky"), None);
    let id = alice.stick(&room, "1", "here I am").await;
    alice.say(&room, "a").await;
    alice.say(&room, "b").await;
    let (answer, since) = bob.sync(Some(&since), short()).await;
    assert_eq!(bodies(timeline(&answer, &room)), ["b"]);
    assert_eq!(ids(section(&answer, &room)), [id.as_str()]);
    let event = &section(&answer, &room)[0];
    assert_eq!(event["msc4354_sticky"], json!({ "duration_ms": HOUR }));
    assert!((1..=HOUR).contains(&left(event)), "{event}");
    alice.say(&room, "c").await;
    let (answer, _) = bob.sync(Some(&since), short()).await;
    assert_eq!(*section(&answer, &room), Value::Null);
    // Who begins anew gets it again.
    let (answer, _) = bob.sync(None, short()).await;
    assert_eq!(ids(section(&answer, &room)), [id.as_str()]);
    let single = bob.get(&format!("v3/rooms/{}/event/{id}", room.id())).await;
    assert!((1..=HOUR).contains(&left(&single)));
}

#[tokio::test]
async fn what_the_timeline_holds_is_not_told_beside_it() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    bob.join(&room).await;
    let (_, since) = bob.sync(None, json!({})).await;
    let id = alice.stick(&room, "1", "here I am").await;
    let (answer, _) = bob.sync(Some(&since), json!({})).await;
    assert_eq!(ids(timeline(&answer, &room)), [id.as_str()]);
    assert!((1..=HOUR).contains(&left(&timeline(&answer, &room)[0])));
    assert_eq!(*section(&answer, &room), Value::Null);
    // What the timeline's filter keeps out of it stays in the section.
    let filter = json!({"room": {"timeline": {"types": ["m.other"]}}});
    let (answer, _) = bob.sync(Some(&since), filter).await;
    assert_eq!(ids(section(&answer, &room)), [id.as_str()]);
}

#[tokio::test]
async fn whoever_joins_gets_what_is_sticky_whatever_the_visibility() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, Some("joined")).await;
    let secret = alice.say(&room, "secret").await;
    let id = alice.stick(&room, "1", "here I am").await;
    let (_, since) = bob.sync(None, short()).await;
    bob.join(&room).await;
    let (answer, since) = bob.sync(Some(&since), short()).await;
    assert_eq!(ids(section(&answer, &room)), [id.as_str()]);
    let (answer, _) = bob.sync(Some(&since), short()).await;
    assert_eq!(answer.get("rooms"), None, "once: {answer}");
    let event = |id: &str| format!("v3/rooms/{}/event/{id}", room.id());
    bob.get(&event(&id)).await;
    assert_eq!(bob.ask(Method::GET, &event(&secret), None).await.0, StatusCode::NOT_FOUND);
    bob.leave(&room).await;
    assert_ne!(bob.ask(Method::GET, &event(&id), None).await.0, StatusCode::OK);
}

#[tokio::test]
async fn too_many_come_one_answer_after_the_other() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    bob.join(&room).await;
    let mut sent = Vec::new();
    for n in 0..120 {
        let draft = Draft {
            sticky: Some(HOUR),
            ..Draft::message(
                alice.id.clone(),
                "m.room.message".into(),
                serde_json::value::to_raw_value(&json!({ "body": n.to_string() })).expect("JSON"),
            )
        };
        sent.push(room.send(draft).await.expect("it is sent").event_id.to_string());
    }
    alice.say(&room, "the last").await;
    let (answer, since) = bob.sync(None, short()).await;
    assert_eq!(ids(section(&answer, &room)), sent[..100]);
    let (answer, since) = bob.sync(Some(&since), short()).await;
    assert_eq!(ids(section(&answer, &room)), sent[100..]);
    let (answer, _) = bob.sync(Some(&since), short()).await;
    assert_eq!(answer.get("rooms"), None);

    let ask = |since: &str| {
        json!({
            "lists": {"all": {"ranges": [[0, 0]], "timeline_limit": 0}},
            "extensions": {EXTENSION: {"enabled": true, "limit": 70, "since": since}},
        })
    };
    let mut body = ask("");
    body["extensions"][EXTENSION].as_object_mut().expect("an object").remove("since");
    let (mut answer, mut pos) = bob.slide(None, body).await;
    let mut told = Vec::new();
    for count in [70, 50, 0] {
        let extension = &answer["extensions"][EXTENSION];
        let events = &extension["rooms"][room.id().as_str()]["events"];
        assert_eq!(ids(events).len(), count);
        told.extend(ids(events).into_iter().map(str::to_owned));
        let next = extension["next_batch"].as_str().expect("a token").to_owned();
        (answer, pos) = bob.slide(Some(&pos), ask(&next)).await;
    }
    assert_eq!(told, sent);
}

#[tokio::test]
async fn nonsense_and_more_than_an_hour_are_refused() {
    let rig = Rig::new().await;
    let alice = rig.person("alice").await;
    let room = alice.room(Preset::PublicChat, None).await;
    for ms in ["-1", "3600001", "5.5", "x", ""] {
        for path in [
            "send/m.room.message/1",
            "state/m.thing/",
            "send/m.room.message/2?org.matrix.msc4140.delay=5",
        ] {
            let sign = if path.contains('?') { '&' } else { '?' };
            let path = format!("v3/rooms/{}/{path}{sign}{PARAM}={ms}", room.id());
            let (status, answer) =
                alice.ask(Method::PUT, &path, Some(&json!({ "body": "x" }))).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {answer}");
            assert_eq!(answer["errcode"], "M_INVALID_PARAM", "{path}: {answer}");
        }
    }
    let path = format!("v3/rooms/{}/send/m.room.message/3?{PARAM}=0", room.id());
    alice.call(Method::PUT, &path, json!({ "body": "at once over" })).await;
    alice.say(&room, "the last").await;
    let (answer, _) = alice.sync(None, short()).await;
    assert_eq!(*section(&answer, &room), Value::Null);
}

#[tokio::test]
async fn redaction_ends_it_and_a_restart_does_not() {
    let rig = Rig::new().await;
    let alice = rig.person("alice").await;
    let room = alice.room(Preset::PublicChat, None).await;
    let first = alice.stick(&room, "1", "one").await;
    let second = alice.stick(&room, "2", "two").await;
    let path = format!("v3/rooms/{}/redact/{first}/3", room.id());
    alice.call(Method::PUT, &path, json!({})).await;
    let (answer, _) = alice.sync(None, short()).await;
    assert_eq!(ids(section(&answer, &room)), [second.as_str()]);
    let event = alice.get(&format!("v3/rooms/{}/event/{first}", room.id())).await;
    assert_eq!(event.get("msc4354_sticky"), None);
    let (kept, id) = (alice.keep(), room.id().to_owned());
    drop(room);
    let rig = rig.restart().await;
    let alice = rig.again(kept);
    let (answer, _) = alice.sync(None, short()).await;
    let told = &answer["rooms"]["join"][id.as_str()]["msc4354_sticky"]["events"];
    assert_eq!(ids(told), [second.as_str()]);
    assert!((1..=HOUR).contains(&left(&told[0])));
}

#[tokio::test]
async fn those_of_ignored_users_are_not_told() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    bob.join(&room).await;
    alice.stick(&room, "1", "here I am").await;
    bob.say(&room, "the last").await;
    let path = format!("v3/user/{}/account_data/m.ignored_user_list", bob.id);
    bob.call(Method::PUT, &path, json!({ "ignored_users": { alice.id.as_str(): {} } })).await;
    let (answer, _) = bob.sync(None, short()).await;
    assert_eq!(*section(&answer, &room), Value::Null);
}

#[tokio::test]
async fn a_delayed_event_is_sticky_from_when_it_is_sent() {
    let rig = Rig::new().await;
    let alice = rig.person("alice").await;
    let room = alice.room(Preset::PublicChat, None).await;
    let path = format!(
        "v3/rooms/{}/send/m.room.message/1?org.matrix.msc4140.delay=100000&{PARAM}=600000",
        room.id()
    );
    let answer = alice.call(Method::PUT, &path, json!({ "body": "later" })).await;
    let id = answer["delay_id"].as_str().expect("an id");
    let send = format!("unstable/org.matrix.msc4140/delayed_events/{id}/send");
    alice.call(Method::POST, &send, json!({})).await;
    alice.say(&room, "the last").await;
    let (answer, _) = alice.sync(None, short()).await;
    let told = section(&answer, &room);
    assert_eq!(bodies(told), ["later"]);
    assert!((500_000..=600_000).contains(&left(&told[0])), "{told}");
}

#[tokio::test]
async fn sliding_sync_tells_rooms_outside_of_its_windows() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let far = alice.room(Preset::PublicChat, None).await;
    let near = alice.room(Preset::PublicChat, None).await;
    for room in [&far, &near] {
        bob.join(room).await;
    }
    let one = alice.stick(&far, "1", "far").await;
    let two = alice.stick(&near, "2", "near").await;
    let body = |limit: usize| {
        json!({
            "lists": {"all": {"ranges": [[0, 0]], "timeline_limit": limit}},
            "extensions": {EXTENSION: {"enabled": true}},
        })
    };
    let rooms = |answer: &Value| -> HashSet<String> {
        let rooms = answer["extensions"][EXTENSION]["rooms"].as_object();
        rooms
            .into_iter()
            .flat_map(|rooms| rooms.values())
            .flat_map(|room| {
                ids(&room["events"]).into_iter().map(str::to_owned).collect::<Vec<_>>()
            })
            .collect()
    };
    let (answer, _) = bob.slide(None, body(0)).await;
    assert_eq!(rooms(&answer), [one.clone(), two].into());
    let (answer, _) = bob.slide(None, body(5)).await;
    assert_eq!(rooms(&answer), [one].into(), "the other one is in its timeline: {answer}");
    let (answer, _) =
        bob.slide(None, json!({"lists": {}, "extensions": {EXTENSION: {"enabled": true}}})).await;
    assert_eq!(rooms(&answer), HashSet::new(), "rooms that nobody asked about");
    let mut wrong = body(0);
    wrong["extensions"][EXTENSION]["since"] = json!("sticky");
    let path = "unstable/org.matrix.simplified_msc3575/sync";
    let (status, answer) = bob.ask(Method::POST, path, Some(&wrong)).await;
    assert_eq!((status, &answer["errcode"]), (StatusCode::BAD_REQUEST, &json!("M_INVALID_PARAM")));
}
