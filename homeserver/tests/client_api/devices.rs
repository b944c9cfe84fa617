//! Device lists, messages to devices and what is deleted with a device.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};

use super::support::{TestServer, User};

pub(super) fn device_keys(user: &User<'_>, key: &str) -> Value {
    json!({ "device_keys": { "user_id": user.id, "device_id": user.device,
        "algorithms": ["m.olm.v1.curve25519-aes-sha2"],
        "keys": { format!("ed25519:{}", user.device): key }, "signatures": {} } })
}

async fn upload(user: &User<'_>, key: &str) {
    user.must(Method::POST, "v3/keys/upload", device_keys(user, key)).await;
}

async fn token(user: &User<'_>) -> String {
    let answer = user.must(Method::GET, "v3/sync", Value::Null).await;
    answer["next_batch"].as_str().unwrap().to_owned()
}

type Lists = (BTreeSet<String>, BTreeSet<String>);

fn lists(of: &Value) -> Lists {
    let users = |key: &str| {
        let users = of[key].as_array().into_iter().flatten();
        users.map(|user| user.as_str().unwrap().to_owned()).collect()
    };
    (users("changed"), users("left"))
}

/// What a sync after a token, with further parameters, says of device lists, and its token.
async fn since(user: &User<'_>, token: &str, more: &str) -> (Lists, String) {
    let answer = user.must(Method::GET, &format!("v3/sync?since={token}{more}"), Value::Null).await;
    (lists(&answer["device_lists"]), answer["next_batch"].as_str().unwrap().to_owned())
}

async fn changes(user: &User<'_>, from: &str, to: &str) -> Lists {
    let path = format!("v3/keys/changes?from={from}&to={to}");
    lists(&user.must(Method::GET, &path, Value::Null).await)
}

fn of(changed: &[&User<'_>], left: &[&User<'_>]) -> Lists {
    let ids = |users: &[&User<'_>]| users.iter().map(|user| user.id.clone()).collect();
    (ids(changed), ids(left))
}

async fn join(user: &User<'_>, room: &str) {
    user.must(Method::POST, &format!("v3/join/{room}"), json!({})).await;
}

async fn leave(user: &User<'_>, room: &str) {
    user.must(Method::POST, &format!("v3/rooms/{room}/leave"), json!({})).await;
}

#[tokio::test]
async fn who_comes_in_sight_or_goes_out_of_it_is_told() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let eve = server.register("eve").await;
    let public = || json!({ "preset": "public_chat" });
    let (one, two) = (alice.create_room(public()).await, alice.create_room(public()).await);
    let start = token(&alice).await;
    // Nobody shares a room with her yet.
    upload(&bob, "1").await;
    assert_eq!(since(&alice, &start, "").await.0, of(&[], &[]));

    join(&bob, &one).await;
    join(&bob, &two).await;
    let (told, both) = since(&alice, &start, "").await;
    assert_eq!(told, of(&[&bob], &[]));
    assert_eq!(changes(&alice, &start, &both).await, of(&[&bob], &[]));
    upload(&bob, "2").await;
    let (told, now) = since(&alice, &both, "").await;
    assert_eq!(told, of(&[&bob], &[]));
    upload(&alice, "1").await;
    let (told, now) = since(&alice, &now, "").await;
    assert_eq!(told, of(&[&alice], &[]), "her other devices hear of it");

    // One room less is still one room.
    leave(&bob, &one).await;
    let (told, now) = since(&alice, &now, "").await;
    assert_eq!(told, of(&[], &[]));
    leave(&bob, &two).await;
    let (told, gone) = since(&alice, &now, "").await;
    assert_eq!(told, of(&[], &[&bob]));
    assert_eq!(changes(&alice, &now, &gone).await, of(&[], &[&bob]));
    upload(&bob, "3").await;
    assert_eq!(since(&alice, &gone, "").await.0, of(&[], &[]));

    // After a long absence: everything in one answer.
    join(&bob, &one).await;
    join(&eve, &two).await;
    leave(&eve, &two).await;
    let (told, _) = since(&alice, &now, "").await;
    assert_eq!(told, of(&[&bob], &[&eve]));
    assert_eq!(changes(&alice, &now, &now).await, of(&[&bob], &[&eve]), "`to` is but a hint");
}

