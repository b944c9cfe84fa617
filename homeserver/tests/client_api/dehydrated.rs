//! Dehydrated devices (MSC3814).

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::support::{TestServer, User};

const PATH: &str = "unstable/org.matrix.msc3814.v1/dehydrated_device";

fn device(user: &User<'_>, id: &str) -> Value {
    json!({ "device_id": id, "initial_device_display_name": "Sleeper",
        "device_data": { "algorithm": "org.matrix.msc3814.v2", "device_pickle": "encrypted", "nonce": "n" },
        "device_keys": { "user_id": user.id, "device_id": id, "algorithms": [], "dehydrated": true,
            "keys": { format!("ed25519:{id}"): "k" }, "signatures": {} },
        "one_time_keys": { "signed_curve25519:A": { "key": "k", "signatures": {} } },
        "fallback_keys": { "signed_curve25519:F": { "key": "f", "fallback": true, "signatures": {} } } })
}

async fn send(from: &User<'_>, to: &User<'_>, n: usize) {
    let body = json!({ "messages": { &to.id: { "*": { "n": n } } } });
    from.must(Method::PUT, &format!("v3/sendToDevice/m.test/{n}"), body).await;
}

fn numbers(answer: &Value) -> Vec<u64> {
    let events = answer["events"].as_array().unwrap();
    events.iter().map(|event| event["content"]["n"].as_u64().unwrap()).collect()
}

