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
async fn no_key_is_claimed_twice_whatever_happens_at_once() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let keys: serde_json::Map<String, Value> =
        (0..40).map(|n| (format!("signed_curve25519:{n:02}"), key(&n.to_string()))).collect();
    let fallback =
        json!({ "signed_curve25519:F": { "key": "F", "fallback": true, "signatures": {} } });
    let body = json!({ "one_time_keys": keys, "fallback_keys": fallback });
    alice.must(Method::POST, "v3/keys/upload", body).await;
    let claims = (0..60).map(|_| claim(&bob, &alice));
    // Uploads in between neither give a key back nor take one away.
    let uploads = (0..5).map(|n| {
        let name = format!("signed_curve25519:late{n}");
        alice.must(
            Method::POST,
            "v3/keys/upload",
            json!({ "one_time_keys": { name: key("late") } }),
        )
    });
    let (claimed, _) =
        futures::join!(futures::future::join_all(claims), futures::future::join_all(uploads));
    let mut names: Vec<String> = claimed
        .iter()
        .map(|keys| {
            let keys = keys.as_object().unwrap();
            assert_eq!(keys.len(), 1);
            keys.keys().next().unwrap().clone()
        })
        .collect();
    let left = alice.must(Method::POST, "v3/keys/upload", json!({})).await;
    let left = left["one_time_key_counts"]["signed_curve25519"].as_u64().unwrap() as usize;
    let fallbacks = names.iter().filter(|name| *name == "signed_curve25519:F").count();
    names.retain(|name| name != "signed_curve25519:F");
    assert_eq!(names.len() + left, 45);
    assert_eq!(names.len() + fallbacks, 60);
    names.sort();
    names.dedup();
    assert_eq!(names.len() + fallbacks, 60, "each one-time key went out once");
}

#[tokio::test]
async fn a_used_fallback_key_is_missed_until_another_comes() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let unused = || async {
        let sync = alice.must(Method::GET, "v3/sync", Value::Null).await;
        sync["device_unused_fallback_key_types"].clone()
    };
    let fallback = |name: &str| json!({ "fallback_keys": { name: { "key": name, "fallback": true, "signatures": {} } } });
    assert_eq!(unused().await, json!([]));
    alice.must(Method::POST, "v3/keys/upload", fallback("signed_curve25519:F1")).await;
    assert_eq!(unused().await, json!(["signed_curve25519"]));
    assert!(claim(&bob, &alice).await["signed_curve25519:F1"].is_object());
    assert_eq!(unused().await, json!([]));
    alice.must(Method::POST, "v3/keys/upload", fallback("signed_curve25519:F1")).await;
    assert_eq!(unused().await, json!([]), "the same key again is still a used one");
    alice.must(Method::POST, "v3/keys/upload", fallback("signed_curve25519:F2")).await;
    assert_eq!(unused().await, json!(["signed_curve25519"]));
    assert!(claim(&bob, &alice).await["signed_curve25519:F2"].is_object());
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
