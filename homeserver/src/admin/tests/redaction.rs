//! Redacting what users have said, and the list of such work.

use serde_json::{Value, json};

use super::rig::{Rig, join, texts, wait_for};

/// Has it done to the end; the answer.
async fn redact(rig: &Rig, user: &str, body: Value) -> Value {
    let started = rig.must("POST", &format!("v1/user/{user}/redact"), body).await;
    let path = format!("v1/user/redact_status/{}", started["redact_id"].as_str().unwrap());
    wait_for(rig, &path, "complete").await
}

/// The texts in a room as they stand there; those that are redacted are empty.
async fn bodies(rig: &Rig, room: &str) -> Vec<String> {
    let filter = "%7B%22types%22:%5B%22m.room.message%22%5D%7D";
    let path = format!("v1/rooms/{room}/messages?limit=100&filter={filter}");
    let page = rig.must("GET", &path, Value::Null).await;
    let events = page["chunk"].as_array().unwrap().iter();
    events.map(|event| event["content"]["body"].as_str().unwrap_or("").to_owned()).collect()
}

#[tokio::test]
async fn what_a_user_said_is_redacted_in_the_users_own_name() {
    let rig = Rig::new().await;
    let (bob, eve) = (rig.person("bob").await, rig.person("eve").await);
    let (one, two) = (rig.room(&bob, json!({})).await, rig.room(&bob, json!({})).await);
    let body = json!({ "preset": "public_chat" });
    let third = rig.room(&eve, body).await;
    join(&rig, &bob, &third).await;
    for room in [&one, &two, &third] {
        for text in ["a", "b"] {
            rig.say(&bob, room, text).await;
        }
    }
    rig.say(&eve, &third, "hers").await;
    let done = redact(&rig, "@bob:h", json!({ "rooms": [two], "reason": "spam" })).await;
    assert_eq!(done["failed_redactions"], json!({}));
    assert_eq!(bodies(&rig, &two).await, ["", ""]);
    assert_eq!(bodies(&rig, &one).await, ["a", "b"]);
    let last = rig.client(&bob, "GET", &format!("rooms/{two}/messages?dir=b"), Value::Null).await;
    let redaction = &last["chunk"][0];
    assert_eq!(
        (&redaction["type"], &redaction["sender"], &redaction["content"]["reason"]),
        (&json!("m.room.redaction"), &json!("@bob:h"), &json!("spam"))
    );
    // Only the newest, only of some time, and what is redacted already isn't once more.
    redact(&rig, "@bob:h", json!({ "rooms": [one], "limit": 1 })).await;
    assert_eq!(bodies(&rig, &one).await, ["a", ""]);
    redact(&rig, "@bob:h", json!({ "rooms": [one], "after_ts": 9_999_999_999_999_i64 })).await;
    redact(&rig, "@bob:h", json!({ "rooms": [one], "before_ts": 5 })).await;
    assert_eq!(bodies(&rig, &one).await, ["a", ""]);
    redact(&rig, "@bob:h", json!({ "rooms": [] })).await;
    assert_eq!(bodies(&rig, &one).await, ["", ""]);
    assert_eq!(bodies(&rig, &third).await, ["", "", "hers"]);
    let all = rig
        .client(&bob, "GET", &format!("rooms/{one}/messages?dir=b&limit=100"), Value::Null)
        .await;
    let kinds = texts(&all["chunk"], "type");
    let redactions = kinds.iter().filter(|kind| **kind == "m.room.redaction").count();
    assert_eq!(redactions, 3, "two messages and a join");
    assert!(kinds.contains(&"m.room.create"));
}

#[tokio::test]
async fn who_was_banned_is_redacted_by_somebody_with_power() {
    let rig = Rig::new().await;
    let (bob, eve) = (rig.person("bob").await, rig.person("eve").await);
    let room = rig.room(&bob, json!({ "preset": "public_chat" })).await;
    join(&rig, &eve, &room).await;
    rig.say(&eve, &room, "spam").await;
    rig.client(&bob, "POST", &format!("rooms/{room}/ban"), json!({ "user_id": eve.id })).await;
    // The administrator himself is not in the room.
    let done = redact(&rig, "@eve:h", json!({ "rooms": [room], "use_admin": true })).await;
    assert_eq!(done["failed_redactions"].as_object().unwrap().len(), 2, "{done}");
    assert_eq!(bodies(&rig, &room).await, ["spam"]);
    let done = redact(&rig, "@eve:h", json!({ "rooms": [] })).await;
    assert_eq!(done["failed_redactions"], json!({}));
    assert_eq!(bodies(&rig, &room).await, [""]);
    let last = rig.client(&bob, "GET", &format!("rooms/{room}/messages?dir=b"), Value::Null).await;
    assert_eq!(last["chunk"][0]["sender"], "@bob:h");
    // A room that is gone keeps nothing from being done.
    let done = redact(&rig, "@eve:h", json!({ "rooms": ["!gone:h", room] })).await;
    assert_eq!(done["failed_redactions"], json!({}));
}

#[tokio::test]
async fn work_is_listed_and_nonsense_refused() {
    let rig = Rig::new().await;
    let bob = rig.person("bob").await;
    let room = rig.room(&bob, json!({})).await;
    let nothing = rig.must("GET", "v1/scheduled_tasks", Value::Null).await;
    assert_eq!(nothing, json!({ "scheduled_tasks": [] }));
    redact(&rig, "@bob:h", json!({ "rooms": [] })).await;
    rig.must("DELETE", &format!("v1/rooms/{room}"), json!({})).await;
    let list = async |query: &str| {
        let answer = rig.must("GET", &format!("v1/scheduled_tasks?{query}"), Value::Null).await;
        texts(&answer["scheduled_tasks"], "action").join(" ")
    };
    for (query, expected) in [
        ("", "redact_all_events shutdown_and_purge_room"),
        ("action_name=redact_all_events", "redact_all_events"),
        ("resource_id=@bob:h", "redact_all_events"),
        ("status=complete&action_name=shutdown_and_purge_room", "shutdown_and_purge_room"),
        ("status=failed", ""),
        ("max_timestamp=5", ""),
    ] {
        assert_eq!(list(query).await, expected, "{query}");
    }
    let answer = rig.must("GET", "v1/scheduled_tasks", Value::Null).await;
    let deletion = &answer["scheduled_tasks"][1];
    assert_eq!((&deletion["resource_id"], &deletion["error"]), (&json!(room), &Value::Null));
    assert_eq!(deletion["result"]["kicked_users"], json!(["@bob:h"]));
    assert!(deletion["timestamp_ms"].as_i64().unwrap() > 1_500_000_000_000);
    for query in ["status=late", "max_timestamp=x"] {
        let refused = rig.refused("GET", &format!("v1/scheduled_tasks?{query}"), Value::Null).await;
        assert_eq!(refused, (400, "M_INVALID_PARAM".into()), "{query}");
    }
    let path = "v1/user/@bob:h/redact";
    for (body, errcode) in [
        (json!({}), "M_BAD_JSON"),
        (json!({ "rooms": ["x"] }), "M_BAD_JSON"),
        (json!({ "rooms": [], "limit": 0 }), "M_INVALID_PARAM"),
        (json!({ "rooms": [], "reason": "x".repeat(5_000) }), "M_TOO_LARGE"),
    ] {
        assert_eq!(rig.refused("POST", path, body.clone()).await.1, errcode, "{body}");
    }
    assert_eq!(rig.refused("GET", "v1/user/redact_status/x", Value::Null).await.0, 404);
}