async fn devices(user: &User<'_>) -> Vec<String> {
    let list = user.must(Method::GET, "v3/devices", Value::Null).await;
    let list = list["devices"].as_array().unwrap();
    list.iter().map(|device| device["device_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_dehydrated_device_is_kept_replaced_and_deleted() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_room(json!({ "preset": "public_chat" })).await;
    bob.must(Method::POST, &format!("v3/join/{room}"), json!({})).await;
    let none = (404, "M_NOT_FOUND".to_owned());
    assert_eq!(alice.refused(Method::GET, PATH, Value::Null).await, none);
    assert_eq!(alice.refused(Method::DELETE, PATH, Value::Null).await, none);
    let sync = bob.must(Method::GET, "v3/sync", Value::Null).await;
    let answer = alice.must(Method::PUT, PATH, device(&alice, "one")).await;
    assert_eq!(answer, json!({ "device_id": "one" }));
    let kept = alice.must(Method::GET, PATH, Value::Null).await;
    let expected = device(&alice, "one");
    assert_eq!(kept, json!({ "device_id": "one", "device_data": expected["device_data"] }));
    assert_eq!(bob.refused(Method::GET, PATH, Value::Null).await, none, "it is hers alone");

    // Others find it as they find any device.
    let since = sync["next_batch"].as_str().unwrap();
    let sync = bob.must(Method::GET, &format!("v3/sync?since={since}"), Value::Null).await;
    assert_eq!(sync["device_lists"]["changed"], json!([alice.id]));
    let query = || json!({ "device_keys": { &alice.id: [] } });
    let found = bob.must(Method::POST, "v3/keys/query", query()).await;
    let keys = &found["device_keys"][&alice.id]["one"];
    assert_eq!(keys["dehydrated"], true);
    assert_eq!(keys["unsigned"]["device_display_name"], "Sleeper");
    let claim = json!({ "one_time_keys": { &alice.id: { "one": "signed_curve25519" } } });
    for name in ["signed_curve25519:A", "signed_curve25519:F", "signed_curve25519:F"] {
        let claimed = bob.must(Method::POST, "v3/keys/claim", claim.clone()).await;
        assert!(claimed["one_time_keys"][&alice.id]["one"][name].is_object(), "{name}");
    }

    alice.must(Method::PUT, PATH, device(&alice, "two")).await;
    assert_eq!(devices(&alice).await.len(), 2, "the one before is gone");
    let found = bob.must(Method::POST, "v3/keys/query", query()).await;
    assert!(found["device_keys"][&alice.id]["one"].is_null(), "{found}");
    // The same name again is a new device, too.
    alice.must(Method::PUT, PATH, device(&alice, "two")).await;
    assert_eq!(devices(&alice).await.len(), 2);
    let answer = alice.must(Method::DELETE, PATH, Value::Null).await;
    assert_eq!(answer, json!({ "device_id": "two" }));
    assert_eq!(devices(&alice).await, std::slice::from_ref(&alice.device));
    assert_eq!(alice.refused(Method::GET, PATH, Value::Null).await, none);
}

#[tokio::test]
async fn its_messages_are_read_in_batches_and_stay() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    alice.must(Method::PUT, PATH, device(&alice, "one")).await;
    for n in 0..120 {
        send(&bob, &alice, n).await;
    }
    let events = format!("{PATH}/one/events");
    for _ in 0..2 {
        // As clients do it: until there is nothing more.
        let (mut got, mut body) = (Vec::new(), json!({}));
        let mut sizes = Vec::new();
        loop {
            let answer = alice.must(Method::POST, &events, body).await;
            let part = numbers(&answer);
            sizes.push(part.len());
            if part.is_empty() {
                break;
            }
            got.extend(part);
            body = json!({ "next_batch": answer["next_batch"] });
        }
        assert_eq!(sizes, [100, 20, 0]);
        assert_eq!(got, (0..120).collect::<Vec<_>>());
    }
    // As the proposal has it now: no token at the end.
    let first = alice.must(Method::GET, &format!("{events}?limit=70"), Value::Null).await;
    assert_eq!(numbers(&first), (0..70).collect::<Vec<_>>());
    let from = first["next_batch"].as_str().unwrap();
    let last = alice.must(Method::GET, &format!("{events}?from={from}"), Value::Null).await;
    assert_eq!(numbers(&last), (70..120).collect::<Vec<_>>());
    assert!(last.get("next_batch").is_none(), "{last}");

    let invalid = alice.refused(Method::POST, &events, json!({ "next_batch": "s1_x" })).await;
    assert_eq!(invalid, (400, "M_INVALID_PARAM".to_owned()));
    let own = format!("{PATH}/{}/events", alice.device);
    let forbidden = (403, "M_FORBIDDEN".to_owned());
    assert_eq!(alice.refused(Method::POST, &own, json!({})).await, forbidden);
    assert_eq!(bob.refused(Method::POST, &events, json!({})).await, forbidden);
    // Another device in its place begins without them.
    alice.must(Method::PUT, PATH, device(&alice, "one")).await;
    let answer = alice.must(Method::POST, &events, json!({})).await;
    assert_eq!(answer["events"], json!([]));
}

#[tokio::test]
async fn what_is_no_dehydrated_device_is_refused() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let without = |field: &str| {
        let mut device = device(&alice, "one");
        device.as_object_mut().unwrap().remove(field);
        device
    };
    let with = |field: &str, value: Value| {
        let mut device = device(&alice, "one");
        device[field] = value;
        device
    };
    for (body, errcode) in [
        (without("device_keys"), "M_MISSING_PARAM"),
        (without("device_data"), "M_BAD_JSON"),
        (with("device_data", json!({ "device_pickle": "p" })), "M_BAD_JSON"),
        (with("device_data", json!("text")), "M_BAD_JSON"),
        (with("device_id", json!("")), "M_INVALID_PARAM"),
        (with("device_id", json!("two")), "M_INVALID_PARAM"),
        (device(&alice, &alice.device), "M_INVALID_PARAM"),
    ] {
        let refused = alice.refused(Method::PUT, PATH, body.clone()).await;
        assert_eq!(refused, (400, errcode.to_owned()), "{body}");
    }
    let large = json!({ "algorithm": "a", "device_pickle": "x".repeat(200_000) });
    let refused = alice.refused(Method::PUT, PATH, with("device_data", large)).await;
    assert_eq!(refused, (413, "M_TOO_LARGE".to_owned()));
    assert_eq!(
        devices(&alice).await,
        std::slice::from_ref(&alice.device),
        "nothing of it was stored"
    );

    // Nobody logs in as a device that sleeps.
    alice.must(Method::PUT, PATH, device(&alice, "one")).await;
    let login = json!({ "type": "m.login.password", "password": "correct horse",
        "device_id": "one", "identifier": { "type": "m.id.user", "user": "alice" } });
    let (status, _) = server.request(Method::POST, "/_matrix/client/v3/login", None, &login).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}
