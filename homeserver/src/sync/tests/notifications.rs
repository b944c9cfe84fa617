//! `GET /notifications`: what people were notified of.

use http::{Method, StatusCode};
use landbridge_registration::Blueprint;
use serde_json::{Value, json};

use super::rig::{Person, Rig};
use crate::commit::CommitError;
use crate::nid::{EventNid, RoomNid};
use crate::room::Preset;
use crate::storage::notifications::{self, NewNotification, Notification};

/// The bodies of the notifications of an answer, and whether they are read.
fn told(answer: &Value) -> Vec<(String, bool)> {
    let body = |one: &Value| match one["event"]["content"]["body"].as_str() {
        Some(body) => body.to_owned(),
        None => one["event"]["type"].as_str().expect("a type").to_owned(),
    };
    let all = answer["notifications"].as_array().expect("a list").iter();
    all.map(|one| (body(one), one["read"].as_bool().expect("whether it is read"))).collect()
}

fn unread(bodies: &[&str]) -> Vec<(String, bool)> {
    bodies.iter().map(|body| ((*body).to_owned(), false)).collect()
}

async fn list(person: &Person<'_>, query: &str) -> Value {
    person.get(&format!("v3/notifications{query}")).await
}

#[tokio::test]
async fn people_are_told_what_they_were_notified_of() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    alice.say(&room, "before bob").await;
    bob.join(&room).await;
    alice.say(&room, "one").await;
    let mention = json!({"msgtype": "m.text", "body": "two", "m.mentions": {"user_ids": [bob.id]}});
    let two = alice.send(&room, "m.room.message", &mention).await;
    bob.say(&room, "from bob").await;
    alice
        .send(
            &room,
            "m.reaction",
            &json!({"m.relates_to": {"rel_type": "m.annotation", "event_id": two, "key": "x"}}),
        )
        .await;
    alice.say(&room, "three").await;

    let answer = list(&bob, "").await;
    assert_eq!(told(&answer), unread(&["three", "two", "one"]));
    assert!(answer.get("next_token").is_none());
    let newest = &answer["notifications"][0];
    assert_eq!(newest["room_id"], room.id().as_str());
    assert!(newest["ts"].as_i64().expect("a time") > 0);
    assert_eq!(newest["actions"], json!(["notify", {"set_tweak": "sound", "value": "default"}]));
    assert_eq!(newest["event"]["sender"], alice.id.as_str());
    assert!(newest["event"].get("room_id").is_none());
    assert_eq!(told(&list(&bob, "?only=highlight").await), unread(&["two"]));
    // What bob said notified alice.
    let of_alice = told(&list(&alice, "").await);
    assert_eq!(of_alice, unread(&["from bob"]));

    let first = list(&bob, "?limit=2").await;
    assert_eq!(told(&first), unread(&["three", "two"]));
    let token = first["next_token"].as_str().expect("there is more");
    let second = list(&bob, &format!("?limit=2&from={token}")).await;
    assert_eq!(told(&second), unread(&["one"]));
    assert!(second.get("next_token").is_none());

    for query in ["?from=x", "?limit=0", "?limit=-1", "?only=everything"] {
        let (status, answer) =
            bob.ask(Method::GET, &format!("v3/notifications{query}"), None).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(answer["errcode"], "M_INVALID_PARAM", "{query}");
    }
    let (status, answer) =
        rig.ask(Method::GET, "/_matrix/client/v3/notifications", None, None).await;
    assert_eq!(
        (status, answer["errcode"].as_str()),
        (StatusCode::UNAUTHORIZED, Some("M_MISSING_TOKEN"))
    );
}

#[tokio::test]
async fn receipts_say_what_is_read() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    bob.join(&room).await;
    let first = alice.say(&room, "root").await;
    let in_thread = json!({"msgtype": "m.text", "body": "in thread", "m.relates_to": {"rel_type": "m.thread", "event_id": first}});
    let in_thread = alice.send(&room, "m.room.message", &in_thread).await;
    let last = alice.say(&room, "last").await;
    let states = async || -> Vec<bool> {
        told(&list(&bob, "").await).into_iter().rev().map(|(_, read)| read).collect()
    };
    let read = async |event: &str, kind: &str, thread: Option<&str>| {
        let body = thread.map_or(json!({}), |thread| json!({ "thread_id": thread }));
        bob.call(Method::POST, &format!("v3/rooms/{}/receipt/{kind}/{event}", room.id()), body)
            .await;
    };
    assert_eq!(states().await, [false, false, false]);
    read(&last, "m.read", Some("main")).await;
    assert_eq!(states().await, [true, false, true]);
    read(&in_thread, "m.read.private", None).await;
    assert_eq!(states().await, [true, true, true]);
}