#[tokio::test]
async fn whoever_leaves_forgets_those_who_were_there_and_no_others() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let eve = server.register("eve").await;
    let room = alice.create_room(json!({ "preset": "public_chat" })).await;
    join(&bob, &room).await;
    let before = token(&bob).await;
    leave(&bob, &room).await;
    join(&eve, &room).await;
    leave(&alice, &room).await;
    let (told, after) = since(&bob, &before, "").await;
    assert_eq!(told, of(&[], &[&alice]), "eve came when he was gone");
    assert_eq!(changes(&bob, &before, &after).await, of(&[], &[&alice]));
    // Who comes and goes there now is not his to know.
    leave(&eve, &room).await;
    assert_eq!(changes(&bob, &after, &token(&bob).await).await, of(&[], &[]));
    // Nor for one who is only invited.
    let other = alice.create_room(json!({ "invite": [bob.id], "preset": "public_chat" })).await;
    let invited = token(&bob).await;
    join(&eve, &other).await;
    leave(&eve, &other).await;
    assert_eq!(changes(&bob, &invited, &token(&bob).await).await, of(&[], &[]));
}

#[tokio::test]
async fn an_invitation_after_the_leaving_hides_no_leaving() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_room(json!({ "preset": "public_chat" })).await;
    join(&bob, &room).await;
    let before = token(&bob).await;
    leave(&bob, &room).await;
    let invite = json!({ "user_id": bob.id });
    alice.must(Method::POST, &format!("v3/rooms/{room}/invite"), invite).await;
    assert_eq!(since(&bob, &before, "").await.0, of(&[], &[&alice]));
}

#[tokio::test]
async fn filters_and_full_state_hide_nobody() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_room(json!({ "preset": "public_chat" })).await;
    let start = token(&alice).await;
    join(&bob, &room).await;
    for n in 0..20 {
        let path = format!("v3/rooms/{room}/send/m.room.message/{n}");
        alice.must(Method::PUT, &path, json!({ "msgtype": "m.text", "body": "x" })).await;
    }
    let filter = |json: Value| {
        let filter: String =
            url::form_urlencoded::byte_serialize(json.to_string().as_bytes()).collect();
        format!("&filter={filter}")
    };
    for more in [
        String::new(),
        "&full_state=true".to_owned(),
        filter(json!({ "room": { "not_rooms": [room] } })),
        filter(json!({ "room": { "rooms": [] } })),
        filter(json!({ "room": { "timeline": { "types": [], "not_rooms": [room] } } })),
    ] {
        assert_eq!(since(&alice, &start, &more).await.0, of(&[&bob], &[]), "{more}");
    }
}

#[tokio::test]
async fn a_token_of_another_database_means_to_ask_for_everyone() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_room(json!({ "preset": "public_chat" })).await;
    join(&bob, &room).await;
    let token = token(&alice).await;
    let (mark, rest) = token.split_once('_').unwrap();
    let (generation, rest) = rest.split_once('_').unwrap();
    let other = format!("{mark}_{}_{rest}", generation.parse::<i64>().unwrap() + 1);
    assert_eq!(since(&alice, &other, "").await.0, of(&[&alice, &bob], &[]));
    let first = alice.must(Method::GET, "v3/sync", Value::Null).await;
    assert!(first["device_lists"].is_null(), "{first}");
}

#[tokio::test]
async fn messages_come_in_batches_in_order_and_once() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = bob.create_room(json!({})).await;
    let before = token(&bob).await;
    for n in 0..250 {
        let body = json!({ "messages": { &bob.id: { &bob.device: { "n": n } } } });
        alice.must(Method::PUT, &format!("v3/sendToDevice/m.test/{n}"), body).await;
    }
    let path = format!("v3/rooms/{room}/state/m.room.topic");
    bob.must(Method::PUT, &path, json!({ "topic": "now" })).await;
    let first = bob.must(Method::GET, "v3/sync", Value::Null).await;
    assert_eq!(first["to_device"]["events"].as_array().unwrap().len(), 100);
    let (mut got, mut sizes, mut next) = (Vec::new(), Vec::new(), before);
    while sizes.last() != Some(&0) {
        let path = format!("v3/sync?since={next}");
        let sync = bob.must(Method::GET, &path, Value::Null).await;
        let again = bob.must(Method::GET, &path, Value::Null).await;
        assert_eq!(sync["to_device"], again["to_device"], "the answer was lost on its way");
        if sizes.is_empty() {
            let told = &sync["rooms"]["join"][&room];
            assert!(told.to_string().contains("\"now\""), "messages hold nothing back: {sync}");
        }
        let events = sync["to_device"]["events"].as_array().cloned().unwrap_or_default();
        sizes.push(events.len());
        got.extend(events.iter().map(|event| event["content"]["n"].as_i64().unwrap()));
        next = sync["next_batch"].as_str().unwrap().to_owned();
    }
    assert_eq!(got, (0..250).collect::<Vec<_>>());
    assert_eq!(sizes, [100, 100, 50, 0]);
    let first = bob.must(Method::GET, "v3/sync", Value::Null).await;
    assert!(first["to_device"].is_null(), "all were acknowledged: {first}");
}

