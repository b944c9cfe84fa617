//! Relations, threads, and what is bundled with events.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::rig::{Person, Rig, ids};
use crate::room::{Preset, Room};

fn related(body: &str, rel_type: &str, to: &str) -> Value {
    json!({"msgtype": "m.text", "body": body, "m.new_content": {"body": body}, "m.relates_to": {"rel_type": rel_type, "event_id": to}})
}

#[tokio::test]
async fn relations_are_told_by_kind_and_in_pages() {
    let rig = Rig::new().await;
    let alice = rig.person("alice").await;
    let room = alice.room(Preset::PublicChat, None).await;
    let first_event = alice.say(&room, "root").await;
    let mut replies = Vec::new();
    for n in 0..5 {
        replies.push(
            alice
                .send(&room, "m.room.message", &related(&n.to_string(), "m.thread", &first_event))
                .await,
        );
    }
    let dummy = alice.send(&room, "m.dummy", &related("d", "m.thread", &first_event)).await;
    let edit =
        alice.send(&room, "m.room.message", &related("edited", "m.replace", &first_event)).await;
    let on_reply =
        alice.send(&room, "m.reaction", &related("r", "m.annotation", &replies[0])).await;
    let path = |rest: &str| format!("v1/rooms/{}/relations/{first_event}{rest}", room.id());
    let all = alice.get(&path("")).await;
    assert_eq!(ids(&all["chunk"]).len(), 7);
    assert_eq!(ids(&all["chunk"])[0], edit);
    assert_eq!(ids(&alice.get(&path("/m.thread")).await["chunk"])[0], dummy);
    assert_eq!(ids(&alice.get(&path("/m.thread/m.room.message?dir=f")).await["chunk"]), replies);
    let deep = alice.get(&path("?recurse=true")).await;
    assert_eq!(ids(&deep["chunk"])[0], on_reply);
    assert_eq!(deep["recursion_depth"], 3);
    for dir in ["b", "f"] {
        let (mut seen, mut from) = (Vec::new(), String::new());
        loop {
            let page = alice
                .get(&path(&format!("/m.thread/m.room.message?dir={dir}&limit=2{from}")))
                .await;
            seen.extend(ids(&page["chunk"]).into_iter().map(str::to_owned));
            match page["next_batch"].as_str() {
                Some(next) => from = format!("&from={next}"),
                None => break,
            }
        }
        if dir == "b" {
            seen.reverse();
        }
        assert_eq!(seen, replies);
    }
}

#[tokio::test]
async fn edits_references_and_threads_come_with_their_event() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    bob.join(&room).await;
    let first_event = alice.say(&room, "root").await;
    alice.send(&room, "m.room.message", &related("edit 1", "m.replace", &first_event)).await;
    let edit =
        alice.send(&room, "m.room.message", &related("edit 2", "m.replace", &first_event)).await;
    bob.send(&room, "m.room.message", &related("not his to edit", "m.replace", &first_event)).await;
    let reference =
        bob.send(&room, "m.room.message", &related("see", "m.reference", &first_event)).await;
    bob.send(&room, "m.room.message", &related("reply 1", "m.thread", &first_event)).await;
    let latest =
        bob.send(&room, "m.room.message", &related("reply 2", "m.thread", &first_event)).await;
    let fix = bob
        .send(&room, "m.room.message", &related("reply 2, corrected", "m.replace", &latest))
        .await;

    let (synced, _) = alice.sync(None, json!({"room": {"timeline": {"limit": 30}}})).await;
    let timeline = synced["rooms"]["join"][room.id().as_str()]["timeline"]["events"]
        .as_array()
        .expect("events")
        .clone();
    let in_sync = timeline
        .into_iter()
        .find(|event| event["event_id"] == json!(first_event))
        .expect("the root");
    let alone = alice.get(&format!("v3/rooms/{}/event/{first_event}", room.id())).await;
    for event in [in_sync, alone] {
        assert_eq!(event["content"]["body"], "root", "the content is as it was sent");
        let relations = &event["unsigned"]["m.relations"];
        assert_eq!(relations["m.replace"]["event_id"], json!(edit));
        assert_eq!(relations["m.reference"]["chunk"], json!([{ "event_id": reference }]));
        let thread = &relations["m.thread"];
        assert_eq!(
            (&thread["count"], &thread["current_user_participated"]),
            (&json!(2), &json!(true))
        );
        assert_eq!(thread["latest_event"]["event_id"], json!(latest));
        assert_eq!(
            thread["latest_event"]["unsigned"]["m.relations"]["m.replace"]["event_id"],
            json!(fix)
        );
    }
}