#[tokio::test]
async fn invitations_notify_and_redacted_events_do_not() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PrivateChat, None).await;
    alice.member(&room, &bob.id, "invite").await;
    assert_eq!(told(&list(&bob, "").await), unread(&["m.room.member"]));
    bob.join(&room).await;
    let event = alice.say(&room, "oops").await;
    assert_eq!(told(&list(&bob, "").await), unread(&["oops", "m.room.member"]));
    let path = format!("v3/rooms/{}/redact/{event}/1", room.id());
    alice.call(Method::PUT, &path, json!({})).await;
    assert_eq!(told(&list(&bob, "").await), unread(&["m.room.member"]));
    // Who is ignored notifies nobody, neither of what he says nor of what he said.
    alice.say(&room, "hello").await;
    let path = format!("v3/user/{}/account_data/m.ignored_user_list", bob.id);
    let ignored = json!({ "ignored_users": { alice.id.as_str(): {} } });
    assert_eq!(told(&list(&bob, "").await), unread(&["hello", "m.room.member"]));
    bob.call(Method::PUT, &path, ignored).await;
    alice.say(&room, "hello again").await;
    assert_eq!(told(&list(&bob, "").await), []);
}

#[tokio::test]
async fn ghosts_are_never_notified_and_people_only_while_they_are_in_the_room() {
    let rig = Rig::new().await;
    let registration = Blueprint::new("toy", None, "toybot")
        .user("@toy_", true)
        .generate(&mut rand::rng())
        .expect("a registration");
    let token = registration.as_token.expose().to_owned();
    rig.app().appservices.register(registration).expect("it is registered");
    let body =
        json!({"type": "m.login.application_service", "username": "toy_1", "inhibit_login": true});
    let register = "/_matrix/client/v3/register";
    let (status, answer) = rig.ask(Method::POST, register, Some(&token), Some(&body)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    let join = format!("/_matrix/client/v3/join/{}?user_id=@toy_1:h", room.id());
    let (status, answer) = rig.ask(Method::POST, &join, Some(&token), Some(&json!({}))).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    alice.say(&room, "one").await;
    bob.join(&room).await;
    alice.say(&room, "two").await;
    bob.leave(&room).await;
    alice.say(&room, "three").await;
    bob.join(&room).await;
    alice.say(&room, "four").await;
    assert_eq!(told(&list(&bob, "").await), unread(&["four", "two"]));
    let ghosts = "/_matrix/client/v3/notifications?user_id=@toy_1:h";
    let (status, answer) = rig.ask(Method::GET, ghosts, Some(&token), None).await;
    assert_eq!((status, told(&answer)), (StatusCode::OK, Vec::new()));
}

#[tokio::test]
async fn nothing_is_lost_or_told_twice_over_restarts() {
    let mut rig = Rig::new().await;
    let (alice, bob, room) = {
        let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
        let room = alice.room(Preset::PublicChat, None).await;
        bob.join(&room).await;
        (alice.keep(), bob.keep(), room.id().to_owned())
    };
    let mut expected = Vec::new();
    for round in 0..3 {
        let handle = rig.app().rooms.get(&room).await.expect("the room");
        for n in 0..5 {
            let body = format!("{round}.{n}");
            rig.again(alice.clone()).say(&handle, &body).await;
            expected.insert(0, (body, false));
        }
        drop(handle);
        // Right away: the follower may have noted anything between all and nothing of it.
        rig = rig.restart().await;
    }
    assert_eq!(told(&list(&rig.again(bob), "?limit=100").await), expected);
}

#[tokio::test]
async fn the_rows_of_a_user_are_bounded() -> Result<(), CommitError> {
    let rig = Rig::new().await;
    let bob = rig.person("bob").await;
    let user = bob.id.clone();
    let row = |pos: i64| NewNotification {
        users: vec![bob.id.to_string(), "@nobody:h".to_owned()],
        notification: Notification {
            pos,
            room: RoomNid(1),
            event: EventNid(pos),
            ord: pos,
            thread: None,
            highlight: pos % 2 == 0,
            actions: "[]".to_owned(),
            ts: pos,
        },
    };
    let rows: Vec<_> = (1..=9).chain(1..=9).map(row).collect();
    let mut left = Vec::new();
    for (keep, since) in [(20, 0), (5, 0), (5, 8)] {
        let (rows, user) = (rows.clone(), user.clone());
        rig.app()
            .committer
            .run(move |tx| {
                let (rows, user) = (rows.clone(), user.clone());
                Box::pin(async move {
                    for row in &rows {
                        notifications::insert(tx, row).await?;
                    }
                    notifications::prune(tx, &user, keep, since).await
                })
            })
            .await?;
        let found = notifications::below(&rig.app().db, &bob.id, i64::MAX, false, 100).await;
        left.push(found.expect("rows").iter().map(|row| row.pos).collect::<Vec<_>>());
    }
    assert_eq!(left, [vec![9, 8, 7, 6, 5, 4, 3, 2, 1], vec![9, 8, 7, 6, 5], vec![9, 8]]);
    let nobody = ruma::user_id!("@nobody:h");
    let found = notifications::below(&rig.app().db, nobody, i64::MAX, false, 100).await;
    assert!(found.expect("rows").is_empty());
    Ok(())
}
