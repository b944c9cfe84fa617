//! Filters that clients upload (Client-Server API, "Filtering").

use http::Method;
use serde_json::{Value, json};

use super::support::TestServer;

#[tokio::test]
async fn a_filter_is_given_back_as_it_came_and_to_its_owner_alone() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let path = format!("v3/user/{}/filter", alice.id);
    let filter = json!({
        "event_fields": ["type", "content.body"],
        "room": { "timeline": { "limit": 3, "types": ["m.room.message"], "org.example.more": true } },
    });
    let answer = alice.must(Method::POST, &path, filter.clone()).await;
    let one = format!("{path}/{}", answer["filter_id"].as_str().unwrap());
    assert_eq!(alice.must(Method::GET, &one, Value::Null).await, filter);
    let forbidden = (403, "M_FORBIDDEN".to_owned());
    assert_eq!(bob.refused(Method::GET, &one, Value::Null).await, forbidden);
    assert_eq!(bob.refused(Method::POST, &path, json!({})).await, forbidden);
    for id in ["99999", "x", "-1", "99999999999999999999999"] {
        let refused = alice.refused(Method::GET, &format!("{path}/{id}"), Value::Null).await;
        assert_eq!(refused, (404, "M_NOT_FOUND".to_owned()), "{id}");
    }
    for (body, code) in [
        (json!([]), "M_BAD_JSON"),
        (json!({ "room": { "timeline": { "limit": "three" } } }), "M_BAD_JSON"),
        (json!({ "presence": { "senders": ["nobody"] } }), "M_INVALID_PARAM"),
    ] {
        let refused = alice.refused(Method::POST, &path, body.clone()).await;
        assert_eq!(refused, (400, code.to_owned()), "{body}");
    }
}
