//! The endpoints from before there was `/sync`.

use http::Method;
use serde_json::{Value, json};

use super::rig::{Rig, bodies, ids, keys};
use crate::room::Preset;

#[tokio::test]
async fn the_first_answer_has_rooms_invites_and_account_data() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    for n in 0..4 {
        alice.say(&room, &format!("{n}")).await;
    }
    let other = bob.room(Preset::PrivateChat, None).await;
    let invite = bob.member(&other, &alice.id, "invite").await;
    let left = bob.room(Preset::PublicChat, None).await;
    alice.join(&left).await;
    alice.leave(&left).await;
    bob.say(&left, "not for alice").await;
    let data = format!("v3/user/{}/account_data/org.example", alice.id);
    alice.call(Method::PUT, &data, json!({ "x": 1 })).await;

    let answer = alice.get("v3/initialSync?limit=2").await;
    let of = |answer: &Value, id: &ruma::RoomId| {
        let rooms = answer["rooms"].as_array().expect("rooms").clone();
        rooms.into_iter().find(|room| room["room_id"] == json!(id))
    };
    let joined = of(&answer, room.id()).expect("the room");
    assert_eq!((&joined["membership"], &joined["visibility"]), (&json!("join"), &json!("private")));
    assert_eq!(bodies(&joined["messages"]["chunk"]), ["2", "3"]);
    assert!(keys(&joined["state"]).contains(&"m.room.create/".to_owned()));
    let start = joined["messages"]["start"].as_str().expect("a token");
    let earlier = alice.get(&format!("v3/rooms/{}/messages?dir=b&from={start}", room.id())).await;
    assert_eq!(bodies(&earlier["chunk"]), ["1", "0"]);
    let invited = of(&answer, other.id()).expect("the invite");
    assert_eq!(invited["invite"]["event_id"], json!(invite));
    assert!(invited.get("state").is_none());
    assert!(of(&answer, left.id()).is_none());
    let archived = alice.get("v3/initialSync?archived=true").await;
    let left = of(&archived, left.id()).expect("the room that was left");
    assert_eq!(
        (&left["membership"], bodies(&left["messages"]["chunk"]).len()),
        (&json!("leave"), 0)
    );
    let kinds: Vec<_> =
        answer["account_data"].as_array().expect("a list").iter().map(|one| &one["type"]).collect();
    assert!(kinds.contains(&&json!("org.example")) && kinds.contains(&&json!("m.push_rules")));
    assert!(answer["presence"].is_array());

    let one = alice.get(&format!("v3/rooms/{}/initialSync", room.id())).await;
    assert_eq!(bodies(&one["messages"]["chunk"]), ["0", "1", "2", "3"]);
    let path = format!("v3/rooms/{}/initialSync", other.id());
    assert_eq!(alice.ask(Method::GET, &path, None).await.0.as_u16(), 403);
}

#[tokio::test]
async fn the_stream_tells_every_event_once() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    let hidden = bob.room(Preset::PrivateChat, None).await;
    let readable = bob.room(Preset::PrivateChat, Some("world_readable")).await;
    let from = alice.get("v3/initialSync").await["end"].as_str().expect("a token").to_owned();
    let mut sent = Vec::new();
    for n in 0..120 {
        sent.push(alice.say(&room, &format!("{n}")).await);
    }
    bob.say(&hidden, "not for alice").await;
    sent.push(bob.member(&hidden, &alice.id, "invite").await);
    let (mut told, mut at) = (Vec::new(), from.clone());
    while told.len() < sent.len() {
        let answer = alice.get(&format!("v3/events?from={at}&timeout=1000")).await;
        assert_eq!(answer["start"], json!(at));
        let more = ids(&answer["chunk"]);
        assert!(!more.is_empty() && more.len() <= 100);
        told.extend(more.into_iter().map(str::to_owned));
        answer["end"].as_str().expect("a token").clone_into(&mut at);
    }
    assert_eq!(told, sent);
    let nothing = alice.get(&format!("v3/events?from={at}&timeout=0")).await;
    assert_eq!(nothing["chunk"], json!([]));

    // One waits, the other speaks.
    let path = format!("v3/events?from={at}&timeout=30000");
    let (answer, id) = tokio::join!(alice.get(&path), alice.say(&room, "now"));
    assert_eq!(ids(&answer["chunk"]), [&*id]);

    // Into a room that the world may read anyone can look, into others nobody.
    let seen = bob.say(&readable, "hello world").await;
    let peek = |room: &ruma::RoomId| format!("v3/events?from={from}&timeout=0&room_id={room}");
    assert_eq!(ids(&alice.get(&peek(readable.id())).await["chunk"]), [&*seen]);
    assert_eq!(alice.ask(Method::GET, &peek(hidden.id()), None).await.0.as_u16(), 403);
    assert_eq!(alice.ask(Method::GET, "v3/events?from=x", None).await.0.as_u16(), 400);

    let event = alice.get(&format!("v3/events/{}", sent[0])).await;
    assert_eq!((&event["content"]["body"], &event["room_id"]), (&json!("0"), &json!(room.id())));
    let secret = bob.say(&hidden, "secret").await;
    for id in [&*secret, "$none"] {
        let (status, error) = alice.ask(Method::GET, &format!("v3/events/{id}"), None).await;
        assert_eq!((status.as_u16(), &error["errcode"]), (404, &json!("M_NOT_FOUND")));
    }
}