#[tokio::test]
async fn bad_messages_are_refused_whole() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    for (content, refusal) in [
        (json!("text"), (400, "M_BAD_JSON".to_owned())),
        (json!({ "x": "y".repeat(70_000) }), (413, "M_TOO_LARGE".to_owned())),
    ] {
        let body = json!({ "messages": { &alice.id: { "*": content } } });
        assert_eq!(alice.refused(Method::PUT, "v3/sendToDevice/m.test/1", body).await, refusal);
    }
    let sync = alice.must(Method::GET, "v3/sync", Value::Null).await;
    assert!(sync["to_device"].is_null(), "{sync}");
}

#[tokio::test]
async fn nothing_of_a_deleted_device_is_left() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_room(json!({ "preset": "public_chat" })).await;
    join(&bob, &room).await;
    let mut keys = device_keys(&bob, "1");
    keys["one_time_keys"] = json!({ "signed_curve25519:A": { "key": "k", "signatures": {} } });
    keys["fallback_keys"] = json!({ "signed_curve25519:F": { "key": "f", "signatures": {} } });
    bob.must(Method::POST, "v3/keys/upload", keys).await;
    let message = json!({ "messages": { &bob.id: { "*": { "n": 1 } } } });
    alice.must(Method::PUT, "v3/sendToDevice/m.test/1", message).await;
    let before = token(&alice).await;
    bob.must(Method::POST, "v3/logout", Value::Null).await;
    assert_eq!(since(&alice, &before, "").await.0, of(&[&bob], &[]));
    let query = json!({ "device_keys": { &bob.id: [] } });
    let found = alice.must(Method::POST, "v3/keys/query", query).await;
    assert_eq!(found["device_keys"][&bob.id], json!({}));
    let claim = json!({ "one_time_keys": { &bob.id: { &bob.device: "signed_curve25519" } } });
    let claimed = alice.must(Method::POST, "v3/keys/claim", claim).await;
    assert_eq!(claimed["one_time_keys"], json!({}));
    // The same name again is another device.
    let login = json!({ "type": "m.login.password", "password": "correct horse", "device_id": bob.device,
        "identifier": { "type": "m.id.user", "user": "bob" } });
    let (_, answer) = server.request(Method::POST, "/_matrix/client/v3/login", None, &login).await;
    let sync = server.user(&answer).must(Method::GET, "v3/sync", Value::Null).await;
    assert!(sync["to_device"].is_null(), "{sync}");
    assert_eq!(sync["device_one_time_keys_count"]["signed_curve25519"], 0);
    assert_eq!(sync["device_unused_fallback_key_types"], json!([]));
}

#[tokio::test]
async fn long_names_make_no_device_and_no_account() {
    let server = TestServer::start().await;
    let long = "x".repeat(1_025);
    let body = json!({ "username": "alice", "password": "correct horse",
        "auth": { "type": "m.login.dummy" }, "initial_device_display_name": long });
    let path = "/_matrix/client/v3/register";
    let (status, answer) = server.request(Method::POST, path, None, &body).await;
    assert_eq!((status.as_u16(), &answer["errcode"]), (413, &json!("M_TOO_LARGE")));
    let mut body = body;
    body["initial_device_display_name"] = json!("phone");
    body["device_id"] = json!("x".repeat(256));
    let (status, answer) = server.request(Method::POST, path, None, &body).await;
    assert_eq!((status.as_u16(), &answer["errcode"]), (400, &json!("M_INVALID_PARAM")));
    // The name is still free.
    let alice = server.register("alice").await;
    let login = json!({ "type": "m.login.password", "password": "correct horse",
        "identifier": { "type": "m.id.user", "user": "alice" }, "initial_device_display_name": long });
    let path = "/_matrix/client/v3/login";
    let (status, answer) = server.request(Method::POST, path, None, &login).await;
    assert_eq!((status.as_u16(), &answer["errcode"]), (413, &json!("M_TOO_LARGE")));
    let devices = alice.must(Method::GET, "v3/devices", Value::Null).await;
    assert_eq!(devices["devices"].as_array().unwrap().len(), 1);
    let path = format!("v3/user/{}/account_data/{}", alice.id, "x".repeat(256));
    let got = alice.refused(Method::PUT, &path, json!({})).await;
    assert_eq!(got, (400, "M_INVALID_PARAM".to_owned()));
}
