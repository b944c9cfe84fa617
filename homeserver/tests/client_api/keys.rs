//! Keys and messages to devices.

use http::Method;
use serde_json::{Value, json};

use super::support::{TestServer, User};

fn key(name: &str) -> Value {
    json!({ "key": name, "signatures": {} })
}

async fn claim(asker: &User<'_>, of: &User<'_>) -> Value {
    let body = json!({ "one_time_keys": { &of.id: { &of.device: "signed_curve25519" } } });
    let answer = asker.must(Method::POST, "v3/keys/claim", body).await;
    answer["one_time_keys"][&of.id][&of.device].clone()
}

#[tokio::test]
async fn one_time_keys_go_out_once_in_order_then_the_fallback_key() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    for (name, count) in [("signed_curve25519:B", 1), ("signed_curve25519:A", 2)] {
        let body = json!({ "one_time_keys": { name: key(name) } });
        let answer = alice.must(Method::POST, "v3/keys/upload", body).await;
        assert_eq!(answer["one_time_key_counts"]["signed_curve25519"], count);
    }
    let again = json!({ "one_time_keys": { "signed_curve25519:A": key("another") } });
    assert_eq!(
        alice.refused(Method::POST, "v3/keys/upload", again).await,
        (400, "M_UNKNOWN".to_owned())
    );
    let fallback = json!({ "fallback_keys": { "signed_curve25519:F": key("F") } });
    alice.must(Method::POST, "v3/keys/upload", fallback).await;
    for name in
        ["signed_curve25519:B", "signed_curve25519:A", "signed_curve25519:F", "signed_curve25519:F"]
    {
        assert!(claim(&bob, &alice).await[name].is_object(), "{name}");
    }
}

#[tokio::test]
async fn only_ones_own_whole_device_keys_are_taken() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let keys = |user: &User<'_>| {
        json!({ "device_keys": { "user_id": user.id, "device_id": user.device, "algorithms": [],
            "keys": {}, "signatures": {} } })
    };
    assert_eq!(bob.refused(Method::POST, "v3/keys/upload", keys(&alice)).await.0, 400);
    alice.must(Method::POST, "v3/keys/upload", keys(&alice)).await;
    let query = json!({ "device_keys": { &alice.id: [], "@else:where.test": [] } });
    let answer = bob.must(Method::POST, "v3/keys/query", query).await;
    assert_eq!(answer["device_keys"][&alice.id][&alice.device]["device_id"], json!(alice.device));
    assert!(answer["failures"]["where.test"].is_object());
}

#[tokio::test]
async fn a_repeated_request_sends_to_devices_once() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let body = json!({ "messages": { &bob.id: { "*": { "n": 1 } } } });
    for txn in ["1", "1", "2"] {
        alice.must(Method::PUT, &format!("v3/sendToDevice/m.test/{txn}"), body.clone()).await;
    }
    let sync = bob.must(Method::GET, "v3/sync", Value::Null).await;
    let events = sync["to_device"]["events"].as_array().unwrap();
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(events[0], json!({ "type": "m.test", "sender": alice.id, "content": { "n": 1 } }));
    let since = sync["next_batch"].as_str().unwrap();
    let sync = bob.must(Method::GET, &format!("v3/sync?since={since}"), Value::Null).await;
    assert!(sync["to_device"]["events"].as_array().is_none_or(Vec::is_empty), "{sync}");
}
