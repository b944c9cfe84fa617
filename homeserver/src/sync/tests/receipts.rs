//! Receipts, read markers and the counts that follow from them.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::rig::Rig;
use crate::room::Preset;

#[tokio::test]
async fn threads_are_counted_and_read_apart() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    bob.join(&room).await;
    let related = |body: &str, rel_type: &str, to: &str| json!({"msgtype": "m.text", "body": body, "m.relates_to": {"rel_type": rel_type, "event_id": to}});
    let first_event = alice.say(&room, "root").await;
    let first =
        alice.send(&room, "m.room.message", &related("in thread", "m.thread", &first_event)).await;
    let mentioning = |mut content: Value| {
        content["m.mentions"] = json!({ "user_ids": [bob.id] });
        content
    };
    alice
        .send(
            &room,
            "m.room.message",
            &mentioning(related("bob, in thread", "m.thread", &first_event)),
        )
        .await;
    let mention = alice
        .send(&room, "m.room.message", &mentioning(json!({"msgtype": "m.text", "body": "hey bob"})))
        .await;
    alice.send(&room, "m.room.message", &related("last in thread", "m.thread", &first_event)).await;
    let reference = alice
        .send(&room, "m.room.message", &related("reference", "m.reference", &first_event))
        .await;
    let reaction =
        json!({"m.relates_to": {"rel_type": "m.annotation", "event_id": reference, "key": "x"}});
    let reaction = alice.send(&room, "m.reaction", &reaction).await;

    let counts = async || {
        let (plain, _) = bob.sync(None, json!({})).await;
        let (threads, _) = bob
            .sync(None, json!({"room": {"timeline": {"unread_thread_notifications": true}}}))
            .await;
        let of = |answer: &Value| answer["rooms"]["join"][room.id().as_str()].clone();
        let (plain, threads) = (of(&plain), of(&threads));
        assert!(plain.get("unread_thread_notifications").is_none());
        let pair = |counts: &Value| {
            (
                counts["notification_count"].as_i64().unwrap_or(0),
                counts["highlight_count"].as_i64().unwrap_or(0),
            )
        };
        (
            pair(&plain["unread_notifications"]),
            pair(&threads["unread_notifications"]),
            pair(&threads["unread_thread_notifications"][&first_event]),
        )
    };
    let read = async |event: &str, thread: Option<&str>| {
        let body = thread.map_or(json!({}), |thread| json!({ "thread_id": thread }));
        bob.call(Method::POST, &format!("v3/rooms/{}/receipt/m.read/{event}", room.id()), body)
            .await;
    };
    assert_eq!(counts().await, ((6, 2), (3, 1), (3, 1)));
    read(&first_event, Some("main")).await;
    assert_eq!(counts().await, ((5, 2), (2, 1), (3, 1)));
    read(&first, Some(&first_event)).await;
    assert_eq!(counts().await, ((4, 2), (2, 1), (2, 1)));
    read(&mention, None).await;
    assert_eq!(counts().await, ((2, 0), (1, 0), (1, 0)));
    read(&reaction, Some(&first_event)).await;
    assert_eq!(counts().await, ((1, 0), (1, 0), (0, 0)));
    // Going back changes nothing.
    read(&first_event, None).await;
    assert_eq!(counts().await, ((1, 0), (1, 0), (0, 0)));
    bob.say(&room, "I have read it all").await;
    assert_eq!(counts().await, ((0, 0), (0, 0), (0, 0)));
}

#[tokio::test]
async fn receipts_are_told_to_whom_they_concern() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    bob.join(&room).await;
    let (first, second) = (alice.say(&room, "one").await, alice.say(&room, "two").await);
    let (_, token) = alice.sync(None, json!({})).await;
    let markers = json!({"m.fully_read": first, "m.read": first, "m.read.private": second});
    bob.call(Method::POST, &format!("v3/rooms/{}/read_markers", room.id()), markers).await;
    let of = |answer: &Value, section: &str| {
        answer["rooms"]["join"][room.id().as_str()][section]["events"].clone()
    };
    let (answer, _) = alice.sync(Some(&token), json!({})).await;
    let told = of(&answer, "ephemeral");
    assert_eq!(told[0]["type"], "m.receipt");
    assert!(told[0]["content"][&first]["m.read"]["@bob:h"]["ts"].is_i64());
    assert!(told[0]["content"].get(&second).is_none() && told[0].get("room_id").is_none());
    let (answer, _) = bob.sync(Some(&token), json!({})).await;
    assert!(
        of(&answer, "ephemeral")[0]["content"][&second]["m.read.private"]["@bob:h"].is_object(),
        "{answer}"
    );
    assert_eq!(
        of(&answer, "account_data"),
        json!([{"type": "m.fully_read", "content": {"event_id": first}}])
    );
    assert_eq!(
        answer["rooms"]["join"][room.id().as_str()]["unread_notifications"]["notification_count"],
        0
    );
}

#[tokio::test]
async fn receipts_that_make_no_sense_are_refused() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    let event = alice.say(&room, "one").await;
    let path = |kind: &str, event: &str| format!("v3/rooms/{}/receipt/{kind}/{event}", room.id());
    let cases = [
        (path("m.liked", &event), json!({}), StatusCode::BAD_REQUEST),
        (path("m.read", &event), json!({"thread_id": ""}), StatusCode::BAD_REQUEST),
        (path("m.read", &event), json!({"thread_id": 5}), StatusCode::BAD_REQUEST),
        (path("m.fully_read", &event), json!({"thread_id": "main"}), StatusCode::BAD_REQUEST),
        (path("m.read", "$nothing"), json!({}), StatusCode::NOT_FOUND),
    ];
    for (path, body, expected) in cases {
        assert_eq!(alice.ask(Method::POST, &path, Some(&body)).await.0, expected, "{path} {body}");
    }
    assert_eq!(
        bob.ask(Method::POST, &path("m.read", &event), Some(&json!({}))).await.0,
        StatusCode::FORBIDDEN
    );
}
