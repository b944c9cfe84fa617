//! Presence (Client-Server API, "Presence").

use http::Method;
use serde_json::{Value, json};

use super::support::TestServer;

#[tokio::test]
async fn presence_is_told_to_those_who_share_a_room() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let path = format!("v3/presence/{}/status", alice.id);
    let away = json!({ "presence": "unavailable", "status_msg": "at lunch" });
    assert_eq!(alice.must(Method::PUT, &path, away).await, json!({}));
    let own = alice.must(Method::GET, &path, Value::Null).await;
    assert_eq!((&own["presence"], &own["status_msg"]), (&json!("unavailable"), &json!("at lunch")));
    let forbidden = (403, "M_FORBIDDEN".to_owned());
    assert_eq!(bob.refused(Method::GET, &path, Value::Null).await, forbidden);
    let room = alice.create_room(json!({ "preset": "public_chat" })).await;
    bob.must(Method::POST, &format!("v3/join/{room}"), json!({})).await;
    let seen = bob.must(Method::GET, &path, Value::Null).await;
    assert_eq!(seen["status_msg"], "at lunch");
    // Nobody says it for another.
    let refused = bob.refused(Method::PUT, &path, json!({ "presence": "offline" })).await;
    assert_eq!(refused, forbidden);
    for (body, status, code) in [
        (json!({}), 400, "M_BAD_JSON"),
        (json!({ "presence": "asleep" }), 400, "M_INVALID_PARAM"),
        (json!({ "presence": 1 }), 400, "M_BAD_JSON"),
        (json!({ "presence": "online", "status_msg": "x".repeat(2_000) }), 413, "M_TOO_LARGE"),
    ] {
        let refused = alice.refused(Method::PUT, &path, body.clone()).await;
        assert_eq!(refused, (status, code.to_owned()), "{body}");
    }
}