#[tokio::test]
async fn threads_are_ordered_by_their_latest_event() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    bob.join(&room).await;
    let (one, two) = (alice.say(&room, "one").await, bob.say(&room, "two").await);
    alice.send(&room, "m.room.message", &related("a", "m.thread", &one)).await;
    bob.send(&room, "m.room.message", &related("b", "m.thread", &two)).await;
    let path = format!("v1/rooms/{}/threads", room.id());
    assert_eq!(ids(&alice.get(&path).await["chunk"]), [two.as_str(), one.as_str()]);
    let last = alice.send(&room, "m.room.message", &related("c", "m.thread", &one)).await;
    let answer = alice.get(&path).await;
    assert_eq!(ids(&answer["chunk"]), [one.as_str(), two.as_str()]);
    assert_eq!(
        answer["chunk"][0]["unsigned"]["m.relations"]["m.thread"]["latest_event"]["event_id"],
        json!(last)
    );
    assert_eq!(
        ids(&alice.get(&format!("{path}?include=participated")).await["chunk"]),
        [one.as_str()]
    );
    let page = alice.get(&format!("{path}?limit=1")).await;
    assert_eq!(ids(&page["chunk"]), [one.as_str()]);
    let next = page["next_batch"].as_str().expect("another page");
    let page = alice.get(&format!("{path}?limit=1&from={next}")).await;
    assert_eq!(ids(&page["chunk"]), [two.as_str()]);
    assert!(page.get("next_batch").is_none());
}

#[tokio::test]
async fn who_left_is_not_told_of_what_came_after() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    bob.join(&room).await;
    let (_, token) = bob.sync(None, json!({})).await;
    let first = alice.say(&room, "first").await;
    let reply = alice.send(&room, "m.room.message", &related("seen", "m.thread", &first)).await;
    bob.leave(&room).await;
    alice.send(&room, "m.room.message", &related("unseen", "m.thread", &first)).await;
    alice.send(&room, "m.room.message", &related("edited later", "m.replace", &first)).await;

    let alone = bob.get(&format!("v3/rooms/{}/event/{first}", room.id())).await;
    let (synced, _) = bob.sync(Some(&token), json!({})).await;
    let told = &synced["rooms"]["leave"][room.id().as_str()]["timeline"]["events"];
    let in_sync =
        told.as_array().expect("events").iter().find(|event| event["event_id"] == json!(first));
    for event in [&alone, in_sync.expect("told")] {
        let relations = &event["unsigned"]["m.relations"];
        assert_eq!(relations["m.thread"]["latest_event"]["event_id"], json!(reply));
        assert_eq!(relations["m.thread"]["count"], 1);
        assert!(relations.get("m.replace").is_none(), "{relations}");
    }
    let path = |rest: &str| format!("v1/rooms/{}/{rest}", room.id());
    assert_eq!(
        ids(&bob.get(&path(&format!("relations/{first}"))).await["chunk"]),
        [reply.as_str()]
    );
    assert_eq!(ids(&bob.get(&path("threads")).await["chunk"]), [first.as_str()]);
}

impl Person<'_> {
    async fn try_send(
        &self,
        room: &Room,
        kind: &str,
        txn: &str,
        content: &Value,
    ) -> (StatusCode, Value) {
        let path = format!("v3/rooms/{}/send/{kind}/{txn}", room.id());
        self.ask(Method::PUT, &path, Some(content)).await
    }
}

