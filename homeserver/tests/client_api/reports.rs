//! Reporting events, rooms and users (Client-Server API, "Reporting Content").

use http::Method;
use serde_json::{Value, json};

use super::support::TestServer;

#[tokio::test]
async fn events_rooms_and_users_are_reported() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_room(json!({ "preset": "public_chat" })).await;
    let message = format!("v3/rooms/{room}/send/m.room.message/1");
    let sent =
        alice.must(Method::PUT, &message, json!({ "msgtype": "m.text", "body": "rude" })).await;
    let event = format!("v3/rooms/{room}/report/{}", sent["event_id"].as_str().unwrap());
    let missing = (404, "M_NOT_FOUND".to_owned());
    // An event is reported from inside its room, a room from anywhere.
    assert_eq!(bob.refused(Method::POST, &event, json!({ "reason": "rude" })).await, missing);
    let whole = format!("v3/rooms/{room}/report");
    bob.must(Method::POST, &whole, json!({ "reason": "rude" })).await;
    bob.must(Method::POST, &format!("v3/join/{room}"), json!({})).await;
    for body in [json!({ "reason": "rude", "score": -100 }), json!({ "reason": "" }), json!({})] {
        assert_eq!(bob.must(Method::POST, &event, body).await, json!({}));
    }
    let user = format!("v3/users/{}/report", alice.id);
    assert_eq!(bob.must(Method::POST, &user, json!({ "reason": "rude" })).await, json!({}));
    // Whether there is such a user isn't told.
    bob.must(Method::POST, "v3/users/@nobody:hs.test/report", json!({ "reason": "" })).await;
    // What isn't there, or is in another room, is not reported.
    let other = alice.create_room(json!({})).await;
    let elsewhere = format!("v3/rooms/{other}/report/{}", sent["event_id"].as_str().unwrap());
    assert_eq!(alice.refused(Method::POST, &elsewhere, json!({})).await, missing);
    for path in ["v3/rooms/!none:hs.test/report", "v3/rooms/!none:hs.test/report/$none"] {
        assert_eq!(bob.refused(Method::POST, path, json!({ "reason": "" })).await, missing);
    }
    for path in [&event, &whole, &user] {
        let long = bob.refused(Method::POST, path, json!({ "reason": "x".repeat(5_000) })).await;
        assert_eq!(long, (413, "M_TOO_LARGE".to_owned()), "{path}");
        let wrong = bob.refused(Method::POST, path, json!({ "reason": 1 })).await;
        assert_eq!(wrong, (400, "M_BAD_JSON".to_owned()), "{path}");
        let path = format!("/_matrix/client/{path}");
        let (status, _) = server.request(Method::POST, &path, None, &Value::Null).await;
        assert_eq!(status, 401);
    }
}