#[tokio::test]
async fn a_thread_does_not_begin_with_what_relates_to_another_event() {
    let rig = Rig::new().await;
    let alice = rig.person("alice").await;
    let room = alice.room(Preset::PublicChat, None).await;
    let top = alice.say(&room, "root").await;
    let mut related_ones = Vec::new();
    for kind in ["m.thread", "m.replace", "m.reference", "org.example.other"] {
        related_ones.push(alice.send(&room, "m.room.message", &related("x", kind, &top)).await);
    }
    for (n, to) in related_ones.iter().enumerate() {
        let content = related("on it", "m.thread", to);
        let (status, answer) =
            alice.try_send(&room, "m.room.message", &format!("a{n}"), &content).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        assert_eq!(answer["errcode"], "M_UNKNOWN");
    }
    // A reply without a relation's type may, and so may what this server doesn't know.
    let reply = json!({"body": "re", "m.relates_to": {"m.in_reply_to": {"event_id": top}}});
    let reply = alice.send(&room, "m.room.message", &reply).await;
    for (n, to) in [reply.as_str(), top.as_str(), "$unknown"].into_iter().enumerate() {
        let content = related("on it", "m.thread", to);
        let (status, answer) =
            alice.try_send(&room, "m.room.message", &format!("b{n}"), &content).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }
}

#[tokio::test]
async fn nobody_says_the_same_of_an_event_twice() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    bob.join(&room).await;
    let (one, two) = (alice.say(&room, "one").await, alice.say(&room, "two").await);
    let reaction = |to: &str, key: &str| json!({"m.relates_to": {"rel_type": "m.annotation", "event_id": to, "key": key}});
    let content = reaction(&one, "up");
    let (status, first) = alice.try_send(&room, "m.reaction", "1", &content).await;
    assert_eq!(status, StatusCode::OK, "{first}");
    let (status, answer) = alice.try_send(&room, "m.reaction", "2", &content).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(answer["errcode"], "M_DUPLICATE_ANNOTATION");
    // The same request again is no other one.
    assert_eq!(alice.try_send(&room, "m.reaction", "1", &content).await.1, first);
    for (who, kind, txn, content) in [
        (&alice, "m.reaction", "3", reaction(&one, "down")),
        (&alice, "m.reaction", "4", reaction(&two, "up")),
        (&alice, "org.example.reaction", "5", reaction(&one, "up")),
        (&bob, "m.reaction", "6", reaction(&one, "up")),
    ] {
        let (status, answer) = who.try_send(&room, kind, txn, &content).await;
        assert_eq!(status, StatusCode::OK, "{txn}: {answer}");
    }
    let id = first["event_id"].as_str().expect("an id");
    let redact = format!("v3/rooms/{}/redact/{id}/7", room.id());
    alice.call(Method::PUT, &redact, json!({})).await;
    assert_eq!(alice.try_send(&room, "m.reaction", "8", &content).await.0, StatusCode::OK);

    // Of two at once only one gets through.
    let content = reaction(&two, "at once");
    let (a, b) = tokio::join!(
        alice.try_send(&room, "m.reaction", "9", &content),
        alice.try_send(&room, "m.reaction", "10", &content),
    );
    let passed = [a.0, b.0].into_iter().filter(|status| *status == StatusCode::OK).count();
    assert_eq!(passed, 1, "{a:?} {b:?}");
}

#[tokio::test]
async fn what_is_redacted_has_no_edit_any_more() {
    let rig = Rig::new().await;
    let alice = rig.person("alice").await;
    let room = alice.room(Preset::PublicChat, None).await;
    let id = alice.say(&room, "root").await;
    let mut fake = related("m.new_content", "m.replace", &id);
    fake.as_object_mut().expect("an object").remove("m.new_content");
    alice.send(&room, "m.room.message", &fake).await;
    let edit_of = |event: &Value| event["unsigned"]["m.relations"]["m.replace"].clone();
    let path = format!("v3/rooms/{}/event/{id}", room.id());
    assert_eq!(edit_of(&alice.get(&path).await), Value::Null, "it has no new content");
    alice.send(&room, "m.room.message", &related("edited", "m.replace", &id)).await;
    assert_ne!(edit_of(&alice.get(&path).await), Value::Null);
    let redact = format!("v3/rooms/{}/redact/{id}/1", room.id());
    alice.call(Method::PUT, &redact, json!({})).await;
    assert_eq!(edit_of(&alice.get(&path).await), Value::Null);
    let (synced, _) = alice.sync(None, json!({"room": {"timeline": {"limit": 30}}})).await;
    let events = synced["rooms"]["join"][room.id().as_str()]["timeline"]["events"].clone();
    let events = events.as_array().expect("events").clone();
    let told = events.iter().find(|event| event["event_id"] == json!(id)).expect("the event");
    assert_eq!(edit_of(told), Value::Null);
}
